//! The lengths at which a prefix or suffix is worth looking up: those that some pattern has. A request with a thousand
//! labels or segments costs no more than an ordinary one.

/// Distinct lengths, the longest first.
#[derive(Debug, Default)]
pub(super) struct Lengths(Box<[u32]>);

impl Lengths {
    /// Parents of a host name (`example.com` of `shop.example.com`), the longest first.
    pub(super) fn suffixes<'a>(&'a self, host: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter_map(move |&length| {
            let dot = host.len().checked_sub(length as usize + 1)?;
            // A wildcard stands for at least one character.
            (dot > 0 && host.as_bytes()[dot] == b'.').then(|| &host[dot + 1..])
        })
    }

    /// The path and its parents (`/a` of `/a/b`, empty for the root), the longest first.
    pub(super) fn prefixes<'a>(&'a self, path: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter_map(move |&length| {
            let (parent, rest) = path.split_at_checked(length as usize)?;
            matches!(rest, [] | [b'/', ..]).then_some(parent)
        })
    }
}

impl FromIterator<usize> for Lengths {
    fn from_iter<I: IntoIterator<Item = usize>>(lengths: I) -> Self {
        let mut lengths: Vec<u32> = lengths.into_iter().map(|length| length as u32).collect();
        lengths.sort_unstable_by(|a, b| b.cmp(a));
        lengths.dedup();
        Self(lengths.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parents_of_a_host() {
        let lengths: Lengths = [3, 11, 7, 11].into_iter().collect();
        let check = |host: &str, expected: &[&str]| {
            assert_eq!(lengths.suffixes(host).collect::<Vec<_>>(), expected, "{host}");
        };
        check("shop.example.com", &["example.com", "com"]);
        check("a.b.example.com", &["example.com", "com"]);
        check("example.com", &["com"]);
        check(".example.com", &["com"]);
        check("com", &[]);
        check(".com", &[]);
        check("", &[]);
        check("ä.com", &["com"]);
        check("xöcom", &[]);
    }

    #[test]
    fn parents_of_a_path() {
        let lengths: Lengths = [0, 4, 6].into_iter().collect();
        let check = |path: &str, expected: &[&str]| {
            let parents: Vec<_> = lengths.prefixes(path.as_bytes()).map(String::from_utf8_lossy).collect();
            assert_eq!(parents, expected, "{path}");
        };
        check("/api", &["/api", ""]);
        check("/api/", &["/api", ""]);
        check("/api/x", &["/api/x", "/api", ""]);
        check("/apix", &[""]);
        check("/", &[""]);
        check("*", &[]);
    }
}
