//! How a client is brought back to the endpoint that served it.

use std::time::Duration;

use crate::process::Secret;

/// A signed cookie that names an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sticky {
    /// The name of the cookie. Default `fulcrum_` and the name of the service.
    pub cookie: String,
    /// None, the current key, or the current and the previous one; each of at least 16 bytes. Without keys every
    /// process makes its own.
    pub keys: Vec<Secret>,
    /// A cookie that was not seen for longer is not honoured. Default none.
    pub max_idle: Option<Duration>,
    /// A cookie that was given out longer ago is not honoured. Default none.
    pub max_life: Option<Duration>,
}
