//! What a policy's check asks: `http://:8080/healthz`, `tcp://:5432`.

use std::borrow::Cow;
use std::num::NonZeroU16;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::code::Code;
use crate::decode::{Complaint, Leaf};
use crate::probe::{ProbeHost, ProbePath};

/// A request: `http://HOST:PORT/PATH`. The host goes into the request; every target is asked at its own address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HttpUrl {
    pub(crate) host: Option<String>,
    pub(crate) port: NonZeroU16,
    pub(crate) path: String,
}

/// A connection: `tcp://:PORT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TcpUrl(pub(crate) NonZeroU16);

impl Leaf for HttpUrl {
    const WANTED: &'static str = "a URL like `http://:8080/healthz`";
    const TAKES_NUMBERS: bool = true;

    fn parse(text: &str) -> Result<Self, Complaint> {
        let complaint = |predicate: &str| {
            Complaint::new(Code::ProbeUrl, predicate.to_owned())
                .note("like `http://:8080/healthz`; a host, as in `http://www.example.com:8080/`, is sent in the request")
        };
        if text.starts_with('/') {
            return Err(complaint("names no port").hint(format!("did you mean `http://:80{text}`?")));
        }
        if text.starts_with("https://") {
            return Err(complaint("is a URL of HTTPS, and checks speak HTTP"));
        }
        let Some(rest) = text.strip_prefix("http://") else {
            return Err(complaint("is not the URL of a check"));
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (host, port) = match split_port(authority) {
            (host, None) => (host, HTTP),
            (host, Some(port)) => (host, port.parse().map_err(|_| complaint("has a port that is none"))?),
        };
        let path = if path.is_empty() { "/" } else { path };
        let host = (!host.is_empty()).then(|| ProbeHost::parse(host).map(|host| host.0)).transpose()?;
        let sent = host.map(|host| if port == HTTP { host } else { format!("{host}:{port}") });
        Ok(HttpUrl { host: sent, port, path: ProbePath::parse(path)?.0 })
    }
}

/// Host and port; colons within brackets belong to an address.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

/// The port of HTTP.
const HTTP: NonZeroU16 = NonZeroU16::new(80).expect("it is not zero");

impl Leaf for TcpUrl {
    const WANTED: &'static str = "a URL like `tcp://:5432`";
    const TAKES_NUMBERS: bool = true;

    fn parse(text: &str) -> Result<Self, Complaint> {
        let port = text.strip_prefix("tcp://:").and_then(|port| port.parse().ok());
        port.map(TcpUrl).ok_or_else(|| {
            let complaint = Complaint::new(Code::ProbeUrl, "is not the URL of a check")
                .note("like `tcp://:5432`: every target is asked at its own address");
            match text.trim_start_matches(':').parse::<NonZeroU16>() {
                Ok(port) => complaint.hint(format!("did you mean `tcp://:{port}`?")),
                Err(_) => complaint,
            }
        })
    }
}

impl JsonSchema for HttpUrl {
    fn schema_name() -> Cow<'static, str> {
        "HttpUrl".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A request at every target's own address: http://:8080/healthz.",
            "type": "string",
            "pattern": r"^(http://|.*\$\{)"
        })
    }
}

impl JsonSchema for TcpUrl {
    fn schema_name() -> Cow<'static, str> {
        "TcpUrl".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A connection to every target's own address: tcp://:5432.",
            "type": "string",
            "pattern": r"^(tcp://:[0-9]+$|.*\$\{)"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_parse_or_say_why_not() {
        fn check(text: &str, expected: Result<(Option<&str>, u16, &str), Option<&str>>) {
            let parsed = HttpUrl::parse(text);
            let parsed = parsed.as_ref().map(|url| (url.host.as_deref(), url.port.get(), url.path.as_str()));
            assert_eq!(parsed.map_err(|complaint| complaint.hint.as_deref()), expected, "{text}");
        }
        check("http://:8080/healthz", Ok((None, 8080, "/healthz")));
        check("http://:8080", Ok((None, 8080, "/")));
        check("http:///healthz?deep=1", Ok((None, 80, "/healthz?deep=1")));
        check("http://www.example.com/", Ok((Some("www.example.com"), 80, "/")));
        check("http://www.example.com:81/", Ok((Some("www.example.com:81"), 81, "/")));
        check("http://[2001:db8::1]/", Ok((Some("[2001:db8::1]"), 80, "/")));
        check("/healthz", Err(Some("did you mean `http://:80/healthz`?")));
        check("https://:443/", Err(None));
        check("http://:0/", Err(None));
        check("http://:80?a", Err(Some("did you mean `/?a`?")));
        check("http://a b/", Err(None));
        check("", Err(None));
    }

    #[test]
    fn connections_have_a_port() {
        fn check(text: &str, expected: Result<u16, Option<&str>>) {
            let parsed = TcpUrl::parse(text);
            let parsed = parsed.as_ref().map(|url| url.0.get());
            assert_eq!(parsed.map_err(|complaint| complaint.hint.as_deref()), expected, "{text}");
        }
        check("tcp://:5432", Ok(5432));
        check(":5432", Err(Some("did you mean `tcp://:5432`?")));
        check("5432", Err(Some("did you mean `tcp://:5432`?")));
        check("tcp://10.0.0.1:5432", Err(None));
        check("tcp://:0", Err(None));
    }
}
