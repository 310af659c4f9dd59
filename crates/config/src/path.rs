//! Paths as they are matched: absolute, and in the normal form that requests are brought into.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::code::Code;
use crate::decode::{Complaint, Leaf};

/// A path that a normalised request can have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PathText(pub(crate) String);

impl PathText {
    /// Without a final slash, except `/` itself.
    pub(crate) fn into_prefix(self) -> String {
        let trimmed = self.0.trim_end_matches('/');
        if trimmed.is_empty() { "/".to_owned() } else { trimmed.to_owned() }
    }
}

impl Leaf for PathText {
    const WANTED: &'static str = "a path as text";

    fn parse(text: &str) -> Result<Self, Complaint> {
        let complaint = |predicate: &str| Complaint::new(Code::Path, predicate.to_owned());
        if !text.starts_with('/') {
            return Err(complaint("does not begin with `/`").hint(format!("did you mean `/{text}`?")));
        }
        if text.contains('*') && text.ends_with('*') {
            return Err(complaint("ends with `*`, which has no special meaning")
                .note("a path matches everything below it: `/api` matches `/api/x`; also `{ exact: … }`, `{ regex: … }`"));
        }
        if let Some(character) = text.chars().find(|&c| matches!(c, '?' | '#') || !c.is_ascii_graphic()) {
            return Err(complaint(&format!("holds {character:?}, which no path has")).note(
                match character {
                    '?' => "queries are matched with `match: { query: … }`",
                    '#' => "a browser keeps the fragment to itself",
                    _ => "write it percent-encoded, as it is sent",
                },
            ));
        }
        match normal_form(text) {
            Some(normal) if normal == text => Ok(PathText(normal)),
            Some(normal) => Err(Complaint::new(
                Code::NeverMatches,
                "is never seen: requests are normalised before matching",
            )
            .hint(format!("its normal form is `{normal}`"))),
            None => Err(Complaint::new(Code::NeverMatches, "is refused in requests, and can never match")
                .note("not allowed are `%` without two hexadecimal digits, `%00`, and `..` above the root")),
        }
    }
}

/// The path after unreserved characters are decoded (RFC 3986 §6.2.2.2), dot segments removed (§5.2.4) and slashes
/// merged; `None` where a request with it is refused.
fn normal_form(path: &str) -> Option<String> {
    let decoded = decode_unreserved(path)?;
    let mut segments: Vec<&str> = Vec::new();
    let mut ends_open = false;
    for segment in decoded.split('/').skip(1) {
        ends_open = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop()?;
            }
            segment => segments.push(segment),
        }
    }
    let mut normal = String::with_capacity(decoded.len());
    for segment in &segments {
        normal.push('/');
        normal.push_str(segment);
    }
    if ends_open || segments.is_empty() {
        normal.push('/');
    }
    Some(normal)
}

fn decode_unreserved(path: &str) -> Option<String> {
    let mut decoded = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('%') {
        decoded.push_str(&rest[..at]);
        let digits =
            rest.get(at + 1..at + 3).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        let byte = u8::from_str_radix(digits, 16).ok()?;
        match byte {
            0 => return None,
            b'-' | b'.' | b'_' | b'~' => decoded.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => decoded.push(char::from(byte)),
            _ => decoded.push_str(&rest[at..at + 3]),
        }
        rest = &rest[at + 3..];
    }
    decoded.push_str(rest);
    Some(decoded)
}

impl JsonSchema for PathText {
    fn schema_name() -> Cow<'static, str> {
        "Path".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A path that begins with a slash, in normal form: no dot segments, no empty segments, \
                            unreserved characters not percent-encoded.",
            "type": "string",
            "pattern": r"^(/|\$\{)"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_forms() {
        fn check(path: &str, expected: Option<&str>) {
            assert_eq!(normal_form(path).as_deref(), expected, "{path}");
        }
        check("/", Some("/"));
        check("/a/b", Some("/a/b"));
        check("/a/b/", Some("/a/b/"));
        check("/a/./b/../c", Some("/a/c"));
        check("/a/..", Some("/"));
        check("/a/.", Some("/a/"));
        check("/..", None);
        check("/../x", None);
        check("//a//b", Some("/a/b"));
        check("//", Some("/"));
        check("/%7e", Some("/~"));
        check("/%2e%2e", None);
        check("/%41", Some("/A"));
        check("/a%2fb%5C", Some("/a%2fb%5C"));
        check("/%00", None);
        check("/%0", None);
        check("/%zz", None);
        check("/%+1", None);
    }

    #[test]
    fn paths_parse_or_say_why_not() {
        fn check(text: &str, expected: Result<&str, (Code, Option<&str>)>) {
            let parsed = PathText::parse(text).map(PathText::into_prefix);
            let parsed = parsed.as_deref().map_err(|c| (c.code, c.hint.as_deref()));
            assert_eq!(parsed, expected, "{text}");
        }
        check("/", Ok("/"));
        check("/api", Ok("/api"));
        check("/api/", Ok("/api"));
        check("api", Err((Code::Path, Some("did you mean `/api`?"))));
        check("/api*", Err((Code::Path, None)));
        check("/a?b", Err((Code::Path, None)));
        check("/a b", Err((Code::Path, None)));
        check("/ä", Err((Code::Path, None)));
        check("/a//b", Err((Code::NeverMatches, Some("its normal form is `/a/b`"))));
        check("/%7eme", Err((Code::NeverMatches, Some("its normal form is `/~me`"))));
        check("/../a", Err((Code::NeverMatches, None)));
    }
}
