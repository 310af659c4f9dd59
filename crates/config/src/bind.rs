//! Addresses to listen on: `:80`, `0.0.0.0:80`, `[::]:80`, `unix:/path`.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::code::Code;
use crate::decode::{Complaint, Leaf};
use crate::gslb::DnsBind;
use crate::listener::Bind;

/// A listener's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BindText(pub(crate) Bind);

/// The admin address: an IP address and a port.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdminBind(pub(crate) SocketAddr);

/// An address for questions of the DNS.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DnsBindText(pub(crate) DnsBind);

/// The registry's address: an IP address and a port.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RegistryBind(pub(crate) SocketAddr);

/// The path of a unix socket.
#[derive(Clone, Debug)]
pub(crate) struct SocketPath(pub(crate) PathBuf);

impl Leaf for BindText {
    const WANTED: &'static str = "an address like `:80`";
    const TAKES_NUMBERS: bool = true;

    fn parse(text: &str) -> Result<Self, Complaint> {
        if let Some(path) = text.strip_prefix("unix:") {
            return SocketPath::parse(path).map(|path| BindText(Bind::Unix(path.0)));
        }
        if let Some(port) = text.strip_prefix(':') {
            let port = port.parse::<u16>().map_err(|_| refuse(text))?;
            let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
            return Ok(BindText(Bind::Tcp { address, dual_stack: true }));
        }
        socket_address(text).map(|address| BindText(Bind::Tcp { address, dual_stack: false }))
    }
}

impl Leaf for AdminBind {
    const WANTED: &'static str = "an address like `127.0.0.1:9901`";
    const TAKES_NUMBERS: bool = true;

    fn parse(text: &str) -> Result<Self, Complaint> {
        if text.starts_with("unix:") {
            return Err(
                Complaint::new(Code::Address, "is a unix socket").note("that one is named by `admin.socket`")
            );
        }
        interface(text, 9901).map(AdminBind)
    }
}

impl Leaf for RegistryBind {
    const WANTED: &'static str = "an address like `127.0.0.1:8500`";
    const TAKES_NUMBERS: bool = true;

    fn parse(text: &str) -> Result<Self, Complaint> {
        if text.starts_with("unix:") {
            return Err(Complaint::new(Code::Address, "is a unix socket: the registry is served over TCP"));
        }
        interface(text, 8500).map(RegistryBind)
    }
}

impl Leaf for DnsBindText {
    const WANTED: &'static str = "an address like `:53`";
    const TAKES_NUMBERS: bool = true;

    fn parse(text: &str) -> Result<Self, Complaint> {
        match BindText::parse(text)?.0 {
            Bind::Tcp { address, dual_stack } => Ok(DnsBindText(DnsBind { address, dual_stack })),
            Bind::Unix(_) => {
                Err(Complaint::new(Code::Address, "is a unix socket, and questions come over UDP and TCP"))
            }
        }
    }
}

impl Leaf for SocketPath {
    const WANTED: &'static str = "the path of a unix socket";

    fn parse(path: &str) -> Result<Self, Complaint> {
        // sockaddr_un holds 108 bytes including the final NUL.
        if path.starts_with('/') && path.len() <= 107 && !path.contains('\0') {
            return Ok(SocketPath(PathBuf::from(path)));
        }
        Err(Complaint::new(
            Code::Address,
            "is not an absolute path of at most 107 bytes, as a unix socket needs",
        ))
    }
}

fn socket_address(text: &str) -> Result<SocketAddr, Complaint> {
    let Ok(address) = text.parse::<SocketAddr>() else {
        return Err(refuse(text));
    };
    match address.ip() {
        IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some() => {
            Err(Complaint::new(Code::Address, "is an IPv4 address in IPv6 form")
                .hint(format!("did you mean `{}`?", SocketAddr::new(ip.to_canonical(), address.port()))))
        }
        _ => Ok(address),
    }
}

