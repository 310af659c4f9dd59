//! The texts that were read, and places in them.

mod hidden;

use std::fmt::Write as _;

/// A range of bytes in one of the [`Sources`]. Empty at 0 it stands for the file as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    /// Index into the sources.
    pub(crate) file: u32,
    /// First byte.
    pub(crate) start: u32,
    /// One beyond the last byte.
    pub(crate) end: u32,
}

impl Place {
    /// The file as a whole.
    pub(crate) fn whole(file: u32) -> Self {
        Place { file, start: 0, end: 0 }
    }
}

/// A place as people read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// From 1.
    pub(crate) line: usize,
    /// In characters, from 1.
    pub(crate) column: usize,
    /// The line as it can be shown: no tabs or control characters, secrets blotted out, long lines cut.
    pub(crate) excerpt: String,
    /// Where the caret starts within the excerpt, in characters.
    pub(crate) caret: usize,
    /// How many carets.
    pub(crate) width: usize,
}

/// All texts of one load.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    files: Vec<Source>,
}

#[derive(Debug)]
struct Source {
    name: String,
    text: String,
    /// Byte offsets at which lines begin.
    lines: Vec<u32>,
    /// Ranges that must never be shown.
    secrets: Vec<(u32, u32)>,
}

impl Sources {
    /// Takes a text without its byte order mark and gives its index.
    pub(crate) fn add(&mut self, name: String, text: String) -> u32 {
        let lines = line_starts(&text);
        self.files.push(Source { name, text, lines, secrets: Vec::new() });
        self.files.len() as u32 - 1
    }

    /// The name under which a file was read.
    pub(crate) fn name(&self, file: u32) -> &str {
        &self.files[file as usize].name
    }

    /// The text of a file.
    pub(crate) fn text(&self, file: u32) -> &str {
        &self.files[file as usize].text
    }

    /// From now on the place is shown as asterisks.
    pub(crate) fn hide(&mut self, place: Place) {
        self.files[place.file as usize].secrets.push((place.start, place.end));
    }

    /// `FILE:LINE:COLUMN` for a note about another place.
    pub(crate) fn label(&self, place: Place) -> String {
        let mut label = self.name(place.file).to_owned();
        if let Some((line, column)) = self.files[place.file as usize].line_and_column(place.start) {
            // Writing to a String cannot fail.
            let _ = write!(label, ":{}:{}", line + 1, column + 1);
        }
        label
    }

    /// Where a place is; `None` in a file without text.
    pub(crate) fn position(&self, place: Place) -> Option<Position> {
        self.files[place.file as usize].position(place)
    }
}

impl Source {
    /// Both from 0.
    fn line_and_column(&self, offset: u32) -> Option<(usize, usize)> {
        if self.text.is_empty() {
            return None;
        }
        let line = self.lines.partition_point(|&start| start <= offset) - 1;
        let head = self.text.get(self.lines[line] as usize..offset as usize).unwrap_or("");
        Some((line, head.chars().count()))
    }

    fn position(&self, place: Place) -> Option<Position> {
        let (line, column) = self.line_and_column(place.start)?;
        let start = self.lines[line];
        let end = self.lines.get(line + 1).map_or(self.text.len() as u32, |&next| next);
        let raw = self.text.get(start as usize..end as usize).unwrap_or("");
        if raw.len() > LONGEST_LINE {
            let excerpt = format!("(a line of {} bytes)", raw.len());
            return Some(Position { line: line + 1, column: column + 1, excerpt, caret: 0, width: 1 });
        }
        let shown: Vec<char> = self.blotted(raw.trim_end_matches(['\n', '\r']), start);
        let last = place.end.clamp(place.start, end);
        let marked = self.text.get(place.start as usize..last as usize).unwrap_or("");
        let width = marked.trim_end().chars().count().max(1);
        let (excerpt, caret) = window(&shown, column);
        let width = width.min(excerpt.chars().count().saturating_sub(caret).max(1));
        Some(Position { line: line + 1, column: column + 1, excerpt, caret, width })
    }

    /// The characters of a line, secrets as asterisks.
    fn blotted(&self, raw: &str, start: u32) -> Vec<char> {
        let by_name = hidden::ranges(raw, self.text.get(..start as usize).unwrap_or(""));
        raw.char_indices()
            .map(|(index, character)| {
                let at = start + index as u32;
                let hidden = self.secrets.iter().any(|&(from, to)| (from..to).contains(&at))
                    || by_name.iter().any(|range| range.contains(&index));
                match character {
                    _ if hidden => '*',
                    character if character.is_control() => ' ',
                    character => character,
                }
            })
            .collect()
    }
}

