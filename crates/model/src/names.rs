//! Names of configured objects, as newtypes so that a route cannot be taken for a service.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Why a text cannot be a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// Empty, or longer than the kind of name allows.
    Length {
        /// The longest name of this kind, in bytes.
        max: usize,
    },
    /// A character that this kind of name does not allow.
    Character(char),
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameError::Length { max } => write!(f, "a name has 1 to {max} bytes"),
            NameError::Character(found) => write!(f, "{found:?} is not allowed in this name"),
        }
    }
}

impl std::error::Error for NameError {}

/// Letters, digits, `.`, `_` and `-`: safe in a metric label, a path of the API and a cookie name.
fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-')
}

/// Anything that prints: route names are made of host patterns and paths.
fn is_printable(character: char) -> bool {
    !character.is_control()
}

/// What can be seen in ASCII, but no `/`: ids of instances are segments of paths.
fn is_segment(character: char) -> bool {
    character.is_ascii_graphic() && character != '/'
}

fn parse(text: &str, max: usize, allowed: fn(char) -> bool) -> Result<Arc<str>, NameError> {
    if text.is_empty() || text.len() > max {
        return Err(NameError::Length { max });
    }
    match text.chars().find(|&character| !allowed(character)) {
        Some(character) => Err(NameError::Character(character)),
        None => Ok(Arc::from(text)),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $max:literal, $allowed:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                parse(text, $max, $allowed).map($name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

name!(
    /// The name of a listener: 1 to 63 of `[A-Za-z0-9._-]`.
    ListenerName, 63, is_plain
);
name!(
    /// The name of a service: 1 to 63 of `[A-Za-z0-9._-]`.
    ServiceName, 63, is_plain
);
name!(
    /// The name of a route: 1 to 512 printable bytes. Unnamed routes are called by host and path.
    RouteName, 512, is_printable
);
name!(
    /// The identity of an endpoint within its service: 1 to 255 printable bytes, by default its address.
    EndpointId, 255, is_printable
);

name!(
    /// The name of a region: 1 to 63 of `[A-Za-z0-9._-]`.
    RegionName, 63, is_plain
);
name!(
    /// The identity of an instance within its service: 1 to 200 visible ASCII characters, no `/`.
    InstanceId, 200, is_segment
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_names_are_plain() {
        fn check(text: &str, expected: Result<(), NameError>) {
            assert_eq!(text.parse::<ServiceName>().map(|_| ()), expected, "{text:?}");
        }
        check("web-1.eu_west", Ok(()));
        check("", Err(NameError::Length { max: 63 }));
        check(&"a".repeat(64), Err(NameError::Length { max: 63 }));
        check("a b", Err(NameError::Character(' ')));
        check("a/b", Err(NameError::Character('/')));
    }

    #[test]
    fn instance_ids_are_segments_of_paths() {
        assert!("host:web:9001".parse::<InstanceId>().is_ok());
        assert_eq!("a/b".parse::<InstanceId>(), Err(NameError::Character('/')));
        assert_eq!("a b".parse::<InstanceId>(), Err(NameError::Character(' ')));
    }

    #[test]
    fn route_names_may_hold_patterns() {
        assert!("*.example.com/api".parse::<RouteName>().is_ok());
        assert_eq!("a\nb".parse::<RouteName>(), Err(NameError::Character('\n')));
    }
}
