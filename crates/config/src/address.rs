//! Addresses of endpoints: `10.0.0.1:8080`, `[2001:db8::1]:8080`, `app.internal:8080`, `unix:/path`.

use std::borrow::Cow;
use std::net::IpAddr;

use fulcrum_model::{Address, HostPort, ParseAddressError, ParseHostPortError};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::code::Code;
use crate::decode::{Complaint, Leaf};
use crate::endpoint::Target;

/// Where an endpoint is.
#[derive(Clone, Debug)]
pub(crate) struct AddressText(pub(crate) Target);

impl Leaf for AddressText {
    const WANTED: &'static str = "an address as text";
    const TAKES_NUMBERS: bool = true;

    fn parse(text: &str) -> Result<Self, Complaint> {
        match text.parse::<Address>() {
            Ok(address) => return Ok(AddressText(Target::Address(address))),
            Err(error @ ParseAddressError::UnixPath) => {
                let complaint = Complaint::new(Code::Address, "is not the address of a unix socket");
                return Err(complaint.note(error.to_string()));
            }
            Err(ParseAddressError::SocketAddress) => {}
        }
        match text.parse::<HostPort>() {
            Ok(host) => Ok(AddressText(Target::Host(host))),
            Err(error) => Err(refuse(text, error)),
        }
    }
}

/// Says what is nearest to a text that is neither an address nor a name with a port.
fn refuse(text: &str, error: ParseHostPortError) -> Complaint {
    let complaint = |predicate: &str| Complaint::new(Code::Address, predicate.to_owned()).note(NOTE);
    if text.starts_with('/') {
        return complaint("is a path").hint(format!("did you mean `unix:{text}`?"));
    }
    if text.contains("://") {
        return complaint("is a URL, not an address");
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        let hint = format!("did you mean `{}`?", std::net::SocketAddr::new(ip, 80));
        return complaint("has no port").hint(hint);
    }
    if text.ends_with(":0") {
        return complaint("has port 0, to which nobody can connect");
    }
    match error {
        ParseHostPortError::Port if text.contains(':') => complaint("has no port from 1 to 65535"),
        ParseHostPortError::Port => complaint("has no port").hint(format!("did you mean `{text}:80`?")),
        ParseHostPortError::Host if !text.is_ascii() => Complaint::new(Code::Address, "is not ASCII").note(
            "international names are asked for in punycode, like `xn--bcher-kva.example:80`: write that",
        ),
        ParseHostPortError::Host => complaint("is not an address"),
    }
}

const NOTE: &str =
    "addresses look like `10.0.0.1:8080`, `[2001:db8::1]:8080`, `app.internal:8080` or `unix:/run/app.sock`";

impl JsonSchema for AddressText {
    fn schema_name() -> Cow<'static, str> {
        "Address".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An IP address or a DNS name and a port, or unix:/path.",
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
        check("10.0.0.1:80", Ok("10.0.0.1:80"));
        check("unix:/run/a.sock", Ok("unix:/run/a.sock"));
        check("unix:a.sock", Err("is not the address of a unix socket"));
        check("app.internal:9000", Ok("app.internal:9000"));
        check("App.Internal:9000", Ok("app.internal:9000"));
        check("localhost", Err("has no port"));
        check("app.internal:", Err("has no port from 1 to 65535"));
        check("app.internal:70000", Err("has no port from 1 to 65535"));
        check("app.internal:0", Err("has port 0, to which nobody can connect"));
        check("bücher.example:80", Err("is not ASCII"));
        check("http://10.0.0.1", Err("is a URL, not an address"));
        check("/run/a.sock", Err("is a path"));
        check("10.0.0.1", Err("has no port"));
        check("10.0.0.1:0", Err("has port 0, to which nobody can connect"));
        check("10.0.0.1:65536", Err("is not an address"));
        check("22:22", Err("is not an address"));
        check("", Err("is not an address"));
    }
}
