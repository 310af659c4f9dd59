//! Health checks, outliers and panic as they are written.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::code::Code;
use crate::decode::{At, Complaint, Decode, Leaf, Named, OneOrMany, Whole, Word, Words};
use crate::duration::{Span, Timeout};
use crate::field::FieldValue;
use crate::fields::fields;
use crate::health::PanicAction;
use crate::node::{Node, Value};
use crate::percent::Percent;
use crate::probe::{ProbeHost, ProbePath, Statuses};
use crate::report::Problems;
use crate::schema::variable;

fields! {
    /// How endpoints are checked, in the long form: exactly one of http and tcp.
    RawHealthLong {
        /// The path that is requested, perhaps with a query.
        http: ProbePath,
        /// connect, if it is enough that a connection can be made; or what is sent and expected.
        tcp: RawTcpProbe,
        /// GET, HEAD or OPTIONS. Default GET. For http alone.
        method: Word<ProbeMethod>,
        /// The Host field. Default: the endpoint's address. For http alone.
        host: ProbeHost,
        /// The port that is asked. Default: that of the endpoint.
        port: Whole<1, 65_535>,
        /// Fields of the request. For http alone.
        headers: Named<FieldValue>,
        /// Which response is good. For http alone.
        expect: RawExpect,
        /// From one check to the next. Default 2s; from 100ms to 1h.
        interval: Span<100, 3_600_000>,
        /// A check that takes longer has failed. Default 1s; from 10ms to 1m.
        timeout: Span<10, 60_000>,
        /// Good checks in a row that bring an endpoint up. Default 2.
        rise: Whole<1, 1000>,
        /// Bad checks in a row that take an endpoint down. Default 3.
        fall: Whole<1, 1000>,
    }

    /// Which response is good.
    RawExpect {
        /// One or several statuses or ranges like 200-399. Default 200-399.
        status: OneOrMany<Statuses>,
        /// Text that must occur in the first 64 KiB of the body.
        body: At<String>,
    }

    /// What is sent over a connection, and what must come back.
    RawTcpProbeLong {
        /// Text that is sent first, at most 64 KiB.
        send: At<String>,
        /// Text that must occur in the first 64 KiB of what comes back.
        expect: At<String>,
    }

    /// Which failures of real traffic take an endpoint out for a while.
    RawOutlier {
        /// Failures in a row: connections not made, broken responses, errors of a server or gateway. Default 5.
        consecutive_errors: Whole<1, 1_000_000>,
        /// The first time out; the next ones are multiples of it. Default 30s.
        eject: Timeout,
        /// The longest time out, not less than eject. Default 5m.
        max_eject: Timeout,
        /// Most endpoints that are out at a time, in percent of all; one is always allowed. Default 10%; from 1% to 100%.
        max_ejected: Percent<1, 100>,
    }

    /// What happens when few endpoints are healthy.
    RawPanic {
        /// Fewer healthy endpoints than this percentage are few; 0% for none. Default 50%.
        below: Percent<0, 100>,
        /// Services of fewer endpoints panic only when none is healthy. Default 10.
        at_least: Whole<1, 1_000_000>,
        /// all balances over all endpoints, healthy or not; 503 answers that. Default all.
        then: PanicText,
    }
}

/// How endpoints are checked.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum RawHealth {
    /// The path that is requested.
    Short(ProbePath),
    /// What is asked, and how often.
    Long(Box<RawHealthLong>),
}

impl Decode for RawHealth {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Mapping(_) => {
                RawHealthLong::decode(node, problems).map(|long| RawHealth::Long(Box::new(long)))
            }
            _ => ProbePath::decode(node, problems).map(RawHealth::Short),
        }
    }
}

/// What is done with a connection.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum RawTcpProbe {
    /// It is made and closed.
    Short(Word<Connect>),
    /// It is talked over.
    Long(RawTcpProbeLong),
}

impl Decode for RawTcpProbe {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Mapping(_) => RawTcpProbeLong::decode(node, problems).map(RawTcpProbe::Long),
            _ => Word::decode(node, problems).map(RawTcpProbe::Short),
        }
    }
}

/// The only short form of a TCP check.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connect;

impl Words for Connect {
    const WORDS: &'static [(&'static str, Self)] = &[("connect", Connect)];
}

/// The methods of checks: safe, and without a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProbeMethod {
    Get,
    Head,
    Options,
}

impl ProbeMethod {
    /// As it is sent.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            ProbeMethod::Get => "GET",
            ProbeMethod::Head => "HEAD",
            ProbeMethod::Options => "OPTIONS",
        }
    }
}

impl Words for ProbeMethod {
    const WORDS: &'static [(&'static str, Self)] =
        &[("GET", ProbeMethod::Get), ("HEAD", ProbeMethod::Head), ("OPTIONS", ProbeMethod::Options)];
}

/// `all`, or `503`, which YAML takes for a number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PanicText(pub(crate) PanicAction);

impl Leaf for PanicText {
    const WANTED: &'static str = "`all` or `503`";
    const TAKES_NUMBERS: bool = true;

    fn parse(text: &str) -> Result<Self, Complaint> {
        match text {
            "all" => Ok(PanicText(PanicAction::All)),
            "503" => Ok(PanicText(PanicAction::Refuse)),
            _ => {
                let complaint = Complaint::new(Code::UnknownWord, "is not known here");
                Err(complaint.note("allowed here: all, 503"))
            }
        }
    }
}

impl JsonSchema for PanicText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "PanicAction".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "enum": ["all", 503, "503"] }, variable()] })
    }
}
