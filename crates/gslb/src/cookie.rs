//! DNS cookies (RFC 7873) as all servers of a name can check them (RFC 9018): a client that has one was answered before at the
//! address that it asks from.

use std::fmt;
use std::net::IpAddr;

/// The keys of cookies: the first makes them, all check them.
#[derive(Clone)]
pub struct CookieKeys {
    keys: Vec<[u8; 16]>,
}

/// How many there are: they are secret.
impl fmt::Debug for CookieKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CookieKeys({})", self.keys.len())
    }
}

/// What a query's cookie says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CookieState {
    /// There is none.
    None,
    /// The client has not been here, or not for a long time; or the cookie is another one's.
    New,
    /// It was made for this address.
    Known,
}

impl CookieKeys {
    /// Of these keys; the first makes new cookies. At least one.
    pub fn new(keys: Vec<[u8; 16]>) -> Self {
        debug_assert!(!keys.is_empty());
        CookieKeys { keys }
    }

    /// What the cookie of a query says, and the one for the answer. `now` is seconds since 1970, `cookie` 8 or 16 to 40 bytes.
    pub(crate) fn check(&self, cookie: &[u8], address: IpAddr, now: u32) -> (CookieState, [u8; COOKIE]) {
        let made = self.make(cookie, address, now);
        let Some(&[version, r0, r1, r2, t0, t1, t2, t3, ..]) =
            cookie.get(CLIENT..).filter(|server| server.len() == 16)
        else {
            return (CookieState::New, made);
        };
        // Serial number arithmetic (RFC 1982): the clock may pass 2^32.
        let age = now.wrapping_sub(u32::from_be_bytes([t0, t1, t2, t3])) as i32;
        let is_due = version == 1 && [r0, r1, r2] == [0; 3] && (-FUTURE..=LIFE).contains(&age);
        let is_by = |key: &[u8; 16]| hash(key, &cookie[..16], address) == cookie[16..24];
        match self.keys.iter().position(is_by).filter(|_| is_due) {
            None => (CookieState::New, made),
            Some(0) if age <= RENEW => (CookieState::Known, cookie.try_into().unwrap_or(made)),
            // Soon too old, or of a key that goes: the answer has a new one.
            Some(_) => (CookieState::Known, made),
        }
    }

    fn make(&self, cookie: &[u8], address: IpAddr, now: u32) -> [u8; COOKIE] {
        let mut made = [0; COOKIE];
        made[..CLIENT].copy_from_slice(&cookie[..CLIENT]);
        made[CLIENT] = 1;
        made[12..16].copy_from_slice(&now.to_be_bytes());
        if let Some(key) = self.keys.first() {
            let hash = hash(key, &made[..16], address);
            made[16..].copy_from_slice(&hash);
        }
        made
    }
}

/// SipHash-2-4 of the client's cookie, what the server's begins with, and the address (RFC 9018 §4.4).
fn hash(key: &[u8; 16], beginning: &[u8], address: IpAddr) -> [u8; 8] {
    let mut input = [0; 32];
    input[..16].copy_from_slice(beginning);
    let length = match address {
        IpAddr::V4(address) => {
            input[16..20].copy_from_slice(&address.octets());
            20
        }
        IpAddr::V6(address) => {
            input[16..].copy_from_slice(&address.octets());
            32
        }
    };
    siphash(key, &input[..length]).to_le_bytes()
}

/// SipHash-2-4 (Aumasson and Bernstein, 2012).
fn siphash(key: &[u8; 16], input: &[u8]) -> u64 {
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |word, byte| word << 8 | u64::from(*byte));
    let (k0, k1) = (word(&key[..8]), word(&key[8..]));
    let mut v = [
        k0 ^ 0x736f_6d65_7073_6575,
        k1 ^ 0x646f_7261_6e64_6f6d,
        k0 ^ 0x6c79_6765_6e65_7261,
        k1 ^ 0x7465_6462_7974_6573,
    ];
    let words = input.chunks_exact(8);
    let last = (input.len() as u64) << 56 | word(words.remainder());
    for word in words.map(word).chain([last]) {
        v[3] ^= word;
        round(&mut v);
        round(&mut v);
        v[0] ^= word;
    }
    v[2] ^= 0xff;
    for _ in 0..4 {
        round(&mut v);
    }
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

