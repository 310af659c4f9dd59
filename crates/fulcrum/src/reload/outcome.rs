//! How a reload went.

use fulcrum_config::Report;
use fulcrum_data_plane::PrepareError;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::changes::Changes;
use crate::admin::AdminError;

/// How it went.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// Another configuration is in force.
    Committed(Box<Committed>),
    /// It cannot be used: nothing has changed.
    Refused(Mistakes),
    /// The files hold what they held before, and nobody insisted.
    Unchanged,
}

/// What a reload did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Committed {
    /// The number of the configuration that is in force now.
    pub(crate) generation: u64,
    pub(crate) changes: Changes,
    /// As `fulcrum check --format json` writes them.
    pub(crate) warnings: Vec<Value>,
}

/// What a reload did, as the admin answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reloaded {
    #[serde(flatten)]
    pub(crate) committed: Committed,
    /// Whether every worker serves by it.
    pub(crate) everywhere: bool,
}

/// Why a configuration cannot be used, all of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mistakes {
    /// For people, with source lines.
    pub(crate) text: String,
    /// As `fulcrum check --format json` writes them; what is no mistake of a file has none.
    pub(crate) errors: Vec<Value>,
}

/// Why a reload is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    /// The files are wrong.
    #[error(transparent)]
    Config(#[from] Report),
    /// Something of what is configured cannot be had: each cause.
    #[error("{}", .0.join("\n"))]
    Prepare(Vec<String>),
}

impl Refusal {
    /// What the planes cannot do, whichever fail.
    pub(crate) fn of_planes(
        data_plane: Option<PrepareError>,
        admin: Option<AdminError>,
        others: Vec<String>,
    ) -> Self {
        let data_plane = data_plane.map(|error| error.to_string());
        let causes = data_plane.iter().flat_map(|text| text.lines().map(str::to_owned));
        Refusal::Prepare(
            causes
                .chain(admin.map(|error| error.to_string()))
                .chain(others.iter().flat_map(|text| text.lines().map(str::to_owned)))
                .collect(),
        )
    }
}

impl From<Refusal> for Mistakes {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Config(report) => Mistakes { text: report.to_text(), errors: list(&report) },
            Refusal::Prepare(causes) => Mistakes {
                text: causes.iter().map(|cause| format!("error: {cause}\n")).collect(),
                errors: causes.iter().map(|cause| without_place(cause)).collect(),
            },
        }
    }
}

/// The warnings and errors of a report.
pub(crate) fn list(report: &Report) -> Vec<Value> {
    match report.to_json() {
        Value::Array(list) => list,
        other => vec![other],
    }
}

/// In the form of the others.
fn without_place(message: &str) -> Value {
    json!({
        "code": null,
        "severity": "error",
        "message": message,
        "file": null,
        "line": null,
        "column": null,
        "notes": [],
    })
}

/// One line for the diagnostics: `fulcrum.yaml:3:5: unknown key`.
pub(crate) fn line(mistake: &Value) -> String {
    let mut line = String::new();
    for place in ["file", "line", "column"] {
        match &mistake[place] {
            Value::String(file) => line += &format!("{file}:"),
            Value::Number(number) => line += &format!("{number}:"),
            _ => {}
        }
    }
    if !line.is_empty() {
        line.push(' ');
    }
    line + mistake["message"].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_have_a_place_or_none() {
        let text = "version: 1\nlisteners:\n  web: { bind: nowhere, redirect: https }\n";
        let report = fulcrum_config::load_text("a.yaml", text, &|_| None).expect_err("it is bad");
        let expected = format!("a.yaml:3:16: {}", report.diagnostics()[0].message);
        let mistakes = Mistakes::from(Refusal::from(report));
        assert_eq!(line(&mistakes.errors[0]), expected);
        assert!(mistakes.text.contains("3 |   web: { bind: nowhere"), "{}", mistakes.text);

        let mistakes = Mistakes::from(Refusal::Prepare(vec!["listener a: taken".to_owned(), "b".to_owned()]));
        assert_eq!(mistakes.text, "error: listener a: taken\nerror: b\n");
        assert_eq!(mistakes.errors.iter().map(line).collect::<Vec<_>>(), ["listener a: taken", "b"]);
        assert_eq!(mistakes.errors[0]["severity"], "error");
    }
}
