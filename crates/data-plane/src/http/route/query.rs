//! Parameters of a query as forms write them: `a=1&b=two+words`, percent-decoded once, `+` for a space
//! (application/x-www-form-urlencoded of the URL standard). A malformed escape stands for itself.

use std::borrow::Cow;

/// The decoded value of the first parameter of this name; empty for one without a value.
pub(crate) fn first_parameter<'a>(query: &'a [u8], name: &[u8]) -> Option<Cow<'a, [u8]>> {
    values(query, name).next().map(decoded)
}

/// The values of all parameters of this name, not decoded yet.
pub(super) fn values<'a>(query: &'a [u8], name: &[u8]) -> impl Iterator<Item = &'a [u8]> {
    query.split(|&byte| byte == b'&').filter(|parameter| !parameter.is_empty()).filter_map(move |parameter| {
        let end = memchr::memchr(b'=', parameter).unwrap_or(parameter.len());
        let (key, value) = parameter.split_at(end);
        decode(key).eq(name.iter().copied()).then(|| value.strip_prefix(b"=").unwrap_or(value))
    })
}

/// The bytes that this stands for.
pub(super) fn decode(encoded: &[u8]) -> impl Iterator<Item = u8> {
    let mut rest = encoded;
    std::iter::from_fn(move || {
        let (&first, after) = rest.split_first()?;
        rest = after;
        match (first, after) {
            (b'+', _) => Some(b' '),
            (b'%', &[high, low, ref tail @ ..]) => match (hex(high), hex(low)) {
                (Some(high), Some(low)) => {
                    rest = tail;
                    Some(high << 4 | low)
                }
                _ => Some(b'%'),
            },
            (byte, _) => Some(byte),
        }
    })
}

/// The same in one piece, copied only where something is encoded.
pub(super) fn decoded(encoded: &[u8]) -> Cow<'_, [u8]> {
    match memchr::memchr2(b'%', b'+', encoded) {
        None => Cow::Borrowed(encoded),
        Some(_) => Cow::Owned(decode(encoded).collect()),
    }
}

fn hex(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).map(|value| value as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_parameters() {
        let check = |query: &str, name: &str, expected: Option<&str>| {
            let value = first_parameter(query.as_bytes(), name.as_bytes());
            assert_eq!(value.as_deref(), expected.map(str::as_bytes), "{name} of {query}");
        };
        check("", "a", None);
        check("", "", None);
        check("&&", "", None);
        check("a", "a", Some(""));
        check("a=", "a", Some(""));
        check("a=1", "a", Some("1"));
        check("aa=1", "a", None);
        check("b=1&a=2&a=3", "a", Some("2"));
        check("a=x=y", "a", Some("x=y"));
        check("a=two+words", "a", Some("two words"));
        check("a=%32%2B%2b", "a", Some("2++"));
        check("a=%252B", "a", Some("%2B"));
        check("%61%20b=1", "a b", Some("1"));
        check("a+b=1", "a b", Some("1"));
        check("a=%zz%4", "a", Some("%zz%4"));
        check("a=%%34", "a", Some("%4"));
        check("a=1;b=2", "b", None);
        check("=1", "", Some("1"));
    }
}
