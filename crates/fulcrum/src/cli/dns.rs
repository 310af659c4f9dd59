//! The command line of what a daemon answers over DNS.

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use clap::{Args, Subcommand};
use fulcrum_control_plane::timestamp::Timestamp;
use fulcrum_model::RegionName;

use super::{DaemonOptions, Format};
use crate::admin::EndpointPath;

/// `fulcrum explain`
#[derive(Debug, Subcommand)]
pub(crate) enum ExplainCommand {
    /// Why a name is answered as it is
    Dns(ExplainDnsOptions),
}

/// `fulcrum explain dns`
#[derive(Debug, Args)]
pub(crate) struct ExplainDnsOptions {
    /// The name
    #[arg(value_name = "NAME")]
    pub(crate) name: String,

    /// The client's address, or its network as a resolver tells it
    #[arg(long, value_name = "ADDRESS[/BITS]")]
    pub(crate) from: String,

    /// The type of the records
    #[arg(long = "type", value_name = "TYPE", default_value = "A")]
    pub(crate) record_type: String,

    #[command(flatten)]
    pub(crate) daemon: DaemonOptions,

    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

/// How something is written.
#[derive(Debug, Args)]
pub(crate) struct OutputOptions {
    /// A table, or the daemon's own JSON
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    /// Short for `--format json`
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

impl OutputOptions {
    pub(crate) fn format(&self) -> Format {
        if self.json { Format::Json } else { self.format }
    }
}

/// `fulcrum simulate`
#[derive(Debug, Subcommand)]
pub(crate) enum SimulateCommand {
    /// Where clients would go if a region went down, and whether the others have room for them
    RegionDown(RegionDownOptions),
}

/// `fulcrum simulate region-down`
#[derive(Debug, Args)]
pub(crate) struct RegionDownOptions {
    /// The region
    #[arg(value_name = "REGION")]
    pub(crate) region: String,

    #[command(flatten)]
    pub(crate) daemon: DaemonOptions,

    #[command(flatten)]
    pub(crate) output: OutputOptions,
}

/// `fulcrum up` and `fulcrum down`
#[derive(Debug, Args)]
pub(crate) struct RegionOrderOptions {
    /// The region, as `fulcrum status` shows it
    #[arg(value_name = "region/REGION")]
    pub(crate) region: RegionTarget,

    #[command(flatten)]
    pub(crate) daemon: DaemonOptions,

    /// Why, for whoever looks at the status
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,

    #[command(flatten)]
    pub(crate) term: TermOptions,

    /// How the region is then in a line, or the daemon's own JSON
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// When an order ends by itself.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct TermOptions {
    /// When it ends by itself, like 2026-12-24T18:00:00Z; of a region this or `--for` is needed
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,

    /// After how long it ends by itself
    #[arg(long = "for", value_name = "DURATION", value_parser = crate::duration::parse, conflicts_with = "until")]
    duration: Option<Duration>,
}

impl TermOptions {
    /// When it ends, if that was said.
    pub(crate) fn end(&self, now: SystemTime) -> Option<Timestamp> {
        let last = |duration| now.checked_add(duration)?.checked_add(ROUND_UP).map(Timestamp);
        self.until.or_else(|| self.duration.and_then(last))
    }
}

/// Whom an order is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OrderTarget {
    Endpoint(EndpointPath),
    Region(RegionTarget),
}

/// A region, written `region/REGION`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RegionTarget(pub(crate) RegionName);

impl FromStr for OrderTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.starts_with(REGION) {
            true => text.parse().map(OrderTarget::Region),
            false => text.parse().map(OrderTarget::Endpoint),
        }
    }
}

impl FromStr for RegionTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.strip_prefix(REGION).ok_or("expected region/REGION, like region/eu")?;
        name.parse().map(RegionTarget).map_err(|error| format!("region {name:?}: {error}"))
    }
}

impl std::fmt::Display for RegionTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{REGION}{}", self.0)
    }
}

/// Times are written to the second: what lasts for a second is not to be over at once.
const ROUND_UP: Duration = Duration::from_millis(999);

/// What a region is told from an endpoint by.
const REGION: &str = "region/";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_told_from_endpoints() {
        let check = |text: &str, expected: Result<&str, &str>| match (text.parse::<OrderTarget>(), expected) {
            (Ok(OrderTarget::Region(region)), Ok(expected)) => assert_eq!(region.to_string(), expected),
            (Ok(OrderTarget::Endpoint(endpoint)), Ok(expected)) => assert_eq!(endpoint.to_string(), expected),
            (Err(text), Err(part)) => assert!(text.contains(part), "{text}"),
            other => panic!("{text}: {other:?}"),
        };
        check("region/eu", Ok("region/eu"));
        check("regions/eu", Ok("regions/eu"));
        check("shop/region/eu", Ok("shop/region/eu"));
        check("region/", Err("region \"\""));
        check("region/a b", Err("region \"a b\""));
        check("eu", Err("expected SERVICE/ENDPOINT"));
        assert!("shop/a".parse::<RegionTarget>().is_err());
    }

    #[test]
    fn a_term_is_a_time_or_a_while() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let hour = Some(Duration::from_secs(3600));
        assert_eq!(
            TermOptions { until: None, duration: hour }.end(now).map(|end| end.to_string()),
            Some("2027-01-15T09:00:00Z".to_owned())
        );
        assert_eq!(TermOptions::default().end(now), None);
    }
}
