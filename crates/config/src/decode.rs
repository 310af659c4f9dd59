//! From nodes to typed values, going on after every error.
//!
//! A [`Decode`] gives `None` after it has recorded why, and whoever asked carries on with the next value: one pass
//! finds all that is wrong. The same types describe themselves in the JSON schema.

mod schemas;

use std::rc::Rc;

use crate::code::Code;
use crate::node::{Node, Resolved, Style, Value};
use crate::report::Problems;
use crate::source::Place;
use crate::suggest::did_you_mean;

/// A type that can be read from a node.
pub(crate) trait Decode: Sized {
    /// `None` after recording at least one error.
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self>;
}

/// A type that is written as one scalar.
pub(crate) trait Leaf: Sized {
    /// As in "expected …".
    const WANTED: &'static str;
    /// Numbers are also given to `parse`, which says what is wrong with them better than "expected text".
    const TAKES_NUMBERS: bool = false;

    /// The value, or what is wrong with the text.
    fn parse(text: &str) -> Result<Self, Complaint>;
}

/// What is wrong with a text, told without repeating it: it may be the value of a variable.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    pub(crate) code: Code,
    /// Goes on after the text: "is not a duration".
    pub(crate) predicate: String,
    /// Advice of general use.
    pub(crate) note: Option<String>,
    /// Advice made of the text, dropped for variables.
    pub(crate) hint: Option<String>,
}

impl Complaint {
    pub(crate) fn new(code: Code, predicate: impl Into<String>) -> Self {
        Complaint { code, predicate: predicate.into(), note: None, hint: None }
    }

    pub(crate) fn note(self, note: impl Into<String>) -> Self {
        Complaint { note: Some(note.into()), ..self }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Complaint { hint: Some(hint.into()), ..self }
    }
}

impl<T: Leaf> Decode for T {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let number = node.scalar().filter(|scalar| {
            T::TAKES_NUMBERS && matches!(scalar.resolved(), Resolved::Integer(_) | Resolved::Float)
        });
        let Some(text) = node.text().or(number.map(|scalar| &*scalar.text)) else {
            wrong_kind(node, T::WANTED, problems);
            return None;
        };
        match T::parse(text) {
            Ok(value) => Some(value),
            Err(complaint) => {
                complain(node, complaint, problems);
                None
            }
        }
    }
}

/// Records a complaint about the text of a node.
pub(crate) fn complain(node: &Node, complaint: Complaint, problems: &mut Problems) {
    if node.is_broken() {
        return;
    }
    let scalar = node.scalar();
    let quoted = scalar.map_or_else(|| node.to_string(), |scalar| scalar.quoted());
    let from_variable = scalar.is_some_and(|scalar| scalar.shown.is_some());
    let hint = complaint.hint.filter(|_| !from_variable);
    problems
        .add(complaint.code, node.place, format!("{quoted} {}", complaint.predicate))
        .notes(hint.into_iter().chain(complaint.note));
}

/// Records "expected …, found …".
pub(crate) fn wrong_kind(node: &Node, wanted: &str, problems: &mut Problems) {
    if node.is_broken() {
        return;
    }
    let problem = problems.add(Code::WrongKind, node.place, format!("expected {wanted}, found {node}"));
    let Some(scalar) = node.scalar().filter(|scalar| scalar.style == Style::Plain) else { return };
    let is_value = !matches!(scalar.resolved(), Resolved::Null | Resolved::Text);
    if is_value && wanted.contains("text") {
        problem.note(format!("quote it to make it text: `\"{}\"`", scalar.text));
    }
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) place: Place,
}

impl<T: Decode> Decode for At<T> {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        T::decode(node, problems).map(|value| At { value, place: node.place })
    }
}

impl Decode for String {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Some(text) = node.text() else {
            wrong_kind(node, "text", problems);
            return None;
        };
        warn_of_boolean_words(node, problems);
        Some(text.to_owned())
    }
}

/// `on`, `yes` and their like are text in YAML 1.2 and booleans in YAML 1.1: other tools would read something else.
pub(crate) fn warn_of_boolean_words(node: &Node, problems: &mut Problems) {
    let Some(scalar) = node.scalar().filter(|scalar| scalar.style == Style::Plain) else { return };
    if BOOLEAN_WORDS.contains(&scalar.text.to_ascii_lowercase().as_str()) {
        problems
            .add(
                Code::BooleanWord,
                node.place,
                format!("{} is text here, but a boolean in YAML 1.1", scalar.quoted()),
            )
            .note(format!("quote it: `\"{}\"`", scalar.text));
    }
}

impl Decode for bool {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        match node.scalar().map(|scalar| scalar.resolved()) {
            Some(Resolved::Boolean(value)) => Some(value),
            _ => {
                wrong_kind(node, "`true` or `false`", problems);
                None
            }
        }
    }
}

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Whole<const MIN: u64, const MAX: u64>(pub(crate) u64);

