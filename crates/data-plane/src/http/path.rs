//! The normal form of a request path: the same bytes are matched against routes and sent upstream, so that no two parsers
//! on the way can disagree about what a path means.
//!
//! - `%7e` of an unreserved character is that character, once: `%252e` stays (RFC 3986 §6.2.2.2)
//! - every other escape stays byte for byte, `%2F` and `%5c` too: they are data, not separators
//! - `.` and `..` segments are resolved, however they are spelled (RFC 3986 §5.2.4)
//! - runs of slashes are one slash
//! - `%00`, a malformed escape and a path above its root are refused

/// Why a path has no normal form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PathError {
    /// It does not begin with a slash.
    #[error("the path does not begin with a slash")]
    NotAbsolute,
    /// A percent sign without two hexadecimal digits.
    #[error("the path has a malformed escape")]
    MalformedEscape,
    /// A zero byte, escaped or not.
    #[error("the path has a zero byte")]
    ZeroByte,
    /// More `..` segments than there are segments to leave.
    #[error("the path leads above its root")]
    AboveRoot,
}

/// The normal form of a path (without query): `path` itself where it is normal already, which is the usual case and costs
/// one pass over it, else written into `scratch`.
///
/// # Errors
/// The path has no normal form: 400.
pub(crate) fn normalize<'a>(path: &'a [u8], scratch: &'a mut Vec<u8>) -> Result<&'a [u8], PathError> {
    if is_normal(path) {
        return Ok(path);
    }
    rewrite(path, scratch)?;
    debug_assert!(is_normal(scratch));
    Ok(scratch)
}

/// Whether the path has an escaped slash (`%2F`) or backslash (`%5C`), in either case.
pub(crate) fn has_encoded_slash(path: &[u8]) -> bool {
    path.windows(3).any(is_encoded_slash)
}

/// The normal form of the path with its escaped slashes and backslashes taken for slashes: where a client is sent that
/// should not have escaped them. Plain backslashes become slashes as well, since browsers read them so, and `/\host` would
/// send them to another host. The result never begins with two slashes.
///
/// # Errors
/// The path has no such form: 400.
pub(crate) fn decode_slashes(path: &[u8]) -> Result<Vec<u8>, PathError> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [byte, tail @ ..] = rest {
        rest = match rest {
            [b'%', _, _, after @ ..] if is_encoded_slash(&rest[..3]) => {
                decoded.push(b'/');
                after
            }
            _ => {
                decoded.push(if *byte == b'\\' { b'/' } else { *byte });
                tail
            }
        };
    }
    let mut normal = Vec::with_capacity(decoded.len());
    rewrite(&decoded, &mut normal)?;
    Ok(normal)
}

fn is_encoded_slash(escape: &[u8]) -> bool {
    matches!(escape, [b'%', b'2', b'f' | b'F'] | [b'%', b'5', b'c' | b'C'])
}

fn is_normal(path: &[u8]) -> bool {
    if path.first() != Some(&b'/') {
        return false;
    }
    let mut at = 0;
    while let Some(&byte) = path.get(at) {
        match byte {
            b'/' if is_removed(&path[at + 1..]) => return false,
            b'%' => match decode(&path[at..]) {
                Ok(byte) if !is_unreserved(byte) => at += 3,
                _ => return false,
            },
            0 => return false,
            _ => at += 1,
        }
    }
    true
}

/// Whether what follows a slash begins with an empty segment before another, or with a dot segment.
fn is_removed(after_slash: &[u8]) -> bool {
    matches!(after_slash, [b'/', ..] | [b'.'] | [b'.', b'/', ..] | [b'.', b'.'] | [b'.', b'.', b'/', ..])
}

