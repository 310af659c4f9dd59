//! Where a service finds endpoints, as it is written.

use schemars::JsonSchema;

use crate::decode::{At, Decode};
use crate::directory::FilePath;
use crate::dns::{DnsHostPort, SrvNameText};
use crate::duration::Span;
use crate::fields::fields;
use crate::node::{Node, Value};
use crate::report::Problems;
use crate::url::Url;

fields! {
    /// Where a service finds endpoints: exactly one of these.
    RawDiscovery {
        /// The name of a service in the registry of this daemon.
        registry: At<String>,
        /// All the addresses of a name: NAME:PORT.
        dns: DnsHostPort,
        /// The SRV records of a name, like _http._tcp.app.internal.
        srv: SrvNameText,
        /// A JSON list in a file: an absolute path.
        file: At<FilePath>,
        /// A JSON list that is asked for now and then: a URL, or the long form.
        http: RawHttpSource,
    }

    /// A list that is asked for over HTTP, in its long form.
    RawHttpSourceLong {
        /// Like http://HOST:PORT/PATH.
        url: Url = required,
        /// How long after an answer to ask again, 1s to 1h. Default 10s.
        interval: Span<1_000, 3_600_000>,
        /// How long an exchange may take, 100ms to 1m. Default 5s.
        timeout: Span<100, 60_000>,
    }
}

/// A list that is asked for over HTTP.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum RawHttpSource {
    /// Like http://HOST:PORT/PATH.
    Short(Url),
    /// With interval and timeout.
    Long(RawHttpSourceLong),
}

impl Decode for RawHttpSource {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Mapping(_) => RawHttpSourceLong::decode(node, problems).map(RawHttpSource::Long),
            _ => Url::decode(node, problems).map(RawHttpSource::Short),
        }
    }
}
