//! What the demo has to show, as data: commands, and what each of them shows.

use std::fmt::Write as _;

use hyper::Method;

use crate::client::Reply;

/// A chapter of the tour.
pub(super) struct Chapter {
    pub(super) title: &'static str,
    pub(super) stops: Vec<Stop>,
}

/// One command and what it shows.
pub(super) struct Stop {
    pub(super) action: Action,
    pub(super) expected: Expected,
    pub(super) remark: &'static str,
}

/// A command.
pub(super) enum Action {
    /// Requests; what is shown is all their answers.
    Curl(Curl),
    /// Lines of `/metrics` that begin with this.
    Metrics(&'static str),
    /// `fulcrum` with these words, over the unix socket.
    Fulcrum(&'static [&'static str]),
    /// The last line of the access log.
    AccessLog,
}

/// A request, sent several times or once.
pub(super) struct Curl {
    pub(super) method: Method,
    pub(super) server: Server,
    pub(super) target: &'static str,
    pub(super) field: Option<(&'static str, &'static str)>,
    pub(super) times: u8,
}

/// Where a request goes.
#[derive(Clone, Copy)]
pub(super) enum Server {
    Web,
    Admin,
}

/// What is shown: a status for requests, and texts that are all in it.
pub(super) struct Expected {
    pub(super) status: u16,
    pub(super) texts: &'static [&'static str],
}

impl Curl {
    /// A GET of the balancer.
    pub(super) fn get(target: &'static str) -> Self {
        Curl { method: Method::GET, server: Server::Web, target, field: None, times: 1 }
    }

    /// A POST to the balancer.
    pub(super) fn post(target: &'static str) -> Self {
        Curl { method: Method::POST, ..Curl::get(target) }
    }

    /// A GET of the admin.
    pub(super) fn admin(target: &'static str) -> Self {
        Curl { server: Server::Admin, ..Curl::get(target) }
    }

    /// With a header field.
    pub(super) fn with(self, name: &'static str, value: &'static str) -> Self {
        Curl { field: Some((name, value)), ..self }
    }

    /// So many times.
    pub(super) fn times(self, times: u8) -> Self {
        Curl { times, ..self }
    }

    /// What it shows makes it a stop of the tour.
    fn shows(self, status: u16, texts: &'static [&'static str], remark: &'static str) -> Stop {
        Stop { action: Action::Curl(self), expected: Expected { status, texts }, remark }
    }
}

impl Action {
    /// What it shows makes it a stop of the tour.
    fn shows(self, texts: &'static [&'static str], remark: &'static str) -> Stop {
        Stop { action: self, expected: Expected { status: 200, texts }, remark }
    }

    /// Whether it may take a moment until it shows what has happened.
    pub(super) fn is_eventual(&self) -> bool {
        matches!(self, Action::Metrics(_) | Action::Fulcrum(["status"]) | Action::AccessLog)
    }
}

/// What a command has shown.
#[derive(Debug, Default)]
pub(super) struct Shown {
    pub(super) statuses: Vec<u16>,
    /// Header fields and bodies.
    pub(super) text: String,
}

impl Shown {
    pub(super) fn of(text: &str) -> Self {
        Shown { statuses: Vec::new(), text: text.to_owned() }
    }

    pub(super) fn add(&mut self, reply: &Reply) {
        self.statuses.push(reply.status.as_u16());
        for (name, value) in &reply.headers {
            let _ = writeln!(self.text, "{name}: {}", String::from_utf8_lossy(value.as_bytes()));
        }
        self.text += &String::from_utf8_lossy(&reply.body);
    }
}

impl Expected {
    /// What should be there and is not.
    pub(super) fn missing(&self, shown: &Shown) -> Option<String> {
        if let Some(status) = shown.statuses.iter().find(|status| **status != self.status) {
            return Some(format!("status {} (there was {status})", self.status));
        }
        self.texts.iter().find(|text| !shown.text.contains(*text)).map(|text| format!("{text:?}"))
    }
}

