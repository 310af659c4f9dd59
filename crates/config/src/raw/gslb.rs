//! The responder that answers DNS as it is written.

use crate::bind::DnsBindText;
use crate::decode::{At, AtLeastOne, Named, OneOrMany, Switch, Whole, Word, Words};
use crate::directory::FilePath;
use crate::duration::Span;
use crate::fields::fields;
use crate::geo::{Bias, GeoMatchText, LocationList};
use crate::gslb::{Failback, Failover, OverrideState};
use crate::moment::Moment;
use crate::percent::Percent;
use crate::secret::SecretText;

use super::RawZone;

fields! {
    /// Who answers DNS.
    RawGslb {
        /// One or several addresses for questions over UDP and TCP.
        bind: OneOrMany<DnsBindText> = required,
        /// Threads that answer over UDP. Default 1.
        workers: Whole<1, 64>,
        /// What it calls itself when it is asked (NSID, RFC 5001). Default nothing.
        nsid: At<String>,
        /// Bounds of connections.
        tcp: RawDnsTcp,
        /// How many equal answers a client network gets over UDP, or none for no limit. Default none.
        rate_limit: Switch<RawResponseRate>,
        /// Where a sample of the questions is written down, or none. Default none.
        query_log: Switch<RawQueryLog>,
        /// Where clients are found.
        geo: RawGeo,
        /// The sites that clients can be sent to, by name; at most 64. Their order is that of preference where nothing
        /// else decides.
        regions: Named<RawRegion>,
        /// The region that this daemon runs in. Default: none of them.
        home: At<String>,
        /// When a region counts as down, and as up again.
        verdict: RawVerdict,
        /// How the shares of regions that have a service follow their spare capacity, or none.
        headroom: Switch<RawHeadroom>,
        /// Keys of server cookies: the first makes and checks them, the others only check; file:/path or 32 hexadecimal
        /// digits. Default: one that the daemon makes.
        cookie_keys: OneOrMany<SecretText>,
        /// What an operator decided about regions, by their names.
        overrides: Named<RawRegionOverride>,
        /// The zones that are answered, by name.
        zones: Named<RawZone>,
    }

    /// Bounds of connections.
    RawDnsTcp {
        /// A connection without a question for so long is closed. Default 10s; from 100ms to 1h.
        idle_timeout: Span<100, 3_600_000>,
        /// Most connections at a time. Default 1000.
        max_connections: Whole<1, 1_000_000>,
        /// Most connections of an IPv4 address, or of an IPv6 network of 56 bits, at a time. Default: a twentieth of
        /// max_connections, at least 10.
        connections_per_source: Whole<1, 1_000_000>,
    }

    /// How many equal answers a client network gets over UDP.
    RawResponseRate {
        /// A second.
        responses_per_second: Whole<1, 1_000_000> = required,
        /// One of so many answers above the rate is sent empty and truncated, so that a real client comes back over
        /// TCP; 0: none is. Default 2.
        slip: Whole<0, 10>,
    }

    /// Where a sample of the questions is written down.
    RawQueryLog {
        /// A file, which is appended to.
        path: FilePath = required,
        /// One of so many questions is written down. Default 100.
        one_in: Whole<1, 1_000_000>,
    }

    /// Where clients are found.
    RawGeo {
        /// A file with a network and a region a line, which goes before the databases.
        nets: FilePath,
        /// A MaxMind database of places.
        database: FilePath,
        /// A MaxMind database of autonomous systems.
        asn: FilePath,
        /// The region of clients whose place nobody knows. Default: that of the rule default, else the first.
        default: At<String>,
    }

    /// A site that clients can be sent to.
    RawRegion {
        /// Latitude and longitude in degrees, for the policy nearest.
        location: LocationList,
        /// Makes the region look nearer (above zero) or farther (below), in percent. Default 0.
        bias: Bias,
        /// Whose clients are its own, for the policy geo: one or several rules. The most special one wins, in the order
        /// asn, subdivision, country, continent, default.
        r#match: OneOrMany<GeoMatchText>,
        /// A service whose healthy endpoints and spare capacity stand for the region.
        service: At<String>,
    }

    /// When a region counts as down, and as up again.
    RawVerdict {
        /// How long a region is suspected before clients are sent elsewhere, 1s to 600s. Default 90s.
        hold: At<Span<1_000, 600_000>>,
        /// auto sends them elsewhere by itself, confirm waits for an operator. Default auto.
        failover: Word<Failover>,
        /// auto takes all clients back at once, ramp share by share, manual when an operator says so. Default ramp.
        failback: Word<Failback>,
        /// How long a region must be up before clients are sent back. Default 300s; at most 24h.
        failback_hold: Span<0, 86_400_000>,
        /// The shares that a region takes one after the other, in percent, the last 100%. Default 5%, 25%, 50%, 100%.
        ramp: At<AtLeastOne<At<Percent<1, 100>>>>,
        /// From the change of one region to that of the next, at least. Default 60s; at most 1h.
        brake: Span<0, 3_600_000>,
    }

    /// How shares follow spare capacity.
    RawHeadroom {
        /// Below this a region takes less, in percent of its capacity. Default 10%.
        low: Percent<0, 99>,
        /// Above this a region takes its full share. Default 30%.
        high: Percent<1, 100>,
    }

    /// What an operator decided about a region.
    RawRegionOverride {
        /// up, down or drain, whatever is observed.
        state: Word<OverrideState> = required,
        /// When it is over: 2026-12-24T18:00:00Z.
        until: Moment = required,
        /// Why, for people.
        reason: At<String> = required,
    }
}

impl Words for Failover {
    const WORDS: &'static [(&'static str, Self)] =
        &[("auto", Failover::Auto), ("confirm", Failover::Confirm)];
}

impl Words for Failback {
    const WORDS: &'static [(&'static str, Self)] =
        &[("auto", Failback::Auto), ("ramp", Failback::Ramp), ("manual", Failback::Manual)];
}

impl Words for OverrideState {
    const WORDS: &'static [(&'static str, Self)] =
        &[("up", OverrideState::Up), ("down", OverrideState::Down), ("drain", OverrideState::Drain)];
}
