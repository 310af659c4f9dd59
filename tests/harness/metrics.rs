//! The text of `/metrics`, taken apart.

use std::collections::BTreeMap;

/// One scrape.
#[derive(Clone, Debug, Default)]
pub(crate) struct Metrics {
    series: Vec<Series>,
    /// The types by family.
    types: BTreeMap<String, String>,
}

#[derive(Clone, Debug)]
struct Series {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Metrics {
    /// Reads the exposition format.
    #[track_caller]
    pub(crate) fn parse(text: &str) -> Self {
        let mut metrics = Metrics::default();
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("a family has a type");
                metrics.types.insert(name.to_owned(), kind.to_owned());
            } else if !line.starts_with('#') {
                metrics.series.push(parse_series(line));
            }
        }
        metrics
    }

    /// The sum of all series of this name that have these labels; 0 where there are none.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.matching(name, labels).map(|series| series.value).fold(0.0, |sum, value| sum + value)
    }

    /// Whether there is a series of this name with these labels.
    pub(crate) fn has(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        self.matching(name, labels).next().is_some()
    }

    /// The type of a family.
    pub(crate) fn kind(&self, family: &str) -> Option<&str> {
        self.types.get(family).map(String::as_str)
    }

    /// The names of the labels of a family's series.
    pub(crate) fn labels(&self, name: &str) -> Vec<String> {
        let mut names: Vec<String> =
            self.matching(name, &[]).flat_map(|series| series.labels.keys().cloned()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// Every series, for what must hold of all.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.series.iter().map(|series| series.name.as_str())
    }

    fn matching(&self, name: &str, labels: &[(&str, &str)]) -> impl Iterator<Item = &Series> {
        let has = |series: &Series, label: &(&str, &str)| {
            series.labels.get(label.0).map(String::as_str) == Some(label.1)
        };
        self.series
            .iter()
            .filter(move |series| series.name == name && labels.iter().all(|label| has(series, label)))
    }
}

#[track_caller]
fn parse_series(line: &str) -> Series {
    let (series, value) = line.rsplit_once(' ').expect("a series has a value");
    let value = value.parse().unwrap_or_else(|_| panic!("{value:?} is not a number"));
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, parse_labels(labels.trim_end_matches('}'))),
        None => (series, BTreeMap::new()),
    };
    Series { name: name.to_owned(), labels, value }
}

fn parse_labels(mut text: &str) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    while let Some((name, rest)) = text.split_once("=\"") {
        let end = closing_quote(rest);
        labels.insert(name.to_owned(), rest[..end].replace("\\\"", "\"").replace("\\\\", "\\"));
        text = rest[end + 1..].trim_start_matches(',');
    }
    labels
}

/// The first quote without a backslash before it.
fn closing_quote(text: &str) -> usize {
    let mut escaped = false;
    for (at, character) in text.char_indices() {
        match character {
            '"' if !escaped => return at,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    text.len()
}
