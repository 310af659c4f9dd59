//! Names that are asked for in the DNS.

use std::borrow::Cow;
use std::net::IpAddr;

use fulcrum_model::{HostPort, SrvName};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::address::AddressText;
use crate::code::Code;
use crate::decode::{Complaint, Leaf};
use crate::endpoint::Target;

/// A name, all of whose addresses are meant, and a port.
#[derive(Clone, Debug)]
pub(crate) struct DnsHostPort(pub(crate) HostPort);

impl Leaf for DnsHostPort {
    const WANTED: &'static str = "a name and a port as text";
    const TAKES_NUMBERS: bool = true;

    fn parse(text: &str) -> Result<Self, Complaint> {
        match AddressText::parse(text)?.0 {
            Target::Host(host) => Ok(DnsHostPort(host)),
            Target::Address(_) => Err(Complaint::new(Code::Address, "is an address, not a name")
                .note("an address belongs to `endpoints`")),
        }
    }
}

impl JsonSchema for DnsHostPort {
    fn schema_name() -> Cow<'static, str> {
        "NameAndPort".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A DNS name and a port.",
            "type": "string",
            "pattern": r"(:[0-9]+$|\$\{)"
        })
    }
}

/// A name with records that say more than addresses.
#[derive(Clone, Debug)]
pub(crate) struct SrvNameText(pub(crate) SrvName);

impl Leaf for SrvNameText {
    const WANTED: &'static str = "a name as text";
    const TAKES_NUMBERS: bool = true;

    fn parse(text: &str) -> Result<Self, Complaint> {
        let complaint = |predicate: &str| Complaint::new(Code::Host, predicate.to_owned());
        if let Ok(name) = text.parse() {
            return Ok(SrvNameText(name));
        }
        Err(match text.rsplit_once(':') {
            Some((name, _)) if name.parse::<SrvName>().is_ok() => complaint("has a port")
                .hint(format!("did you mean `{name}`?"))
                .note("SRV records name the port themselves"),
            _ if text.parse::<IpAddr>().is_ok() => complaint("is an address, not a name"),
            _ => complaint("is no DNS name").note("like `_http._tcp.app.internal`"),
        })
    }
}

impl JsonSchema for SrvNameText {
    fn schema_name() -> Cow<'static, str> {
        "SrvName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A DNS name without a port.",
            "type": "string",
            "minLength": 1
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_ports_are_no_addresses() {
        fn check(text: &str, expected: Result<&str, &str>) {
            let parsed = DnsHostPort::parse(text).map(|host| host.0.to_string());
            assert_eq!(parsed.as_deref().map_err(|c| c.predicate.as_str()), expected, "{text}");
        }
        check("App.internal:80", Ok("app.internal:80"));
        check("10.0.0.1:80", Err("is an address, not a name"));
        check("unix:/run/a.sock", Err("is an address, not a name"));
        check("app.internal", Err("has no port"));
        check("", Err("is not an address"));
    }

    #[test]
    fn names_of_records_have_no_port() {
        fn check(text: &str, expected: Result<&str, &str>) {
            let parsed = SrvNameText::parse(text).map(|name| name.0.to_string());
            assert_eq!(parsed.as_deref().map_err(|c| c.predicate.as_str()), expected, "{text}");
        }
        check("_http._tcp.App.internal", Ok("_http._tcp.app.internal"));
        check("web.service.consul.", Ok("web.service.consul."));
        check("_http._tcp.app.internal:80", Err("has a port"));
        check("10.0.0.1", Err("is an address, not a name"));
        check("a..b", Err("is no DNS name"));
        check("", Err("is no DNS name"));
    }
}
