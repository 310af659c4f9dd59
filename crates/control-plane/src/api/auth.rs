//! Who may do what: bearer tokens with grants; without any token only clients of this host, who may do everything.

use std::net::SocketAddr;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use fulcrum_model::ServiceName;
use hyper::header::{AUTHORIZATION, HOST, HeaderMap};
use ipnet::IpNet;

use super::glob::Glob;
use super::problem::{Code, Problem};
use crate::state::{MayOrder, MayTouch, Principal};

/// A secret that opens some of the API. Of the secret itself only a hash is kept.
#[derive(Clone, Debug)]
pub struct Token {
    name: Principal,
    hash: [u8; SHA256_OUTPUT_LEN],
    grants: Vec<Grant>,
    /// Where its instances may point, on top of where everyone's may.
    pub(super) networks: Vec<IpNet>,
}

/// Something that a token allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grant {
    /// To register, renew and remove instances of services with such names; those of its own.
    Register(Glob),
    /// To see everything that is registered.
    Read,
    /// To order anything of instances: to drain them and take them out, and to weigh them.
    Drain,
    /// To order how much of the load an instance takes, as long as it takes some.
    Scale,
    /// Everything, also with the instances of others.
    Admin,
}

/// Who has sent a request.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) name: Principal,
    /// `None`: a client of this host, who may do everything.
    pub(super) token: Option<Arc<Token>>,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need<'a> {
    /// Anyone may.
    Nothing,
    /// Any grant will do here; each part of the request is looked at by itself.
    Anything,
    /// To see.
    Read,
    /// To see an instance of this service.
    Look(&'a ServiceName),
    /// To say something for an instance of this service.
    Register(&'a ServiceName),
    /// To order something; which order it is comes with the body.
    Order,
    /// To order anything.
    Drain,
    /// To order a weight, and nothing else.
    Scale,
    /// What only an administrator may.
    Admin,
}

impl Token {
    /// A token of this name, opened by this secret. The networks are where its instances may point, on top of where
    /// everyone's may.
    pub fn new(name: &str, secret: &[u8], grants: Vec<Grant>, networks: Vec<IpNet>) -> Self {
        Token { name: name.into(), hash: hash(secret), grants, networks }
    }
}

#[cfg(test)]
impl Grant {
    /// As a configuration writes it.
    pub(super) fn of(text: &str) -> Self {
        match text {
            "read" => Grant::Read,
            "drain" => Grant::Drain,
            "scale" => Grant::Scale,
            "admin" => Grant::Admin,
            _ => Grant::Register(Glob::new(text.strip_prefix("register:").expect("a grant"))),
        }
    }
}

impl Caller {
    /// Who has sent it, by its head.
    pub(super) fn of(
        headers: &HeaderMap,
        remote: SocketAddr,
        tokens: &[Arc<Token>],
    ) -> Result<Self, Problem> {
        if tokens.is_empty() {
            return local(headers, remote);
        }
        let no = || Problem::new(Code::Unauthorized, "send a token as `Authorization: Bearer TOKEN`");
        let given = headers.get(AUTHORIZATION).and_then(|value| bearer(value.as_bytes())).ok_or_else(no)?;
        let given = hash(given);
        // All are looked at, so that the time tells nothing of where the right one is.
        let is_it = |token: &Token| verify_slices_are_equal(&token.hash, &given).is_ok();
        let token = tokens.iter().fold(None, |found, token| if is_it(token) { Some(token) } else { found });
        let token = token.ok_or_else(no)?;
        Ok(Caller { name: Arc::clone(&token.name), token: Some(Arc::clone(token)) })
    }

    pub(super) fn check(&self, need: Need<'_>) -> Result<(), Problem> {
        if self.has(need) {
            return Ok(());
        }
        let grant = match need {
            Need::Register(service) => format!("`register:{service}`"),
            Need::Read | Need::Look(_) => "`read`".to_owned(),
            Need::Drain => "`drain`".to_owned(),
            Need::Order | Need::Scale => "`drain` or `scale`".to_owned(),
            Need::Nothing | Need::Anything | Need::Admin => "`admin`".to_owned(),
        };
        Err(Problem::new(Code::Forbidden, format!("the token {:?} has no grant {grant}", &*self.name)))
    }

    pub(super) fn has(&self, need: Need<'_>) -> bool {
        let Some(token) = &self.token else { return true };
        let allows = |grant: &Grant| match (need, grant) {
            (_, Grant::Admin) | (Need::Nothing | Need::Anything, _) => true,
            (Need::Register(service) | Need::Look(service), Grant::Register(glob)) => {
                glob.matches(service.as_str())
            }
            (Need::Read | Need::Look(_), Grant::Read) => true,
            (Need::Order | Need::Drain | Need::Scale, Grant::Drain) => true,
            (Need::Order | Need::Scale, Grant::Scale) => true,
            _ => false,
        };
        need == Need::Nothing || token.grants.iter().any(allows)
    }

    pub(super) fn may_touch(&self) -> MayTouch {
        if self.has(Need::Admin) { MayTouch::All } else { MayTouch::Own }
    }

    pub(super) fn may_order(&self) -> MayOrder {
        if self.has(Need::Drain) { MayOrder::All } else { MayOrder::Weight }
    }

    /// Whose instances it may renew; `None`: anyone's.
    pub(super) fn owner(&self) -> Option<&str> {
        (self.may_touch() == MayTouch::Own).then_some(&*self.name)
    }
}

/// A client of this host, as long as there are no tokens.
fn local(headers: &HeaderMap, remote: SocketAddr) -> Result<Caller, Problem> {
    if !remote.ip().to_canonical().is_loopback() {
        let text = "no tokens are configured, so that only clients of this host are served";
        return Err(Problem::new(Code::Unauthorized, text));
    }
    // A page in a browser of this host can lead any name here, but it cannot change what its requests say of it.
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if !is_of_this_host(host) {
        let text =
            "no tokens are configured, so that requests have to be for localhost or a loopback address";
        return Err(Problem::new(Code::Host, text));
    }
    Ok(Caller { name: LOCAL.into(), token: None })
}

fn is_of_this_host(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let address = name.parse::<std::net::IpAddr>();
    // HTTP/1.0 has no Host, and browsers do not speak it.
    host.is_empty()
        || name.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|address| address.to_canonical().is_loopback())
}

