//! How a record becomes a line: the format is taken apart once, a record then runs down the list of its parts.

use std::cell::Cell;

use fulcrum_config::LogFormat;

use super::calendar::Second;
use super::encode;
use super::field::{FIELDS, Field, Value};
use super::record::Record;

/// A log format, ready to write records. Belongs to one thread: it remembers the text of the current second.
#[derive(Debug)]
pub(super) struct Format {
    parts: Vec<Part>,
    style: Style,
    second: Cell<Second>,
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Literal(Box<[u8]>),
    Field(Field),
    /// The common log format's form of the time.
    ClfTime,
    /// Body bytes to the client; `-` for none, as httpd's `%b`.
    ClfBytes,
}

#[derive(Clone, Copy, Debug)]
enum Style {
    Json,
    Plain,
}

impl Format {
    /// Takes a configured format apart.
    pub(super) fn compile(format: &LogFormat) -> Format {
        let (parts, style) = match format {
            LogFormat::Json => (json(), Style::Json),
            LogFormat::Clf => (common_log_format(), Style::Plain),
            LogFormat::Template(template) => (placeholders(template), Style::Plain),
        };
        Format { parts, style, second: Cell::default() }
    }

    /// Appends one line with its line feed. Allocates nothing but room in `out`.
    pub(super) fn write(&self, record: &Record<'_>, out: &mut Vec<u8>) {
        let second = self.second.get().at(record.time);
        self.second.set(second);
        for part in &self.parts {
            match part {
                Part::Literal(bytes) => out.extend_from_slice(bytes),
                Part::Field(field) => self.style.write(field.value(record), &second, out),
                Part::ClfTime => second.write_clf(out),
                Part::ClfBytes if record.bytes_out == 0 => out.push(b'-'),
                Part::ClfBytes => encode::number(record.bytes_out, out),
            }
        }
        out.push(b'\n');
    }
}

impl Style {
    /// Numbers are the same in both styles; text is quoted in JSON only, and its escapes differ.
    fn write(self, value: Value<'_>, second: &Second, out: &mut Vec<u8>) {
        match (value, self) {
            (Value::Absent, Style::Json) => out.extend_from_slice(b"null"),
            (Value::Absent, Style::Plain) => out.push(b'-'),
            (Value::Text(bytes), Style::Json) => encode::json_string(bytes, out),
            (Value::Text(bytes), Style::Plain) => encode::plain_text(bytes, out),
            (Value::Number(number), _) => encode::number(number, out),
            (Value::Seconds(duration), _) => encode::seconds(duration, out),
            (Value::Ip(address), _) => self.quoted(out, |out| encode::ip(address, out)),
            (Value::Socket(address), _) => self.quoted(out, |out| encode::socket(address, out)),
            (Value::Time(time), _) => self.quoted(out, |out| second.write_rfc3339(time, out)),
        }
    }

    /// For text of our own making, which has nothing to escape.
    fn quoted(self, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        match self {
            Style::Json => {
                out.push(b'"');
                write(out);
                out.push(b'"');
            }
            Style::Plain => write(out),
        }
    }
}

fn json() -> Vec<Part> {
    let mut parts = Vec::with_capacity(2 * FIELDS.len() + 1);
    for (index, (name, field)) in FIELDS.into_iter().enumerate() {
        let before = if index == 0 { '{' } else { ',' };
        parts.push(literal(&format!("{before}\"{name}\":")));
        parts.push(Part::Field(field));
    }
    parts.push(literal("}"));
    parts
}

/// `host ident authuser [date] "request" status bytes`.
fn common_log_format() -> Vec<Part> {
    let mut parts = placeholders("{client} - - [");
    parts.push(Part::ClfTime);
    parts.extend(placeholders("] \"{method} {target} {protocol}\" {status} "));
    parts.push(Part::ClfBytes);
    parts
}

/// A template's parts. Braces around anything but a field's name stand for themselves: names were checked when the
/// configuration was read.
fn placeholders(template: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let (mut text, mut rest) = (String::new(), template);
    while let Some(open) = rest.find('{') {
        let named =
            rest[open + 1..].split_once('}').and_then(|(name, after)| Some((Field::named(name)?, after)));
        match named {
            Some((field, after)) => {
                text.push_str(&rest[..open]);
                push_literal(&mut parts, &mut text);
                parts.push(Part::Field(field));
                rest = after;
            }
            None => {
                text.push_str(&rest[..=open]);
                rest = &rest[open + 1..];
            }
        }
    }
    text.push_str(rest);
    push_literal(&mut parts, &mut text);
    parts
}

fn push_literal(parts: &mut Vec<Part>, text: &mut String) {
    if !text.is_empty() {
        parts.push(literal(text));
        text.clear();
    }
}

