//! Where registries are, and how they are asked.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use fulcrum_balance::Rng;
use hyper::header::HeaderValue;

use crate::servers::Servers;
use crate::url::{RegistryUrl, UrlError};

/// Where the registry is. With several addresses instances register at all of them, so that each knows everybody. Whoever
/// watches asks one: the first that answers is kept until it does not, then the next one is asked.
#[derive(Clone, Debug)]
pub struct Registry {
    urls: Arc<[RegistryUrl]>,
    token: Option<Token>,
}

/// Why there is no such registry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// No address was given.
    #[error("no address of a registry is given")]
    NoUrl,
    /// An address cannot be one.
    #[error("{url:?}: {source}")]
    Url {
        /// As it was given.
        url: String,
        /// What is wrong with it.
        source: UrlError,
    },
    /// A token has characters that cannot be sent.
    #[error("the token has characters other than visible ASCII")]
    Token,
}

impl Registry {
    /// Takes addresses like `http://127.0.0.1:8500`. Nothing is asked yet.
    pub fn new<I>(urls: I) -> Result<Self, RegistryError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let parse = |url: I::Item| {
            let url = url.as_ref();
            url.parse().map_err(|source| RegistryError::Url { url: url.to_owned(), source })
        };
        let urls: Arc<[RegistryUrl]> = urls.into_iter().map(parse).collect::<Result<_, _>>()?;
        match urls.is_empty() {
            true => Err(RegistryError::NoUrl),
            false => Ok(Registry { urls, token: None }),
        }
    }

    /// Sends this token with everything that is asked.
    pub fn with_token(mut self, token: &str) -> Result<Self, RegistryError> {
        let is_visible = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        let header = HeaderValue::from_str(&format!("Bearer {token}")).ok().filter(|_| is_visible);
        let mut header = header.ok_or(RegistryError::Token)?;
        header.set_sensitive(true);
        self.token = Some(Token(header));
        Ok(self)
    }

    pub(crate) fn token(&self) -> Option<&Token> {
        self.token.as_ref()
    }

    /// All of them.
    pub(crate) fn urls(&self) -> &[RegistryUrl] {
        &self.urls
    }

    /// The choice among the addresses for who needs one of them, with a random start.
    pub(crate) fn servers(&self, rng: &mut Rng) -> Servers {
        let count = NonZeroUsize::new(self.urls.len()).expect("a registry has an address");
        Servers::new(count, rng.next_u64())
    }

    /// The address that was chosen.
    pub(crate) fn url(&self, servers: &Servers) -> &RegistryUrl {
        &self.urls[servers.current()]
    }
}

/// What is sent as `Authorization`; never shown.
#[derive(Clone)]
pub(crate) struct Token(HeaderValue);

impl Token {
    pub(crate) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Random numbers that differ from process to process.
pub(crate) fn random() -> Rng {
    use std::hash::{BuildHasher, RandomState};
    Rng::from_seed(RandomState::new().hash_one(std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_tokens_are_checked_before_anything_is_asked() {
        assert_eq!(Registry::new(Vec::<String>::new()).err(), Some(RegistryError::NoUrl));
        let error = Registry::new(["http://127.0.0.1:1", "https://b:1"]).expect_err("https");
        assert_eq!(
            error.to_string(),
            "\"https://b:1\": https is not supported: a registry speaks plain http"
        );
        let registry = Registry::new(["http://127.0.0.1:1"]).expect("an address");
        for token in ["", "a b", "a\nb", "ä"] {
            assert_eq!(registry.clone().with_token(token).err(), Some(RegistryError::Token), "{token:?}");
        }
        let registry = registry.with_token("s3cret").expect("a token");
        assert!(!format!("{registry:?}").contains("s3cret"));
        assert_eq!(registry.token().expect("it has one").header(), "Bearer s3cret");
    }
}
