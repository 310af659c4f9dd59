//! From the events of the YAML parser to a tree of [`Node`]s: duplicate keys, aliases, merge keys and variables.
//!
//! Aliases share their anchor's node, so memory stays in proportion to the file; the nodes that they stand for are
//! counted, because every later step walks them as if written out.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use granit_parser::{Event, Parser, ScalarStyle, Span};

use crate::code::Code;
use crate::node::{Entry, Node, Resolved, Scalar, Style, Value, quote};
use crate::report::Problems;
use crate::source::{Place, Sources};
use crate::syntax;
use crate::variable::{VariableError, substitute};

/// What the values of variables are taken from.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The tree of a file; `None` when it has none, with the reason recorded.
pub(crate) fn compose(
    sources: &Sources,
    file: u32,
    env: Environment<'_>,
    problems: &mut Problems,
) -> Option<Rc<Node>> {
    let text = sources.text(file);
    let options = granit_parser::options! {
        emit_comments: false, flow_nesting_limit: DEEPEST, block_nesting_limit: DEEPEST
    };
    let mut composer = Composer::new(file, sources, env, problems);
    for next in Parser::new_from_str_with_options(text, options) {
        match next {
            Ok((event, span)) => composer.event(event, span)?,
            Err(error) => {
                syntax::refuse(&error, file, text, DEEPEST, composer.problems);
                return None;
            }
        }
    }
    composer.finish()
}

struct Composer<'a> {
    file: u32,
    sources: &'a Sources,
    env: Environment<'a>,
    problems: &'a mut Problems,
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
    /// Key texts, shared by all mappings that have them.
    keys: HashSet<Rc<str>>,
    nodes: usize,
    /// Nodes that stand behind aliases.
    repeated: usize,
    root: Option<Rc<Node>>,
}

/// A collection whose end is still to come.
struct Open {
    place: Place,
    anchor: usize,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Rc<Node>>),
    Mapping {
        entries: Vec<Entry>,
        merges: Vec<(Place, Rc<Node>)>,
        key: PendingKey,
        seen: HashMap<Rc<str>, usize>,
    },
}

/// Where a mapping stands between a key and its value.
enum PendingKey {
    None,
    Key(Rc<str>, Place),
    Merge(Place),
    /// The key was refused; its value is read and dropped.
    Refused,
}

/// What every step gives: `None` ends the file.
type Step = Option<()>;

