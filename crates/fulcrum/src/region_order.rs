//! `fulcrum drain`, `undrain`, `up`, `down` of a region: an order to a running daemon, and how the region empties.

use std::thread;
use std::time::{Duration, Instant, SystemTime};

use hyper::{Method, StatusCode};

use crate::admin::{GslbRegionStatus, RegionOrderDocument, RegionState, StatusDocument, region_target};
use crate::ask::{self, AskError};
use crate::cli::{
    DaemonOptions, DrainOptions, Format, RegionOrderOptions, RegionTarget, TermOptions, UndrainOptions,
};
use crate::client::{ANSWER_WITHIN, Reply};
use crate::exit::Exit;
use crate::output;

/// Which region of which daemon is meant, and how is told of it.
#[derive(Clone, Copy)]
struct Meant<'a> {
    region: &'a RegionTarget,
    daemon: &'a DaemonOptions,
    format: Format,
}

/// `fulcrum drain region/REGION`
pub(crate) fn drain(region: &RegionTarget, options: &DrainOptions) -> Exit {
    let UndrainOptions { daemon, format, .. } = &options.order;
    let meant = Meant { region, daemon, format: *format };
    let ordered = meant.order(RegionState::Drain, options.reason.as_deref(), options.term);
    let watched = ordered.and_then(|exit| match (exit, options.watch) {
        (Exit::Done, true) => meant.watch(options.deadline),
        (exit, _) => Ok(exit),
    });
    watched.unwrap_or_else(|error| error.tell())
}

/// `fulcrum undrain region/REGION`
pub(crate) fn undrain(region: &RegionTarget, options: &UndrainOptions) -> Exit {
    let meant = Meant { region, daemon: &options.daemon, format: options.format };
    let reply = ask::ask(&meant.daemon.admin, Method::DELETE, &region_target(&region.0), ANSWER_WITHIN);
    reply.and_then(|reply| meant.show(&reply)).unwrap_or_else(|error| error.tell())
}

/// `fulcrum up`
pub(crate) fn up(options: &RegionOrderOptions) -> Exit {
    order(RegionState::Up, options)
}

/// `fulcrum down`
pub(crate) fn down(options: &RegionOrderOptions) -> Exit {
    order(RegionState::Down, options)
}

fn order(state: RegionState, options: &RegionOrderOptions) -> Exit {
    let meant = Meant { region: &options.region, daemon: &options.daemon, format: options.format };
    meant.order(state, Some(&options.reason), options.term).unwrap_or_else(|error| error.tell())
}

impl Meant<'_> {
    fn order(&self, state: RegionState, reason: Option<&str>, term: TermOptions) -> Result<Exit, AskError> {
        let (Some(reason), Some(until)) = (reason, term.end(SystemTime::now())) else {
            let needs = "an order for a region says why (`--reason TEXT`) and until when (`--for DURATION` or `--until TIME`)";
            output::error_line(format_args!("error: {needs}"));
            return Ok(Exit::Usage);
        };
        let document = RegionOrderDocument { state, reason: reason.to_owned(), until };
        let body = serde_json::to_vec(&document)?;
        let target = region_target(&self.region.0);
        self.show(&ask::tell(&self.daemon.admin, (Method::PUT, &target), body.into(), ANSWER_WITHIN)?)
    }

    fn show(&self, reply: &Reply) -> Result<Exit, AskError> {
        if reply.status != StatusCode::OK {
            return Err(AskError::refused(reply));
        }
        let region = serde_json::from_slice::<GslbRegionStatus>(&reply.body)?;
        match self.format {
            Format::Json => output::text(&String::from_utf8_lossy(&reply.body)),
            Format::Text => output::line(format_args!("{}: {}", self.region, line_of(&region))),
        }
        Ok(Exit::Done)
    }

    /// The region as it is now; nothing where it is not there.
    fn look(&self) -> Result<Option<GslbRegionStatus>, AskError> {
        let reply = ask::ask(&self.daemon.admin, Method::GET, "/status", ANSWER_WITHIN)?;
        if reply.status != StatusCode::OK {
            return Err(AskError::refused(&reply));
        }
        let document = serde_json::from_slice::<StatusDocument>(&reply.body)?;
        let mut regions = document.gslb.into_iter().flat_map(|gslb| gslb.regions);
        Ok(regions.find(|region| region.name == self.region.0.as_str()))
    }

    /// Looks until it can be stopped, and tells how far that is.
    fn watch(&self, deadline: Option<Duration>) -> Result<Exit, AskError> {
        let (began, mut deadline, mut told) = (Instant::now(), deadline, None);
        loop {
            let Some(region) = self.look()? else { return Ok(self.give_up("it is gone")) };
            if !WITHDRAWN.contains(&region.state.as_str()) {
                return Ok(self.give_up("it gets clients: its order was replaced, was cleared or has ended"));
            }
            let step =
                (milestone(region.remembered_seconds), region.names, region.in_flight.map(f64::to_bits));
            if told.replace(step) != Some(step) {
                self.tell(&region)?;
            }
            if region.safe_to_stop {
                return Ok(Exit::Done);
            }
            let all = *deadline.get_or_insert(Duration::from_secs(region.remembered_seconds) + GRACE);
            let Some(left) = all.checked_sub(began.elapsed()).filter(|left| !left.is_zero()) else {
                return Ok(self.give_up(&remains(&region)));
            };
            thread::sleep(left.min(BETWEEN_LOOKS));
        }
    }

    fn tell(&self, region: &GslbRegionStatus) -> Result<(), AskError> {
        match self.format {
            Format::Json => output::line(serde_json::to_string(region)?),
            Format::Text => output::line(format_args!("{}: {}", self.region, remains(region))),
        }
        Ok(())
    }

    fn give_up(&self, why: &str) -> Exit {
        output::error_line(format_args!("error: {}: {why}", self.region));
        Exit::Failed
    }
}