/// The token of `Bearer TOKEN`; the scheme is case-insensitive (RFC 9110 §11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(b"bearer ".len())?;
    let token = token.trim_ascii();
    // No secret is empty, whatever was configured.
    (scheme.eq_ignore_ascii_case(b"bearer ") && !token.is_empty()).then_some(token)
}

fn hash(secret: &[u8]) -> [u8; SHA256_OUTPUT_LEN] {
    let mut hash = [0; SHA256_OUTPUT_LEN];
    hash.copy_from_slice(digest(&SHA256, secret).as_ref());
    hash
}

/// Who clients of this host are, as long as there are no tokens.
const LOCAL: &str = "local";

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn tokens() -> Vec<Arc<Token>> {
        let token = |name, secret: &str, grants: &[&str]| {
            let grants = grants.iter().map(|grant| Grant::of(grant)).collect();
            Arc::new(Token::new(name, secret.as_bytes(), grants, Vec::new()))
        };
        vec![
            token("web", "s3cret", &["register:web-*", "read"]),
            token("operator", "0perator", &["drain"]),
            token("scaler", "sc4ler", &["scale"]),
            token("root", "r00t", &["admin"]),
            token("nobody", "n0body", &[]),
            token("empty", "", &["admin"]),
        ]
    }

    fn caller(authorization: &str) -> Result<Caller, Code> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_str(authorization).expect("a value"));
        let remote = "127.0.0.1:1".parse().expect("an address");
        Caller::of(&headers, remote, &tokens()).map_err(|problem| problem.code)
    }

    #[test]
    fn only_a_token_opens() {
        let check = |value: &str, expected: Result<&str, Code>| {
            let name = caller(value).map(|caller| caller.name.to_string());
            assert_eq!(name, expected.map(str::to_owned), "{value}");
        };
        check("Bearer s3cret", Ok("web"));
        check("bearer  r00t ", Ok("root"));
        check("Bearer", Err(Code::Unauthorized));
        check("Bearer ", Err(Code::Unauthorized));
        check("Bearer s3cre", Err(Code::Unauthorized));
        check("Bearer s3crets", Err(Code::Unauthorized));
        check("Basic s3cret", Err(Code::Unauthorized));
        check("s3cret", Err(Code::Unauthorized));
    }

    #[test]
    fn grants_allow_what_they_say() {
        let (web, other) = ("web-a".parse().expect("a name"), "webb".parse().expect("a name"));
        let needs = [
            Need::Read,
            Need::Register(&web),
            Need::Register(&other),
            Need::Order,
            Need::Scale,
            Need::Drain,
            Need::Admin,
        ];
        let check = |secret: &str, expected: [bool; 7]| {
            let caller = caller(&format!("Bearer {secret}")).expect("a token");
            assert_eq!(needs.map(|need| caller.has(need)), expected, "{secret}");
            assert!(caller.has(Need::Nothing));
        };
        check("s3cret", [true, true, false, false, false, false, false]);
        check("0perator", [false, false, false, true, true, true, false]);
        check("sc4ler", [false, false, false, true, true, false, false]);
        check("r00t", [true; 7]);
        check("n0body", [false; 7]);
        assert!(!caller("Bearer n0body").expect("a token").has(Need::Anything));
        assert_eq!(caller("Bearer s3cret").expect("a token").owner(), Some("web"));
        assert_eq!(caller("Bearer r00t").expect("a token").owner(), None);
    }

    #[test]
    fn without_tokens_only_this_host_is_served() {
        let check = |remote: &str, host: &str, expected: Result<(), Code>| {
            let mut headers = HeaderMap::new();
            if !host.is_empty() {
                headers.insert(HOST, HeaderValue::from_str(host).expect("a value"));
            }
            let remote = remote.parse().expect("an address");
            let caller = Caller::of(&headers, remote, &[]).map_err(|problem| problem.code);
            let everything =
                caller.map(|caller| assert!(&*caller.name == "local" && caller.has(Need::Admin)));
            assert_eq!(everything, expected, "{remote} {host}");
        };
        check("127.0.0.1:5", "127.0.0.1:8500", Ok(()));
        check("127.0.0.9:5", "localhost", Ok(()));
        check("[::1]:5", "[::1]:8500", Ok(()));
        check("[::ffff:127.0.0.1]:5", "LOCALHOST:8500", Ok(()));
        check("127.0.0.1:5", "", Ok(()));
        check("10.0.0.1:5", "localhost", Err(Code::Unauthorized));
        check("127.0.0.1:5", "evil.example:8500", Err(Code::Host));
        check("127.0.0.1:5", "127.0.0.1.evil.example", Err(Code::Host));
        check("127.0.0.1:5", "10.0.0.1", Err(Code::Host));
    }
}
