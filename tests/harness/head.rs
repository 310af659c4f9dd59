//! The head of a message as it came, split into lines and fields and nothing more.

/// A first line and fields in the order and spelling of the wire.
#[derive(Clone, Debug, Default)]
pub(crate) struct Head {
    pub(crate) first_line: String,
    /// Names as spelt, values without surrounding blanks.
    pub(crate) fields: Vec<(String, String)>,
}

impl Head {
    /// Splits a head, with or without its final empty line. Bytes beyond ASCII become characters one to one.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let text: String = bytes.iter().copied().map(char::from).collect();
        let mut lines = text.split("\r\n").filter(|line| !line.is_empty());
        let first_line = lines.next().unwrap_or_default().to_owned();
        Head { first_line, fields: lines.map(split_field).collect() }
    }

    /// The n-th word of the first line.
    pub(crate) fn word(&self, n: usize) -> &str {
        self.first_line.split(' ').nth(n).unwrap_or_default()
    }

    /// The value of the only field of this name.
    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let values = self.values(name);
        assert!(values.len() <= 1, "several {name}: {values:?}");
        values.first().copied()
    }

    /// The values of all fields of this name, in order.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        let same = self.fields.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        same.map(|(_, value)| value.as_str()).collect()
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        !self.values(name).is_empty()
    }

    /// Whether a list field holds a token.
    pub(crate) fn lists(&self, name: &str, token: &str) -> bool {
        let values = self.values(name);
        values
            .iter()
            .flat_map(|value| value.split(','))
            .any(|element| element.trim().eq_ignore_ascii_case(token))
    }

    pub(crate) fn content_length(&self) -> Option<u64> {
        self.field("content-length").map(|value| value.parse().expect("a content-length is a number"))
    }
}

fn split_field(line: &str) -> (String, String) {
    let (name, value) = line.split_once(':').unwrap_or((line, ""));
    (name.to_owned(), value.trim().to_owned())
}
