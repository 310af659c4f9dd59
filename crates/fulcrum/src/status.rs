//! `fulcrum status`: what a running daemon is doing, as a table or as its own JSON.

use std::env;
use std::fmt::Write as _;
use std::fs;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::AUTHORIZATION;
use hyper::{Request, StatusCode};

use crate::admin::{EndpointStatus, ListenerStatus, ServiceStatus, State, StatusDocument, WorkerStatus};
use crate::cli::{Format, StatusOptions};
use crate::client::{self, ExchangeError, Reply};
use crate::exit::Exit;
use crate::output;

/// Asks a daemon and prints its answer.
pub(crate) fn status(options: &StatusOptions) -> Exit {
    match ask(options) {
        Ok(text) => {
            output::text(&text);
            Exit::Done
        }
        Err(error) => {
            output::error_line(format_args!("error: {error}"));
            match error {
                StatusError::Exchange(_) => Exit::Unreachable,
                _ => Exit::Failed,
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum StatusError {
    #[error("{0}")]
    Exchange(#[from] ExchangeError),
    #[error("the daemon refuses with {0}: {1}")]
    Refused(StatusCode, String),
    #[error("the answer is not that of a Fulcrum daemon of this version: {0}")]
    Foreign(#[from] serde_json::Error),
    #[error("{TOKEN}: {0}")]
    Token(String),
    #[error("cannot start: {0}")]
    Start(#[from] std::io::Error),
}

fn ask(options: &StatusOptions) -> Result<String, StatusError> {
    let request = request(env::var(TOKEN).ok().as_deref())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let reply = runtime.block_on(client::exchange(&options.admin, request))?;
    if reply.status != StatusCode::OK {
        return Err(StatusError::Refused(reply.status, reason(&reply)));
    }
    let document = serde_json::from_slice::<StatusDocument>(&reply.body)?;
    Ok(match options.format {
        Format::Text => table(&document),
        Format::Json => String::from_utf8_lossy(&reply.body).into_owned(),
    })
}

/// With the token where there is one; `file:/path` names a file that holds it.
fn request(token: Option<&str>) -> Result<Request<Full<Bytes>>, StatusError> {
    let mistake = |error: &dyn std::fmt::Display| StatusError::Token(error.to_string());
    let mut builder = Request::get("/status");
    if let Some(token) = token.filter(|token| !token.is_empty()) {
        let token = match token.strip_prefix("file:") {
            Some(path) => fs::read_to_string(path).map_err(|error| mistake(&format!("{path}: {error}")))?,
            None => token.to_owned(),
        };
        builder = builder.header(AUTHORIZATION, format!("Bearer {}", token.trim()));
    }
    builder.body(Full::default()).map_err(|error| mistake(&error))
}

/// The `detail` of a problem document, or whatever came instead of one.
fn reason(reply: &Reply) -> String {
    let problem = serde_json::from_slice::<serde_json::Value>(&reply.body).ok();
    let detail = problem.as_ref().and_then(|problem| problem["detail"].as_str());
    detail.map_or_else(|| String::from_utf8_lossy(&reply.body).trim().to_owned(), str::to_owned)
}

/// The document for people.
fn table(status: &StatusDocument) -> String {
    let mut text = headline(status);
    text.push('\n');
    let listeners = status.listeners.iter().map(listener_row);
    text += &columns(["LISTENER", "ADDRESSES", "CONNECTIONS", "REQUESTS"], listeners);
    text.push('\n');
    let endpoints = status
        .services
        .iter()
        .flat_map(|service| service.endpoints.iter().map(move |endpoint| endpoint_row(service, endpoint)));
    text += &columns(
        ["SERVICE", "BALANCE", "ENDPOINT", "ADDRESS", "WEIGHT", "IN FLIGHT", "REQUESTS", "ERRORS"],
        endpoints,
    );
    text.push('\n');
    text += &columns(["WORKER", "CONNECTIONS", "ACCEPTED"], (0..).zip(&status.workers).map(worker_row));
    text
}

fn headline(status: &StatusDocument) -> String {
    let state = match status.state {
        State::Ready => "ready",
        State::Draining => "draining",
    };
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "fulcrum {}, process {}: {state} for {}, generation {}",
        status.version,
        status.pid,
        span(status.uptime_seconds),
        status.generation
    );
    let _ = writeln!(
        text,
        "connections: {}, requests in progress: {}, admin: {}",
        status.connections,
        status.requests,
        if status.admin.is_empty() { "none".to_owned() } else { status.admin.join(", ") }
    );
    text
}

fn listener_row(listener: &ListenerStatus) -> [String; 4] {
    [
        listener.name.clone(),
        listener.addresses.join(", "),
        listener.connections.to_string(),
        listener.requests.to_string(),
    ]
}

fn endpoint_row(service: &ServiceStatus, endpoint: &EndpointStatus) -> [String; 8] {
    [
        service.name.clone(),
        service.balance.clone(),
        endpoint.id.clone(),
        endpoint.address.clone(),
        endpoint.weight.to_string(),
        endpoint.in_flight.to_string(),
        endpoint.requests.to_string(),
        endpoint.errors.to_string(),
    ]
}

fn worker_row((number, worker): (usize, &WorkerStatus)) -> [String; 3] {
    [number.to_string(), worker.connections.to_string(), worker.accepted.to_string()]
}

/// Pads every column to its widest cell, two blanks between columns, none at the end of a line.
fn columns<const N: usize>(titles: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let lines: Vec<[String; N]> = std::iter::once(titles.map(str::to_owned)).chain(rows).collect();
    let width =
        |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for line in &lines {
        let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    text
}

/// The two largest units: `45s`, `3m 5s`, `2h 0m`, `12d 4h`.
fn span(seconds: f64) -> String {
    let seconds = seconds as u64;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {}m", minutes % 60),
        (_, _, _) => format!("{days}d {}h", hours % 24),
    }
}

/// The admin token, needed over http. An environment variable, because a process list shows command lines.
const TOKEN: &str = "FULCRUM_ADMIN_TOKEN";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_line_up() {
        let document = StatusDocument {
            version: "1.2.3".to_owned(),
            pid: 42,
            state: State::Ready,
            uptime_seconds: 185.0,
            generation: 1,
            connections: 3,
            requests: 2,
            admin: vec!["unix:/run/a.sock".to_owned()],
            workers: vec![WorkerStatus { connections: 3, accepted: 9 }],
            listeners: vec![ListenerStatus {
                name: "web".to_owned(),
                addresses: vec!["127.0.0.1:80".to_owned(), "[::1]:80".to_owned()],
                connections: 3,
                requests: 2,
            }],
            services: vec![ServiceStatus {
                name: "shop".to_owned(),
                balance: "round_robin".to_owned(),
                endpoints: vec![EndpointStatus {
                    id: "blue".to_owned(),
                    address: "10.0.0.1:8080".to_owned(),
                    weight: 1,
                    in_flight: 2,
                    requests: 1000,
                    errors: 0,
                }],
            }],
        };
        let expected = "\
fulcrum 1.2.3, process 42: ready for 3m 5s, generation 1
connections: 3, requests in progress: 2, admin: unix:/run/a.sock

LISTENER  ADDRESSES               CONNECTIONS  REQUESTS
web       127.0.0.1:80, [::1]:80  3            2

SERVICE  BALANCE      ENDPOINT  ADDRESS        WEIGHT  IN FLIGHT  REQUESTS  ERRORS
shop     round_robin  blue      10.0.0.1:8080  1       2          1000      0

WORKER  CONNECTIONS  ACCEPTED
0       3            9
";
        assert_eq!(table(&document), expected);
    }

    #[test]
    fn spans_have_two_units() {
        fn check(seconds: f64, expected: &str) {
            assert_eq!(span(seconds), expected, "{seconds}");
        }
        check(0.4, "0s");
        check(59.9, "59s");
        check(60.0, "1m 0s");
        check(7260.0, "2h 1m");
        check(1_051_200.0, "12d 4h");
    }

    #[test]
    fn tokens_come_from_the_environment_or_a_file() {
        let field = |token| request(token).map(|request| request.headers().get(AUTHORIZATION).cloned());
        assert_eq!(field(None).expect("no token is fine"), None);
        assert_eq!(field(Some("")).expect("no token is fine"), None);
        assert_eq!(field(Some("s3cret")).expect("a token").expect("sent"), "Bearer s3cret");

        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), "from-file\n").expect("written");
        let token = format!("file:{}", file.path().display());
        assert_eq!(field(Some(&token)).expect("a token").expect("sent"), "Bearer from-file");
        assert!(matches!(field(Some("file:/nowhere/token")), Err(StatusError::Token(_))));
        assert!(matches!(field(Some("two\nlines")), Err(StatusError::Token(_))));
    }
}
