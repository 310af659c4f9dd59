//! Who may ask what: a unix socket is guarded by its file mode, TCP by a bearer token.

use fulcrum_config::Secret;

/// Where a question came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// The unix socket: whoever may open it may ask anything.
    Unix,
    /// TCP: anyone may be there.
    Tcp,
}

/// What becomes of a question about something that is not public.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Answer it.
    Allowed,
    /// No token, or not this one.
    Unauthorized,
    /// No token is configured, so none can be right.
    Closed,
}

/// Decides on the value of the `Authorization` field.
pub(crate) fn judge(door: Door, token: Option<&Secret>, authorization: Option<&[u8]>) -> Verdict {
    match (door, token, authorization.and_then(bearer)) {
        (Door::Unix, _, _) => Verdict::Allowed,
        (Door::Tcp, None, _) => Verdict::Closed,
        (Door::Tcp, Some(token), Some(given)) if same(given, token.expose()) => Verdict::Allowed,
        (Door::Tcp, Some(_), _) => Verdict::Unauthorized,
    }
}

/// The token of `Bearer TOKEN`; the scheme is case-insensitive (RFC 9110 §11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(b"bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

/// Compares in a time that depends on the length of `given` alone, so that a guesser learns nothing from how long a
/// refusal takes.
fn same(given: &[u8], secret: &[u8]) -> bool {
    let Some(first) = secret.first() else { return false };
    let mut difference = u8::from(given.len() != secret.len());
    for (index, byte) in given.iter().enumerate() {
        difference |= byte ^ secret.get(index).unwrap_or(first);
    }
    // The optimiser must not stop the loop at the first difference.
    std::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_opens_tcp() {
        fn check(door: Door, token: Option<&str>, authorization: Option<&str>, expected: Verdict) {
            let secret = token.map(|token| Secret::new(token.as_bytes()));
            let verdict = judge(door, secret.as_ref(), authorization.map(str::as_bytes));
            assert_eq!(verdict, expected, "{door:?} {token:?} {authorization:?}");
        }
        check(Door::Unix, None, None, Verdict::Allowed);
        check(Door::Unix, Some("s3cret"), None, Verdict::Allowed);
        check(Door::Tcp, None, None, Verdict::Closed);
        check(Door::Tcp, None, Some("Bearer "), Verdict::Closed);
        check(Door::Tcp, Some("s3cret"), None, Verdict::Unauthorized);
        check(Door::Tcp, Some("s3cret"), Some("s3cret"), Verdict::Unauthorized);
        check(Door::Tcp, Some("s3cret"), Some("Basic s3cret"), Verdict::Unauthorized);
        check(Door::Tcp, Some("s3cret"), Some("Bearer"), Verdict::Unauthorized);
        check(Door::Tcp, Some("s3cret"), Some("Bearer "), Verdict::Unauthorized);
        check(Door::Tcp, Some("s3cret"), Some("Bearer s3cre"), Verdict::Unauthorized);
        check(Door::Tcp, Some("s3cret"), Some("Bearer s3crets"), Verdict::Unauthorized);
        check(Door::Tcp, Some("s3cret"), Some("Bearer S3cret"), Verdict::Unauthorized);
        check(Door::Tcp, Some("s3cret"), Some("Bearer s3cret"), Verdict::Allowed);
        check(Door::Tcp, Some("s3cret"), Some("bearer  s3cret"), Verdict::Allowed);
        check(Door::Tcp, Some(""), Some("Bearer "), Verdict::Unauthorized);
    }
}
