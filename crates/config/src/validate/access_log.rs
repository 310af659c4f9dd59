//! The access log: where it goes and what a record looks like.

use std::path::PathBuf;

use crate::code::Code;
use crate::decode::At;
use crate::node::quote;
use crate::process::{AccessLog, Destination, LogFormat};
use crate::raw::RawAccess;
use crate::suggest::did_you_mean;

use super::Context;

/// The fields of an access record: the keys of its JSON form and the placeholders of a template.
pub const ACCESS_LOG_FIELDS: &[&str] = &[
    "time",
    "listener",
    "client",
    "peer",
    "method",
    "target",
    "host",
    "protocol",
    "status",
    "bytes_in",
    "bytes_out",
    "duration",
    "route",
    "service",
    "endpoint",
    "attempts",
    "upstream_status",
    "time_head",
    "time_connect",
    "time_first_byte",
    "time_response",
    "request_id",
    "user_agent",
    "referer",
    "reason",
];

/// The access log; nowhere, as JSON, unless told otherwise.
pub(crate) fn access_log(raw: Option<RawAccess>, context: &mut Context<'_>) -> AccessLog {
    let (path, layout) = match raw {
        None => (None, None),
        Some(RawAccess::Short(path)) => (Some(path), None),
        Some(RawAccess::Long(long)) => (long.path, long.format),
    };
    AccessLog {
        destination: path.map_or(Destination::None, |path| destination(&path, context)),
        format: layout.map_or(LogFormat::Json, |layout| format(&layout, context)),
    }
}

fn destination(path: &At<String>, context: &mut Context<'_>) -> Destination {
    match path.value.as_str() {
        "none" => Destination::None,
        "stdout" => Destination::Stdout,
        text if text.contains('/') && !text.ends_with('/') && !text.contains('\0') => {
            Destination::File(PathBuf::from(text))
        }
        text => {
            let guess = did_you_mean(text, ["none", "stdout"]);
            let message = format!("{} is no place for the access log{guess}", quote(text));
            let problem = context.problems.add(Code::UnknownWord, path.place, message);
            problem
                .note("allowed here: none, stdout, or the path of a file like `/var/log/fulcrum/access.log`");
            if text == "stderr" {
                problem.note("standard error carries the diagnostics");
            }
            Destination::None
        }
    }
}

fn format(layout: &At<String>, context: &mut Context<'_>) -> LogFormat {
    match layout.value.as_str() {
        "json" => LogFormat::Json,
        "clf" => LogFormat::Clf,
        text if text.contains(['{', '}']) => {
            check_template(layout, context);
            LogFormat::Template(text.to_owned())
        }
        text => {
            let guess = did_you_mean(text, ["json", "clf"]);
            let message = format!("{} is no format for the access log{guess}", quote(text));
            context
                .problems
                .add(Code::LogFormat, layout.place, message)
                .note("allowed here: json, clf, or a template like `{method} {target} {status}`");
            LogFormat::Json
        }
    }
}

/// Records every placeholder that is no field.
fn check_template(layout: &At<String>, context: &mut Context<'_>) {
    let mut refuse = |message: String, note: Option<String>| {
        context.problems.add(Code::LogFormat, layout.place, message).notes(note);
    };
    if layout.value.chars().any(char::is_control) {
        refuse("a record is one line: the template holds a control character".to_owned(), None);
    }
    let mut rest = layout.value.as_str();
    while let Some(brace) = rest.find(['{', '}']) {
        let inside = rest[brace..].strip_prefix('{').and_then(|open| open.split_once('}'));
        let Some((field, tail)) = inside.filter(|(field, _)| !field.contains('{')) else {
            refuse("the template has a brace without its counterpart".to_owned(), None);
            return;
        };
        if !ACCESS_LOG_FIELDS.contains(&field) {
            let guess = did_you_mean(field, ACCESS_LOG_FIELDS.iter().copied());
            let fields = format!("fields: {}", ACCESS_LOG_FIELDS.join(", "));
            refuse(format!("a record has no field {}{guess}", quote(field)), Some(fields));
        }
        rest = tail;
    }
}