/// Offsets after each line break: LF, CR LF or a lone CR, as YAML has it.
fn line_starts(text: &str) -> Vec<u32> {
    let bytes = text.as_bytes();
    let mut starts = vec![0];
    for (index, &byte) in bytes.iter().enumerate() {
        if byte == b'\n' || (byte == b'\r' && bytes.get(index + 1) != Some(&b'\n')) {
            starts.push(index as u32 + 1);
        }
    }
    starts
}

/// At most [`EXCERPT`] characters of a line around a column, and the column within them.
fn window(line: &[char], column: usize) -> (String, usize) {
    if line.len() <= EXCERPT {
        return (line.iter().collect(), column);
    }
    let from = column.saturating_sub(EXCERPT / 3).min(line.len() - EXCERPT);
    let to = from + EXCERPT;
    let before = if from > 0 { "…" } else { "" };
    let after = if to < line.len() { "…" } else { "" };
    let text: String = line[from..to].iter().collect();
    (format!("{before}{text}{after}"), column - from + before.chars().count())
}

/// Longest line, in bytes, that is looked at for an excerpt: many errors in one line stay cheap.
const LONGEST_LINE: usize = 64 << 10;

/// Longest excerpt in characters: fits a wide terminal.
const EXCERPT: usize = 140;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters() {
        fn check(text: &str, marked: &str, line: usize, column: usize) {
            let mut sources = Sources::default();
            let file = sources.add("f".into(), text.into());
            let start = text.find(marked).expect("the mark is in the text") as u32;
            let place = Place { file, start, end: start + marked.len() as u32 };
            let position = sources.position(place).expect("the text is not empty");
            assert_eq!((position.line, position.column), (line, column), "{text:?}");
        }
        check("abc", "abc", 1, 1);
        check("a\nbc", "c", 2, 2);
        check("a\r\nbc", "c", 2, 2);
        check("a\rbc", "c", 2, 2);
        check("ä\näöü", "ü", 2, 3);
    }

    #[test]
    fn secrets_are_blotted_out() {
        fn check(text: &str, shown: &str) {
            let mut sources = Sources::default();
            let file = sources.add("f".into(), text.into());
            assert_eq!(sources.position(Place::whole(file)).expect("some text").excerpt, shown);
        }
        check("token: abc", "token: ***");
        check("admin: { bind: x, token: \"abc\" }", "admin: { bind: x, token: ***** }");
        check("token: file:/etc/t", "token: file:/etc/t");
        check("token: ${TOKEN}", "token: ${TOKEN}");
        check("{ token: abc, bind: x }", "{ token: ***, bind: x }");
        check("token: abc, def}", "token: *********");
        check("tokenise it", "tokenise it");
        check("{ keys: [abc, def], name: x }", "{ keys: **********, name: x }");
        check("keys: [\"file:/a\", \"${KEY}\"]", "keys: [\"file:/a\", \"${KEY}\"]");
        check("keys: [\"file:/a\", abc]", "keys: ****************");
        check("keys: [abc, ", "keys: ******");
    }

    #[test]
    fn secrets_in_lists_are_blotted_out() {
        fn check(text: &str, shown: &str) {
            let mut sources = Sources::default();
            let file = sources.add("f".into(), text.into());
            let last = Place { file, start: text.len() as u32 - 1, end: text.len() as u32 };
            assert_eq!(sources.position(last).expect("some text").excerpt, shown, "{text:?}");
        }
        check("keys:\n  - abc", "  - ***");
        check("keys:\n  - file:/a\n  - abc", "  - ***");
        check("keys:\n  - file:/a", "  - file:/a");
        check("keys:\n  - abc\nother:\n  - def", "  - def");
        check("endpoints:\n  - abc", "  - abc");
    }

    #[test]
    fn long_lines_are_cut_around_the_caret() {
        let line: Vec<char> = (0..500).map(|index| char::from(b'a' + (index % 26) as u8)).collect();
        for column in [0, 30, 250, 499] {
            let (text, caret) = window(&line, column);
            assert!(text.chars().count() <= EXCERPT + 2);
            assert_eq!(text.chars().nth(caret), Some(line[column]));
        }
    }
}
