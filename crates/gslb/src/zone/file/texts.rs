//! What a zone was read from: while every file of it holds the same, the zone is the same.

use std::hash::{BuildHasher, Hasher};
use std::path::Path;

use foldhash::quality::FixedState;

use super::folder::Folder;

/// The files of a zone in the order in which they were read, told apart by what is in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The zone's own file.
    Own(Print),
    /// One that the last one includes, by the name that it has there.
    Included(Box<str>, Print),
    /// Its end.
    End,
}

/// What identifies a text: its length, and 128 bits of hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Print(usize, [u64; 2]);

impl Print {
    pub(super) fn of(text: &[u8]) -> Self {
        let hash = |seed| {
            let mut hasher = FixedState::with_seed(seed).build_hasher();
            hasher.write(text);
            hasher.finish()
        };
        Print(text.len(), [hash(0x9e37_79b9_7f4a_7c15), hash(0x2545_f491_4f6c_dd1d)])
    }
}

impl Texts {
    pub(super) fn of(steps: Vec<Step>) -> Self {
        Texts(steps)
    }

    /// Whether the zone at a path would be read from the same texts again.
    pub fn are_at(&self, path: &Path) -> bool {
        let Some((Step::Own(own), others)) = self.0.split_first() else { return false };
        let Ok((mut folder, text)) = Folder::open(path) else { return false };
        Print::of(&text.bytes) == *own && others.iter().all(|step| is_next(&mut folder, step))
    }
}

fn is_next(folder: &mut Folder, step: &Step) -> bool {
    match step {
        Step::Own(_) => false,
        Step::Included(name, print) => {
            folder.include(name).is_ok_and(|text| Print::of(&text.bytes) == *print)
        }
        Step::End => {
            folder.close();
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::zone::file::read_with_texts;

    #[test]
    fn texts_are_the_same_while_every_file_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let write = |name: &str, text: &str| fs::write(at(name), text).expect("a file");
        let zone =
            "$TTL 1h\n@ SOA ns1 hostmaster 1 1h 15m 1w 60\n@ NS ns1\n$INCLUDE a\nz A 192.0.2.9\n$INCLUDE b\n";
        let (a, b, c) = ("a A 192.0.2.1\n$INCLUDE c\n", "b A 192.0.2.2\n", "c A 192.0.2.3\n");
        for (name, text) in [("zone", zone), ("a", a), ("b", b), ("c", c)] {
            write(name, text);
        }
        let origin = "example.com".parse().expect("a name");
        let (records, texts) = read_with_texts(&at("zone"), &origin).expect("nothing is wrong");
        assert_eq!(records.len(), 6);
        assert!(texts.are_at(&at("zone")) && !texts.are_at(&at("a")) && !texts.are_at(&at("nope")));
        for (name, text) in [("zone", zone), ("a", a), ("b", b), ("c", c)] {
            write(name, &text.replace("192.0.2", "192.0.3").replace("1h", "2h"));
            assert!(!texts.are_at(&at("zone")), "{name} has changed");
            fs::remove_file(at(name)).expect("it was there");
            assert!(!texts.are_at(&at("zone")), "{name} is gone");
            write(name, text);
            assert!(texts.are_at(&at("zone")), "{name} is as before");
        }
        assert!(!Texts::default().are_at(&at("zone")));
    }
}
