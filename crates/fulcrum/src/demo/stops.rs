//! What a chapter of the demo is made of: commands, and what each of them shows.

use std::fmt::Write as _;

use fulcrum_model::RecordType;
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
    pub(super) timing: Timing,
}

/// When a command shows what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timing {
    /// The first time.
    AtOnce,
    /// It may have to be repeated.
    InAMoment,
}

/// A command.
pub(super) enum Action {
    /// Requests; what is shown is all their answers.
    Curl(Curl),
    /// Lines of `/metrics` that begin with this.
    Metrics(&'static str),
    /// `fulcrum` with these words, over the unix socket.
    Fulcrum(&'static [&'static str]),
    /// The same where it fails, with its exit code.
    Failing(&'static [&'static str]),
    /// `fulcrum` with these words, asked of the registry.
    Registry(&'static [&'static str]),
    /// A question of the DNS.
    Dig(Dig),
    /// Requests that go on while a backend ends.
    Ending(Load),
    /// Every first text in the configuration becomes the second.
    Edit(&'static str, &'static str),
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

/// A question of the DNS.
pub(super) struct Dig {
    pub(super) server: NameServer,
    pub(super) name: &'static str,
    pub(super) record_type: RecordType,
    /// Asked for a client of this network.
    pub(super) subnet: Option<&'static str>,
}

/// Who answers DNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NameServer {
    /// The responder.
    Gslb,
    /// The registry, for its services.
    Registry,
}

/// GETs of the balancer, many at a time, and who ends in their midst.
pub(super) struct Load {
    pub(super) target: &'static str,
    pub(super) requests: u16,
    pub(super) at_a_time: u16,
    pub(super) victim: &'static str,
    pub(super) end: End,
}

/// How a backend ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It is asked to.
    Stopped,
    /// It knows nothing of it.
    Killed,
}

/// Where a request goes.
#[derive(Clone, Copy)]
pub(super) enum Server {
    Web,
    Admin,
    Registry,
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

    /// A GET of the registry.
    pub(super) fn registry(target: &'static str) -> Self {
        Curl { server: Server::Registry, ..Curl::get(target) }
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
    pub(super) fn shows(self, status: u16, texts: &'static [&'static str], remark: &'static str) -> Stop {
        let expected = Expected { status, texts };
        Stop { action: Action::Curl(self), expected, remark, timing: Timing::AtOnce }
    }
}

impl Dig {
    /// A question to the responder.
    pub(super) fn gslb(name: &'static str, record_type: RecordType) -> Self {
        Dig { server: NameServer::Gslb, name, record_type, subnet: None }
    }

    /// A question to the registry.
    pub(super) fn registry(name: &'static str, record_type: RecordType) -> Self {
        Dig { server: NameServer::Registry, ..Dig::gslb(name, record_type) }
    }

    /// As a resolver asks for a client of this network.
    pub(super) fn from(self, subnet: &'static str) -> Self {
        Dig { subnet: Some(subnet), ..self }
    }

    /// What it shows makes it a stop of the tour.
    pub(super) fn shows(self, texts: &'static [&'static str], remark: &'static str) -> Stop {
        Action::Dig(self).shows(texts, remark)
    }
}

impl Load {
    /// Nothing but answers of 200.
    pub(super) fn shows_no_failure(self, remark: &'static str) -> Stop {
        let expected = Expected { status: 200, texts: &[] };
        Stop { action: Action::Ending(self), expected, remark, timing: Timing::AtOnce }
    }
}

impl Action {
    /// What it shows makes it a stop of the tour.
    pub(super) fn shows(self, texts: &'static [&'static str], remark: &'static str) -> Stop {
        let timing = self.timing();
        Stop { action: self, expected: Expected { status: 200, texts }, remark, timing }
    }

    /// What is told of requests is written behind their answers.
    fn timing(&self) -> Timing {
        match self {
            Action::Metrics(_) | Action::Fulcrum(["status"]) | Action::AccessLog => Timing::InAMoment,
            _ => Timing::AtOnce,
        }
    }
}

impl Stop {
    /// What happens may take some seconds.
    pub(super) fn in_a_moment(self) -> Self {
        Stop { timing: Timing::InAMoment, ..self }
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
