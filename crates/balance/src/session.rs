//! The value of a stickiness cookie: which endpoint a client belongs to, sealed so that nobody can make one up, and without
//! anything about the endpoint that a client could read.
//!
//! ```text
//!   version  key id  endpoint tag   created   served   │  HMAC-SHA256 of these and the service, cut to 128 bits
//!      1       1          8            5        5      │                         16                    bytes
//! ```
//!
//! In base64url, 48 characters. The tag is a keyed hash of the endpoint's id, so a value holds on every node with the same
//! keys, across restarts and across changes of the endpoint's address. Dates are Unix seconds.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;

use crate::base64url;

/// The keys that values are sealed and opened with.
pub struct SessionKeys {
    current: Key,
    previous: Option<Key>,
}

/// Why bytes cannot be a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionKeyError {
    /// Shorter than [`SHORTEST_KEY`]: it could be guessed.
    TooShort {
        /// Which of the two.
        key: KeyAge,
        /// Its length in bytes.
        length: usize,
    },
}

/// Which of two keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyAge {
    /// The one that seals.
    Current,
    /// The one that sealed before; it only opens.
    Previous,
}

/// An endpoint in a cookie: a keyed hash of its id. Look up what a [`Pin`] holds among [`SessionKeys::tags`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EndpointTag([u8; 8]);

/// What a value says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The key that it was sealed with.
    pub key: KeyAge,
    /// The endpoint.
    pub tag: EndpointTag,
    /// When the client was first pinned, in Unix seconds.
    pub issued: u64,
    /// When the client was last given the value, in Unix seconds.
    pub refreshed: u64,
}

/// A sealed value: 48 characters of `A–Z a–z 0–9 - _`, which a cookie may hold as they are (RFC 6265 §4.1.1).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SessionCookie([u8; 48]);

impl SessionKeys {
    /// Keys of at least [`SHORTEST_KEY`] bytes, best random ones. Nodes with the same current key understand each other;
    /// with `previous`, values from before a change of keys stay valid.
    pub fn new(current: &[u8], previous: Option<&[u8]>) -> Result<Self, SessionKeyError> {
        let current = Key::new(current, KeyAge::Current)?;
        let previous = previous.map(|secret| Key::new(secret, KeyAge::Previous)).transpose()?;
        Ok(Self { current, previous })
    }

    /// The tags of an endpoint, one per key: an index of them all finds the endpoint of any pin.
    pub fn tags(&self, service: &str, endpoint_id: &str) -> impl Iterator<Item = EndpointTag> {
        self.keys().map(move |(key, _)| key.tag(service, endpoint_id))
    }

    /// A value for a client that is pinned to the endpoint from `now` on, in Unix seconds.
    pub fn seal(&self, service: &str, endpoint_id: &str, now: u64) -> SessionCookie {
        self.current.seal(service, endpoint_id, [now, now])
    }

    /// A value in place of an older one for the same endpoint, served at `now`, in Unix seconds. The pin does not get
    /// younger by that.
    pub fn renew(&self, service: &str, endpoint_id: &str, pin: &Pin, now: u64) -> SessionCookie {
        self.current.seal(service, endpoint_id, [pin.issued, now])
    }

    /// What a value says; `None` when it was not sealed for this service with one of the keys. Whether it is too old is for
    /// [`Pin::is_current`] to say.
    pub fn open(&self, service: &str, value: &[u8]) -> Option<Pin> {
        let sealed = base64url::decode(value.try_into().ok()?)?;
        // The key id is one byte, so both keys may have the same.
        self.keys().find_map(|(key, age)| key.open(service, &sealed, age))
    }

    fn keys(&self) -> impl Iterator<Item = (&Key, KeyAge)> {
        let previous = self.previous.iter().map(|key| (key, KeyAge::Previous));
        std::iter::once((&self.current, KeyAge::Current)).chain(previous)
    }
}

/// Without the keys.
impl fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionKeys").field("previous", &self.previous.is_some()).finish_non_exhaustive()
    }
}

impl Pin {
    /// Whether the pin still holds at `now`, in Unix seconds: not served for `max_idle`, or made more than `max_life` ago,
    /// it does not. `None` is no limit. Neither does it hold if a date is more than a day ahead: another node's clock may be
    /// off, but a pin that is never too old would outlive every limit.
    pub fn is_current(&self, now: u64, max_idle: Option<Duration>, max_life: Option<Duration>) -> bool {
        let within = |date: u64, limit: Option<Duration>| {
            date <= now.saturating_add(MOST_AHEAD) && limit.is_none_or(|limit| age(date, now) <= limit)
        };
        within(self.refreshed, max_idle) && within(self.issued, max_life)
    }

