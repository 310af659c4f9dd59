//! Names of the DNS: labels in wire form, letters in lower case.

use std::fmt;
use std::str::FromStr;

/// A name of the DNS, absolute: 1 to 255 bytes of labels in wire form (RFC 1035 §3.1), in lower case (RFC 4343).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DnsName(Box<[u8]>);

/// Why a text cannot be a name of the DNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsNameError {
    /// There is nothing.
    Empty,
    /// Two dots in a row, or one at the beginning.
    EmptyLabel,
    /// A label of more than 63 bytes.
    LongLabel,
    /// More than 255 bytes in wire form.
    Long,
    /// `\` without a character or a number from 000 to 255 behind it.
    Escape,
    /// A character that has to be escaped: a space, a quote, a control character, or one outside of ASCII.
    Character(char),
}

impl DnsName {
    /// The root.
    pub fn root() -> Self {
        DnsName(Box::from([0]))
    }

    /// A name as zone files write it: `@` is the origin, `a.b.` is absolute, `a.b` is below the origin.
    pub fn relative(text: &str, origin: &DnsName) -> Result<Self, DnsNameError> {
        match text {
            "@" => Ok(origin.clone()),
            "." => Ok(DnsName::root()),
            _ if is_plain(text) => {
                // Large zones have mostly such ones: each dot becomes the length of the label behind it.
                let mut wire = Vec::with_capacity(1 + text.len() + origin.0.len());
                for label in text.split('.') {
                    wire.push(
                        u8::try_from(label.len())
                            .ok()
                            .filter(|length| *length < 64)
                            .ok_or(DnsNameError::LongLabel)?,
                    );
                    wire.extend(label.bytes().map(|byte| byte.to_ascii_lowercase()));
                }
                wire.extend_from_slice(&origin.0);
                DnsName::of(wire)
            }
            _ => {
                let (mut wire, is_absolute) = labels(text)?;
                wire.extend_from_slice(if is_absolute { &[0] } else { &origin.0 });
                DnsName::of(wire)
            }
        }
    }

    /// The name whose labels stand at the beginning of these bytes, uncompressed; letters become lower case.
    /// `None` when they do not end within 255 bytes, or hold a pointer.
    pub fn from_wire(wire: &[u8]) -> Option<Self> {
        let mut end = 0;
        loop {
            match wire.get(end)? {
                0 => break,
                length @ 1..=63 => end += 1 + usize::from(*length),
                _ => return None,
            }
        }
        // Lengths of labels are below the letters.
        let name = wire.get(..=end)?.to_ascii_lowercase();
        DnsName::of(name).ok()
    }

    /// This label in front of this name.
    pub fn child(&self, label: &[u8]) -> Result<Self, DnsNameError> {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length));
        let mut wire = vec![length.ok_or(DnsNameError::LongLabel)?];
        wire.extend(label.iter().map(u8::to_ascii_lowercase));
        wire.extend_from_slice(&self.0);
        DnsName::of(wire)
    }

    /// This name below another one: its labels, and then those of the other.
    pub fn below(&self, origin: &DnsName) -> Result<Self, DnsNameError> {
        DnsName::of([&self.0[..self.0.len() - 1], &origin.0].concat())
    }

    fn of(wire: Vec<u8>) -> Result<Self, DnsNameError> {
        if wire.len() > MAX { Err(DnsNameError::Long) } else { Ok(DnsName(wire.into())) }
    }

    /// The labels with their lengths, and the empty one of the root.
    pub fn as_wire(&self) -> &[u8] {
        &self.0
    }

    /// The labels, the one of the root left out; the leftmost first.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || {
            let (length, behind) = rest.split_first()?;
            let (label, others) =
                behind.split_at_checked(usize::from(*length)).filter(|(label, _)| !label.is_empty())?;
            rest = others;
            Some(label)
        })
    }

    /// The name without its first label; `None` of the root.
    pub fn parent(&self) -> Option<Self> {
        let first = self.labels().next()?;
        Some(DnsName(self.0[1 + first.len()..].into()))
    }

    /// Whether it is this name or one below it.
    pub fn is_within(&self, above: &DnsName) -> bool {
        let mut rest = &self.0[..];
        while rest.len() > above.0.len() {
            rest = &rest[1 + usize::from(rest[0])..];
        }
        rest == &above.0[..]
    }

    /// Whether the first label is `*`.
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with(b"\x01*")
    }
}

