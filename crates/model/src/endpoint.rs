//! Where an endpoint is and how large a share of traffic it takes.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

/// A place that can be connected to: a TCP address or a unix stream socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// An IP address and port.
    Tcp(SocketAddr),
    /// The path of a unix stream socket, written `unix:/path`.
    Unix(Arc<Path>),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => address.fmt(f),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A text that is neither `IP:PORT` nor `unix:/path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseAddressError {
    /// `unix:` was followed by something that is not an absolute path of at most 107 bytes.
    UnixPath,
    /// Not an IP address with a port from 1 to 65535.
    SocketAddress,
}

impl fmt::Display for ParseAddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ParseAddressError::UnixPath => "expected `unix:` and an absolute path of at most 107 bytes",
            ParseAddressError::SocketAddress => {
                "expected an IP address and a port, like `10.0.0.1:8080` or `[2001:db8::1]:8080`"
            }
        })
    }
}

impl std::error::Error for ParseAddressError {}

impl FromStr for Address {
    type Err = ParseAddressError;

    /// Parses `10.0.0.1:8080`, `[2001:db8::1]:8080` or `unix:/run/app.sock`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("unix:") {
            // sockaddr_un holds 108 bytes including the final NUL.
            return if path.starts_with('/') && path.len() <= 107 {
                Ok(Address::Unix(Arc::from(PathBuf::from(path))))
            } else {
                Err(ParseAddressError::UnixPath)
            };
        }
        match text.parse::<SocketAddr>() {
            Ok(address) if address.port() != 0 => Ok(Address::Tcp(address)),
            _ => Err(ParseAddressError::SocketAddress),
        }
    }
}

/// The share of traffic an endpoint takes relative to the others of its service: 1 to 65535.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Weight(NonZeroU16);

impl Weight {
    /// What an endpoint weighs unless told otherwise.
    pub const ONE: Weight = Weight(NonZeroU16::MIN);

    /// `None` for zero.
    pub const fn new(value: u16) -> Option<Self> {
        match NonZeroU16::new(value) {
            Some(value) => Some(Weight(value)),
            None => None,
        }
    }

    /// The weight as a number from 1 to 65535.
    pub const fn get(self) -> u16 {
        self.0.get()
    }
}

impl Default for Weight {
    fn default() -> Self {
        Self::ONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_parse_and_print() {
        fn check(text: &str, printed: Result<&str, ParseAddressError>) {
            let parsed = text.parse::<Address>().map(|address| address.to_string());
            assert_eq!(parsed, printed.map(str::to_owned), "{text}");
        }
        check("10.0.0.1:80", Ok("10.0.0.1:80"));
        check("[2001:db8::1]:80", Ok("[2001:db8::1]:80"));
        check("unix:/run/a.sock", Ok("unix:/run/a.sock"));
        check("unix:run/a.sock", Err(ParseAddressError::UnixPath));
        check("10.0.0.1:0", Err(ParseAddressError::SocketAddress));
        check("10.0.0.1", Err(ParseAddressError::SocketAddress));
        check("app.internal:80", Err(ParseAddressError::SocketAddress));
    }
}
