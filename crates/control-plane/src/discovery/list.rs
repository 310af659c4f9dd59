//! Lists of endpoints, as files and HTTP servers give them: JSON, read whole or not at all.
//!
//! ```json
//! ["10.0.0.1:8080", { "id": "b", "address": "10.0.0.2:8080", "weight": 2, "state": "drain" }]
//! ```

use std::collections::HashSet;
use std::fmt;
use std::net::SocketAddr;

use fulcrum_model::{Address, EndpointId, Weight};
use serde::Deserialize;
use serde_json::Value;

use super::reach;
use super::trouble::Trouble;
use crate::state::Stage;

/// One endpoint of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its identity; where none is given, its address.
    pub id: EndpointId,
    /// Where it is.
    pub address: Address,
    /// Its share.
    pub weight: Weight,
    /// What it takes.
    pub stage: Stage,
}

/// Who wrote a list. With those of others comes where this daemon listens: they cannot lead there, nor to what only this
/// link can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Author<'a> {
    /// Somebody who may write files of this machine.
    Machine,
    /// A server on this machine: it may know others here.
    Neighbour(&'a [SocketAddr]),
    /// Another machine: it cannot lead to sockets of this one.
    Network(&'a [SocketAddr]),
}

/// What is wrong with a list, a line for each mistake.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Mistakes {
    first: Vec<String>,
    count: usize,
}

impl Mistakes {
    fn add(&mut self, mistake: impl fmt::Display) {
        self.count += 1;
        if self.first.len() < MOST_TOLD {
            // Some of it was written by whoever wrote the list, and it is shown in terminals.
            let mut text = printable(&mistake.to_string());
            if let Some((end, _)) = text.char_indices().nth(MOST_CHARACTERS) {
                text.truncate(end);
                text.push('…');
            }
            self.first.push(text);
        }
    }
}

/// With escapes in the place of what is not to be seen, or does something to a terminal.
fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' | '\'' | '\\' => printable.push(character),
            _ => printable.extend(character.escape_debug()),
        }
    }
    printable
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.first.join("; "))?;
        match self.count - self.first.len() {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

/// Reads a list. Of a wrong one nothing is used, and every mistake is told.
pub(super) fn parse(text: &[u8], author: Author<'_>) -> Result<Vec<Entry>, Trouble> {
    let mut mistakes = Mistakes::default();
    let values = match serde_json::from_slice::<Value>(text) {
        Ok(Value::Array(values)) => values,
        Ok(other) => {
            mistakes.add(format_args!("expected a list, found {}", kind(&other)));
            return Err(Trouble::Malformed(mistakes));
        }
        Err(error) => {
            mistakes.add(format_args!("no JSON: {error}"));
            return Err(Trouble::Malformed(mistakes));
        }
    };
    if values.len() > MAX_ENDPOINTS {
        return Err(Trouble::TooMany { what: "endpoints", most: MAX_ENDPOINTS });
    }
    let mut ids = HashSet::with_capacity(values.len());
    let mut entries = Vec::with_capacity(values.len());
    for (number, value) in (1..).zip(values) {
        match entry(value, author) {
            Ok(entry) if !ids.insert(entry.id.clone()) => {
                mistakes.add(format_args!("endpoint {number}: `{}` is given twice", entry.id));
            }
            Ok(entry) => entries.push(entry),
            Err(mistake) => mistakes.add(format_args!("endpoint {number}: {mistake}")),
        }
    }
    if mistakes.count > 0 { Err(Trouble::Malformed(mistakes)) } else { Ok(entries) }
}

/// An endpoint in its long form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Long {
    id: Option<String>,
    address: String,
    weight: Option<Value>,
    state: Option<State>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Up,
    Drain,
    Maintenance,
}

fn entry(value: Value, author: Author<'_>) -> Result<Entry, String> {
    let long = match value {
        Value::String(address) => Long { id: None, address, weight: None, state: None },
        Value::Object(_) => serde_json::from_value(value).map_err(|error| error.to_string())?,
        other => return Err(format!("expected an address or an object, found {}", kind(&other))),
    };
    let address = address(&long.address, author).map_err(|why| format!("{:?} {why}", long.address))?;
    let id = long.id.unwrap_or_else(|| address.to_string());
    Ok(Entry {
        id: id.parse().map_err(|error| format!("id {id:?}: {error}"))?,
        address,
        weight: weight(long.weight)?,
        stage: match long.state {
            None | Some(State::Up) => Stage::Up,
            Some(State::Drain) => Stage::Draining,
            Some(State::Maintenance) => Stage::Maintenance,
        },
    })
}