/// `drained since 2026-01-02T03:04:05Z (ordered: new racks), until 2026-01-02T05:04:05Z; safe to stop`.
fn line_of(region: &GslbRegionStatus) -> String {
    let until = region.order.as_ref().map_or_else(String::new, |order| format!(", until {}", order.until));
    let rest = match WITHDRAWN.contains(&region.state.as_str()) {
        true => format!("; {}", remains(region)),
        false => String::new(),
    };
    format!("{} since {} ({}){until}{rest}", region.state, region.since, region.why)
}

/// What is between a region and its being stopped.
fn remains(region: &GslbRegionStatus) -> String {
    if region.safe_to_stop {
        return "safe to stop".to_owned();
    }
    let mut parts = Vec::new();
    if region.names > 0 {
        parts.push(format!("{} names have no other answer", region.names));
    }
    if region.remembered_seconds > 0 {
        parts.push(format!("answers with it are remembered for {} s", region.remembered_seconds));
    }
    if let Some(in_flight) = region.in_flight.filter(|in_flight| *in_flight > 0.0) {
        parts.push(format!("{in_flight} in flight"));
    }
    parts.join(", ")
}

/// Countdowns are told every ten seconds, the last ten each.
fn milestone(seconds: u64) -> u64 {
    if seconds > 10 { seconds.div_ceil(10) * 10 } else { seconds }
}

/// States in which a region gets no clients by order.
const WITHDRAWN: [&str; 2] = ["drained", "forced_down"];

/// Quick for a person; nothing for a daemon.
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);

/// What is in flight has so long when nobody is led there any more.
const GRACE: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use fulcrum_control_plane::timestamp::Timestamp;

    use super::*;

    fn region() -> GslbRegionStatus {
        GslbRegionStatus {
            name: "eu".to_owned(),
            state: "drained".to_owned(),
            since: Timestamp(SystemTime::UNIX_EPOCH),
            why: "ordered: disk".to_owned(),
            share_percent: 0,
            headroom_percent: 100,
            order: None,
            names: 0,
            remembered_seconds: 0,
            in_flight: None,
            capacity: None,
            safe_to_stop: true,
        }
    }

    #[test]
    fn what_remains_is_told() {
        let check = |names, remembered_seconds, in_flight, expected| {
            let safe_to_stop = remembered_seconds == 0 && in_flight != Some(3.0);
            let region = GslbRegionStatus { names, remembered_seconds, in_flight, safe_to_stop, ..region() };
            assert_eq!(
                line_of(&region),
                format!("drained since 1970-01-01T00:00:00Z (ordered: disk); {expected}")
            );
        };
        check(0, 0, None, "safe to stop");
        check(0, 0, Some(0.0), "safe to stop");
        check(0, 0, Some(3.0), "3 in flight");
        check(
            2,
            61,
            Some(3.0),
            "2 names have no other answer, answers with it are remembered for 61 s, 3 in flight",
        );
        let up = GslbRegionStatus { state: "up".to_owned(), ..region() };
        assert_eq!(line_of(&up), "up since 1970-01-01T00:00:00Z (ordered: disk)");
        assert_eq!([301, 300, 11, 10, 3].map(milestone), [310, 300, 20, 10, 3]);
    }
}
