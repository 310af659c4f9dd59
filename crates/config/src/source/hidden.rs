//! Which parts of a line look like secrets, even where the file cannot be parsed.

use std::ops::Range;

/// The parts of a line that must not be shown, given all that stands before the line.
pub(super) fn ranges(line: &str, before: &str) -> Vec<Range<usize>> {
    if is_secret_item(line, before) { of_item(line).into_iter().collect() } else { of_keys(line) }
}

/// True for an item of a list whose key, some lines before, says that it is secret.
fn is_secret_item(line: &str, before: &str) -> bool {
    let is_item = |line: &str| line.trim_start().starts_with('-');
    if !is_item(line) {
        return false;
    }
    let key = before.lines().rev().take(LONGEST_LIST).find(|line| !is_item(line));
    key.is_some_and(|key| {
        let key = key.trim_end().to_ascii_lowercase();
        key.ends_with(':') && SECRET_WORDS.iter().any(|word| key.contains(word))
    })
}

/// Values of keys whose name says that they are secret, even where the file cannot be parsed.
/// A reference to a file or a variable is not the secret itself.
fn of_keys(line: &str) -> Vec<Range<usize>> {
    let lower = line.to_ascii_lowercase();
    let mut ranges = Vec::new();
    for word in SECRET_WORDS {
        for (index, _) in lower.match_indices(word) {
            let Some(colon) = lower[index..].find(':').map(|offset| index + offset) else { continue };
            let key = &lower[index..colon];
            let is_key =
                key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '"' | '\'' | ' '));
            let value = line[colon + 1..].trim_start_matches([' ', '\t']);
            if is_key && !is_reference(value) {
                let start = line.len() - value.len();
                ranges.push(start..start + value_length(value, line[..index].contains('{')));
            }
        }
    }
    ranges
}

/// The value of a line that is an item of a list.
fn of_item(line: &str) -> Option<Range<usize>> {
    let value = line.trim_start().strip_prefix('-')?.trim_start_matches([' ', '\t']);
    (!is_reference(value)).then(|| line.len() - value.len()..line.len())
}

/// True for `file:` or a variable, and for a list in brackets of nothing else.
fn is_reference(value: &str) -> bool {
    let refers = |item: &str| {
        let bare = item.trim_start_matches([' ', '\t', '"', '\'']);
        bare.starts_with("file:") || bare.starts_with("${")
    };
    match value.strip_prefix('[') {
        Some(list) => list.split(']').next().unwrap_or(list).split(',').all(refers),
        None => refers(value),
    }
}

/// How far a value reaches: to its closing quote or bracket, to the end of a flow entry, else to the end of the line.
fn value_length(value: &str, in_flow: bool) -> usize {
    if value.starts_with('[') {
        return value.rfind(']').map_or(value.len(), |end| end + 1);
    }
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''));
    let end = match quote {
        Some(quote) => value[1..].rfind(quote).map(|end| end + 2),
        None if in_flow => value.find([',', '}']),
        None => None,
    };
    end.unwrap_or(value.len())
}

const SECRET_WORDS: &[&str] =
    &["token", "secret", "password", "keys", "authorization", "api-key", "api_key", "apikey"];

/// Lines that are looked through for the key of a list.
const LONGEST_LIST: usize = 64;
