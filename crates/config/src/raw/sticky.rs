//! Stickiness as it is written.

use schemars::JsonSchema;

use crate::decode::{Decode, Limit, OneOrMany, Word, Words};
use crate::duration::Timeout;
use crate::field::CookieName;
use crate::fields::fields;
use crate::node::{Node, Value};
use crate::report::Problems;
use crate::secret::SecretText;

fields! {
    /// How a client is brought back to its endpoint, in the long form.
    RawStickyLong {
        /// A signed cookie that names the endpoint.
        cookie: RawStickyCookie = required,
    }

    /// A signed cookie that names the endpoint.
    RawStickyCookie {
        /// Its name. Default: fulcrum_ and the name of the service.
        name: CookieName,
        /// The key that signs it, then the previous one, whose cookies are still honoured: file:/path or text of at
        /// least 16 bytes. Default: one that is made at start, and known to this process alone.
        keys: OneOrMany<SecretText>,
        /// A cookie that was not seen for longer is not honoured, or none. Default none.
        max_idle: Limit<Timeout>,
        /// A cookie that was given out longer ago is not honoured, or none. Default none.
        max_life: Limit<Timeout>,
    }
}

/// How a client is brought back to its endpoint.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum RawSticky {
    /// By a cookie with the default settings.
    Short(Word<StickyWord>),
    /// By a cookie.
    Long(RawStickyLong),
}

impl RawSticky {
    /// The settings of the cookie, if there are any.
    pub(crate) fn cookie(&self) -> Option<&RawStickyCookie> {
        match self {
            RawSticky::Short(_) => None,
            RawSticky::Long(long) => long.cookie.as_ref(),
        }
    }
}

impl Decode for RawSticky {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Mapping(_) => RawStickyLong::decode(node, problems).map(RawSticky::Long),
            _ => Word::decode(node, problems).map(RawSticky::Short),
        }
    }
}

/// The only short form of stickiness.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StickyWord;

impl Words for StickyWord {
    const WORDS: &'static [(&'static str, Self)] = &[("cookie", StickyWord)];
}
