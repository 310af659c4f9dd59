//! Addresses of endpoints: `10.0.0.1:8080`, `[2001:db8::1]:8080`, `unix:/path`.

use std::borrow::Cow;
use std::net::IpAddr;

use fulcrum_model::{Address, ParseAddressError};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::code::Code;
use crate::decode::{Complaint, Leaf};

/// Where an endpoint is.
#[derive(Clone, Debug)]
pub(crate) struct AddressText(pub(crate) Address);

impl Leaf for AddressText {
    const WANTED: &'static str = "an address as text";
    const TAKES_NUMBERS: bool = true;

    fn parse(text: &str) -> Result<Self, Complaint> {
        let error = match text.parse::<Address>() {
            Ok(address) => return Ok(AddressText(address)),
            Err(error) => error,
        };
        let complaint =
            |predicate: &str| Complaint::new(Code::Address, predicate.to_owned()).note(error.to_string());
        if error == ParseAddressError::UnixPath {
            return Err(complaint("is not the address of a unix socket"));
        }
        if text.starts_with('/') {
            return Err(complaint("is a path").hint(format!("did you mean `unix:{text}`?")));
        }
        if text.contains("://") {
            return Err(complaint("is a URL, not an address"));
        }
        if let Ok(ip) = text.parse::<IpAddr>() {
            let hint = format!("did you mean `{}`?", std::net::SocketAddr::new(ip, 80));
            return Err(complaint("has no port").hint(hint));
        }
        if text.ends_with(":0") {
            return Err(complaint("has port 0, to which nobody can connect"));
        }
        if is_host_name(text) {
            return Err(complaint("is a host name; endpoints are IP addresses or unix sockets"));
        }
        Err(complaint("is not an address"))
    }
}

/// A name, with or without a port.
fn is_host_name(text: &str) -> bool {
    let host = text.rsplit_once(':').map_or(text, |(host, _)| host);
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    host.split('.').all(is_label) && host.bytes().any(|byte| byte.is_ascii_alphabetic())
}

impl JsonSchema for AddressText {
    fn schema_name() -> Cow<'static, str> {
        "Address".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An IP address and a port, or unix:/path.",
            "type": "string",
            "pattern": r"(:[0-9]+$|^unix:/|\$\{)"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_parse_or_say_why_not() {
        fn check(text: &str, expected: Result<&str, &str>) {
            let parsed = AddressText::parse(text).map(|address| address.0.to_string());
            assert_eq!(parsed.as_deref().map_err(|c| c.predicate.as_str()), expected, "{text}");
        }
        let name = "is a host name; endpoints are IP addresses or unix sockets";
        check("10.0.0.1:80", Ok("10.0.0.1:80"));
        check("unix:/run/a.sock", Ok("unix:/run/a.sock"));
        check("unix:a.sock", Err("is not the address of a unix socket"));
        check("app.internal:9000", Err(name));
        check("localhost", Err(name));
        check("http://10.0.0.1", Err("is a URL, not an address"));
        check("/run/a.sock", Err("is a path"));
        check("10.0.0.1", Err("has no port"));
        check("10.0.0.1:0", Err("has port 0, to which nobody can connect"));
        check("10.0.0.1:65536", Err("is not an address"));
        check("22:22", Err("is not an address"));
        check("", Err("is not an address"));
    }
}
