//! What concerns the daemon as a whole.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use crate::code::Code;
use crate::decode::At;
use crate::directory::Directory;
use crate::network::Network;
use crate::process::{Admin, Log, LogLevel, Metrics, Overload, Shutdown};
use crate::raw::{RawAdmin, RawLog, RawMetrics, RawOverload, RawShutdown};

use super::{Context, access_log, secret};

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

/// Where the daemon keeps what it must still know after a restart.
pub(crate) fn state_dir(raw: Option<Directory>) -> PathBuf {
    raw.map_or_else(|| PathBuf::from(STATE_DIR), |directory| directory.0)
}

/// What the daemon does before it has more to do than it can.
pub(crate) fn overload(raw: Option<RawOverload>) -> Overload {
    let memory = raw.as_ref().and_then(|raw| raw.memory);
    Overload {
        memory: memory.map_or(Some(85), |limit| limit.0.map(|percent| percent.0)),
        connections: raw.and_then(|raw| raw.connections).and_then(|most| NonZeroU64::new(most.0)),
    }
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
        && raw.given.place("token").is_none()
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
        token: raw.token.and_then(|token| secret::token(&token, context)),
    }
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

/// Where state is kept unless told otherwise.
const STATE_DIR: &str = "/var/lib/fulcrum";

/// Series of routes and endpoints unless told otherwise: about 100 MB at the scraper.
const MAX_SERIES: usize = 100_000;
