//! The named parts of a record: keys of the JSON form, placeholders of a template.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use super::record::Record;

/// A part of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Time,
    Listener,
    Client,
    Peer,
    Method,
    Target,
    Host,
    Protocol,
    Status,
    BytesIn,
    BytesOut,
    Duration,
    Route,
    Service,
    Endpoint,
    Attempts,
    UpstreamStatus,
    TimeHead,
    TimeConnect,
    TimeFirstByte,
    TimeResponse,
    RequestId,
    UserAgent,
    Referer,
    Reason,
}

/// Every field with its name, in the order of the JSON form.
pub(super) const FIELDS: [(&str, Field); 25] = [
    ("time", Field::Time),
    ("listener", Field::Listener),
    ("client", Field::Client),
    ("peer", Field::Peer),
    ("method", Field::Method),
    ("target", Field::Target),
    ("host", Field::Host),
    ("protocol", Field::Protocol),
    ("status", Field::Status),
    ("bytes_in", Field::BytesIn),
    ("bytes_out", Field::BytesOut),
    ("duration", Field::Duration),
    ("route", Field::Route),
    ("service", Field::Service),
    ("endpoint", Field::Endpoint),
    ("attempts", Field::Attempts),
    ("upstream_status", Field::UpstreamStatus),
    ("time_head", Field::TimeHead),
    ("time_connect", Field::TimeConnect),
    ("time_first_byte", Field::TimeFirstByte),
    ("time_response", Field::TimeResponse),
    ("request_id", Field::RequestId),
    ("user_agent", Field::UserAgent),
    ("referer", Field::Referer),
    ("reason", Field::Reason),
];

/// What a field holds in one record.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    Absent,
    Text(&'a [u8]),
    Number(u64),
    Seconds(Duration),
    Ip(IpAddr),
    Socket(SocketAddr),
    Time(SystemTime),
}

impl Field {
    /// The field of this name.
    pub(super) fn named(name: &str) -> Option<Field> {
        FIELDS.iter().find(|(known, _)| *known == name).map(|(_, field)| *field)
    }

    /// What this field holds in `record`.
    pub(super) fn value<'a>(self, record: &Record<'a>) -> Value<'a> {
        match self {
            Field::Time => Value::Time(record.time),
            Field::Listener => text(record.listener.as_bytes()),
            Field::Client => Value::Ip(record.client),
            Field::Peer => record.peer.map_or(Value::Text(b"unix"), Value::Socket),
            Field::Method => text(record.method),
            Field::Target => text(record.target),
            Field::Host => text(record.host),
            Field::Protocol => text(record.protocol.as_bytes()),
            Field::Status if record.status == 0 => Value::Absent,
            Field::Status => Value::Number(record.status.into()),
            Field::BytesIn => Value::Number(record.bytes_in),
            Field::BytesOut => Value::Number(record.bytes_out),
            Field::Duration => Value::Seconds(record.duration),
            Field::Route => name(record.route),
            Field::Service => name(record.service),
            Field::Endpoint => name(record.endpoint),
            Field::Attempts => Value::Number(record.attempts.into()),
            Field::UpstreamStatus => {
                record.upstream_status.map_or(Value::Absent, |code| Value::Number(code.into()))
            }
            Field::TimeHead => seconds(record.time_head),
            Field::TimeConnect => seconds(record.time_connect),
            Field::TimeFirstByte => seconds(record.time_first_byte),
            Field::TimeResponse => seconds(record.time_response),
            Field::RequestId => text(record.request_id),
            Field::UserAgent => record.user_agent.map_or(Value::Absent, Value::Text),
            Field::Referer => record.referer.map_or(Value::Absent, Value::Text),
            Field::Reason => text(record.reason.as_bytes()),
        }
    }
}

fn text(bytes: &[u8]) -> Value<'_> {
    if bytes.is_empty() { Value::Absent } else { Value::Text(bytes) }
}

fn name(name: Option<&str>) -> Value<'_> {
    name.map_or(Value::Absent, |name| Value::Text(name.as_bytes()))
}

fn seconds(duration: Option<Duration>) -> Value<'static> {
    duration.map_or(Value::Absent, Value::Seconds)
}
