//! What the query of a request asks a demo backend to do.

use std::time::Duration;

use hyper::StatusCode;

use crate::duration;

/// `?status=503&delay=250ms&bytes=1048576&chunked=1`, and `for=10s` of `/demo/sick`. Other parameters mean nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Knobs {
    /// 200 to 599.
    pub(crate) status: Option<StatusCode>,
    /// Before the answer; at most [`LONGEST_DELAY`].
    pub(crate) delay: Option<Duration>,
    /// That many bytes of the alphabet instead of the echo.
    pub(crate) bytes: Option<u64>,
    /// Without a content length.
    pub(crate) chunked: bool,
    /// How long to be sick.
    pub(crate) sick_for: Option<Duration>,
}

impl Knobs {
    /// Takes what it knows out of a query; the first mistake is the error.
    pub(crate) fn parse(query: &str) -> Result<Self, String> {
        let mut knobs = Knobs::default();
        for (name, value) in query.split('&').filter_map(|parameter| parameter.split_once('=')) {
            let mistake = |expected: &str| format!("{name}={value}: expected {expected}");
            match name {
                "status" => knobs.status = Some(status(value).ok_or_else(|| mistake("200 to 599"))?),
                "delay" => {
                    knobs.delay =
                        Some(delay(value).ok_or_else(|| mistake("a time of at most 10m, like 250ms"))?)
                }
                "bytes" => knobs.bytes = Some(value.parse().map_err(|_| mistake("a number of bytes"))?),
                "chunked" => knobs.chunked = flag(value).ok_or_else(|| mistake("0 or 1"))?,
                "for" => {
                    knobs.sick_for = Some(duration::parse(value).map_err(|_| mistake("a time like 10s"))?)
                }
                _ => {}
            }
        }
        Ok(knobs)
    }
}

fn status(text: &str) -> Option<StatusCode> {
    StatusCode::from_bytes(text.as_bytes()).ok().filter(|status| (200..600).contains(&status.as_u16()))
}

fn delay(text: &str) -> Option<Duration> {
    duration::parse(text).ok().filter(|delay| *delay <= LONGEST_DELAY)
}

fn flag(text: &str) -> Option<bool> {
    match text {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

/// Enough to pass any timeout that one would want to watch.
const LONGEST_DELAY: Duration = Duration::from_secs(600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_become_knobs() {
        fn check(query: &str, expected: Option<Knobs>) {
            assert_eq!(Knobs::parse(query).ok(), expected, "{query}");
        }
        let none = Knobs::default;
        check("", Some(none()));
        check("page=2&sort", Some(none()));
        check("status=503", Some(Knobs { status: Some(StatusCode::SERVICE_UNAVAILABLE), ..none() }));
        check("delay=250ms", Some(Knobs { delay: Some(Duration::from_millis(250)), ..none() }));
        check("bytes=0", Some(Knobs { bytes: Some(0), ..none() }));
        check("bytes=7&chunked=1", Some(Knobs { bytes: Some(7), chunked: true, ..none() }));
        check("for=10s", Some(Knobs { sick_for: Some(Duration::from_secs(10)), ..none() }));
        check("status=101", None);
        check("status=600", None);
        check("status=", None);
        check("delay=1", None);
        check("delay=1h", None);
        check("bytes=-1", None);
        check("bytes=99999999999999999999", None);
        check("chunked=yes", None);
        check("for=soon", None);
    }
}
