//! Where a registry is served, parsed once.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use hyper::Uri;

/// The address of a registry: `http://HOST[:PORT]`, port 80 where none is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryUrl {
    /// Host and port, as they are connected to and stand in the `Host` field.
    authority: Arc<str>,
}

/// Why a text is not the address of a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Registries speak plain HTTP: where others can listen, a tunnel is needed.
    #[error("https is not supported: a registry speaks plain http")]
    Https,
    /// Anything else than scheme, host and port.
    #[error("expected http://HOST:PORT")]
    Form,
}

impl RegistryUrl {
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }
}

impl FromStr for RegistryUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let uri = text.parse::<Uri>().map_err(|_| UrlError::Form)?;
        if uri.scheme_str() == Some("https") {
            return Err(UrlError::Https);
        }
        let is_plain = uri.scheme_str() == Some("http") && uri.path() == "/" && uri.query().is_none();
        let authority = uri.authority().filter(|authority| is_plain && !authority.as_str().contains('@'));
        let authority = authority.ok_or(UrlError::Form)?;
        let port = match authority.port() {
            Some(port) => port.as_str().parse::<u16>().ok().filter(|&port| port > 0).ok_or(UrlError::Form)?,
            None if authority.as_str() == authority.host() => 80,
            // What follows the host is no port that can be.
            None => return Err(UrlError::Form),
        };
        Ok(RegistryUrl { authority: format!("{}:{port}", authority.host()).into() })
    }
}

impl fmt::Display for RegistryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_addresses_are_taken() {
        let check = |text: &str, expected: Result<&str, UrlError>| {
            let parsed = text.parse::<RegistryUrl>().map(|url| url.to_string());
            assert_eq!(parsed, expected.map(str::to_owned), "{text}");
        };
        check("http://127.0.0.1:8500", Ok("http://127.0.0.1:8500"));
        check("http://127.0.0.1:8500/", Ok("http://127.0.0.1:8500"));
        check("http://[::1]:8500", Ok("http://[::1]:8500"));
        check("http://registry", Ok("http://registry:80"));
        check("https://registry:8500", Err(UrlError::Https));
        check("http://registry:8500/v1", Err(UrlError::Form));
        check("http://registry:8500?a=b", Err(UrlError::Form));
        check("http://user@registry:8500", Err(UrlError::Form));
        check("http://registry:", Err(UrlError::Form));
        check("http://registry:0", Err(UrlError::Form));
        check("http://registry:65536", Err(UrlError::Form));
        check("registry:8500", Err(UrlError::Form));
        check("", Err(UrlError::Form));
    }
}