fn round(v: &mut [u64; 4]) {
    v[0] = v[0].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(13) ^ v[0];
    v[0] = v[0].rotate_left(32);
    v[2] = v[2].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(16) ^ v[2];
    v[0] = v[0].wrapping_add(v[3]);
    v[3] = v[3].rotate_left(21) ^ v[0];
    v[2] = v[2].wrapping_add(v[1]);
    v[1] = v[1].rotate_left(17) ^ v[2];
    v[2] = v[2].rotate_left(32);
}

/// The client's part.
const CLIENT: usize = 8;
/// Both parts.
pub(crate) const COOKIE: usize = 24;
/// Clocks of servers may differ by so much. Seconds (RFC 9018 §4.3).
const FUTURE: i32 = 300;
/// How long a cookie is good.
const LIFE: i32 = 3600;
/// How old it is when the answer has a new one.
const RENEW: i32 = 1800;

#[cfg(test)]
mod tests {
    use super::*;

    fn hex<const N: usize>(text: &str) -> [u8; N] {
        let byte =
            |place: usize| u8::from_str_radix(&text[2 * place..2 * place + 2], 16).expect("hexadecimal");
        std::array::from_fn(byte)
    }

    #[test]
    fn the_hash_is_the_one_of_its_paper() {
        let (key, input): ([u8; 16], [u8; 15]) =
            (std::array::from_fn(|i| i as u8), std::array::from_fn(|i| i as u8));
        assert_eq!(siphash(&key, &input), 0xa129_ca61_49be_45e5);
    }

    /// RFC 9018, appendix A.
    #[test]
    fn cookies_are_those_of_other_servers() {
        let check = |key: &str, now: u32, sent: &[u8], address: &str, state, expected: &str| {
            let keys = CookieKeys::new(vec![hex(key)]);
            let address = address.parse().expect("an address");
            assert_eq!(keys.check(sent, address, now), (state, hex::<COOKIE>(expected)));
        };
        let key = "e5e973e5a6b2a43f48e7dc849e37bfcf";
        let learned = "2464c4abcf10c957010000005cf79f111f8130c3eee29480";
        check(key, 1_559_731_985, &hex::<8>("2464c4abcf10c957"), "198.51.100.100", CookieState::New, learned);
        // A.2: 40 minutes later it is renewed.
        let sent = hex::<24>(learned);
        check(
            key,
            1_559_734_385,
            &sent,
            "198.51.100.100",
            CookieState::Known,
            "2464c4abcf10c957010000005cf7a871d4a564a1442aca77",
        );
        // A.4: over IPv6, with the key before this one.
        let keys = CookieKeys::new(vec![
            hex("445536bcd2513298075a5d379663c962"),
            hex("dd3bdf9344b678b185a6f5cb60fca715"),
        ]);
        let sent = hex::<24>("22681ab97d52c298010000005cf7c57926556bd0934c72f8");
        let (state, made) = keys.check(
            &sent,
            "2001:db8:220:1:59de:d0f4:8769:82b8".parse().expect("an address"),
            1_559_741_961,
        );
        assert_eq!(state, CookieState::Known);
        assert_eq!(made, hex::<24>("22681ab97d52c298010000005cf7c609a6bb79d16625507a"));
    }

    #[test]
    fn keys_are_not_shown() {
        assert_eq!(format!("{:?}", CookieKeys::new(vec![[7; 16], [8; 16]])), "CookieKeys(2)");
    }

    #[test]
    fn cookies_belong_to_an_address_and_a_time() {
        let keys = CookieKeys::new(vec![[7; 16]]);
        let [here, there]: [IpAddr; 2] =
            ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().expect("an address"));
        let (_, made) = keys.check(b"12345678", here, 10_000);
        let check = |cookie: &[u8], address, now, expected| {
            assert_eq!(keys.check(cookie, address, now).0, expected, "{now}");
        };
        check(&made, here, 10_000, CookieState::Known);
        check(&made, here, 13_600, CookieState::Known);
        check(&made, here, 13_601, CookieState::New);
        check(&made, here, 9_700, CookieState::Known);
        check(&made, here, 9_699, CookieState::New);
        check(&made, there, 10_000, CookieState::New);
        check(&made[..20], here, 10_000, CookieState::New);
        let mut other = made;
        other[9] = 1;
        check(&other, here, 10_000, CookieState::New);
        let unchanged = keys.check(&made, here, 11_800).1;
        assert_eq!(unchanged, made);
        assert_ne!(keys.check(&made, here, 11_801).1, made);
    }
}