/// Text of the operator's, in which the configuration allows no control character: one record is one line.
fn literal(text: &str) -> Part {
    debug_assert!(!text.contains(char::is_control), "{text:?} was checked when the configuration was read");
    Part::Literal(text.as_bytes().into())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    use super::*;

    fn record() -> Record<'static> {
        Record {
            time: SystemTime::UNIX_EPOCH + Duration::from_millis(971_186_136_042),
            listener: "web",
            client: [192, 0, 2, 1].into(),
            peer: Some(([127, 0, 0, 1], 5000).into()),
            method: b"GET",
            target: b"/a?b=\"c\"",
            host: b"shop.example.com",
            protocol: "HTTP/1.1",
            status: 200,
            bytes_in: 0,
            bytes_out: 2326,
            duration: Duration::from_micros(1_500),
            route: Some("shop"),
            service: Some("web"),
            endpoint: Some("10.0.0.1:80"),
            attempts: 1,
            upstream_status: Some(200),
            time_head: Some(Duration::from_micros(20)),
            time_connect: None,
            time_first_byte: Some(Duration::from_micros(900)),
            time_response: Some(Duration::from_micros(100)),
            request_id: b"01J0",
            user_agent: Some("grün".as_bytes()),
            referer: None,
            reason: "ok",
        }
    }

    fn line(format: &LogFormat, record: &Record<'_>) -> String {
        let mut out = Vec::new();
        Format::compile(format).write(record, &mut out);
        let line = String::from_utf8(out).expect("a line is UTF-8");
        line.strip_suffix('\n').expect("a line ends with a line feed").to_owned()
    }

    fn template(text: &str) -> LogFormat {
        LogFormat::Template(text.to_owned())
    }

    #[test]
    fn json_has_every_field() {
        let parsed: Json = serde_json::from_str(&line(&LogFormat::Json, &record())).expect("JSON");
        let expected = json!({
            "time": "2000-10-10T13:55:36.042Z", "listener": "web", "client": "192.0.2.1", "peer": "127.0.0.1:5000",
            "method": "GET", "target": "/a?b=\"c\"", "host": "shop.example.com", "protocol": "HTTP/1.1",
            "status": 200, "bytes_in": 0, "bytes_out": 2326, "duration": 0.0015, "route": "shop", "service": "web",
            "endpoint": "10.0.0.1:80", "attempts": 1, "upstream_status": 200, "time_head": 0.00002,
            "time_connect": null, "time_first_byte": 0.0009, "time_response": 0.0001, "request_id": "01J0",
            "user_agent": "grün", "referer": null, "reason": "ok",
        });
        assert_eq!(parsed, expected);
    }

    #[test]
    fn clf_is_httpds() {
        let expected = r#"192.0.2.1 - - [10/Oct/2000:13:55:36 +0000] "GET /a?b=\x22c\x22 HTTP/1.1" 200 2326"#;
        assert_eq!(line(&LogFormat::Clf, &record()), expected);
        let empty = Record { method: b"", target: b"", protocol: "", status: 400, bytes_out: 0, ..record() };
        let expected = r#"192.0.2.1 - - [10/Oct/2000:13:55:36 +0000] "- - -" 400 -"#;
        assert_eq!(line(&LogFormat::Clf, &empty), expected);
    }

    #[test]
    fn templates_name_fields() {
        let check = |text: &str, expected: &str| assert_eq!(line(&template(text), &record()), expected);
        check("{status} {duration} {referer}", "200 0.001500 -");
        check("{time} {peer}", "2000-10-10T13:55:36.042Z 127.0.0.1:5000");
        check("[{user_agent}]", r"[gr\xC3\xBCn]");
        check("{{status}} {nope} {", "{200} {nope} {");
        let unix = Record { peer: None, ..record() };
        assert_eq!(line(&template("{peer}"), &unix), "unix");
    }

    #[test]
    fn every_name_finds_its_field() {
        for (name, field) in FIELDS {
            assert_eq!(placeholders(&format!("{{{name}}}")), [Part::Field(field)]);
        }
    }

    #[test]
    fn the_second_is_not_kept_too_long() {
        let format = Format::compile(&template("{time}"));
        let mut out = Vec::new();
        for milliseconds in [0, 999, 1000, 500] {
            let time = SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds);
            format.write(&Record { time, ..record() }, &mut out);
        }
        let expected = "1970-01-01T00:00:00.000Z\n1970-01-01T00:00:00.999Z\n\
                        1970-01-01T00:00:01.000Z\n1970-01-01T00:00:00.500Z\n";
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    proptest! {
        #[test]
        fn json_of_any_bytes_is_one_line_that_parses(
            target in any::<Vec<u8>>(), host in any::<Vec<u8>>(), agent in any::<Vec<u8>>(), text in any::<String>(),
        ) {
            let record =
                Record { target: &target, host: &host, user_agent: Some(&agent), method: text.as_bytes(), ..record() };
            let line = line(&LogFormat::Json, &record);
            prop_assert!(!line.chars().any(char::is_control), "{line:?}");
            let parsed: Json = serde_json::from_str(&line).expect("JSON");
            prop_assert_eq!(parsed.as_object().map(serde_json::Map::len), Some(FIELDS.len()));
            let expected = if text.is_empty() { Json::Null } else { Json::from(text) };
            prop_assert_eq!(&parsed["method"], &expected);
            prop_assert_eq!(&parsed["reason"], "ok");
        }

        #[test]
        fn plain_lines_hold_printable_ascii_only(
            method in any::<Vec<u8>>(), target in any::<Vec<u8>>(), agent in any::<Vec<u8>>(), id in any::<Vec<u8>>(),
        ) {
            let record = Record {
                method: &method, target: &target, user_agent: Some(&agent), request_id: &id, ..record()
            };
            for format in [LogFormat::Clf, template("{method} {target} \"{user_agent}\" {request_id} {host}")] {
                let line = line(&format, &record);
                prop_assert!(line.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{line:?}");
                prop_assert_eq!(line.matches('"').count(), 2, "a value closes no quotes: {:?}", line);
            }
        }
    }
}
