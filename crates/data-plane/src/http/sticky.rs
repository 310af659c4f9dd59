//! Cookie stickiness of one request: which endpoint its client belongs to, and what its response tells the client.
//!
//! The cookie names no address and is signed; whatever is wrong with it makes it no pin, never an error. It is taken out
//! of what the upstream sees, and set only when the client does not have the right one already.

use std::time::{SystemTime, UNIX_EPOCH};

use fulcrum_balance::session::Pin;

use crate::http::field::Known;
use crate::http::message::{Fields, RequestHead};
use crate::service::{MembersView, Service, ServiceView, Sticky};

/// The pin of a request.
#[derive(Debug, Default)]
pub(crate) struct Pinned {
    /// The place of the endpoint that the client belongs to, if it may still be served there.
    pub(crate) place: Option<usize>,
    /// That endpoint, wherever it stands later.
    serial: Option<u64>,
    pin: Option<Pin>,
}

impl Pinned {
    /// Reads the request's cookie.
    pub(crate) fn of(service: &ServiceView, members: &MembersView, head: &RequestHead) -> Self {
        let settings = &*service.service;
        let (Some(sticky), Some(sessions)) = (&settings.sticky, members.sessions()) else {
            return Pinned::default();
        };
        let now = seconds_since_epoch();
        let name = settings.name().as_str();
        let mut pins = cookies(&head.fields)
            .filter(|(cookie, _)| *cookie == sticky.cookie.as_bytes())
            .filter_map(|(_, value)| sessions.keys.open(name, value))
            .filter(|pin| pin.is_current(now, sticky.max_idle, sticky.max_life));
        let Some(pin) = pins.next() else { return Pinned::default() };
        let panic = settings.state.panic();
        let place = members.pinned(&pin.tag).filter(|&place| members.at(place).honours_pins(panic));
        Pinned { place, serial: place.map(|place| members.at(place).serial), pin: Some(pin) }
    }

    /// The `Set-Cookie` that the client needs after it was served at `place`; `None` when it has the right one.
    pub(crate) fn renewal(&self, service: &Service, members: &MembersView, place: usize) -> Option<Vec<u8>> {
        let (Some(sticky), Some(sessions)) = (&service.sticky, members.sessions()) else { return None };
        let now = seconds_since_epoch();
        let (name, endpoint) = (service.name().as_str(), members.at(place).id.as_str());
        let kept = self.pin.as_ref().filter(|_| self.serial == Some(members.at(place).serial));
        let value = match kept {
            Some(pin) if !pin.needs_refresh(now, sticky.max_idle) => return None,
            Some(pin) => sessions.keys.renew(name, endpoint, pin, now),
            None => sessions.keys.seal(name, endpoint, now),
        };
        Some(set_cookie(sticky, value.as_bytes()))
    }
}

fn set_cookie(sticky: &Sticky, value: &[u8]) -> Vec<u8> {
    [sticky.cookie.as_bytes(), b"=", value, b"; Path=/; HttpOnly; SameSite=Lax"].concat()
}

fn seconds_since_epoch() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Every cookie of a request, by name and value.
fn cookies(fields: &Fields) -> impl Iterator<Item = (&[u8], &[u8])> {
    fields.known(Known::Cookie).flat_map(|field| field.split(|&byte| byte == b';')).filter_map(pair)
}

fn pair(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = text.trim_ascii();
    let at = memchr::memchr(b'=', text)?;
    Some((&text[..at], &text[at + 1..]))
}

/// A Cookie field without the cookie of this name; `None` when nothing is left.
pub(crate) fn without_cookie(field: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    let is_other =
        |text: &&[u8]| pair(text).is_none_or(|(found, _)| found != name) && !text.trim_ascii().is_empty();
    let kept: Vec<&[u8]> =
        field.split(|&byte| byte == b';').filter(is_other).map(<[u8]>::trim_ascii).collect();
    (!kept.is_empty()).then(|| kept.join(&b"; "[..]))
}

/// Whether a Set-Cookie field sets the cookie of this name.
pub(crate) fn sets_cookie(field: &[u8], name: &[u8]) -> bool {
    let first = field.split(|&byte| byte == b';').next().unwrap_or_default();
    pair(first).is_some_and(|(found, _)| found == name)
}

/// A Cache-Control that keeps a shared cache from giving one client's pin to all (RFC 9111 §5.2.2.7).
pub(crate) fn private(cache_control: &[u8]) -> Vec<u8> {
    let is_shared = |directive: &&[u8]| {
        let name = directive.split(|&byte| byte == b'=').next().unwrap_or_default().trim_ascii();
        !name.is_empty() && !name.eq_ignore_ascii_case(b"public") && !name.eq_ignore_ascii_case(b"s-maxage")
    };
    let mut kept: Vec<&[u8]> =
        cache_control.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(is_shared).collect();
    let is_private = |directive: &&[u8]| {
        [&b"private"[..], b"no-store"].iter().any(|name| directive.eq_ignore_ascii_case(name))
    };
    if !kept.iter().any(is_private) {
        kept.insert(0, b"private");
    }
    kept.join(&b", "[..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_cookie_is_taken_out() {
        fn check(field: &str, expected: Option<&str>) {
            let found = without_cookie(field.as_bytes(), b"pin");
            assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{field:?}");
        }
        check("pin=1", None);
        check("a=b; pin=1; c=d", Some("a=b; c=d"));
        check(" a=b ;pin=1;", Some("a=b"));
        check("pinned=1; Pin=2", Some("pinned=1; Pin=2"));
        check("pin=1; pin=2", None);
        check("odd; pin=1", Some("odd"));
    }

    #[test]
    fn set_cookies_are_told_apart() {
        fn check(field: &str, expected: bool) {
            assert_eq!(sets_cookie(field.as_bytes(), b"pin"), expected, "{field}");
        }
        check("pin=1; Path=/", true);
        check(" pin=", true);
        check("pinned=1; pin=2", false);
        check("a=b; pin=1", false);
    }

    #[test]
    fn shared_caches_are_kept_out() {
        fn check(field: &str, expected: &str) {
            assert_eq!(String::from_utf8_lossy(&private(field.as_bytes())), expected, "{field}");
        }
        check("", "private");
        check("public, max-age=60", "private, max-age=60");
        check("max-age=60, s-maxage=600", "private, max-age=60");
        check("no-store", "no-store");
        check("private", "private");
        check("no-cache=\"set-cookie\"", "private, no-cache=\"set-cookie\"");
    }
}
