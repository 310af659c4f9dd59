//! The commands of the tour as they are typed into a shell.

use std::env;
use std::net::SocketAddr;
use std::path::Path;

use hyper::Method;
use serde_json::Value;

use super::folder::DemoFolder;
use super::stops::{Action, Curl, Dig, End, Load, NameServer, Server};
use crate::client::ServerAddress;

/// What the commands name: addresses, files, this program.
pub(super) struct Places<'a> {
    pub(super) web: ServerAddress,
    pub(super) metrics: ServerAddress,
    pub(super) registry: ServerAddress,
    /// Of the responder.
    pub(super) dns: SocketAddr,
    /// Of the registry.
    pub(super) names: SocketAddr,
    /// The admin's, with everything.
    pub(super) socket: String,
    pub(super) program: String,
    pub(super) folder: &'a DemoFolder,
}

impl<'a> Places<'a> {
    /// Reads the daemon's ready line; `None` when it does not say where it serves.
    pub(super) fn new(ready: &Value, folder: &'a DemoFolder) -> Option<Self> {
        let web = ready["listeners"]["web"][0].as_str()?;
        let admin = ready["admin"].as_array()?;
        let tcp = admin.iter().filter_map(Value::as_str).find(|address| !address.starts_with("unix:"))?;
        let registry = ready["registry"][0].as_str()?;
        let name_server = |key: &str| ready[key][0].as_str()?.parse().ok();
        Some(Places {
            dns: name_server("gslb")?,
            names: name_server("registry_dns")?,
            registry: ServerAddress::Http(registry.to_owned()),
            web: ServerAddress::Http(web.to_owned()),
            metrics: ServerAddress::Http(tcp.to_owned()),
            socket: format!("unix:{}", folder.socket().display()),
            program: env::current_exe()
                .map_or_else(|_| "fulcrum".to_owned(), |path| path.display().to_string()),
            folder,
        })
    }

    pub(super) fn server(&self, server: Server) -> &ServerAddress {
        match server {
            Server::Web => &self.web,
            Server::Admin => &self.metrics,
            Server::Registry => &self.registry,
        }
    }

    pub(super) fn name_server(&self, server: NameServer) -> SocketAddr {
        match server {
            NameServer::Gslb => self.dns,
            NameServer::Registry => self.names,
        }
    }

    /// What to type.
    pub(super) fn command(&self, action: &Action) -> String {
        match action {
            Action::Curl(curl) => self.curl(curl),
            Action::Dig(dig) => self.dig(dig),
            Action::Metrics(prefix) => format!("curl -s '{}/metrics' | grep '^{prefix}'", self.metrics),
            Action::Fulcrum(words) => self.fulcrum(words),
            Action::Failing(words) => format!("{}; echo \"exit code $?\"", self.fulcrum(words)),
            Action::AccessLog => format!("tail -n 1 {}", self.folder.access_log().display()),
            Action::Registry(words) => {
                format!("{} {} --registry {}", self.program, words.join(" "), self.registry)
            }
            Action::Ending(load) => self.ending(load),
            Action::Edit(before, after) => edit(before, after, &self.folder.config()),
        }
    }

    fn fulcrum(&self, words: &[&str]) -> String {
        format!("{} {} --admin {}", self.program, words.join(" "), self.socket)
    }

    fn curl(&self, curl: &Curl) -> String {
        let Curl { method, server, target, field, times } = curl;
        let method = if *method == Method::GET { String::new() } else { format!(" -X {method}") };
        let field = field.map_or_else(String::new, |(name, value)| format!(" -H '{name}: {value}'"));
        let command = format!("curl -si{method}{field} '{}{target}'", self.server(*server));
        match times {
            1 => command,
            _ => format!("for i in $(seq {times}); do {command} | grep x-backend; done"),
        }
    }

    fn dig(&self, dig: &Dig) -> String {
        let Dig { server, name, record_type, subnet } = dig;
        let server = self.name_server(*server);
        let subnet = subnet.map_or_else(String::new, |subnet| format!(" +subnet={subnet}"));
        format!("dig @{} -p {} +short {name} {record_type}{subnet}", server.ip(), server.port())
    }

    /// The numbers are a parameter of the query, which means nothing to anyone but curl.
    fn ending(&self, load: &Load) -> String {
        let Load { target, requests, at_a_time, victim, end } = load;
        let kill = match end {
            End::Stopped => "kill",
            End::Killed => "kill -9",
        };
        let (web, pid_file) = (&self.web, self.folder.pid_file(victim));
        format!(
            "(sleep 0.2; {kill} $(cat {})) & curl -sZ --parallel-max {at_a_time} -o /dev/null -w '%{{http_code}}\\n' \
             '{web}{target}&[1-{requests}]' | sort | uniq -c",
            pid_file.display()
        )
    }
}

fn edit(before: &str, after: &str, file: &Path) -> String {
    format!("sed -i 's/{before}/{after}/' {}", file.display())
}

#[cfg(test)]
mod tests {
    use fulcrum_model::RecordType;
    use serde_json::json;

    use super::*;

    fn ready() -> Value {
        json!({
            "event": "ready",
            "listeners": { "web": ["127.0.0.1:8080"] },
            "admin": ["unix:/tmp/admin.sock", "127.0.0.1:9901"],
            "registry": ["127.0.0.1:8500"],
            "registry_dns": ["127.0.0.1:8600"],
            "gslb": ["127.0.0.1:5300"],
        })
    }

    #[test]
    fn commands_are_what_is_executed() {
        fn check_action(action: &Action, expected: &str) {
            let folder = DemoFolder::create().expect("a folder");
            let places = Places::new(&ready(), &folder).expect("all addresses are there");
            assert_eq!(places.command(action), expected);
        }
        let check = |curl, expected| check_action(&Action::Curl(curl), expected);
        check_action(
            &Action::Dig(Dig::gslb("www.demo.example", RecordType::A).from("192.0.2.0/24")),
            "dig @127.0.0.1 -p 5300 +short www.demo.example A +subnet=192.0.2.0/24",
        );
        check_action(
            &Action::Dig(Dig::registry("crew.svc.demo.example", RecordType::SRV)),
            "dig @127.0.0.1 -p 8600 +short crew.svc.demo.example SRV",
        );
        check(Curl::get("/a?b=c"), "curl -si 'http://127.0.0.1:8080/a?b=c'");
        check(
            Curl::get("/").with("x-color", "amber"),
            "curl -si -H 'x-color: amber' 'http://127.0.0.1:8080/'",
        );
        check(Curl::post("/sick"), "curl -si -X POST 'http://127.0.0.1:8080/sick'");
        check(Curl::admin("/readyz"), "curl -si 'http://127.0.0.1:9901/readyz'");
        check(
            Curl::get("/").times(9),
            "for i in $(seq 9); do curl -si 'http://127.0.0.1:8080/' | grep x-backend; done",
        );
    }

    #[test]
    fn a_daemon_without_addresses_is_unclear() {
        let folder = DemoFolder::create().expect("a folder");
        assert!(Places::new(&json!({ "event": "ready" }), &folder).is_none());
    }
}
