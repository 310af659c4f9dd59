//! What concerns the daemon as a whole.

use std::io::Read;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::code::Code;
use crate::decode::At;
use crate::file::why;
use crate::network::Network;
use crate::process::{Admin, Log, LogLevel, Metrics, Secret, Shutdown};
use crate::raw::{RawAdmin, RawLog, RawMetrics, RawShutdown, TokenText};

use super::{Context, access_log};

/// Peers whose forwarded headers are believed.
pub(crate) fn trusted_proxies(raw: Option<Vec<At<Network>>>, context: &mut Context<'_>) -> Vec<ipnet::IpNet> {
    let raw = raw.unwrap_or_default();
    for network in raw.iter().filter(|network| network.value.0.prefix_len() == 0) {
        context
            .problems
            .add(Code::TrustsEverybody, network.place, "every client can claim any address")
            .note("name the networks of the proxies in front of this one");
    }
    raw.into_iter().map(|network| network.value.0).collect()
}

/// How metrics are bounded.
pub(crate) fn metrics(raw: Option<RawMetrics>) -> Metrics {
    let series = raw.and_then(|raw| raw.max_series).map_or(MAX_SERIES, |series| series.0 as usize);
    Metrics { max_series: NonZeroUsize::new(series).unwrap_or(NonZeroUsize::MIN) }
}

/// How the daemon ends.
pub(crate) fn shutdown(raw: Option<RawShutdown>) -> Shutdown {
    let raw = raw.as_ref();
    Shutdown {
        pre_stop: raw.and_then(|raw| raw.pre_stop).map_or(Duration::ZERO, |period| period.0),
        deadline: raw.and_then(|raw| raw.deadline).map_or(Duration::from_secs(30), |period| period.0),
    }
}

/// Where the daemon is operated.
pub(crate) fn admin(raw: Option<RawAdmin>, context: &mut Context<'_>) -> Admin {
    let default_socket = Some(PathBuf::from(ADMIN_SOCKET));
    let Some(raw) = raw else {
        return Admin { socket: default_socket, bind: None, token: None };
    };
    let public = raw.bind.as_ref().filter(|bind| !bind.value.0.ip().is_loopback());
    if let Some(bind) = public
        && raw.keys.place("token").is_none()
    {
        context
            .problems
            .add(Code::AdminWithoutToken, bind.place, "the admin address is public and has no token")
            .note("metrics and health are served to everybody, everything else to nobody")
            .note("add `token: file:/path`, or bind to a loopback address");
    }
    Admin {
        socket: raw.socket.map_or(default_socket, |limit| limit.0.map(|socket| socket.value.0)),
        bind: raw.bind.map(|bind| bind.value.0),
        token: raw.token.and_then(|token| secret(&token, context)),
    }
}

/// The secret itself, or the content of the file that `file:` names.
fn secret(token: &At<TokenText>, context: &mut Context<'_>) -> Option<Secret> {
    let text = match token.value.0.strip_prefix("file:") {
        None => Ok(token.value.0.clone()),
        Some(path) => read_secret(&beside(context.sources.name(token.place.file), path)),
    };
    let checked = text.and_then(|text| match text.as_bytes() {
        [] => Err("the token is empty".to_owned()),
        bytes if bytes.iter().all(u8::is_ascii_graphic) => Ok(Secret::new(bytes)),
        _ => Err("the token holds more than printable ASCII, which a bearer token cannot (RFC 6750 §2.1)"
            .to_owned()),
    });
    match checked {
        Ok(secret) => Some(secret),
        Err(message) => {
            context.problems.add(Code::Secret, token.place, message);
            None
        }
    }
}

/// A path as seen from the file that names it.
fn beside(file: &str, path: &str) -> PathBuf {
    Path::new(file).parent().unwrap_or(Path::new("")).join(path)
}

fn read_secret(path: &Path) -> Result<String, String> {
    let unreadable = |error: &dyn std::fmt::Display| format!("cannot read `{}`: {error}", path.display());
    let file = std::fs::File::open(path).map_err(|error| unreadable(&why(&error)))?;
    let mut text = String::new();
    file.take(LARGEST_SECRET + 1).read_to_string(&mut text).map_err(|error| unreadable(&why(&error)))?;
    if text.len() as u64 > LARGEST_SECRET {
        return Err(unreadable(&"a secret has at most 4 KiB"));
    }
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

/// What is logged.
pub(crate) fn log(raw: Option<RawLog>, context: &mut Context<'_>) -> Log {
    let (level, access) = raw.map_or((None, None), |raw| (raw.level, raw.access));
    Log {
        level: level.map_or(LogLevel::Info, |word| word.0),
        access: access_log::access_log(access, context),
    }
}

/// Where the admin socket is unless told otherwise.
const ADMIN_SOCKET: &str = "/run/fulcrum/admin.sock";

/// Series of routes and endpoints unless told otherwise: about 100 MB at the scraper.
const MAX_SERIES: usize = 100_000;

/// Longest secret file in bytes.
const LARGEST_SECRET: u64 = 4096;