impl<'a> Composer<'a> {
    fn new(file: u32, sources: &'a Sources, env: Environment<'a>, problems: &'a mut Problems) -> Self {
        Composer {
            file,
            sources,
            env,
            problems,
            open: Vec::new(),
            anchors: HashMap::new(),
            keys: HashSet::new(),
            nodes: 0,
            repeated: 0,
            root: None,
        }
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Step {
        let place = self.place(span);
        match event {
            Event::DocumentStart(..) if self.root.is_some() => {
                self.problems.add(Code::Unsupported, place, "a second document in one file");
                None
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(tag.is_some(), place);
                if self.expects_key() {
                    return self.key(&text, style, place);
                }
                let scalar = self.scalar(&text, style, place);
                self.add(place, Value::Scalar(scalar), anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_tag(tag.is_some(), place);
                self.begin(place, anchor, OpenKind::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_tag(tag.is_some(), place);
                let kind = OpenKind::Mapping {
                    entries: Vec::new(),
                    merges: Vec::new(),
                    key: PendingKey::None,
                    seen: HashMap::new(),
                };
                self.begin(place, anchor, kind)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(place),
            Event::Alias(anchor) => self.alias(anchor, place),
            _ => Some(()),
        }
    }

    fn finish(mut self) -> Option<Rc<Node>> {
        let whole = Place::whole(self.file);
        let empty = match &self.root {
            None => true,
            Some(node) => node.scalar().is_some_and(|scalar| scalar.resolved() == Resolved::Null),
        };
        if empty {
            self.problems
                .add(Code::Empty, whole, "the file holds no configuration")
                .note("the least one: `version: 1`, a listener, a route, a service");
            return None;
        }
        self.root.take()
    }

    fn place(&self, span: Span) -> Place {
        let start = span.start.byte_offset().unwrap_or(0);
        let end = span.end.byte_offset().unwrap_or(start).max(start);
        // Files are far smaller than 4 GiB.
        Place { file: self.file, start: start as u32, end: end as u32 }
    }

    fn refuse_tag(&mut self, tagged: bool, place: Place) {
        if tagged {
            self.problems.add(Code::Unsupported, place, "YAML tags have no meaning here");
        }
    }

    fn expects_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { kind: OpenKind::Mapping { key: PendingKey::None, .. }, .. }))
    }

    /// A scalar in the place of a key.
    fn key(&mut self, text: &str, style: ScalarStyle, place: Place) -> Step {
        if text == "<<" && style == ScalarStyle::Plain {
            self.pend(PendingKey::Merge(place));
            return Some(());
        }
        let key = match self.keys.get(text) {
            Some(key) => Rc::clone(key),
            None => {
                let key: Rc<str> = Rc::from(text);
                self.keys.insert(Rc::clone(&key));
                key
            }
        };
        self.pend(PendingKey::Key(key, place));
        Some(())
    }

    fn pend(&mut self, pending: PendingKey) {
        if let Some(Open { kind: OpenKind::Mapping { key, .. }, .. }) = self.open.last_mut() {
            *key = pending;
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, place: Place) -> Scalar {
        let plain = style == ScalarStyle::Plain;
        let raw_style = if plain { Style::Plain } else { Style::Text };
        match substitute(text, self.env) {
            Ok(Some(done)) if done.any => Scalar {
                text: done.text.into(),
                style: if done.whole { Style::Variable } else { Style::Text },
                shown: Some(text.into()),
            },
            Ok(Some(done)) => Scalar { text: done.text.into(), style: Style::Text, shown: None },
            Ok(None) => Scalar { text: text.into(), style: raw_style, shown: None },
            Err(error) => {
                self.refuse_variable(&error, place);
                Scalar { text: text.into(), style: Style::Broken, shown: Some(text.into()) }
            }
        }
    }

    fn refuse_variable(&mut self, error: &VariableError, place: Place) {
        let (message, note) = match error {
            VariableError::Unset(name) => (
                format!("the variable `{name}` is not set"),
                format!("set it, or give a default: `${{{name}:-default}}`"),
            ),
            VariableError::Unclosed => {
                ("`${` without `}`".to_owned(), "a literal `${` is written `$${`".to_owned())
            }
            VariableError::Malformed(inside) => (
                format!("{} is not a variable", quote(&format!("${{{inside}}}"))),
                "variables look like `${NAME}` or `${NAME:-default}`; a literal `${` is written `$${`"
                    .to_owned(),
            ),
        };
        self.problems.add(Code::Variable, place, message).note(note);
    }

    fn begin(&mut self, place: Place, anchor: usize, kind: OpenKind) -> Step {
        if self.expects_key() {
            self.problems.add(Code::Unsupported, place, "a key must be text");
            self.pend(PendingKey::Refused);
            // The collection itself is read as the value of nothing and dropped at its end.
            self.open.push(Open { place, anchor: KEY, kind });
            return Some(());
        }
        self.open.push(Open { place, anchor, kind });
        Some(())
    }

    fn end(&mut self, end: Place) -> Step {
        let Open { place, anchor, kind } = self.open.pop()?;
        if anchor == KEY {
            return Some(());
        }
        let place = Place { end: end.end.max(place.start), ..place };
        let value = match kind {
            OpenKind::List(items) => Value::List(items),
            OpenKind::Mapping { entries, merges, seen, .. } => {
                Value::Mapping(self.merge(entries, merges, seen))
            }
        };
        self.add(place, value, anchor)
    }

    fn alias(&mut self, anchor: usize, place: Place) -> Step {
        if self.expects_key() {
            self.problems.add(Code::Unsupported, place, "an alias cannot be a key");
            self.pend(PendingKey::Refused);
            return Some(());
        }
        let Some(node) = self.anchors.get(&anchor).map(Rc::clone) else {
            self.problems.add(Code::TooMuch, place, "this alias stands inside of what it stands for");
            return None;
        };
        self.repeated = self.repeated.saturating_add(node.weight);
        if self.repeated > MOST_REPEATED {
            self.problems
                .add(Code::TooMuch, place, format!("aliases stand for more than {MOST_REPEATED} values"))
                .note("write the values out, or split them into files with `include`");
            return None;
        }
        self.attach(node)
    }

    /// A new node is complete.
    fn add(&mut self, place: Place, value: Value, anchor: usize) -> Step {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            self.problems.add(Code::TooMuch, place, format!("more than {MOST_NODES} values in one file"));
            return None;
        }
        let weight = match &value {
            Value::Scalar(_) => 1,
            Value::List(items) => items.iter().fold(1, |sum: usize, item| sum.saturating_add(item.weight)),
            Value::Mapping(entries) => {
                entries.iter().fold(1, |sum: usize, entry| sum.saturating_add(entry.node.weight))
            }
        };
        let node = Rc::new(Node { place, value, weight });
        if anchor != 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        self.attach(node)
    }

    /// Puts a node into the collection that is open, or makes it the root.
    fn attach(&mut self, node: Rc<Node>) -> Step {
        match self.open.last_mut().map(|open| &mut open.kind) {
            None => self.root = Some(node),
            Some(OpenKind::List(items)) => items.push(node),
            Some(OpenKind::Mapping { entries, merges, key, seen }) => {
                match std::mem::replace(key, PendingKey::None) {
                    PendingKey::Key(key, key_place) => match seen.get(&key) {
                        Some(&first) => {
                            let place = entries[first].key_place;
                            self.problems
                                .add(Code::DuplicateKey, key_place, format!("{} is given twice", quote(&key)))
                                .note(format!("first in {}", self.sources.label(place)));
                        }
                        None => {
                            seen.insert(Rc::clone(&key), entries.len());
                            entries.push(Entry { key, key_place, node });
                        }
                    },
                    PendingKey::Merge(place) => merges.push((place, node)),
                    PendingKey::Refused | PendingKey::None => {}
                }
            }
        }
        Some(())
    }

    /// `<<: *base` or `<<: [*one, *two]`: keys of the mapping itself win, then those of earlier bases.
    fn merge(
        &mut self,
        mut entries: Vec<Entry>,
        merges: Vec<(Place, Rc<Node>)>,
        mut seen: HashMap<Rc<str>, usize>,
    ) -> Vec<Entry> {
        for (place, node) in merges {
            let bases: &[Rc<Node>] = match &node.value {
                Value::List(bases) => bases,
                _ => std::slice::from_ref(&node),
            };
            for base in bases {
                let Value::Mapping(inherited) = &base.value else {
                    self.problems
                        .add(Code::Unsupported, place, format!("`<<` merges mappings, found {base}"))
                        .note("like `<<: *base`, where `&base` marks a mapping");
                    continue;
                };
                for entry in inherited {
                    if !seen.contains_key(&entry.key) {
                        seen.insert(Rc::clone(&entry.key), entries.len());
                        entries.push(entry.clone());
                    }
                }
            }
        }
        entries
    }
}

/// Marks a collection in the place of a key; the parser's own anchors are counted from 1 and cannot reach it.
const KEY: usize = usize::MAX;

/// Levels of nesting; the deepest setting has ten.
const DEEPEST: usize = 64;

/// Values in one file: some 400,000 routes.
const MOST_NODES: usize = 2_000_000;

/// Values behind aliases in one file.
const MOST_REPEATED: usize = 100_000;
