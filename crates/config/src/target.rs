//! What a policy answers: an address without a port.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::code::Code;
use crate::decode::{Complaint, Leaf};

/// An IP address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct IpText(pub(crate) IpAddr);

impl Leaf for IpText {
    const WANTED: &'static str = "an IP address as text";
    const TAKES_NUMBERS: bool = true;

    fn parse(text: &str) -> Result<Self, Complaint> {
        let complaint = || Complaint::new(Code::Address, "is not an IP address");
        match text.parse::<IpAddr>() {
            Ok(IpAddr::V6(ip)) if ip.to_ipv4_mapped().is_some() => {
                let hint = format!("did you mean `{}`?", ip.to_canonical());
                Err(Complaint::new(Code::Address, "is an IPv4 address in IPv6 form").hint(hint))
            }
            Ok(address) => Ok(IpText(address)),
            Err(_) => Err(match text.parse::<SocketAddr>() {
                Ok(address) => {
                    complaint().hint(format!("answers have no port: did you mean `{}`?", address.ip()))
                }
                Err(_) => complaint().note("a name is answered as an alias: `{ cname: www.example.net. }`"),
            }),
        }
    }
}

impl JsonSchema for IpText {
    fn schema_name() -> Cow<'static, str> {
        "IpAddress".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An IPv4 or IPv6 address: 192.0.2.1, 2001:db8::1.",
            "type": "string",
            "pattern": r"^([0-9a-fA-F:.]+|.*\$\{.*)$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_parse_or_say_why_not() {
        fn check(text: &str, expected: Result<&str, Option<&str>>) {
            let parsed = IpText::parse(text).map(|address| address.0.to_string());
            assert_eq!(parsed.as_deref().map_err(|complaint| complaint.hint.as_deref()), expected, "{text}");
        }
        check("192.0.2.1", Ok("192.0.2.1"));
        check("2001:db8::1", Ok("2001:db8::1"));
        check("192.0.2.1:80", Err(Some("answers have no port: did you mean `192.0.2.1`?")));
        check("::ffff:192.0.2.1", Err(Some("did you mean `192.0.2.1`?")));
        check("www.example.net", Err(None));
        check("", Err(None));
    }
}
