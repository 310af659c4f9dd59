//! Places that tell where endpoints are, outside of the configuration and of the registry.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::host_port::is_name;
use crate::{Address, HostPort};

/// A place that tells the endpoints of a service.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// All the addresses of a name, at one port.
    Dns(HostPort),
    /// The SRV records of a name (RFC 2782).
    Srv(SrvName),
    /// A file with a list: an absolute path.
    File(PathBuf),
    /// A list that is asked for now and then.
    Http(Pull),
}

impl Source {
    /// Its kind, as in metrics and in the configuration.
    pub fn kind(&self) -> &'static str {
        match self {
            Source::Dns(_) => "dns",
            Source::Srv(_) => "srv",
            Source::File(_) => "file",
            Source::Http(_) => "http",
        }
    }
}

impl fmt::Display for Source {
    /// What it is called within its kind.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Dns(host) => host.fmt(f),
            Source::Srv(name) => name.fmt(f),
            Source::File(path) => path.display().fmt(f),
            Source::Http(pull) => pull.url.fmt(f),
        }
    }
}

/// A list that is asked for over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pull {
    /// Whom to ask for what.
    pub url: HttpUrl,
    /// How long after an answer to ask again.
    pub interval: Duration,
    /// How long a whole exchange may take.
    pub timeout: Duration,
}

/// A DNS name: lower-case, at most 253 bytes, its labels letters, digits, `-` and `_`. A final dot makes it absolute.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SrvName(String);

impl SrvName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SrvName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is not a DNS name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseSrvNameError;

impl fmt::Display for ParseSrvNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a DNS name, like `_http._tcp.app.internal`")
    }
}

impl std::error::Error for ParseSrvNameError {}

impl FromStr for SrvName {
    type Err = ParseSrvNameError;

    /// Parses `_http._tcp.app.internal`; upper-case letters are brought to lower case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_name(text) { Ok(SrvName(text.to_ascii_lowercase())) } else { Err(ParseSrvNameError) }
    }
}

/// An `http:` URL: whom to ask, and for what.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HttpUrl {
    /// Where the server is.
    pub server: Server,
    /// What stands in the `Host` field: the port only where it is not 80.
    pub authority: String,
    /// Path and query, as they are sent.
    pub target: String,
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Server {
    /// At an address.
    Address(SocketAddr),
    /// At some address of a name.
    Host(HostPort),
}

impl fmt::Display for HttpUrl {
    /// Without its query, in which there may be a secret: this is for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, query) = self.target.split_once('?').map_or((&*self.target, ""), |(path, _)| (path, "?…"));
        write!(f, "http://{}{path}{query}", self.authority)
    }
}

/// Why a text is not a URL that can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseHttpUrlError {
    /// It begins with `https://`.
    Https,
    /// It does not begin with `http://`.
    Scheme,
    /// It holds a user name or a password.
    User,
    /// It holds a fragment, which is never sent.
    Fragment,
    /// What stands between `//` and the path is not a host, or a host and a port.
    Authority,
    /// Path or query hold something that must be percent-encoded.
    Target,
}

impl fmt::Display for ParseHttpUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ParseHttpUrlError::Https => "https cannot be asked yet",
            ParseHttpUrlError::Scheme => "expected a URL that begins with `http://`",
            ParseHttpUrlError::User => "a user name or a password is not sent",
            ParseHttpUrlError::Fragment => "a fragment is not sent",
            ParseHttpUrlError::Authority => "expected a host after `http://`, with or without a port",
            ParseHttpUrlError::Target => "expected visible ASCII in path and query",
        })
    }
}

impl std::error::Error for ParseHttpUrlError {}

impl FromStr for HttpUrl {
    type Err = ParseHttpUrlError;