/// The tour itself. Its order matters: later chapters look at what earlier ones did.
pub(super) fn chapters() -> [Chapter; 6] {
    [
        Chapter {
            title: "Load is spread: the backends take turns",
            stops: vec![Curl::get("/hello").times(9).shows(
                200,
                &["x-backend: blue", "x-backend: green", "x-backend: amber", "\"target\":\"/hello\""],
                "each line names the backend that answered",
            )],
        },
        Chapter {
            title: "Content decides: by path, by header field",
            stops: vec![
                Curl::get("/green/hello").shows(
                    200,
                    &["x-backend: green", "\"target\":\"/hello\"", "x-served-by: fulcrum-demo"],
                    "always green, which sees /hello; x-served-by was added on the way back",
                ),
                Curl::get("/hello").with("x-color", "amber").shows(
                    200,
                    &["x-backend: amber"],
                    "always amber",
                ),
            ],
        },
        Chapter {
            title: "Backends fail: one is sick, one is dead",
            stops: vec![
                Curl::post("/green/demo/sick?for=10s").shows(
                    200,
                    &["x-backend: green"],
                    "green answers 503 for ten seconds",
                ),
                Curl::get("/green/").shows(
                    503,
                    &["x-backend: green"],
                    "503: the balancer passes on what green says",
                ),
                Curl::post("/green/demo/well").shows(200, &["x-backend: green"], "green is well again"),
                Curl::get("/failover").times(9).shows(
                    200,
                    &["x-backend: blue"],
                    "always blue: the other endpoint refuses connections, and nobody notices",
                ),
            ],
        },
        Chapter {
            title: "Nothing is lost: sticky clients, a drain, a reload",
            stops: vec![
                Curl::get("/sticky").shows(
                    200,
                    &["set-cookie: fulcrum_sticky=", "cache-control: private"],
                    "the cookie brings a client back to its backend: signed, without an address",
                ),
                Action::Fulcrum(&["drain", "sticky/green"])
                    .shows(&["draining"], "green takes no new clients; those with its cookie stay"),
                Action::Fulcrum(&["undrain", "sticky/green"]).shows(&["up"], "and again"),
                Action::Fulcrum(&["reload", "--wait"])
                    .shows(&["generation"], "reads the configuration again; no connection notices"),
            ],
        },
        Chapter {
            title: "The balancer answers by itself",
            stops: vec![
                Curl::get("/moved/a?b=c").shows(
                    301,
                    &["location: https://example.com/moved/a?b=c"],
                    "a redirect",
                ),
                Curl::get("/robots.txt").shows(200, &["User-agent: *"], "a fixed response"),
                Curl::get("/hello").with("user_id", "1").shows(
                    400,
                    &["reason: underscore_in_field_name"],
                    "refused: CGI programs cannot tell user_id from user-id",
                ),
            ],
        },
        Chapter {
            title: "Everything is counted and logged",
            stops: vec![
                Action::AccessLog.shows(
                    &["\"status\":", "\"reason\":", "\"duration\":"],
                    "one JSON object per request, with times and the reason of its end",
                ),
                Action::Metrics("fulcrum_upstream_requests_total{service=\"colors\"")
                    .shows(&["blue", "green", "amber"], "how the first nine requests were spread"),
                Action::Metrics("fulcrum_upstream_errors_total").shows(
                    &["connect_refused", "dead"],
                    "the connections that the dead endpoint of /failover refused",
                ),
                Curl::admin("/readyz").shows(200, &["ready"], "for whatever balances over balancers"),
                Action::Fulcrum(&["status"]).shows(
                    &["half-dead", "127.0.0.1:1", "unreachable"],
                    "a table of listeners, services and endpoints",
                ),
            ],
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        fn check(statuses: &[u16], text: &str, expected: Option<&str>) {
            let shown = Shown { statuses: statuses.to_vec(), text: text.to_owned() };
            let missing = Expected { status: 200, texts: &["blue", "green"] }.missing(&shown);
            assert_eq!(missing.as_deref(), expected, "{statuses:?} {text}");
        }
        check(&[200, 200], "green blue", None);
        check(&[200, 503], "green blue", Some("status 200 (there was 503)"));
        check(&[200], "blue", Some("\"green\""));
        check(&[], "blue green", None);
    }
}