fn weight(value: Option<Value>) -> Result<Weight, String> {
    let Some(value) = value else { return Ok(Weight::ONE) };
    let number = value.as_u64().and_then(|number| u16::try_from(number).ok());
    number.and_then(Weight::new).ok_or_else(|| format!("weight {value} is not from 1 to 65535"))
}

fn address(text: &str, author: Author<'_>) -> Result<Address, &'static str> {
    match text.parse::<Address>() {
        Err(_) => Err("is not an address like \"10.0.0.1:8080\""),
        Ok(Address::Unix(path)) if author == Author::Machine => Ok(Address::Unix(path)),
        Ok(Address::Unix(_)) => Err("is a socket of this machine"),
        Ok(Address::Tcp(address)) => {
            // Nobody gets past a rule by writing an IPv4 address as an IPv6 one.
            let address = SocketAddr::new(address.ip().to_canonical(), address.port());
            refuse(address, author)?;
            Ok(Address::Tcp(address))
        }
    }
}

fn refuse(address: SocketAddr, author: Author<'_>) -> Result<(), &'static str> {
    match (address.ip(), author) {
        (ip, _) if ip.is_unspecified() => Err("is no address of anybody"),
        (ip, _) if ip.is_multicast() => Err("is an address of a group"),
        (ip, Author::Network(_)) if ip.is_loopback() => Err("is an address within this machine"),
        (_, Author::Network(own) | Author::Neighbour(own)) => reach::refuse(address, own),
        (_, Author::Machine) => Ok(()),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The longest list that is read.
pub(super) const MAX_BYTES: usize = 8 << 20;
/// The most endpoints of a list.
pub(super) const MAX_ENDPOINTS: usize = 50_000;
/// So many mistakes are told in words.
const MOST_TOLD: usize = 16;
/// So many characters of each.
const MOST_CHARACTERS: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    /// A list as `id address weight stage`, or what is wrong with it.
    fn read(text: &str, author: Author<'_>) -> Result<Vec<String>, String> {
        let entries = parse(text.as_bytes(), author).map_err(|trouble| trouble.to_string())?;
        let show =
            |entry: Entry| format!("{} {} {} {:?}", entry.id, entry.address, entry.weight.get(), entry.stage);
        Ok(entries.into_iter().map(show).collect())
    }

    #[track_caller]
    fn check(text: &str, expected: Result<&[&str], &str>) {
        let found = read(text, Author::Machine);
        let expected = expected.map(|lines| lines.iter().map(|line| (*line).to_owned()).collect());
        assert_eq!(found, expected.map_err(str::to_owned), "{text}");
    }

    #[test]
    fn lists_are_read() {
        check("[]", Ok(&[]));
        check(r#"["10.0.0.1:80"]"#, Ok(&["10.0.0.1:80 10.0.0.1:80 1 Up"]));
        check(
            r#"[{"id":"a","address":"[2001:db8::1]:80","weight":65535,"state":"drain"}, {"address":"unix:/run/a"}]"#,
            Ok(&["a [2001:db8::1]:80 65535 Draining", "unix:/run/a unix:/run/a 1 Up"]),
        );
        check(
            r#"[{"address":"[::ffff:10.0.0.1]:80","state":"maintenance"}]"#,
            Ok(&["10.0.0.1:80 10.0.0.1:80 1 Maintenance"]),
        );
        // One address under two names is two endpoints.
        check(
            r#"[{"id":"a","address":"10.0.0.1:80"},{"id":"b","address":"10.0.0.1:80","state":"up"}]"#,
            Ok(&["a 10.0.0.1:80 1 Up", "b 10.0.0.1:80 1 Up"]),
        );
    }

    #[test]
    fn mistakes_are_told() {
        check("", Err("no JSON: EOF while parsing a value at line 1 column 0"));
        check("[\"10.0.0.1:80\"", Err("no JSON: EOF while parsing a list at line 1 column 14"));
        check("{}", Err("expected a list, found an object"));
        check("null", Err("expected a list, found null"));
        check("[1]", Err("endpoint 1: expected an address or an object, found a number"));
        check(r#"["app:80"]"#, Err(r#"endpoint 1: "app:80" is not an address like "10.0.0.1:8080""#));
        check(r#"["0.0.0.0:80"]"#, Err(r#"endpoint 1: "0.0.0.0:80" is no address of anybody"#));
        check(r#"["224.0.0.1:80"]"#, Err(r#"endpoint 1: "224.0.0.1:80" is an address of a group"#));
        check(r#"["10.0.0.1:80", "10.0.0.1:80"]"#, Err("endpoint 2: `10.0.0.1:80` is given twice"));
        let weight = |weight: &str| format!(r#"[{{"address":"10.0.0.1:80","weight":{weight}}}]"#);
        for bad in ["0", "65536", "1.5", "-1", "\"2\""] {
            check(&weight(bad), Err(&format!("endpoint 1: weight {bad} is not from 1 to 65535")));
        }
        check(
            r#"[{"address":"10.0.0.1:80","id":""}]"#,
            Err("endpoint 1: id \"\": a name has 1 to 255 bytes"),
        );
        check(
            r#"[{"address":"10.0.0.1:80","state":"down"}, {"adress":"10.0.0.1:80"}]"#,
            Err("endpoint 1: unknown variant `down`, expected one of `up`, `drain`, `maintenance`; \
                 endpoint 2: unknown field `adress`, expected one of `id`, `address`, `weight`, `state`"),
        );
    }

    #[test]
    fn what_is_told_does_nothing_to_a_terminal() {
        let told = read("[{\"\\u001b]0;a\\u0007\\u202eb\\n\": 1, \"address\": \"a\"}]", Author::Machine);
        let told = told.expect_err("an unknown field");
        assert!(told.contains(r"unknown field `\u{1b}]0;a\u{7}\u{202e}b\n`"), "{told}");
    }

    #[test]
    fn another_machine_cannot_lead_into_this_one() {
        let own = ["127.0.0.1:9900".parse().expect("an address"), "10.0.0.5:80".parse().expect("an address")];
        let check = |address: &str, network: bool, neighbour: bool| {
            let text = format!("[\"{address}\"]");
            assert_eq!(read(&text, Author::Network(&own)).is_ok(), network, "{address}");
            assert_eq!(read(&text, Author::Neighbour(&own)).is_ok(), neighbour, "{address}");
            assert!(read(&text, Author::Machine).is_ok(), "{address}");
        };
        for address in [
            "unix:/run/admin.sock",
            "169.254.169.254:80",
            "[::ffff:169.254.169.254]:80",
            "[fe80::1]:80",
            "127.0.0.1:9900",
            "[::ffff:127.0.0.1]:9900",
            "10.0.0.5:80",
        ] {
            check(address, false, false);
        }
        for address in ["127.0.0.1:80", "[::ffff:127.0.0.2]:9900", "[::1]:9900"] {
            check(address, false, true);
        }
        for address in ["10.0.0.1:80", "10.0.0.5:81"] {
            check(address, true, true);
        }
    }

    #[test]
    fn what_is_told_is_bounded() {
        let many = format!("[{}]", vec!["0"; 1000].join(","));
        let told = read(&many, Author::Machine).expect_err("numbers are no endpoints");
        assert!(
            told.ends_with("endpoint 16: expected an address or an object, found a number; and 984 more")
        );
        let long = format!("[\"{}\"]", "ä".repeat(100_000));
        let told = read(&long, Author::Machine).expect_err("no address");
        assert_eq!(told.chars().count(), MOST_CHARACTERS + 1);
        let full = |count: usize| {
            let addresses: Vec<String> =
                (0..count).map(|n| format!("\"10.{}.{}.{}:80\"", n >> 16, n >> 8 & 255, n & 255)).collect();
            read(&format!("[{}]", addresses.join(",")), Author::Machine).map(|list| list.len())
        };
        assert_eq!(full(MAX_ENDPOINTS), Ok(MAX_ENDPOINTS));
        assert_eq!(full(MAX_ENDPOINTS + 1), Err("more than 50000 endpoints".to_owned()));
        let deep = "[".repeat(100_000);
        assert!(read(&deep, Author::Machine).is_err());
    }
}
