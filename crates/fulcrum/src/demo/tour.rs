//! Five things to try, as data: printed as commands to copy, and executed with what they should show.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request};
use serde_json::Value;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::folder::DemoFolder;
use crate::client::{self, ExchangeError, Reply, ServerAddress};
use crate::output;

/// The demo as a visitor sees it.
#[derive(Debug)]
pub(crate) struct Tour {
    web: ServerAddress,
    metrics: ServerAddress,
    socket: String,
    access_log: String,
    program: String,
}

/// Something that is not as printed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TourError {
    /// The daemon does not say where it serves.
    #[error("the daemon is ready but says {0} instead of its addresses")]
    Unclear(String),
    /// No answer.
    #[error("{command}\n  {source}")]
    NoAnswer { command: String, source: ExchangeError },
    /// Another answer.
    #[error("{command}\n  should show {expected}, but shows:\n{shown}")]
    Other { command: String, expected: String, shown: String },
}

/// A chapter of the tour.
struct Chapter {
    title: &'static str,
    stops: Vec<Stop>,
}

/// One command and what it shows.
struct Stop {
    action: Action,
    expected: Expected,
    remark: &'static str,
}

/// A command.
enum Action {
    /// A request; several make a loop, and what is shown is all their answers.
    Curl {
        method: Method,
        server: Server,
        target: &'static str,
        field: Option<(&'static str, &'static str)>,
        times: u8,
    },
    /// Lines of `/metrics` that begin with this.
    Metrics(&'static str),
    /// `fulcrum status` over the unix socket.
    Status,
    /// The last line of the access log.
    AccessLog,
}

/// Where a request goes.
#[derive(Clone, Copy)]
enum Server {
    Web,
    Admin,
}

/// What is shown: a status for requests, and texts that are all in it.
struct Expected {
    status: u16,
    texts: &'static [&'static str],
}

impl Tour {
    /// Reads the daemon's ready line.
    pub(crate) fn new(ready: &Value, folder: &DemoFolder) -> Result<Self, TourError> {
        let unclear = || TourError::Unclear(ready.to_string());
        let web = ready["listeners"]["web"][0].as_str().ok_or_else(unclear)?;
        let admin = ready["admin"].as_array().ok_or_else(unclear)?;
        let tcp = admin.iter().filter_map(Value::as_str).find(|address| !address.starts_with("unix:"));
        Ok(Tour {
            web: ServerAddress::Http(web.to_owned()),
            metrics: ServerAddress::Http(tcp.ok_or_else(unclear)?.to_owned()),
            socket: format!("unix:{}", folder.socket().display()),
            access_log: folder.access_log().display().to_string(),
            program: env::current_exe()
                .map_or_else(|_| "fulcrum".to_owned(), |path| path.display().to_string()),
        })
    }