/// Whether a text is labels of letters, digits and the like, with single dots between them.
fn is_plain(text: &str) -> bool {
    let is_usual = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'*');
    let mut before = b'.';
    let is_plain = text.bytes().all(|byte| {
        let is_fine = is_usual(&byte) || (byte == b'.' && before != b'.');
        before = byte;
        is_fine
    });
    is_plain && before != b'.'
}

/// The labels of a text in wire form, without the one of the root; and whether it ends with a dot.
fn labels(text: &str) -> Result<(Vec<u8>, bool), DnsNameError> {
    let mut wire = Vec::with_capacity(text.len() + 2);
    let mut label = Vec::new();
    let mut characters = text.chars();
    let mut ends_with_dot = false;
    if text.is_empty() {
        return Err(DnsNameError::Empty);
    }
    while let Some(character) = characters.next() {
        ends_with_dot = character == '.';
        match character {
            '.' => close(&mut wire, &mut label)?,
            '\\' => label.push(escaped(&mut characters)?),
            '!' | '#'..='\'' | '*'..='[' | ']'..='~' if character != ';' => label.push(character as u8),
            _ => return Err(DnsNameError::Character(character)),
        }
    }
    if !ends_with_dot {
        close(&mut wire, &mut label)?;
    }
    Ok((wire, ends_with_dot))
}

fn close(wire: &mut Vec<u8>, label: &mut Vec<u8>) -> Result<(), DnsNameError> {
    match u8::try_from(label.len()) {
        Ok(0) => return Err(DnsNameError::EmptyLabel),
        Ok(length @ ..=63) => wire.push(length),
        _ => return Err(DnsNameError::LongLabel),
    }
    wire.extend(label.drain(..).map(|byte| byte.to_ascii_lowercase()));
    Ok(())
}

/// `\046` or `\.` (RFC 1035 §5.1), the backslash already taken.
pub(crate) fn escaped(characters: &mut std::str::Chars<'_>) -> Result<u8, DnsNameError> {
    let first = characters.next().ok_or(DnsNameError::Escape)?;
    if !first.is_ascii_digit() {
        return first.is_ascii().then_some(first as u8).ok_or(DnsNameError::Escape);
    }
    let digits = [Some(first), characters.next(), characters.next()];
    let number = digits.into_iter().try_fold(0, |number, digit| Some(number * 10 + digit?.to_digit(10)?));
    number.and_then(|number| u8::try_from(number).ok()).ok_or(DnsNameError::Escape)
}

impl FromStr for DnsName {
    type Err = DnsNameError;

    /// Always absolute: a dot at the end is not needed.
    fn from_str(text: &str) -> Result<Self, DnsNameError> {
        DnsName::relative(text, &DnsName::root())
    }
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.len() == 1 {
            return f.write_str(".");
        }
        for label in self.labels() {
            for &byte in label {
                match byte {
                    b'.' | b'\\' | b'"' | b';' | b'(' | b')' | b'@' => write!(f, "\\{}", byte as char)?,
                    b'!'..=b'~' => write!(f, "{}", byte as char)?,
                    _ => write!(f, "\\{byte:03}")?,
                }
            }
            f.write_str(".")?;
        }
        Ok(())
    }
}

impl fmt::Debug for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for DnsNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DnsNameError::Empty => f.write_str("a name is needed"),
            DnsNameError::EmptyLabel => f.write_str("two dots in a row, or one at the beginning"),
            DnsNameError::LongLabel => f.write_str("a label has at most 63 bytes"),
            DnsNameError::Long => f.write_str("a name has at most 255 bytes"),
            DnsNameError::Escape => f.write_str("`\\` needs a character or three digits up to 255 behind it"),
            DnsNameError::Character(found) => write!(f, "{found:?} is not allowed in a name of the DNS"),
        }
    }
}

impl std::error::Error for DnsNameError {}

