//! Figures as Markdown tables, with what Fulcrum is to each peer.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

const END: &str = "<!-- end of results -->";

/// A figure as shown, and as a number to make ratios of.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    value: f64,
}

/// A table with one column per proxy, Fulcrum's first.
#[derive(Debug)]
pub(crate) struct Table {
    title: String,
    rows: Vec<(String, Vec<Cell>)>,
}

impl Cell {
    fn new(value: f64, text: String) -> Cell {
        Cell { text, value }
    }

    /// What a proxy cannot do.
    pub(crate) fn absent() -> Cell {
        Cell::new(f64::NAN, "–".to_owned())
    }

    /// The figure to so many decimals; absent if it is none.
    pub(crate) fn number(value: f64, decimals: usize) -> Cell {
        if value.is_nan() { Cell::absent() } else { Cell::new(value, format!("{value:.decimals$}")) }
    }

    /// The median of several, with the least in brackets; absent when there are none.
    pub(crate) fn median_and_least(values: &[f64], decimals: usize) -> Cell {
        if values.is_empty() {
            return Cell::absent();
        }
        let (median, least) = (median(values), values.iter().copied().fold(f64::INFINITY, f64::min));
        Cell { text: format!("{median:.decimals$} ({least:.decimals$})"), value: median }
    }
}

impl Table {
    /// Without rows.
    pub(crate) fn new(title: &str) -> Table {
        Table { title: title.to_owned(), rows: Vec::new() }
    }

    /// Adds a row with a cell per proxy.
    pub(crate) fn push(&mut self, work: &str, cells: Vec<Cell>) {
        self.rows.push((work.to_owned(), cells));
    }

    /// The table, or nothing when it has no rows. Ratios are made when the first column is `Fulcrum`.
    pub(crate) fn render(&self, labels: &[&str]) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let peers = if labels.first() == Some(&"Fulcrum") { &labels[1..] } else { &[] };
        let mut out = format!("### {}\n\n| work |", self.title);
        for label in labels {
            let _ = write!(out, " {label} |");
        }
        for peer in peers {
            let _ = write!(out, " Fulcrum ÷ {peer} |");
        }
        let _ = writeln!(out, "\n|---|{}", "---:|".repeat(labels.len() + peers.len()));
        for (work, cells) in &self.rows {
            let _ = write!(out, "| {work} |");
            for cell in cells {
                let _ = write!(out, " {} |", cell.text);
            }
            for cell in &cells[1.min(cells.len())..][..peers.len()] {
                let ratio = cells[0].value / cell.value;
                let _ =
                    if ratio.is_finite() { write!(out, " {ratio:.2}× |") } else { write!(out, " – |") };
            }
            out.push('\n');
        }
        out
    }
}

/// The middle value, or the mean of the two in the middle. Not a number for none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        even if even % 2 == 0 => f64::midpoint(sorted[even / 2 - 1], sorted[even / 2]),
        odd => sorted[odd / 2],
    }
}

/// Puts `results` between the mark `begin` and the next end of results in the file.
pub(crate) fn write(path: &Path, begin: &str, results: &str) -> io::Result<()> {
    let text = fs::read_to_string(path)?;
    let parts = text.split_once(begin).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) =
        parts.ok_or_else(|| io::Error::other(format!("{}: no marks for results", path.display())))?;
    fs::write(path, format!("{before}{begin}\n\n{}\n\n{END}{after}", results.trim()))
}

/// How often and how long everybody was measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rounds {
    pub(crate) count: u32,
    pub(crate) length: Duration,
}

/// All of a bench: the machine and the rounds, the tables that have rows, the notes.
pub(crate) fn render(rounds: Rounds, labels: &[&str], tables: &[&Table], notes: &[String]) -> String {
    let mut out = format!("{}. {} rounds of {:?}.\n", machine(), rounds.count, rounds.length);
    let tables = tables.iter().map(|table| table.render(labels)).filter(|table| !table.is_empty());
    for table in tables {
        let _ = write!(out, "\n{table}");
    }
    for note in notes {
        let _ = write!(out, "\n{note}\n");
    }
    out
}

/// The machine in one line.
pub(crate) fn machine() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = read("/proc/sys/kernel/osrelease");
    let series: Vec<_> = kernel.trim().split(['.', '-']).take(2).collect();
    let model = model.map_or("unknown CPU", |(_, name)| name);
    format!("{model}, {cores} cores, Linux {}", series.join("."))
}