/// Writes the normal form into `out`.
fn rewrite(path: &[u8], out: &mut Vec<u8>) -> Result<(), PathError> {
    out.clear();
    let Some((b'/', mut rest)) = path.split_first() else { return Err(PathError::NotAbsolute) };
    out.push(b'/');
    let mut segment = 1;
    loop {
        match rest {
            [] => return end_segment(out, segment),
            [b'/', after @ ..] => {
                end_segment(out, segment)?;
                if out.last() != Some(&b'/') {
                    out.push(b'/');
                }
                segment = out.len();
                rest = after;
            }
            [b'%', ..] => {
                let byte = decode(rest)?;
                let (escape, after) = rest.split_at(3);
                if is_unreserved(byte) {
                    out.push(byte);
                } else {
                    out.extend_from_slice(escape);
                }
                rest = after;
            }
            [0, ..] => return Err(PathError::ZeroByte),
            [byte, after @ ..] => {
                out.push(*byte);
                rest = after;
            }
        }
    }
}

/// Resolves the segment that begins at `segment`, just behind a slash, if it is a dot segment: then `out` ends with the
/// slash of what is left.
fn end_segment(out: &mut Vec<u8>, segment: usize) -> Result<(), PathError> {
    match &out[segment..] {
        b"." => out.truncate(segment),
        b".." => {
            let parent = &out[..segment - 1];
            let above = parent.iter().rposition(|&byte| byte == b'/').ok_or(PathError::AboveRoot)?;
            out.truncate(above + 1);
        }
        _ => {}
    }
    Ok(())
}

/// The byte that an escape at the front stands for.
fn decode(escape: &[u8]) -> Result<u8, PathError> {
    let &[b'%', high, low, ..] = escape else { return Err(PathError::MalformedEscape) };
    match (hex(high), hex(low)) {
        (Some(0), Some(0)) => Err(PathError::ZeroByte),
        (Some(high), Some(low)) => Ok(high << 4 | low),
        _ => Err(PathError::MalformedEscape),
    }
}

fn hex(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).map(|value| value as u8)
}