/// The longest name in wire form (RFC 1035 §2.3.4).
const MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_and_print() {
        fn check(text: &str, expected: Result<&str, DnsNameError>) {
            let name = text.parse::<DnsName>().map(|name| name.to_string());
            assert_eq!(name, expected.map(str::to_owned), "{text:?}");
        }
        check("www.Example.COM", Ok("www.example.com."));
        check("www.example.com.", Ok("www.example.com."));
        check(".", Ok("."));
        check("*.example.com", Ok("*.example.com."));
        check("_http._tcp.example", Ok("_http._tcp.example."));
        check(r"a\.b.example", Ok(r"a\.b.example."));
        check(r"a\032\007b.example", Ok(r"a\032\007b.example."));
        check("", Err(DnsNameError::Empty));
        check("a..b", Err(DnsNameError::EmptyLabel));
        check(".a", Err(DnsNameError::EmptyLabel));
        check("a b", Err(DnsNameError::Character(' ')));
        check("ä.example", Err(DnsNameError::Character('ä')));
        check("a;b", Err(DnsNameError::Character(';')));
        check(r"a\", Err(DnsNameError::Escape));
        check(r"a\25", Err(DnsNameError::Escape));
        check(r"a\256", Err(DnsNameError::Escape));
        check(&"a".repeat(64), Err(DnsNameError::LongLabel));
        check(
            &format!("{0}.{0}.{0}.{1}", "a".repeat(63), "a".repeat(61)),
            Ok(&format!("{0}.{0}.{0}.{1}.", "a".repeat(63), "a".repeat(61))),
        );
        check(&format!("{0}.{0}.{0}.{1}", "a".repeat(63), "a".repeat(62)), Err(DnsNameError::Long));
    }

    #[test]
    fn names_are_relative_to_an_origin() {
        fn check(text: &str, expected: &str) {
            let origin: DnsName = "example.com".parse().expect("a name");
            assert_eq!(
                DnsName::relative(text, &origin).map(|name| name.to_string()),
                Ok(expected.to_owned())
            );
        }
        check("@", "example.com.");
        check("www", "www.example.com.");
        check("a.b", "a.b.example.com.");
        check("a.b.", "a.b.");
        check(".", ".");
    }

    #[test]
    fn usual_names_are_read_as_all_others() {
        let origin: DnsName = "Example.com".parse().expect("a name");
        let long = ["a".repeat(63), "a".repeat(64), ["abcdefg"; 30].join("."), ["abcdefg"; 31].join(".")];
        for text in ["www", "WWW.a-b", "*.w", "_sip._udp", "", ".", "a.", ".a", "a..b"]
            .iter()
            .copied()
            .chain(long.iter().map(String::as_str))
        {
            // An escape changes nothing but the way.
            let escaped = text.replacen('a', r"\097", 1).replacen('w', r"\119", 1);
            assert_eq!(DnsName::relative(text, &origin), DnsName::relative(&escaped, &origin), "{text:?}");
        }
        assert!(
            is_plain("www.a-b._x.*")
                && !is_plain("a.")
                && !is_plain("")
                && !is_plain("a;b")
                && !is_plain("a..b")
        );
    }

    #[test]
    fn names_are_within_others() {
        fn check(name: &str, above: &str, expected: bool) {
            let [name, above] = [name, above].map(|text| text.parse::<DnsName>().expect("a name"));
            assert_eq!(name.is_within(&above), expected, "{name} {above}");
        }
        check("www.example.com", "example.com", true);
        check("example.com", "example.com", true);
        check("example.com", ".", true);
        check(".", ".", true);
        check("com", "example.com", false);
        check("badexample.com", "example.com", false);
        check("www.example.org", "example.com", false);
    }

    #[test]
    fn wire_form_goes_both_ways() {
        fn check(wire: &[u8], expected: Option<&str>) {
            assert_eq!(DnsName::from_wire(wire).map(|name| name.to_string()), expected.map(str::to_owned));
        }
        check(b"\x03WWW\x01a\x00rest", Some("www.a."));
        check(b"\x00", Some("."));
        check(b"\x03ww", None);
        check(b"\xc0\x0c", None);
        check(&[b"\x3f".as_slice(), &[b'a'; 63]].concat().repeat(4), None);
        check(b"", None);
    }

    #[test]
    fn names_have_parents_and_children() {
        let name: DnsName = "a.b.c".parse().expect("a name");
        assert_eq!(name.labels().collect::<Vec<_>>(), [b"a", b"b", b"c"]);
        let parent = name.parent().expect("it has one");
        assert_eq!(parent.to_string(), "b.c.");
        assert_eq!(parent.child(b"A"), Ok(name));
        assert_eq!(DnsName::root().parent(), None);
        assert_eq!(parent.child(b""), Err(DnsNameError::LongLabel));
        assert!("*.a".parse::<DnsName>().expect("a name").is_wildcard());
        assert!(!"*a.a".parse::<DnsName>().expect("a name").is_wildcard());
    }
}