/// An address that says which interface it is of; whoever has none in mind is pointed to `usual`.
fn interface(text: &str, usual: u16) -> Result<SocketAddr, Complaint> {
    let complaint = |predicate| Complaint::new(Code::Address, predicate);
    let meant = |host: &str, port: &str| format!("did you mean `{host}:{port}`?");
    if let Some(port) = text.strip_prefix(':').filter(|port| !port.contains(':')) {
        let hint = meant("127.0.0.1", port) + &format!(" for every interface: `0.0.0.0:{port}`");
        return Err(complaint("names no IP address").hint(hint));
    }
    let parsed = text.parse::<SocketAddr>();
    if parsed.is_ok() {
        return socket_address(text);
    }
    let complaint = complaint("is not an address to listen on")
        .note(format!("addresses look like `127.0.0.1:{usual}` or `[::1]:{usual}`"));
    let port = |port: &str| port.parse::<u16>().is_ok();
    Err(if port(text) {
        complaint.hint(meant("127.0.0.1", text))
    } else if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        complaint.hint(format!("the port is missing: did you mean `{}`?", SocketAddr::new(ip, usual)))
    } else {
        match text.rsplit_once(':') {
            Some(("*", given)) if port(given) => complaint.hint(meant("0.0.0.0", given)),
            Some(("localhost", given)) if port(given) => complaint.hint(meant("127.0.0.1", given)),
            _ => complaint.hint(meant("127.0.0.1", &usual.to_string())),
        }
    })
}

/// Says what is nearest to the text.
fn refuse(text: &str) -> Complaint {
    let complaint = Complaint::new(Code::Address, "is not an address to listen on")
        .note("addresses look like `:80`, `127.0.0.1:80`, `[::1]:80` or `unix:/run/fulcrum/http.sock`");
    if text.parse::<u16>().is_ok() {
        return complaint.hint(format!("did you mean `:{text}`?"));
    }
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return complaint.hint(format!("the port is missing: did you mean `{}`?", SocketAddr::new(ip, 80)));
    }
    match text.rsplit_once(':') {
        Some(("*", port)) => complaint.hint(format!("did you mean `:{port}`?")),
        Some(("localhost", port)) => complaint.hint(format!("did you mean `127.0.0.1:{port}`?")),
        Some((_, port))
            if !port.is_empty()
                && port.parse::<u16>().is_err()
                && port.bytes().all(|b| b.is_ascii_digit()) =>
        {
            complaint.hint("a port is a number from 0 to 65535")
        }
        Some((host, _)) if host.parse::<Ipv6Addr>().is_ok() => {
            complaint.hint("an IPv6 address stands in brackets: `[::1]:80`")
        }
        _ => complaint,
    }
}

impl JsonSchema for BindText {
    fn schema_name() -> Cow<'static, str> {
        "Bind".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An address to listen on: :80 for both families, 0.0.0.0:80, [::]:80 for IPv6 only, \
                            unix:/path. Port 0 lets the kernel choose.",
            "type": "string",
            "pattern": r"(:[0-9]+$|^unix:/|\$\{)"
        })
    }
}

impl JsonSchema for DnsBindText {
    fn schema_name() -> Cow<'static, str> {
        "DnsBind".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An address for questions over UDP and TCP: :53 for both families, 0.0.0.0:53, [::]:53 for \
                            IPv6 only. Port 0 lets the kernel choose.",
            "type": "string",
            "pattern": r"(:[0-9]+$|\$\{)"
        })
    }
}

impl JsonSchema for AdminBind {
    fn schema_name() -> Cow<'static, str> {
        "AdminBind".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An IP address and a port: 127.0.0.1:9901.",
            "type": "string",
            "pattern": r"(^[^:].*:[0-9]+$|\$\{)"
        })
    }
}

impl JsonSchema for RegistryBind {
    fn schema_name() -> Cow<'static, str> {
        "RegistryBind".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An IP address and a port: 127.0.0.1:8500.",
            "type": "string",
            "pattern": r"(^[^:].*:[0-9]+$|\$\{)"
        })
    }
}

