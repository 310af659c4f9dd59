//! A YAML document as a tree in which every key and value knows its place.

use std::fmt;
use std::rc::Rc;

use crate::source::Place;

/// A value and its place. Aliases share their anchor's node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
    /// How many nodes this one is when aliases are counted as if written out.
    pub(crate) weight: usize,
}

/// What a node holds.
#[derive(Debug)]
pub(crate) enum Value {
    Scalar(Scalar),
    List(Vec<Rc<Node>>),
    /// In file order; keys are unique.
    Mapping(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: Rc<str>,
    pub(crate) key_place: Place,
    pub(crate) node: Rc<Node>,
}

/// A scalar after variables were put in.
#[derive(Debug)]
pub(crate) struct Scalar {
    pub(crate) text: Box<str>,
    pub(crate) style: Style,
    /// What messages show instead of the text: the value of a variable may be a secret.
    pub(crate) shown: Option<Box<str>>,
}

/// How a scalar's type is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// By its look.
    Plain,
    /// Text: quoted, a block, or variables among other text.
    Text,
    /// The whole scalar was one variable: whatever is wanted.
    Variable,
    /// A variable could not be put in. An error is recorded; nobody complains again.
    Broken,
}

/// The type of a scalar by the YAML 1.2 core schema.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Resolved {
    Null,
    Boolean(bool),
    Integer(i128),
    Float,
    Text,
}

impl Node {
    /// The text, if this is text.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) if scalar.is_text() => Some(&scalar.text),
            _ => None,
        }
    }

    /// The scalar, if this is one.
    pub(crate) fn scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// True where a variable could not be put in, which is recorded already.
    pub(crate) fn is_broken(&self) -> bool {
        self.scalar().is_some_and(|scalar| scalar.style == Style::Broken)
    }

    /// The value of a key, if this is a mapping that has it.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Mapping(entries) => entries.iter().find(|entry| &*entry.key == key),
            _ => None,
        }
    }
}

impl fmt::Display for Node {
    /// As in "expected a list, found …".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Value::Scalar(scalar) => scalar.fmt(f),
            Value::List(_) => f.write_str("a list"),
            Value::Mapping(_) => f.write_str("a mapping"),
        }
    }
}

impl Scalar {
    /// True for text, and for a variable where text is wanted.
    fn is_text(&self) -> bool {
        match self.style {
            Style::Text | Style::Variable => true,
            Style::Broken => false,
            Style::Plain => resolve(&self.text) == Resolved::Text,
        }
    }

    /// The type; quoted scalars are always text.
    pub(crate) fn resolved(&self) -> Resolved {
        match self.style {
            Style::Text | Style::Broken => Resolved::Text,
            Style::Plain | Style::Variable => resolve(&self.text),
        }
    }

    /// The scalar as messages show it, shortened.
    pub(crate) fn quoted(&self) -> String {
        match &self.shown {
            Some(shown) => format!("the value of {}", quote(shown)),
            None => quote(&self.text),
        }
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = match self.resolved() {
            _ if self.shown.is_some() => return f.write_str(&self.quoted()),
            Resolved::Null => return f.write_str("nothing"),
            Resolved::Boolean(_) => "the boolean",
            Resolved::Integer(_) | Resolved::Float => "the number",
            Resolved::Text => "the text",
        };
        write!(f, "{noun} {}", self.quoted())
    }
}

/// Text in backticks, at most [`SHOWN`] characters of it.
pub(crate) fn quote(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        _ if text.is_empty() => "empty text".to_owned(),
        Some((end, _)) => format!("`{}…`", &text[..end]),
        None => format!("`{text}`"),
    }
}

/// The core schema of YAML 1.2 (§10.3.2).
fn resolve(text: &str) -> Resolved {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Resolved::Null,
        "true" | "True" | "TRUE" => return Resolved::Boolean(true),
        "false" | "False" | "FALSE" => return Resolved::Boolean(false),
        ".nan" | ".NaN" | ".NAN" => return Resolved::Float,
        _ => {}
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return Resolved::Float;
    }
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Resolved::Text;
    }
    if let Some(integer) = integer(text) {
        return Resolved::Integer(integer);
    }
    // Rust's floats also accept words like `inf`; those never begin with a digit or a dot.
    match text.parse::<f64>() {
        Ok(_) => Resolved::Float,
        Err(_) => Resolved::Text,
    }
}

fn integer(text: &str) -> Option<i128> {
    if let Some(digits) = text.strip_prefix("0x") {
        return i128::from_str_radix(digits, 16).ok();
    }
    if let Some(digits) = text.strip_prefix("0o") {
        return i128::from_str_radix(digits, 8).ok();
    }
    text.parse().ok()
}

/// Longest text that a message repeats, in characters.
const SHOWN: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_resolve_by_the_core_schema() {
        fn check(text: &str, expected: Resolved) {
            assert_eq!(resolve(text), expected, "{text:?}");
        }
        check("", Resolved::Null);
        check("~", Resolved::Null);
        check("null", Resolved::Null);
        check("true", Resolved::Boolean(true));
        check("FALSE", Resolved::Boolean(false));
        check("yes", Resolved::Text);
        check("on", Resolved::Text);
        check("0", Resolved::Integer(0));
        check("-12", Resolved::Integer(-12));
        check("0x1F", Resolved::Integer(31));
        check("0o17", Resolved::Integer(15));
        check("017", Resolved::Integer(17));
        check("1.5", Resolved::Float);
        check("1e3", Resolved::Float);
        check("-.inf", Resolved::Float);
        check(".nan", Resolved::Float);
        check("inf", Resolved::Text);
        check("22:22", Resolved::Text);
        check("5s", Resolved::Text);
        check("10.0.0.1", Resolved::Text);
        check("0x", Resolved::Text);
    }
}
