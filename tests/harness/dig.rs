//! The DNS of a daemon, asked by dig.

use std::process::Command;

use super::Fulcrum;

/// What dig was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dig {
    /// Like `NOERROR`; empty when there was no answer.
    pub(crate) status: String,
    /// Like `qr aa rd`.
    pub(crate) flags: String,
    /// The records of the answer section, their fields with one space between them.
    pub(crate) answers: Vec<String>,
    pub(crate) authority: Vec<String>,
    pub(crate) additional: Vec<String>,
    /// All of it.
    pub(crate) text: String,
}

impl Fulcrum {
    /// Where DNS is answered.
    #[track_caller]
    pub(crate) fn dns(&self) -> &str {
        self.ready["gslb"][0].as_str().unwrap_or_else(|| panic!("no DNS in {}", self.ready))
    }

    /// Asks once, without cookies; more is said by the arguments.
    #[track_caller]
    pub(crate) fn dig(&self, arguments: &[&str]) -> Dig {
        Dig::ask(self.dns(), arguments)
    }

    /// The addresses of a name, sorted.
    #[track_caller]
    pub(crate) fn resolve(&self, name: &str, more: &[&str]) -> Vec<String> {
        let dig = self.dig(&[&[name], more].concat());
        assert_eq!(dig.status, "NOERROR", "{}", dig.text);
        let mut addresses: Vec<String> =
            dig.answers.iter().filter_map(|record| record.rsplit(' ').next()).map(str::to_owned).collect();
        addresses.sort();
        addresses
    }
}

impl Dig {
    /// Asks a server once.
    #[track_caller]
    pub(crate) fn ask(server: &str, arguments: &[&str]) -> Self {
        let (address, port) = server.rsplit_once(':').expect("an address and a port");
        let server = format!("@{}", address.trim_matches(['[', ']']));
        let mut command = Command::new("dig");
        command
            .args([&server, "-p", port, "+tries=1", "+time=5", "+nocookie", "+noquestion", "+nostats"])
            .args(arguments);
        let output = command.output().expect("dig is installed");
        Dig::parse(&String::from_utf8_lossy(&output.stdout))
    }

    fn parse(text: &str) -> Self {
        let after = |mark: &str, end: char| {
            let found = text.split_once(mark).map_or("", |(_, rest)| rest);
            found.split(end).next().unwrap_or_default().trim().to_owned()
        };
        let section = |name: &str| {
            let rest = text.split_once(&format!(";; {name} SECTION:\n")).map_or("", |(_, rest)| rest);
            let lines = rest.lines().take_while(|line| !line.is_empty());
            lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
        };
        Dig {
            status: after("status: ", ','),
            flags: after(";; flags: ", ';'),
            answers: section("ANSWER"),
            authority: section("AUTHORITY"),
            additional: section("ADDITIONAL"),
            text: text.to_owned(),
        }
    }
}
