//! Policies: which of several targets is answered to whom.

use std::net::IpAddr;
use std::num::NonZeroU8;
use std::time::Duration;

use fulcrum_model::{DnsName, RegionName};

use crate::health::HealthCheck;

use super::zone::Ttl;

/// Which of several targets is answered to whom.
///
/// | `policy:` | with `regions:` | with `endpoints:` |
/// |---|---|---|
/// | `round_robin` | `Together`, `All` | `All` |
/// | `weighted` | `Together`, `Weighted` | `Weighted` |
/// | `sticky` | `Together`, `Sticky` | `Sticky` |
/// | `failover` | `Configured`, `All` | `First` |
/// | `nearest` | `Nearest`, `All` | no |
/// | `geo` | `Geo`, `All` | no |
/// | `[geo, weighted, failover]` | `Geo`, `Weighted` | no |
/// | `[sticky, failover]` | `Configured`, `Sticky` | no |
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// What it chooses from: all of them addresses, or all of them aliases.
    pub targets: Targets,
    /// How it chooses among the eligible targets of the region that was found, or of all that count.
    pub choose: Choose,
    /// Most records of one type in an answer, 1 to 64. Default 8 for [`Choose::All`], else 1; always 1 for aliases.
    pub max_answers: NonZeroU8,
    /// What is answered when no target is eligible. Default all.
    pub panic: Panic,
    /// How targets are probed; `None` when they are not, and never for aliases.
    pub health: Option<PolicyHealth>,
    /// How long the answer may be remembered. Default 60 s, and 5 s near a change; neither above the zone's.
    pub ttl: Ttl,
}

impl Policy {
    /// Whether it answers aliases: every target is one then.
    pub fn has_aliases(&self) -> bool {
        let first = match &self.targets {
            Targets::Regions { regions, .. } => regions.iter().find_map(|region| region.targets.first()),
            Targets::Endpoints(targets) => targets.first(),
        };
        first.is_some_and(|target| matches!(target.answer, TargetAnswer::Alias(_)))
    }
}

/// What a policy chooses from.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// Targets by region; at least one region, in the order of the policy, each once.
    Regions {
        /// Which region's targets go first.
        order: RegionOrder,
        /// The regions; each exists.
        regions: Vec<RegionTargets>,
    },
    /// Targets without regions: 1 to 64, none twice.
    Endpoints(Vec<Target>),
}

/// In which order the regions of a policy are tried: the first that is eligible answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegionOrder {
    /// In none: the targets of all eligible regions are chosen from together. No target is in two regions then.
    Together,
    /// As the policy lists them.
    Configured,
    /// By the rules (`match`) of the regions and the client's place.
    Geo,
    /// By their distance from the client. Every region has a location.
    Nearest,
}

/// The targets of a region.
#[derive(Clone, Debug, PartialEq)]
pub struct RegionTargets {
    /// The region.
    pub region: RegionName,
    /// 1 to 64, none twice.
    pub targets: Vec<Target>,
}

/// One thing that a policy can answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// What is answered.
    pub answer: TargetAnswer,
    /// Its share, where shares count, relative to the others. Default 1. Zero: only when no other is eligible.
    pub weight: u16,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TargetAnswer {
    /// An A or AAAA record.
    Address(IpAddr),
    /// A CNAME record, one at a time.
    Alias(DnsName),
}

/// How targets are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choose {
    /// All, in changing order.
    All,
    /// Drawn by their weights.
    Weighted,
    /// By the client's network and the weights, so that it keeps its target (rendezvous hash).
    Sticky {
        /// Bits of an IPv4 address that count, 1 to 32. Default 24.
        v4: u8,
        /// Bits of an IPv6 address that count, 1 to 128. Default 56.
        v6: u8,
    },
    /// The first ones that are eligible, in file order. Of [`Targets::Endpoints`] alone.
    First,
}

/// What is answered when nothing is eligible.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Panic {
    /// Everything, as if all were healthy.
    All,
    /// What was answered when something was eligible last; everything when that was never so.
    LastGood,
    /// These addresses; at least one, none twice. Not for aliases.
    Fallback(Vec<IpAddr>),
    /// Nothing: no error, no records.
    NoData,
}

/// How the targets of a policy are probed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PolicyHealth {
    /// What is asked, and how often. It always names the port. Defaults: every 2 s within 1 s, rise 5, fall 4.
    pub check: HealthCheck,
    /// How long a target is suspected before it is left out. Default `verdict.hold`; 1 s to 600 s.
    pub hold: Duration,
}
