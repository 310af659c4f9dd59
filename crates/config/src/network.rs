//! Networks: `10.0.0.0/8`, `2001:db8::/32`, or a single address.

use std::borrow::Cow;
use std::net::IpAddr;

use ipnet::IpNet;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::code::Code;
use crate::decode::{Complaint, Leaf};

/// A network without host bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Network(pub(crate) IpNet);

impl Leaf for Network {
    const WANTED: &'static str = "a network like `10.0.0.0/8`";

    fn parse(text: &str) -> Result<Self, Complaint> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Network(IpNet::from(address)));
        }
        let Ok(network) = text.parse::<IpNet>() else {
            return Err(Complaint::new(Code::Network, "is not a network")
                .note("networks look like `10.0.0.0/8`, `2001:db8::/32` or `192.0.2.1`"));
        };
        if network.trunc() != network {
            return Err(Complaint::new(Code::Network, "has bits beyond its prefix length").hint(format!(
                "did you mean `{}` or `{}`?",
                network.trunc(),
                network.addr()
            )));
        }
        Ok(Network(network))
    }
}

/// Where an instance may point: `registrant`, or a network.
#[derive(Clone, Copy, Debug)]
pub(crate) enum AllowedAddress {
    /// The address that it registers from.
    Registrant,
    /// Any address of it.
    Network(Network),
}

impl Leaf for AllowedAddress {
    const WANTED: &'static str = "`registrant` or a network like `10.0.0.0/8`";

    fn parse(text: &str) -> Result<Self, Complaint> {
        if text == "registrant" {
            return Ok(AllowedAddress::Registrant);
        }
        Network::parse(text).map(AllowedAddress::Network)
    }
}

impl JsonSchema for AllowedAddress {
    fn schema_name() -> Cow<'static, str> {
        "AllowedAddress".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "registrant (the address that an instance registers from), or a network like 10.0.0.0/8.",
            "type": "string"
        })
    }
}

impl JsonSchema for Network {
    fn schema_name() -> Cow<'static, str> {
        "Network".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A network like 10.0.0.0/8 or 2001:db8::/32, or a single address.",
            "type": "string"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_parse() {
        fn check(text: &str, expected: Result<&str, Option<&str>>) {
            let parsed = Network::parse(text).map(|network| network.0.to_string());
            let parsed = parsed.as_deref().map_err(|complaint| complaint.hint.as_deref());
            assert_eq!(parsed, expected, "{text}");
        }
        check("10.0.0.0/8", Ok("10.0.0.0/8"));
        check("192.0.2.1", Ok("192.0.2.1/32"));
        check("2001:db8::/32", Ok("2001:db8::/32"));
        check("::1", Ok("::1/128"));
        check("0.0.0.0/0", Ok("0.0.0.0/0"));
        check("10.0.0.1/8", Err(Some("did you mean `10.0.0.0/8` or `10.0.0.1`?")));
        check("10.0.0.0/33", Err(None));
        check("localhost", Err(None));
    }
}