/// RFC 3986 §2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};

    use super::*;

    fn normal(path: &[u8]) -> Result<Vec<u8>, PathError> {
        normalize(path, &mut Vec::new()).map(<[u8]>::to_vec)
    }

    #[test]
    fn normal_forms() {
        let check = |path: &str, expected: Result<&str, PathError>| {
            assert_eq!(normal(path.as_bytes()), expected.map(|path| path.as_bytes().to_vec()), "{path}");
        };
        check("/", Ok("/"));
        check("/a/b", Ok("/a/b"));
        check("/a/b/", Ok("/a/b/"));
        check("/a/./b/../c", Ok("/a/c"));
        check("/a/b/..", Ok("/a/"));
        check("/a/b/../", Ok("/a/"));
        check("/a/.", Ok("/a/"));
        check("/a/..", Ok("/"));
        check("/.", Ok("/"));
        check("/./", Ok("/"));
        check("/...", Ok("/..."));
        check("/.a/..b/c..", Ok("/.a/..b/c.."));
        check("//", Ok("/"));
        check("//a//b", Ok("/a/b"));
        check("//a///b//", Ok("/a/b/"));
        check("/a//../b", Ok("/b"));
        check("/a/.//b", Ok("/a/b"));
        check("/%7euser", Ok("/~user"));
        check("/%41%2D%5f", Ok("/A-_"));
        check("/a%2fb", Ok("/a%2fb"));
        check("/a%2Fb%5C%5c", Ok("/a%2Fb%5C%5c"));
        check("/%20%C3%a4%25", Ok("/%20%C3%a4%25"));
        check("/a\\..\\b", Ok("/a\\..\\b"));
        check("/a/%2e/b", Ok("/a/b"));
        check("/a/%2e%2E/b", Ok("/b"));
        check("/a/.%2e/b", Ok("/b"));
        check("/a/%2e", Ok("/a/"));
        check("/%252e%252e/", Ok("/%252e%252e/"));
        check("/%25%32%65", Ok("/%252e"));
        check("/a/..%2f..%2fb", Ok("/a/..%2f..%2fb"));
        check("/a/..;/b", Ok("/a/..;/b"));
        check("/ä", Ok("/ä"));

        check("/../x", Err(PathError::AboveRoot));
        check("/..", Err(PathError::AboveRoot));
        check("/%2e%2e", Err(PathError::AboveRoot));
        check("/a/../..", Err(PathError::AboveRoot));
        check("/a/../../a", Err(PathError::AboveRoot));
        check("//..", Err(PathError::AboveRoot));
        check("/%00", Err(PathError::ZeroByte));
        check("/a\0", Err(PathError::ZeroByte));
        check("/%zz", Err(PathError::MalformedEscape));
        check("/%2", Err(PathError::MalformedEscape));
        check("/%", Err(PathError::MalformedEscape));
        check("/%+2", Err(PathError::MalformedEscape));
        check("/%%32e", Err(PathError::MalformedEscape));
        check("/%2%65", Err(PathError::MalformedEscape));
        check("", Err(PathError::NotAbsolute));
        check("*", Err(PathError::NotAbsolute));
        check("a/b", Err(PathError::NotAbsolute));
        check("%2Fa", Err(PathError::NotAbsolute));
    }

    #[test]
    fn a_normal_path_is_not_copied() {
        let path = b"/a/b.c/%2F/d?";
        let mut scratch = Vec::new();
        let normal = normalize(path, &mut scratch).expect("it is normal");
        assert_eq!(normal.as_ptr(), path.as_ptr());
        assert_eq!(scratch.capacity(), 0);
    }

    #[test]
    fn encoded_slashes() {
        let check = |path: &str, expected: Option<&str>| {
            assert_eq!(has_encoded_slash(path.as_bytes()), expected.is_some(), "{path}");
            if let Some(expected) = expected {
                assert_eq!(decode_slashes(path.as_bytes()), Ok(expected.as_bytes().to_vec()), "{path}");
            }
        };
        check("/a", None);
        check("/a%2", None);
        check("/a%252F", None);
        check("/a%2Fb", Some("/a/b"));
        check("/a%2fb%5Cc%5c", Some("/a/b/c/"));
        check("/a%252F%2F", Some("/a%252F/"));
        check("/%2Fevil.example", Some("/evil.example"));
        check("/%5Cevil.example", Some("/evil.example"));
        check("/\\evil.example%2F", Some("/evil.example/"));
        check("/a%2F..%2Fb", Some("/b"));
        assert_eq!(decode_slashes(b"/..%2F"), Err(PathError::AboveRoot));
        assert_eq!(decode_slashes(b"/%2F..%5C"), Err(PathError::AboveRoot));
    }

    /// Paths made of the parts that matter.
    fn paths() -> impl Strategy<Value = Vec<u8>> {
        let part = prop_oneof![
            3 => prop::sample::select(vec![
                "/", "/", "//", ".", "..", "%2e", "%2E%2e", "%2f", "%5C", "%25", "%7e", "%00", "%", "%4", "2e", "a", "\\", ";",
            ]).prop_map(|part| part.as_bytes().to_vec()),
            1 => prop::collection::vec(any::<u8>(), 0..3),
        ];
        prop::collection::vec(part, 0..12).prop_map(|parts| [b"/".to_vec(), parts.concat()].concat())
    }

    proptest! {
        #[test]
        fn any_bytes_have_a_normal_form_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = normal(&bytes);
            let _ = decode_slashes(&bytes);
        }

        #[test]
        fn normal_stays_normal(path in paths()) {
            if let Ok(once) = normal(&path) {
                prop_assert!(is_normal(&once));
                prop_assert_eq!(normal(&once), Ok(once));
            }
        }

        #[test]
        fn no_way_out_of_the_root(path in paths()) {
            for result in [normal(&path), decode_slashes(&path)] {
                let Ok(result) = result else { continue };
                prop_assert_eq!(result.first(), Some(&b'/'));
                let mut segments = result[1..].split(|&byte| byte == b'/').peekable();
                while let Some(segment) = segments.next() {
                    prop_assert!(segment != b"." && segment != b"..");
                    prop_assert!(!segment.is_empty() || segments.peek().is_none());
                }
                prop_assert!(result.len() <= path.len());
            }
        }

        #[test]
        fn the_short_cut_and_the_long_way_agree(path in paths()) {
            let mut long_way = Vec::new();
            let rewritten = rewrite(&path, &mut long_way);
            prop_assert_eq!(normal(&path), rewritten.map(|()| long_way));
        }
    }
}
