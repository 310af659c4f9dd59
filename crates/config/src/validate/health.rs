//! Health: checks of one kind, outliers, panic.

use std::num::{NonZeroU16, NonZeroU32};
use std::time::Duration;

use crate::code::Code;
use crate::decode::At;
use crate::field::Direction;
use crate::health::{HealthCheck, HttpProbe, Outlier, Panic, PanicAction, Probe, TcpProbe};
use crate::raw::{
    ProbeMethod, RawExpect, RawHealth, RawHealthLong, RawOutlier, RawPanic, RawTcpProbe, exactly_one,
};
use crate::report::Problems;

use super::header::field_values;
use super::layers::Layers;

/// How endpoints are checked; `None` also after recording why that cannot be said.
pub(crate) fn health(raw: &RawHealth, problems: &mut Problems) -> Option<HealthCheck> {
    let long = match raw {
        RawHealth::Short(path) => {
            return Some(check(Probe::Http(http_probe(path.0.clone())), None));
        }
        RawHealth::Long(long) => long,
    };
    exactly_one(&long.given, &["http", "tcp"], problems)?;
    let probe = if long.given.place("tcp").is_some() {
        refuse_http_keys(long, problems);
        Probe::Tcp(tcp_probe(long.tcp.as_ref()?, problems))
    } else {
        Probe::Http(http(long, problems)?)
    };
    Some(check(probe, Some(long)))
}

fn check(probe: Probe, long: Option<&RawHealthLong>) -> HealthCheck {
    HealthCheck {
        probe,
        port: long.and_then(|raw| raw.port).and_then(|port| NonZeroU16::new(port.0 as u16)),
        interval: long.and_then(|raw| raw.interval).map_or(Duration::from_secs(2), |interval| interval.0),
        timeout: long.and_then(|raw| raw.timeout).map_or(Duration::from_secs(1), |timeout| timeout.0),
        rise: count(long.and_then(|raw| raw.rise).map_or(2, |rise| rise.0)),
        fall: count(long.and_then(|raw| raw.fall).map_or(3, |fall| fall.0)),
    }
}

/// The types of the raw values keep them between.
fn count(number: u64) -> NonZeroU32 {
    u32::try_from(number).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN)
}

/// The request of the short form.
pub(crate) fn http_probe(path: String) -> HttpProbe {
    HttpProbe {
        path,
        method: ProbeMethod::Get.as_str().to_owned(),
        host: None,
        headers: Vec::new(),
        status: vec![GOOD_STATUS],
        body: None,
    }
}

fn http(raw: &RawHealthLong, problems: &mut Problems) -> Option<HttpProbe> {
    let method = raw.method.map_or(ProbeMethod::Get, |word| word.0);
    let expect = raw.expect.as_ref();
    let body = expect.and_then(|expect| expect.body.as_ref());
    if let Some(body) = body {
        refuse_size(body, problems);
        if method == ProbeMethod::Head {
            problems.add(Code::Conflict, body.place, "a response to HEAD has no body");
        }
    }
    let headers = raw.headers.as_ref();
    Some(HttpProbe {
        method: method.as_str().to_owned(),
        host: raw.host.as_ref().map(|host| host.0.clone()),
        headers: headers.map(|headers| field_values(headers, Direction::Probe, problems)).unwrap_or_default(),
        status: expect.and_then(statuses).unwrap_or_else(|| vec![GOOD_STATUS]),
        body: body.map(|body| body.value.clone()),
        ..http_probe(raw.http.as_ref()?.0.clone())
    })
}

fn statuses(expect: &RawExpect) -> Option<Vec<(u16, u16)>> {
    Some(expect.status.as_ref()?.0.iter().map(|range| (range.value.0, range.value.1)).collect())
}

/// Keys that say something about a request.
fn refuse_http_keys(raw: &RawHealthLong, problems: &mut Problems) {
    for key in ["method", "host", "headers", "expect"] {
        let Some(place) = raw.given.place(key) else { continue };
        let problem =
            problems.add(Code::Conflict, place, format!("`{key}` means something only to `http` checks"));
        if key == "expect" {
            problem.note("what must come back over TCP: `tcp: { expect: … }`");
        }
    }
}

fn tcp_probe(raw: &RawTcpProbe, problems: &mut Problems) -> TcpProbe {
    let RawTcpProbe::Long(raw) = raw else { return TcpProbe::default() };
    if raw.given.place("send").is_none() && raw.given.place("expect").is_none() && !raw.given.unknown() {
        problems
            .add(Code::Nothing, raw.given.whole(), "there is nothing to send and nothing to expect")
            .note("if it is enough that a connection can be made: `tcp: connect`");
    }
    let mut bytes = |text: &Option<At<String>>| {
        let text = text.as_ref()?;
        refuse_size(text, problems);
        Some(text.value.clone().into_bytes())
    };
    TcpProbe { send: bytes(&raw.send), expect: bytes(&raw.expect) }
}

/// Empty text says nothing, and no more than [`LARGEST_TEXT`] is sent or looked at.
fn refuse_size(text: &At<String>, problems: &mut Problems) {
    if text.value.is_empty() {
        problems.add(Code::Nothing, text.place, "an empty text");
    }
    if text.value.len() > LARGEST_TEXT {
        problems.add(Code::Range, text.place, "the text is larger than 64KiB");
    }
}

/// What real traffic says about endpoints; `None` when it is not listened to.
pub(crate) fn outlier(layers: Option<Layers<'_, RawOutlier>>, problems: &mut Problems) -> Option<Outlier> {
    let layers = layers?;
    let eject = layers.find(|raw| raw.eject).map_or(EJECT, |eject| eject.0);
    let max_eject = layers.find(|raw| raw.max_eject).map_or(MAX_EJECT, |most| most.0);
    if max_eject < eject {
        let place = layers.find(|raw| raw.given.place("max_eject").or(raw.given.place("eject")));
        let given = layers.find(|raw| raw.max_eject).is_some();
        let most = if given { "`max_eject`" } else { "`max_eject`, which is 5m," };
        // One of them was given: the defaults are in order.
        if let Some(place) = place {
            problems.add(Code::Conflict, place, format!("{most} is shorter than `eject`"));
        }
    }
    Some(Outlier {
        consecutive_errors: count(layers.find(|raw| raw.consecutive_errors).map_or(5, |errors| errors.0)),
        eject,
        max_eject,
        max_ejected: layers.find(|raw| raw.max_ejected).map_or(10, |percent| percent.0),
    })
}

/// What happens when few endpoints are healthy.
pub(crate) fn panic(raw: Option<&RawPanic>) -> Panic {
    let at_least = raw.and_then(|raw| raw.at_least).map_or(10, |least| least.0);
    Panic {
        below: raw.and_then(|raw| raw.below).map_or(50, |percent| percent.0),
        at_least: u32::try_from(at_least).unwrap_or(u32::MAX),
        then: raw.and_then(|raw| raw.then).map_or(PanicAction::All, |then| then.0),
    }
}

/// Statuses of a healthy endpoint unless told otherwise.
const GOOD_STATUS: (u16, u16) = (200, 399);

/// How much of an answer is looked at, in bytes, and so the longest text that can be found in it.
const LARGEST_TEXT: usize = 64 << 10;

const EJECT: Duration = Duration::from_secs(30);

const MAX_EJECT: Duration = Duration::from_secs(300);
