//! Zone files (RFC 1035 §5, RFC 2308 §4, RFC 3597 §5): from their text to records. Whether these can be a zone is asked
//! later, by `Zone::new`.

mod context;
mod entries;
mod folder;
mod texts;

use std::path::Path;
use std::sync::Arc;

use fulcrum_model::{DnsName, Field, parse_seconds};

use super::error::ERRORS_MAX;
use super::{Record, ZoneError, ZoneProblem};

use context::{Context, Lifetimes};
use entries::{Entries, Entry};
use folder::{Folder, Text};
pub use texts::Texts;

/// The records of a zone file and of what it includes, or everything that is wrong with them (the first hundred mistakes).
/// Names are relative to `origin` until the file says otherwise.
pub fn read(path: &Path, origin: &DnsName) -> Result<Vec<Record>, Vec<ZoneError>> {
    read_with_texts(path, origin).map(|(records, _)| records)
}

/// The same, and what they were read from.
pub fn read_with_texts(path: &Path, origin: &DnsName) -> Result<(Vec<Record>, Texts), Vec<ZoneError>> {
    let (folder, text) = Folder::open(path).map_err(|why| {
        vec![ZoneError { file: Some(path.into()), line: 0, problem: ZoneProblem::Unreadable(why) }]
    })?;
    let mut reader = Reader::new(Some(folder));
    reader.text(&text.bytes, Context::new(Some(text.path), origin));
    let texts = reader.folder.take().map(Folder::into_texts).unwrap_or_default();
    reader.finish().map(|records| (records, texts))
}

/// The records of the text of a zone file. It is in no folder: nothing can be included.
pub fn parse(text: &[u8], origin: &DnsName) -> Result<Vec<Record>, Vec<ZoneError>> {
    let mut reader = Reader::new(None);
    reader.text(text, Context::new(None, origin));
    reader.finish()
}

/// What is known while files are read.
struct Reader {
    folder: Option<Folder>,
    lifetimes: Lifetimes,
    records: Vec<Record>,
    records_max: usize,
    errors: Vec<ZoneError>,
}

impl Reader {
    fn new(folder: Option<Folder>) -> Self {
        Reader {
            folder,
            lifetimes: Lifetimes::default(),
            records: Vec::new(),
            records_max: RECORDS_MAX,
            errors: Vec::new(),
        }
    }

    fn finish(self) -> Result<Vec<Record>, Vec<ZoneError>> {
        if self.errors.is_empty() { Ok(self.records) } else { Err(self.errors) }
    }

    fn text(&mut self, text: &[u8], mut context: Context) {
        let mut entries = Entries::new(text);
        while let Some(entry) = entries.next() {
            let line = entry.line;
            if !entry.problems.is_empty() {
                // Others are not to be taken for those of the name before.
                context.forget_owner(&entry);
                for (line, what) in &entry.problems {
                    self.tell(*line, ZoneProblem::Syntax(what), &context);
                }
            } else if let Err(problem) = self.entry(&entry, &mut context) {
                self.tell(line, problem, &context);
            }
            entries.take_back(entry);
            let is_full = self.records.len() > self.records_max;
            if is_full {
                self.tell(line, ZoneProblem::Syntax(RECORDS), &context);
            }
            if is_full || self.errors.len() >= ERRORS_MAX {
                break;
            }
        }
    }

    fn tell(&mut self, line: u32, problem: ZoneProblem, context: &Context) {
        if self.errors.len() < ERRORS_MAX {
            self.errors.push(ZoneError { file: context.file.clone(), line, problem });
        }
    }

    fn entry(&mut self, entry: &Entry, context: &mut Context) -> Result<(), ZoneProblem> {
        match directive(entry) {
            Some(word) => self.directive(&word, &entry.fields[1..], context),
            None => {
                let record = context.record(entry, &mut self.lifetimes)?;
                self.records.extend(record);
                Ok(())
            }
        }
    }

    fn directive(&mut self, word: &str, fields: &[Field], context: &mut Context) -> Result<(), ZoneProblem> {
        match (word, fields) {
            ("$ORIGIN", [name]) => context.origin = context.name(name)?,
            ("$ORIGIN", _) => return Err(ZoneProblem::Syntax("$ORIGIN needs one name behind it")),
            ("$TTL", [time]) => {
                let seconds = parse_seconds(&time.text);
                // A wrong one is one mistake, not one of every record.
                self.lifetimes.default = Some(seconds.unwrap_or(0));
                seconds.ok_or_else(|| ZoneProblem::Lifetime(time.text.chars().take(100).collect()))?;
            }
            ("$TTL", _) => {
                self.lifetimes.default = Some(0);
                return Err(ZoneProblem::Syntax("$TTL needs one time behind it, like 3600 or 1h"));
            }
            ("$INCLUDE", [file]) => self.include(file, context.origin.clone(), context)?,
            ("$INCLUDE", [file, origin]) => self.include(file, context.name(origin)?, context)?,
            ("$INCLUDE", _) => {
                return Err(ZoneProblem::Syntax("$INCLUDE needs a file behind it, and perhaps a name"));
            }
            ("$GENERATE", _) => return Err(ZoneProblem::Syntax(GENERATE)),
            _ => return Err(ZoneProblem::Syntax(DIRECTIVE)),
        }
        Ok(())
    }

    /// What is known of the origin and the owner in a file does not go further than its end.
    fn include(&mut self, file: &Field, origin: DnsName, context: &Context) -> Result<(), ZoneProblem> {
        let problem = |why| ZoneProblem::Include { path: file.text.chars().take(100).collect(), why };
        let folder = self.folder.as_mut().ok_or_else(|| problem("this text is in no folder".to_owned()))?;
        let Text { path, bytes } = folder.include(&file.text).map_err(problem)?;
        self.text(&bytes, context.included(path, origin));
        if let Some(folder) = &mut self.folder {
            folder.close();
        }
        Ok(())
    }
}

/// The word of an entry that is not a record.
fn directive(entry: &Entry) -> Option<String> {
    let first = entry.fields.first().filter(|first| !first.is_quoted && !entry.is_indented)?;
    first.text.starts_with('$').then(|| first.text.to_ascii_uppercase())
}

/// The file that a mistake is in.
type Place = Option<Arc<Path>>;

/// Each takes more room in memory than in a file: about 120 bytes.
const RECORDS_MAX: usize = 2_000_000;
const RECORDS: &str = "a zone has at most 2,000,000 records";
const GENERATE: &str = "$GENERATE is not understood: write its records out";
const DIRECTIVE: &str =
    "there is no such directive: $ORIGIN, $TTL and $INCLUDE are understood; a name begins with `\\$`";

#[cfg(test)]
mod tests;