    /// Whether the client should be given a [renewed](SessionKeys::renew) value: a tenth of `max_idle` has passed, or the
    /// key is on its way out. Not with every response: each would be a `Set-Cookie` that no cache may share.
    pub fn needs_refresh(&self, now: u64, max_idle: Option<Duration>) -> bool {
        let is_due = |limit: Duration| age(self.refreshed, now) >= limit / 10;
        self.key == KeyAge::Previous || max_idle.is_some_and(is_due)
    }
}

fn age(date: u64, now: u64) -> Duration {
    Duration::from_secs(now.saturating_sub(date))
}

impl SessionCookie {
    /// The value as text.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("base64url is ASCII")
    }

    /// The value as bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for SessionCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for SessionCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for SessionKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SessionKeyError::TooShort { key, length } = self;
        let which = match key {
            KeyAge::Current => "current",
            KeyAge::Previous => "previous",
        };
        write!(f, "the {which} session key has {length} bytes, it needs at least {SHORTEST_KEY}")
    }
}

impl std::error::Error for SessionKeyError {}

/// One secret, with a key of its own for each purpose.
struct Key {
    /// Tells at once, most of the time, which key a value was sealed with.
    id: u8,
    mac: hmac::Key,
    endpoint: hmac::Key,
}

impl Key {
    fn new(secret: &[u8], age: KeyAge) -> Result<Self, SessionKeyError> {
        if secret.len() < SHORTEST_KEY {
            return Err(SessionKeyError::TooShort { key: age, length: secret.len() });
        }
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
        let derive = |purpose: &str| hmac::sign(&secret, purpose.as_bytes());
        let subkey = |purpose| hmac::Key::new(hmac::HMAC_SHA256, derive(purpose).as_ref());
        Ok(Key {
            id: derive(ID_PURPOSE).as_ref()[0],
            mac: subkey(MAC_PURPOSE),
            endpoint: subkey(TAG_PURPOSE),
        })
    }

    /// The service's length goes first, so that no two pairs are one text.
    fn tag(&self, service: &str, endpoint_id: &str) -> EndpointTag {
        let mut context = hmac::Context::with_key(&self.endpoint);
        context.update(&(service.len() as u64).to_be_bytes());
        context.update(service.as_bytes());
        context.update(endpoint_id.as_bytes());
        EndpointTag(first(context.sign().as_ref()))
    }

    /// `dates` are those of making and serving.
    fn seal(&self, service: &str, endpoint_id: &str, dates: [u64; 2]) -> SessionCookie {
        let [issued, refreshed] = dates.map(date_bytes);
        let mut sealed = [0; 36];
        sealed[0] = VERSION;
        sealed[1] = self.id;
        sealed[2..10].copy_from_slice(&self.tag(service, endpoint_id).0);
        sealed[10..15].copy_from_slice(&issued);
        sealed[15..20].copy_from_slice(&refreshed);
        let seal = self.sign(service, &sealed[..SEAL_AT]);
        sealed[SEAL_AT..].copy_from_slice(&seal);
        SessionCookie(base64url::encode(&sealed))
    }

    fn open(&self, service: &str, sealed: &[u8; 36], age: KeyAge) -> Option<Pin> {
        if sealed[..2] != [VERSION, self.id] {
            return None;
        }
        let (said, seal) = sealed.split_at(SEAL_AT);
        verify_slices_are_equal(&self.sign(service, said), seal).ok()?;
        let tag = EndpointTag(first(&said[2..]));
        Some(Pin { key: age, tag, issued: date(first(&said[10..])), refreshed: date(first(&said[15..])) })
    }

    /// What is sealed has one length, so the service can follow it.
    fn sign(&self, service: &str, said: &[u8]) -> [u8; 16] {
        let mut context = hmac::Context::with_key(&self.mac);
        context.update(said);
        context.update(service.as_bytes());
        first(context.sign().as_ref())
    }
}

/// The first bytes of more.
fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    *bytes.first_chunk().expect("a hash, or the rest of a value, is longer than any of its parts")
}

/// The largest date of five bytes is in the year 36812.
fn date_bytes(seconds: u64) -> [u8; 5] {
    let [.., a, b, c, d, e] = seconds.min((1 << 40) - 1).to_be_bytes();
    [a, b, c, d, e]
}

fn date([a, b, c, d, e]: [u8; 5]) -> u64 {
    u64::from_be_bytes([0, 0, 0, a, b, c, d, e])
}

/// Bytes that a key has at least: 128 bits, as strong as the seal.
pub const SHORTEST_KEY: usize = 16;

/// Seconds that a date may be ahead of our clock.
const MOST_AHEAD: u64 = 24 * 60 * 60;

/// Of the format of a value.
const VERSION: u8 = 1;

/// Where what is said ends and its seal begins.
const SEAL_AT: usize = 20;

// Part of the format: never to be changed, else every client loses its endpoint at an upgrade.
const MAC_PURPOSE: &str = "fulcrum sticky mac v1";
const TAG_PURPOSE: &str = "fulcrum sticky endpoint v1";
const ID_PURPOSE: &str = "fulcrum sticky key id v1";

#[cfg(test)]
mod tests;