    /// The tour as text.
    pub(crate) fn print(&self) -> String {
        let mut text = format!(
            "\nFulcrum balances {} over the backends blue, green and amber.\n\
             Metrics are at {}/metrics, everything of the admin at {}.\n\nFive things to try:\n",
            self.web, self.metrics, self.socket
        );
        for (number, chapter) in (1..).zip(chapters()) {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "\n{number}. {}", chapter.title);
            for stop in &chapter.stops {
                let _ = writeln!(text, "   {}\n      {}", self.command(&stop.action), stop.remark);
            }
        }
        text
    }

    /// Executes everything that is printed. The first thing that is not as it should be is the error.
    pub(crate) async fn take(&self, when: &str) -> Result<(), TourError> {
        let mut checked = 0;
        for stop in chapters().iter().flat_map(|chapter| &chapter.stops) {
            self.check(stop).await?;
            checked += 1;
        }
        output::line(format_args!("checked {when}: all {checked} commands above show what they should"));
        Ok(())
    }

    async fn check(&self, stop: &Stop) -> Result<(), TourError> {
        // The access log is written behind the answers, so a command may be a moment too early.
        let patience = Instant::now() + PATIENCE;
        loop {
            let shown = self.execute(&stop.action).await?;
            let missing = stop.expected.missing(&shown);
            match missing {
                None => return Ok(()),
                Some(_) if stop.action.is_eventual() && Instant::now() < patience => sleep(LOOK_EVERY).await,
                Some(expected) => {
                    let command = self.command(&stop.action);
                    return Err(TourError::Other { command, expected, shown: shown.text });
                }
            }
        }
    }

    async fn execute(&self, action: &Action) -> Result<Shown, TourError> {
        match action {
            Action::Curl { times, .. } => {
                let mut shown = Shown::default();
                for _ in 0..*times {
                    let reply = self.request(action).await?;
                    shown.add(&reply);
                }
                Ok(shown)
            }
            Action::Metrics(prefix) => {
                let mut shown = Shown::default();
                shown.add(&self.request(action).await?);
                let lines = shown.text.lines().filter(|line| line.starts_with(prefix));
                shown.text = lines.flat_map(|line| [line, "\n"]).collect();
                Ok(shown)
            }
            Action::Status => Ok(self.status().await),
            Action::AccessLog => {
                let log = fs::read_to_string(&self.access_log).unwrap_or_default();
                Ok(Shown::of(log.lines().last().unwrap_or_default()))
            }
        }
    }

    async fn request(&self, action: &Action) -> Result<Reply, TourError> {
        let (method, server, target, field) = action.request();
        let mut builder = Request::builder().method(method).uri(target);
        if let Some((name, value)) = field {
            builder = builder.header(name, value);
        }
        let request = builder.body(Full::<Bytes>::default()).expect("the requests of this file are valid");
        let failed = |source| TourError::NoAnswer { command: self.command(action), source };
        client::exchange(self.server(server), request).await.map_err(failed)
    }

    /// The real command, as a visitor would run it.
    async fn status(&self) -> Shown {
        let mut command = Command::new(&self.program);
        command.args(["status", "--admin", &self.socket]).stdin(Stdio::null()).kill_on_drop(true);
        match command.output().await {
            Ok(output) => {
                let text = [output.stdout, output.stderr].concat();
                Shown { statuses: Vec::new(), text: String::from_utf8_lossy(&text).into_owned() }
            }
            Err(error) => Shown::of(&error.to_string()),
        }
    }

    fn server(&self, server: Server) -> &ServerAddress {
        match server {
            Server::Web => &self.web,
            Server::Admin => &self.metrics,
        }
    }

    /// What to type into a shell.
    fn command(&self, action: &Action) -> String {
        match action {
            Action::Curl { times, .. } => {
                let (method, server, target, field) = action.request();
                let method = if method == Method::GET { String::new() } else { format!(" -X {method}") };
                let field = field.map_or_else(String::new, |(name, value)| format!(" -H '{name}: {value}'"));
                let curl = format!("curl -si{method}{field} '{}{target}'", self.server(server));
                match times {
                    1 => curl,
                    _ => format!("for i in $(seq {times}); do {curl} | grep x-backend; done"),
                }
            }
            Action::Metrics(prefix) => format!("curl -s '{}/metrics' | grep '^{prefix}'", self.metrics),
            Action::Status => format!("{} status --admin {}", self.program, self.socket),
            Action::AccessLog => format!("tail -n 1 {}", self.access_log),
        }
    }
}

impl Action {
    fn request(&self) -> (&Method, Server, &'static str, Option<(&'static str, &'static str)>) {
        match self {
            Action::Curl { method, server, target, field, .. } => (method, *server, target, *field),
            _ => (&Method::GET, Server::Admin, "/metrics", None),
        }
    }

    /// Whether it may take a moment until it shows what has happened.
    fn is_eventual(&self) -> bool {
        matches!(self, Action::Metrics(_) | Action::Status | Action::AccessLog)
    }
}

/// What a command has shown.
#[derive(Debug, Default)]
struct Shown {
    statuses: Vec<u16>,
    /// Header fields and bodies.
    text: String,
}

impl Shown {
    fn of(text: &str) -> Self {
        Shown { statuses: Vec::new(), text: text.to_owned() }
    }

    fn add(&mut self, reply: &Reply) {
        self.statuses.push(reply.status.as_u16());
        for (name, value) in &reply.headers {
            let _ = writeln!(self.text, "{name}: {}", String::from_utf8_lossy(value.as_bytes()));
        }
        self.text += &String::from_utf8_lossy(&reply.body);
    }
}

impl Expected {
    /// What should be there and is not.
    fn missing(&self, shown: &Shown) -> Option<String> {
        if let Some(status) = shown.statuses.iter().find(|status| **status != self.status) {
            return Some(format!("status {} (there was {status})", self.status));
        }
        self.texts.iter().find(|text| !shown.text.contains(*text)).map(|text| format!("{text:?}"))
    }
}