    /// Parses `http://host:port/path?query`; without a port it is 80, without a path `/`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (scheme, rest) = text.split_once("://").ok_or(ParseHttpUrlError::Scheme)?;
        match scheme.to_ascii_lowercase().as_str() {
            "http" => {}
            "https" => return Err(ParseHttpUrlError::Https),
            _ => return Err(ParseHttpUrlError::Scheme),
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        match () {
            () if authority.contains('@') => return Err(ParseHttpUrlError::User),
            () if target.contains('#') => return Err(ParseHttpUrlError::Fragment),
            () if !target.bytes().all(|byte| byte.is_ascii_graphic()) => {
                return Err(ParseHttpUrlError::Target);
            }
            () => {}
        }
        let authority = authority.to_ascii_lowercase();
        let slash = if target.starts_with('/') { "" } else { "/" };
        Ok(HttpUrl {
            server: server(&authority).ok_or(ParseHttpUrlError::Authority)?,
            authority: authority.strip_suffix(":80").unwrap_or(&authority).to_owned(),
            target: format!("{slash}{target}"),
        })
    }
}

/// `host`, `host:port`, `ip`, `ip:port`, `[ipv6]`, `[ipv6]:port`.
fn server(authority: &str) -> Option<Server> {
    let parse = |text: &str| match text.parse::<Address>() {
        Ok(Address::Tcp(address)) => Some(Server::Address(address)),
        _ => text.parse().ok().map(Server::Host),
    };
    parse(authority).or_else(|| parse(&format!("{authority}:80")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_parse_and_print() {
        fn check(text: &str, expected: Result<(&str, &str), ParseHttpUrlError>) {
            let parsed = text.parse::<HttpUrl>().map(|url| {
                let server = match &url.server {
                    Server::Address(address) => address.to_string(),
                    Server::Host(host) => host.to_string(),
                };
                (url.to_string(), server)
            });
            let parsed = parsed.as_ref().map(|(url, server)| (url.as_str(), server.as_str()));
            assert_eq!(parsed, expected.as_ref().map(|expected| *expected), "{text:?}");
        }
        use ParseHttpUrlError::{Authority, Fragment, Https, Scheme, Target, User};
        check("http://sd.internal/web", Ok(("http://sd.internal/web", "sd.internal:80")));
        check("HTTP://SD.internal:80", Ok(("http://sd.internal/", "sd.internal:80")));
        check("http://sd:8080/a?b=c&d", Ok(("http://sd:8080/a?…", "sd:8080")));
        check("http://sd?b", Ok(("http://sd/?…", "sd:80")));
        check("http://10.0.0.1:8500/", Ok(("http://10.0.0.1:8500/", "10.0.0.1:8500")));
        check("http://10.0.0.1/", Ok(("http://10.0.0.1/", "10.0.0.1:80")));
        check("http://[2001:DB8::1]/x", Ok(("http://[2001:db8::1]/x", "[2001:db8::1]:80")));
        check("http://[::1]:81/x", Ok(("http://[::1]:81/x", "[::1]:81")));
        check("https://sd.internal/", Err(Https));
        check("ftp://sd.internal/", Err(Scheme));
        check("sd.internal/web", Err(Scheme));
        check("http://user:secret@sd/", Err(User));
        check("http://sd/#a", Err(Fragment));
        check("http://sd/a b", Err(Target));
        check("http://sd/ä", Err(Target));
        check("http:///web", Err(Authority));
        check("http://sd:0/", Err(Authority));
        check("http://sd:x/", Err(Authority));
        check("http://a b/", Err(Authority));
        check("http://unix:/run/a.sock", Err(Authority));
    }

    #[test]
    fn the_query_is_sent_whole() {
        let url: HttpUrl = "http://sd/a?token=b?c".parse().expect("a URL");
        assert_eq!((&*url.target, &*url.to_string()), ("/a?token=b?c", "http://sd/a?…"));
    }

    #[test]
    fn names_of_records_are_dns_names() {
        let parse = |text: &str| text.parse::<SrvName>().map(|name| name.to_string());
        assert_eq!(parse("_HTTP._tcp.app.internal."), Ok("_http._tcp.app.internal.".to_owned()));
        assert_eq!(parse("app"), Ok("app".to_owned()));
        for text in ["", "a..b", "10.0.0.1", "app:80", "a b"] {
            assert_eq!(parse(text), Err(ParseSrvNameError), "{text:?}");
        }
    }
}