impl JsonSchema for SocketPath {
    fn schema_name() -> Cow<'static, str> {
        "SocketPath".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An absolute path of at most 107 bytes.",
            "type": "string",
            "pattern": r"^(/|\$\{)"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_parse_or_say_why_not() {
        fn tcp(address: &str, dual_stack: bool) -> Result<Bind, Option<&str>> {
            Ok(Bind::Tcp { address: address.parse().expect("a socket address"), dual_stack })
        }
        fn check(text: &str, expected: Result<Bind, Option<&str>>) {
            let parsed = BindText::parse(text).map(|bind| bind.0);
            assert_eq!(
                parsed.as_ref().map_err(|c| c.hint.as_deref()),
                expected.as_ref().map_err(|h| *h),
                "{text}"
            );
        }
        check(":80", tcp("[::]:80", true));
        check(":0", tcp("[::]:0", true));
        check("[::]:80", tcp("[::]:80", false));
        check("0.0.0.0:80", tcp("0.0.0.0:80", false));
        check("127.0.0.1:0", tcp("127.0.0.1:0", false));
        check("unix:/run/a.sock", Ok(Bind::Unix("/run/a.sock".into())));
        check("unix:a.sock", Err(None));
        check("80", Err(Some("did you mean `:80`?")));
        check("*:80", Err(Some("did you mean `:80`?")));
        check("localhost:80", Err(Some("did you mean `127.0.0.1:80`?")));
        check("127.0.0.1", Err(Some("the port is missing: did you mean `127.0.0.1:80`?")));
        check("::1", Err(Some("the port is missing: did you mean `[::1]:80`?")));
        check("127.0.0.1:65536", Err(Some("a port is a number from 0 to 65535")));
        check(":65536", Err(Some("a port is a number from 0 to 65535")));
        check("[::ffff:10.0.0.1]:80", Err(Some("did you mean `10.0.0.1:80`?")));
        check("example.com:80", Err(None));
        check("", Err(None));
    }

    #[test]
    fn questions_come_over_the_network() {
        let bind = DnsBindText::parse(":53").expect("an address").0;
        assert_eq!((bind.address, bind.dual_stack), ("[::]:53".parse().expect("an address"), true));
        assert!(DnsBindText::parse("unix:/run/dns.sock").is_err());
    }

    #[test]
    fn the_admin_address_names_an_interface() {
        assert!(AdminBind::parse("127.0.0.1:9901").is_ok());
        let complaint = AdminBind::parse(":9901").expect_err("no interface");
        assert!(complaint.hint.is_some_and(|hint| hint.contains("`127.0.0.1:9901`")));
        assert!(AdminBind::parse("unix:/a").is_err());
    }

    #[test]
    fn the_registry_is_looked_for_at_its_usual_port() {
        fn check(text: &str, expected: Option<&str>) {
            let complaint = RegistryBind::parse(text).expect_err(text);
            let said = format!("{:?} {:?}", complaint.hint, complaint.note);
            assert_eq!(complaint.hint.as_deref(), expected, "{text}");
            assert!(!said.contains(":80`") && !said.contains("9901"), "{text}: {said}");
        }
        assert!(RegistryBind::parse("127.0.0.1:8500").is_ok() && RegistryBind::parse("[::1]:0").is_ok());
        check(":8500", Some("did you mean `127.0.0.1:8500`? for every interface: `0.0.0.0:8500`"));
        check("8500", Some("did you mean `127.0.0.1:8500`?"));
        check("localhost", Some("did you mean `127.0.0.1:8500`?"));
        check("localhost:8501", Some("did you mean `127.0.0.1:8501`?"));
        check("*:8501", Some("did you mean `0.0.0.0:8501`?"));
        check("127.0.0.1:x", Some("did you mean `127.0.0.1:8500`?"));
        check("10.0.0.1", Some("the port is missing: did you mean `10.0.0.1:8500`?"));
        check("::1", Some("the port is missing: did you mean `[::1]:8500`?"));
        check("[::ffff:10.0.0.1]:8500", Some("did you mean `10.0.0.1:8500`?"));
        check("unix:/run/registry.sock", None);
    }
}
