//! Names with gaps: `web-*`.

/// A text in which each `*` stands for any characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(Box<str>);

impl Glob {
    /// Of this text; every text is one.
    pub fn new(text: &str) -> Self {
        Glob(text.into())
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        let mut parts = self.0.split('*');
        let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
        let mut parts = parts.peekable();
        if parts.peek().is_none() {
            return rest.is_empty();
        }
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return rest.ends_with(part);
            }
            let Some(at) = rest.find(part) else { return false };
            rest = &rest[at + part.len()..];
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match() {
        fn check(glob: &str, text: &str, expected: bool) {
            assert_eq!(Glob::new(glob).matches(text), expected, "{glob} {text}");
        }
        check("web", "web", true);
        check("web", "web2", false);
        check("*", "anything", true);
        check("web-*", "web-", true);
        check("web-*", "web", false);
        check("*-eu", "web-eu", true);
        check("*-eu", "web-eu2", false);
        check("a*b*c", "a-b-c", true);
        check("a*b*c", "ac", false);
        check("ab*ba", "aba", false);
        check("a*a*a", "aa", false);
        check("**", "", true);
    }
}
