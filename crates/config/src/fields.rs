//! Mappings with a fixed set of keys: each key is declared once, and both the reading and the JSON schema follow.

use crate::code::Code;
use crate::decode::{Decode, wrong_kind};
use crate::node::{Entry, Node, Value};
use crate::report::Problems;
use crate::source::Place;
use crate::suggest::did_you_mean;

/// Declares structs whose fields are the keys of a mapping. Every field is an `Option`: a key is absent, or its value
/// was wrong and an error is recorded, which [`Keys::place`] tells apart. `= required` records a missing key.
macro_rules! fields {
    ($(
        $(#[$meta:meta])*
        $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty $(= $required:ident)?,)* }
    )*) => {$(
        $(#[$meta])*
        #[derive(Debug, schemars::JsonSchema)]
        #[schemars(deny_unknown_fields)]
        #[allow(dead_code, reason = "a key with one allowed value is checked by reading it; places are not always asked for")]
        pub(crate) struct $name {
            $($(#[$field_meta])* $(#[schemars($required)])? pub(crate) $field: Option<$type>,)*
            #[schemars(skip)]
            pub(crate) given: crate::fields::Keys,
        }

        impl crate::decode::Decode for $name {
            fn decode(node: &crate::node::Node, problems: &mut crate::report::Problems) -> Option<Self> {
                const KNOWN: &[&str] = &[$(stringify!($field)),*];
                let fields = crate::fields::Fields::of(node, problems)?;
                fields.refuse_unknown(KNOWN, problems);
                $($(fields.$required(stringify!($field), problems);)?)*
                Some(Self {
                    $($field: fields.take(stringify!($field), problems),)*
                    given: fields.keys(KNOWN),
                })
            }
        }
    )*};
}
pub(crate) use fields;

/// The entries of a mapping while its fields are read.
pub(crate) struct Fields<'a> {
    entries: &'a [Entry],
    whole: Place,
}

impl<'a> Fields<'a> {
    /// `None` after recording that this is no mapping.
    pub(crate) fn of(node: &'a Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Mapping(entries) => Some(Fields { entries, whole: node.place }),
            _ => {
                wrong_kind(node, "a mapping", problems);
                None
            }
        }
    }

    /// The value of a key, read.
    pub(crate) fn take<T: Decode>(&self, field: &str, problems: &mut Problems) -> Option<T> {
        let key = key(field);
        let entry = self.entries.iter().find(|entry| &*entry.key == key)?;
        T::decode(&entry.node, problems)
    }

    /// Records a missing key.
    pub(crate) fn required(&self, field: &str, problems: &mut Problems) {
        let key = key(field);
        if !self.entries.iter().any(|entry| &*entry.key == key) {
            problems.add(Code::Missing, self.whole, format!("the key `{key}` is missing"));
        }
    }

    /// Records every key that is none of those known.
    pub(crate) fn refuse_unknown(&self, known: &[&str], problems: &mut Problems) {
        let known: Vec<&str> = known.iter().map(|field| key(field)).collect();
        for entry in self.entries.iter().filter(|entry| !known.contains(&&*entry.key)) {
            if problems.is_full() {
                problems.add(Code::UnknownField, entry.key_place, "");
                continue;
            }
            let guess = did_you_mean(&entry.key, known.iter().copied());
            let mut allowed = known.clone();
            allowed.sort_unstable();
            problems
                .add(
                    Code::UnknownField,
                    entry.key_place,
                    format!("unknown field {}{guess}", crate::node::quote(&entry.key)),
                )
                .note(format!("allowed here: {}", allowed.join(", ")));
        }
    }

    /// Where the keys stand.
    pub(crate) fn keys(&self, known: &[&str]) -> Keys {
        let places = self.entries.iter().map(|entry| (entry.key.clone(), entry.key_place)).collect();
        let unknown = self.entries.iter().any(|entry| !known.iter().any(|field| key(field) == &*entry.key));
        Keys { whole: self.whole, places, unknown }
    }
}

/// Where the keys of a mapping stand, whether or not their values could be read.
#[derive(Debug)]
pub(crate) struct Keys {
    whole: Place,
    places: Vec<(std::rc::Rc<str>, Place)>,
    unknown: bool,
}

impl Keys {
    /// The mapping as a whole.
    pub(crate) fn whole(&self) -> Place {
        self.whole
    }

    /// True when a key was none of those known, so that one that seems missing may be misspelt.
    pub(crate) fn unknown(&self) -> bool {
        self.unknown
    }

    /// True when a key was given besides this one, known or not.
    pub(crate) fn any_but(&self, key: &str) -> bool {
        self.places.iter().any(|(name, _)| &**name != key)
    }

    /// The place of a key, if it was given.
    pub(crate) fn place(&self, key: &str) -> Option<Place> {
        self.places.iter().find(|(name, _)| &**name == key).map(|&(_, place)| place)
    }

    /// The place of a key, else of the mapping.
    pub(crate) fn place_or_whole(&self, key: &str) -> Place {
        self.place(key).unwrap_or(self.whole)
    }
}

/// The key that a field stands for: `r#match` is `match`.
fn key(field: &str) -> &str {
    field.strip_prefix("r#").unwrap_or(field)
}
