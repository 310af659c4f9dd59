//! What a text that is not YAML most likely suffers from.

use granit_parser::{ErrorKind, ScanError};

use crate::code::Code;
use crate::report::Problems;
use crate::source::Place;

/// Records why a text cannot be parsed.
pub(crate) fn refuse(error: &ScanError, file: u32, text: &str, deepest: usize, problems: &mut Problems) {
    let start = error.marker().byte_offset().unwrap_or(text.len()).min(text.len());
    // At the end of the text the last line says more than the empty one behind it.
    let start = if start == text.len() { text.trim_end().len() } else { start };
    let start = floor(text, start);
    let place = Place { file, start: start as u32, end: start as u32 + 1 };
    if *error.kind() == ErrorKind::RecursionLimitExceeded {
        problems.add(Code::TooMuch, place, format!("more than {deepest} levels of nesting"));
        return;
    }
    let line_start = text[..start].rfind(['\n', '\r']).map_or(0, |index| index + 1);
    let line = text[line_start..].lines().next().unwrap_or("");
    problems
        .add(Code::Syntax, place, format!("not valid YAML: {}", error.kind()))
        .notes(hint(error.kind(), line, &text[start..]).map(str::to_owned));
}

fn hint(kind: &ErrorKind, line: &str, rest: &str) -> Option<&'static str> {
    if *kind == ErrorKind::UnknownAnchor && rest.starts_with("*.") {
        Some("text that begins with `*` must be quoted: `\"*.example.com\"`")
    } else if *kind == ErrorKind::UnknownAnchor {
        Some("an alias `*name` needs an anchor `&name` before it, in the same file")
    } else if line.contains("${") && line.contains(['{', '[']) {
        Some("within `{ }` and `[ ]` a variable must be quoted: `\"${NAME}\"`")
    } else if line.contains('\t') {
        Some("YAML is indented with spaces, not with tabs")
    } else {
        None
    }
}

/// The nearest character boundary at or before an offset.
fn floor(text: &str, mut offset: usize) -> usize {
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}
