//! Host patterns: a name, an IP literal, `*.` and a name, or `*`.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::code::Code;
use crate::decode::{Complaint, Leaf};
use crate::route::HostPattern;

/// A host as it is written in a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HostText {
    /// `*`.
    Any,
    /// Lower-case, without a final dot.
    Pattern(HostPattern),
}

impl Leaf for HostText {
    const WANTED: &'static str = "a host name as text";

    fn parse(text: &str) -> Result<Self, Complaint> {
        if text == "*" {
            return Ok(HostText::Any);
        }
        if let Some(inside) = text.strip_prefix('[') {
            return literal(inside);
        }
        let lower = text.to_ascii_lowercase();
        let name = lower.strip_suffix('.').unwrap_or(&lower);
        if let Some(below) = name.strip_prefix("*.") {
            check_name(below)?;
            return Ok(HostText::Pattern(HostPattern::Wildcard(below.to_owned())));
        }
        check_name(name)?;
        Ok(HostText::Pattern(HostPattern::Exact(name.to_owned())))
    }
}

/// `[IPV6]` in its canonical form (RFC 5952).
fn literal(inside: &str) -> Result<HostText, Complaint> {
    let complaint = |predicate: &str| Complaint::new(Code::Host, predicate.to_owned());
    let Some((address, rest)) = inside.split_once(']') else {
        return Err(complaint("has no closing bracket"));
    };
    let Ok(address) = address.parse::<Ipv6Addr>() else {
        return Err(complaint("holds no IPv6 address within its brackets"));
    };
    if !rest.is_empty() {
        return Err(complaint("has more than a host").note(PORT_NOTE));
    }
    Ok(HostText::Pattern(HostPattern::Exact(format!("[{address}]"))))
}

fn check_name(name: &str) -> Result<(), Complaint> {
    let complaint = |predicate: &str| Complaint::new(Code::Host, predicate.to_owned());
    if name.is_empty() {
        return Err(complaint("is no host name: it is empty"));
    }
    if name.contains("://") {
        return Err(complaint("is a URL, not a host").note("give the host alone; a path belongs to `path`"));
    }
    if name.parse::<Ipv6Addr>().is_ok() {
        return Err(
            complaint("is an IPv6 address without brackets").hint(format!("did you mean `[{name}]`?"))
        );
    }
    if let Some((host, port)) = name.rsplit_once(':')
        && port.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Err(complaint("has a port").hint(format!("did you mean `{host}`?")).note(PORT_NOTE));
    }
    if name.contains('*') {
        return Err(complaint("has `*` where it is not allowed")
            .note("`*.example.com` matches every name below example.com, `*` every host"));
    }
    if !name.is_ascii() {
        return Err(complaint("is not ASCII")
            .note("clients send international names in punycode, like `xn--bcher-kva.example`: write that"));
    }
    if let Some(character) =
        name.chars().find(|&c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')))
    {
        return Err(complaint(&format!("holds {character:?}, which no host name has")));
    }
    if name.len() > 253 || name.split('.').any(|label| label.is_empty() || label.len() > 63) {
        return Err(
            complaint("is no host name").note("labels have 1 to 63 characters, all together at most 253")
        );
    }
    let numeric =
        name.rsplit('.').next().is_some_and(|label| label.bytes().all(|byte| byte.is_ascii_digit()));
    if numeric && name.parse::<Ipv4Addr>().is_err() {
        return Err(complaint("is neither a host name nor an IPv4 address"));
    }
    Ok(())
}

const PORT_NOTE: &str = "a host matches on every port of the listener";

impl JsonSchema for HostText {
    fn schema_name() -> Cow<'static, str> {
        "Host".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A host name without port, *. and a name for everything below it, or * for every host.",
            "type": "string",
            "minLength": 1
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_parse_or_say_why_not() {
        fn exact(name: &str) -> Result<HostText, Option<&str>> {
            Ok(HostText::Pattern(HostPattern::Exact(name.into())))
        }
        fn wildcard(name: &str) -> Result<HostText, Option<&str>> {
            Ok(HostText::Pattern(HostPattern::Wildcard(name.into())))
        }
        fn check(text: &str, expected: Result<HostText, Option<&str>>) {
            let parsed = HostText::parse(text);
            assert_eq!(
                parsed.as_ref().map_err(|c| c.hint.as_deref()),
                expected.as_ref().map_err(|h| *h),
                "{text}"
            );
        }
        check("*", Ok(HostText::Any));
        check("shop.example.com", exact("shop.example.com"));
        check("Shop.Example.COM.", exact("shop.example.com"));
        check("my_host", exact("my_host"));
        check("192.0.2.1", exact("192.0.2.1"));
        check("[2001:DB8:0::1]", exact("[2001:db8::1]"));
        check("*.example.com", wildcard("example.com"));
        check("*.Example.com.", wildcard("example.com"));
        check("shop.example.com:80", Err(Some("did you mean `shop.example.com`?")));
        check("[::1]:80", Err(None));
        check("[::1", Err(None));
        check("[x]", Err(None));
        check("::1", Err(Some("did you mean `[::1]`?")));
        check("*.*.example.com", Err(None));
        check("shop.*", Err(None));
        check("*example.com", Err(None));
        check("*.", Err(None));
        check("", Err(None));
        check(".", Err(None));
        check("a..b", Err(None));
        check("bücher.example", Err(None));
        check("a b", Err(None));
        check("https://a.example", Err(None));
        check("192.0.2.300", Err(None));
        check(&"a".repeat(64), Err(None));
    }
}