impl<const MIN: u64, const MAX: u64> Decode for Whole<MIN, MAX> {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let resolved = node.scalar().map(|scalar| scalar.resolved());
        let Some(Resolved::Integer(number)) = resolved else {
            wrong_kind(node, "a whole number", problems);
            return None;
        };
        match u64::try_from(number) {
            Ok(number) if (MIN..=MAX).contains(&number) => Some(Whole(number)),
            _ => {
                complain(node, Complaint::new(Code::Range, format!("is not from {MIN} to {MAX}")), problems);
                None
            }
        }
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Value::List(items) = &node.value else {
            wrong_kind(node, "a list", problems);
            return None;
        };
        Some(items.iter().filter_map(|item| T::decode(item, problems)).collect())
    }
}

/// A value, and whether all of it could be read.
#[derive(Debug)]
pub(crate) struct Checked<T> {
    pub(crate) value: T,
    pub(crate) sound: bool,
}

impl<T: Decode> Decode for Checked<T> {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let errors = problems.errors();
        T::decode(node, problems).map(|value| Checked { value, sound: problems.errors() == errors })
    }
}

/// A list of at least one.
#[derive(Clone, Debug)]
pub(crate) struct AtLeastOne<T>(pub(crate) Vec<T>);

impl<T: Decode> Decode for AtLeastOne<T> {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        if matches!(&node.value, Value::List(items) if items.is_empty()) {
            problems.add(Code::Nothing, node.place, "an empty list");
            return None;
        }
        Vec::decode(node, problems).map(AtLeastOne)
    }
}

/// One value, or a list of at least one.
#[derive(Clone, Debug)]
pub(crate) struct OneOrMany<T>(pub(crate) Vec<At<T>>);

impl<T: Decode> Decode for OneOrMany<T> {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::List(_) => AtLeastOne::decode(node, problems).map(|list| OneOrMany(list.0)),
            _ => At::decode(node, problems).map(|one| OneOrMany(vec![one])),
        }
    }
}

/// A mapping from names to values, in file order. Values that could not be read leave their name.
#[derive(Debug)]
pub(crate) struct Named<T>(pub(crate) Vec<NamedEntry<T>>);

/// A name and its value.
#[derive(Debug)]
pub(crate) struct NamedEntry<T> {
    pub(crate) name: Rc<str>,
    /// Where the name stands.
    pub(crate) place: Place,
    pub(crate) value: Option<T>,
}

impl<T: Decode> Decode for Named<T> {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Value::Mapping(entries) = &node.value else {
            wrong_kind(node, "a mapping of names", problems);
            return None;
        };
        let entries = entries.iter().map(|entry| NamedEntry {
            name: Rc::clone(&entry.key),
            place: entry.key_place,
            value: T::decode(&entry.node, problems),
        });
        Some(Named(entries.collect()))
    }
}

/// `none` for no limit, or a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limit<T>(pub(crate) Option<T>);

impl<T: Decode> Decode for Limit<T> {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        none_or(node, "no limit is written `none`", problems).map(Limit)
    }
}

/// `none` to switch something off, or its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Switch<T>(pub(crate) Option<T>);

impl<T: Decode> Decode for Switch<T> {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        none_or(node, "it is switched off with `none`", problems).map(Switch)
    }
}

/// `Some(None)` for `none`. The note says how `none` is written where another word for it was found.
fn none_or<T: Decode>(node: &Node, note: &str, problems: &mut Problems) -> Option<Option<T>> {
    match node.text() {
        Some("none") => return Some(None),
        Some(text) if NONE_WORDS.contains(&text.to_ascii_lowercase().as_str()) => {
            let complaint = Complaint::new(Code::UnknownWord, "is not known here").note(note);
            complain(node, complaint, problems);
            return None;
        }
        _ => {}
    }
    let is_no_value = node.scalar().is_some_and(|scalar| {
        matches!(scalar.resolved(), Resolved::Null | Resolved::Boolean(_)) && scalar.style == Style::Plain
    });
    if is_no_value {
        let message = format!("expected a value or `none`, found {node}");
        problems.add(Code::WrongKind, node.place, message).note(note);
        return None;
    }
    T::decode(node, problems).map(Some)
}

/// A closed set of words.
pub(crate) trait Words: Copy + 'static {
    /// Each word and what it stands for.
    const WORDS: &'static [(&'static str, Self)];
}

/// One of a closed set of words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Word<T>(pub(crate) T);

impl<T: Words> Decode for Word<T> {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let words = || T::WORDS.iter().map(|&(word, _)| word);
        let allowed = || format!("allowed here: {}", words().collect::<Vec<_>>().join(", "));
        let Some(text) = node.text() else {
            wrong_kind(node, "a word", problems);
            return None;
        };
        if let Some(&(_, value)) = T::WORDS.iter().find(|&&(word, _)| word == text) {
            return Some(Word(value));
        }
        let from_variable = node.scalar().is_some_and(|scalar| scalar.shown.is_some());
        let guess = if from_variable { String::new() } else { did_you_mean(text, words()) };
        complain(
            node,
            Complaint::new(Code::UnknownWord, format!("is not known here{guess}")).note(allowed()),
            problems,
        );
        None
    }
}

/// Booleans of YAML 1.1 that are text in YAML 1.2.
const BOOLEAN_WORDS: &[&str] = &["on", "off", "yes", "no", "y", "n"];

/// What people write for "no limit" and "not at all" elsewhere.
const NONE_WORDS: &[&str] = &["off", "no", "unlimited", "infinite", "infinity", "never", "disabled"];