/// The tour itself. Its order matters: later chapters look at what earlier ones did.
fn chapters() -> Vec<Chapter> {
    vec![
        Chapter {
            title: "Load is spread: the backends take turns",
            stops: vec![get(
                9,
                "/hello",
                None,
                200,
                &["x-backend: blue", "x-backend: green", "x-backend: amber", "\"target\":\"/hello\""],
                "each line names the backend that answered",
            )],
        },
        Chapter {
            title: "Content decides: by path, by header field",
            stops: vec![
                get(
                    1,
                    "/green/hello",
                    None,
                    200,
                    &["x-backend: green", "\"target\":\"/hello\"", "x-served-by: fulcrum-demo"],
                    "always green, which sees /hello; x-served-by was added on the way back",
                ),
                get(1, "/hello", Some(("x-color", "amber")), 200, &["x-backend: amber"], "always amber"),
            ],
        },
        Chapter {
            title: "Backends fail: one is sick, one is dead",
            stops: vec![
                post("/green/demo/sick?for=10s", "green answers 503 for ten seconds"),
                get(
                    1,
                    "/green/",
                    None,
                    503,
                    &["x-backend: green"],
                    "503: the balancer passes on what green says",
                ),
                post("/green/demo/well", "green is well again"),
                get(
                    9,
                    "/failover",
                    None,
                    200,
                    &["x-backend: blue"],
                    "always blue: the other endpoint refuses connections, and nobody notices",
                ),
            ],
        },
        Chapter {
            title: "The balancer answers by itself",
            stops: vec![
                get(
                    1,
                    "/moved/a?b=c",
                    None,
                    301,
                    &["location: https://example.com/moved/a?b=c"],
                    "a redirect",
                ),
                get(1, "/robots.txt", None, 200, &["User-agent: *"], "a fixed response"),
                get(
                    1,
                    "/hello",
                    Some(("user_id", "1")),
                    400,
                    &["reason: underscore_in_field_name"],
                    "refused: CGI programs cannot tell user_id from user-id",
                ),
            ],
        },
        Chapter {
            title: "Everything is counted and logged",
            stops: vec![
                Stop {
                    action: Action::AccessLog,
                    expected: Expected {
                        status: 200,
                        texts: &["\"status\":", "\"reason\":", "\"duration\":"],
                    },
                    remark: "one JSON object per request, with times and the reason of its end",
                },
                Stop {
                    action: Action::Metrics("fulcrum_upstream_requests_total{service=\"colors\""),
                    expected: Expected { status: 200, texts: &["blue", "green", "amber"] },
                    remark: "how the first nine requests were spread",
                },
                Stop {
                    action: Action::Metrics("fulcrum_upstream_errors_total"),
                    expected: Expected { status: 200, texts: &["connect_refused", "dead"] },
                    remark: "the connections that the dead endpoint of /failover refused",
                },
                Stop {
                    action: Action::Curl {
                        method: Method::GET,
                        server: Server::Admin,
                        target: "/readyz",
                        field: None,
                        times: 1,
                    },
                    expected: Expected { status: 200, texts: &["ready"] },
                    remark: "for whatever balances over balancers",
                },
                Stop {
                    action: Action::Status,
                    expected: Expected { status: 200, texts: &["generation 1", "half-dead", "127.0.0.1:1"] },
                    remark: "a table of listeners, services and endpoints",
                },
            ],
        },
    ]
}

fn get(
    times: u8,
    target: &'static str,
    field: Option<(&'static str, &'static str)>,
    status: u16,
    texts: &'static [&'static str],
    remark: &'static str,
) -> Stop {
    let action = Action::Curl { method: Method::GET, server: Server::Web, target, field, times };
    Stop { action, expected: Expected { status, texts }, remark }
}

fn post(target: &'static str, remark: &'static str) -> Stop {
    let action = Action::Curl { method: Method::POST, server: Server::Web, target, field: None, times: 1 };
    Stop { action, expected: Expected { status: 200, texts: &["x-backend: green"] }, remark }
}

/// The access log is written at most some milliseconds late; a busy machine gets more.
const PATIENCE: Duration = Duration::from_secs(5);

const LOOK_EVERY: Duration = Duration::from_millis(20);
