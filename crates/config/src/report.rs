//! Everything that is wrong, collected in one pass and printed for people or machines.
//!
//! [`Problems`] is filled while loading and still knows byte ranges; a [`Report`] stands by itself.

use std::collections::HashSet;
use std::fmt::{self, Write as _};

use serde_json::json;

use crate::code::{Code, Severity};
use crate::source::{Place, Position, Sources};

/// All errors and warnings of a configuration: errors first, each kind in file order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    diagnostics: Vec<Diagnostic>,
    /// How many more errors there were than are kept.
    dropped_errors: usize,
    dropped_warnings: usize,
}

/// One error or warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind of problem.
    pub code: Code,
    /// What is wrong, in one line.
    pub message: String,
    /// The file.
    pub file: String,
    /// From 1; `None` where the file as a whole is meant.
    pub line: Option<usize>,
    /// In characters, from 1.
    pub column: Option<usize>,
    /// How to mend it, and which other places are involved.
    pub notes: Vec<String>,
    position: Option<Position>,
}

impl Report {
    /// Errors first, each kind in file order.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// True when there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.diagnostics.is_empty()
    }

    /// How many errors there are.
    pub fn errors(&self) -> usize {
        self.dropped_errors + self.count(Severity::Error)
    }

    /// How many warnings there are.
    pub fn warnings(&self) -> usize {
        self.dropped_warnings + self.count(Severity::Warning)
    }

    fn count(&self, severity: Severity) -> usize {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.code.severity() == severity).count()
    }

    /// `2 errors, 1 warning`; empty when there is nothing.
    pub fn summary(&self) -> String {
        let plural = |count: usize, noun: &str| match count {
            0 => None,
            1 => Some(format!("1 {noun}")),
            count => Some(format!("{count} {noun}s")),
        };
        let parts = [plural(self.errors(), "error"), plural(self.warnings(), "warning")];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// Every diagnostic with its source line and caret, and the summary as the last line.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for diagnostic in &self.diagnostics {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{diagnostic}");
        }
        let dropped = self.dropped_errors + self.dropped_warnings;
        if dropped > 0 {
            let _ = writeln!(text, "… and {dropped} more");
        }
        if !self.is_empty() {
            let _ = writeln!(text, "{}", self.summary());
        }
        text
    }

    /// An array of `{code, severity, message, file, line, column, notes}`.
    pub fn to_json(&self) -> serde_json::Value {
        let value = |diagnostic: &Diagnostic| {
            json!({
                "code": diagnostic.code.as_str(),
                "severity": diagnostic.code.severity().to_string(),
                "message": diagnostic.message,
                "file": diagnostic.file,
                "line": diagnostic.line,
                "column": diagnostic.column,
                "notes": diagnostic.notes,
            })
        };
        self.diagnostics.iter().map(value).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text())
    }
}

impl std::error::Error for Report {}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]: {}", self.code.severity(), self.code, self.message)?;
        let gutter = self.line.map_or(1, |line| line.to_string().len());
        write!(f, "\n{:gutter$}--> {}", "", self.file)?;
        if let Some(Position { line, column, excerpt, caret, width }) = &self.position {
            write!(f, ":{line}:{column}\n{:gutter$} |\n{line} | {excerpt}", "")?;
            write!(f, "\n{:gutter$} | {:caret$}{:^<width$}", "", "", "")?;
        }
        for note in &self.notes {
            write!(f, "\n{:gutter$} = {note}", "")?;
        }
        Ok(())
    }
}

/// What was found so far. Never more than [`MOST`] errors and as many warnings are kept.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    list: Vec<Problem>,
    errors: usize,
    warnings: usize,
    /// Takes the notes of what is not kept.
    spare: Problem,
}

/// One finding, at a place.
#[derive(Debug)]
pub(crate) struct Problem {
    code: Code,
    place: Place,
    message: String,
    notes: Vec<String>,
}

impl Problem {
    /// Adds a line of help.
    pub(crate) fn note(&mut self, note: impl Into<String>) -> &mut Self {
        self.notes.push(note.into());
        self
    }

    /// Adds lines of help.
    pub(crate) fn notes(&mut self, notes: impl IntoIterator<Item = String>) -> &mut Self {
        self.notes.extend(notes);
        self
    }
}

impl Default for Problem {
    fn default() -> Self {
        Problem { code: Code::Unreadable, place: Place::whole(0), message: String::new(), notes: Vec::new() }
    }
}

impl Problems {
    /// Records a finding; notes can be added to what is returned.
    pub(crate) fn add(&mut self, code: Code, place: Place, message: impl Into<String>) -> &mut Problem {
        let count = match code.severity() {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
        };
        *count += 1;
        if *count > MOST {
            self.spare = Problem::default();
            return &mut self.spare;
        }
        self.list.push(Problem { code, place, message: message.into(), notes: Vec::new() });
        self.list.last_mut().expect("one was pushed just now")
    }

    /// True when further errors are counted, but not kept: their messages need not be thought about.
    pub(crate) fn is_full(&self) -> bool {
        self.errors >= MOST
    }

    /// How many errors were recorded.
    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    /// Sorts, drops repetitions (an alias may lead to the same place several times) and looks places up.
    pub(crate) fn into_report(mut self, sources: &Sources) -> Report {
        self.list.sort_by_key(|problem| (problem.code.severity(), problem.place, problem.code));
        let mut seen = HashSet::new();
        self.list.retain(|problem| seen.insert((problem.code, problem.place, problem.message.clone())));
        let diagnostics = self.list.into_iter().map(|problem| problem.into_diagnostic(sources)).collect();
        Report {
            diagnostics,
            dropped_errors: self.errors.saturating_sub(MOST),
            dropped_warnings: self.warnings.saturating_sub(MOST),
        }
    }
}

impl Problem {
    fn into_diagnostic(self, sources: &Sources) -> Diagnostic {
        let position = sources.position(self.place);
        Diagnostic {
            code: self.code,
            message: printable(&self.message),
            file: sources.name(self.place.file).to_owned(),
            line: position.as_ref().map(|position| position.line),
            column: position.as_ref().map(|position| position.column),
            notes: self.notes.iter().map(|note| printable(note)).collect(),
            position,
        }
    }
}

/// Text of a file can hold anything; a terminal or a log must not obey it.
fn printable(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}

/// More findings than anybody reads, few enough to hold for any file.
const MOST: usize = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diagnostic_prints_as_documented() {
        let mut sources = Sources::default();
        let text = "\n".repeat(17) + "    heath: /healthz\n";
        let file = sources.add("shop.yaml".into(), text);
        let mut problems = Problems::default();
        let place = Place { file, start: 21, end: 26 };
        problems.add(Code::UnknownField, place, "unknown field `heath`").note("allowed here: balance");
        let expected = "\
error[E103]: unknown field `heath`
  --> shop.yaml:18:5
   |
18 |     heath: /healthz
   |     ^^^^^
   = allowed here: balance
1 error
";
        assert_eq!(problems.into_report(&sources).to_text(), expected);
    }

    #[test]
    fn findings_are_bounded_and_counted() {
        let mut sources = Sources::default();
        let file = sources.add("f".into(), "x".repeat(5000));
        let mut problems = Problems::default();
        for start in 0..3000 {
            problems.add(Code::Size, Place { file, start, end: start + 1 }, "m").note("n");
        }
        let report = problems.into_report(&sources);
        assert_eq!(report.errors(), 3000);
        assert_eq!(report.diagnostics().len(), MOST);
        assert!(report.to_text().ends_with("… and 2000 more\n3000 errors\n"));
    }
}
