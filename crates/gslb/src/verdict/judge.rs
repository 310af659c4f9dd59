//! The judge: takes what is seen and said, and says once a second how each region stands.

use std::ops::Range;
use std::time::Duration;

use super::ballot::{Cast, Votes};
use super::course::{Course, Seen, Wish};
use super::operator::Orders;
use super::panic::Watch;
use super::recorder::Recorder;
use super::tally::Tally;
use super::{Evidence, Failover, Memory, Now, Observer, Report, Rules, Sites, Standing, Transition, Vote};
use crate::region::Region;

/// The state of all regions. Bounded by their number, that of their targets and of observers.
#[derive(Clone, Debug)]
pub struct Judge {
    pub(super) sites: Sites,
    pub(super) rules: Rules,
    /// By observer, then by target of all regions.
    pub(super) tallies: Vec<Vec<Tally>>,
    /// Where the targets of each region are in there.
    pub(super) targets: Vec<Range<usize>>,
    pub(super) watched: Vec<Watched>,
    pub(super) brake: Brake,
    pub(super) watch: Watch,
    pub(super) recorder: Recorder,
    pub(super) last_call: Duration,
    pub(super) last_tick: Duration,
}

/// All that is known of a region.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    pub(super) course: Course,
    pub(super) orders: Orders,
    pub(super) standing: Standing,
    pub(super) seen: Seen,
    pub(super) votes: Votes,
    pub(super) is_braked: bool,
    pub(super) pulse: Option<Pulse>,
}

/// A region's last heartbeat.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pulse {
    pub(super) evidence: Evidence,
    pub(super) at: Duration,
}

/// Until when the next region must wait.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Brake {
    /// To be taken out.
    pub(super) down: Duration,
    /// To come back.
    pub(super) back: Duration,
}

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It counts.
    New,
    /// There is a newer one, or it is there already.
    Old,
    /// That observer does not look at that target.
    Stranger,
}

impl Judge {
    /// All regions are up, unverified, or as they are remembered.
    pub fn new(sites: Sites, rules: Rules, memory: Option<&Memory>, now: Now) -> Self {
        let mut begin = 0;
        let range = |region| {
            let range = begin..begin + sites.targets(region);
            begin = range.end;
            range
        };
        let targets: Vec<_> = sites.regions().map(range).collect();
        let tallies = vec![vec![Tally::NOTHING; begin]; sites.watchers().len()];
        let watched = sites.regions().map(|region| {
            let configured = sites.site(region).and_then(|site| site.order.clone());
            Watched::new(Orders::configured(configured), now)
        });
        let mut judge = Judge {
            watched: watched.collect(),
            tallies,
            targets,
            sites,
            rules,
            brake: Brake::default(),
            watch: Watch::default(),
            recorder: Recorder::default(),
            last_call: now.clock,
            last_tick: now.clock,
        };
        judge.watch.last_good = judge.sites.regions().collect();
        if let Some(memory) = memory {
            judge.recall(memory, now);
        }
        judge.follow_orders(now);
        judge.show(now);
        judge
    }

    /// Takes what an observer has seen.
    pub fn report(&mut self, report: Report, now: Now) -> Taken {
        self.notice_standstill(now);
        if !self.sites.looks_at(report.observer, report.region) {
            return Taken::Stranger;
        }
        let targets = self.targets[report.region.index()].clone();
        let tallies = &mut self.tallies[report.observer.index()][targets];
        let Some(tally) = tallies.get_mut(usize::from(report.target)) else { return Taken::Stranger };
        // The clock may have started since: what is too old for that must not become fresh.
        let vote = if report.age > self.rules.freshness() { Vote::Unknown } else { report.vote };
        let at = now.clock.saturating_sub(report.age);
        if tally.take(vote, report.sequence, at, now.clock, &self.rules) { Taken::New } else { Taken::Old }
    }

    /// Takes what a region's balancer says of itself.
    pub fn heartbeat(&mut self, region: Region, evidence: Evidence, now: Now) {
        self.notice_standstill(now);
        if let Some(watched) = self.watched_mut(region) {
            watched.pulse = Some(Pulse { evidence, at: now.clock });
        }
    }

    /// Decides. To be called every interval, better every second. Gives what has changed.
    pub fn tick(&mut self, now: Now) -> Vec<Transition> {
        self.notice_standstill(now);
        let passed = now.clock.saturating_sub(self.last_tick).min(self.rules.standstill());
        self.last_tick = self.last_tick.max(now.clock);
        self.follow_orders(now);
        self.count_votes(now);
        self.look_for_panic(passed);
        let wishes = self.advance(passed);
        self.grant(&wishes, now);
        let transitions = self.settle(now);
        self.remember_good();
        transitions
    }

    /// How a region stands, as of the last tick or order. Of a region that is not there: as the first.
    pub fn standing(&self, region: Region) -> &Standing {
        &self.watched.get(region.index()).unwrap_or(&self.watched[0]).standing
    }

    /// The last changes, at most [`RECORDED`](super::RECORDED), the oldest first.
    pub fn recorded(&self) -> impl DoubleEndedIterator<Item = &Transition> + ExactSizeIterator {
        self.recorder.iter()
    }

    /// Who looks at what.
    pub fn sites(&self) -> &Sites {
        &self.sites
    }

    /// The rules it goes by.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// A machine that stood still saw nothing, and what it saw before is old: it begins to count anew.
    fn notice_standstill(&mut self, now: Now) {
        let stood = now.clock.saturating_sub(self.last_call);
        self.last_call = self.last_call.max(now.clock);
        if stood <= self.rules.standstill() {
            return;
        }
        self.tallies.iter_mut().flatten().for_each(|tally| *tally = Tally::NOTHING);
        for watched in &mut self.watched {
            watched.course.restart_clocks();
            if let Some(pulse) = &mut watched.pulse {
                pulse.at = now.clock;
            }
        }
        self.watch.failing = Duration::ZERO;
        self.last_tick = now.clock;
    }

    fn count_votes(&mut self, now: Now) {
        let votes = self.sites.regions().map(|region| {
            let mut votes = Votes::default();
            for observer in self.sites.electorate(region) {
                votes.cast(observer, self.cast(observer, region, now.clock));
            }
            votes
        });
        let votes: Vec<_> = votes.collect();
        let nothing_else = self.eligible(Failover::Auto).is_empty();
        for (region, votes) in self.sites.regions().zip(votes) {
            let outside = self.outside(region);
            let is_corroborated = self.is_corroborated(region, now.clock);
            let watched = &mut self.watched[region.index()];
            let outcome = votes.outcome(outside, self.rules.quorum);
            let is_unanimous = votes.is_unanimous(outside);
            watched.seen = Seen { outcome, is_corroborated, is_unanimous, nothing_else };
            watched.votes = votes;
        }
    }

    /// The observers of a region that do not run in it.
    fn outside(&self, region: Region) -> u64 {
        let outside =
            self.sites.electorate(region).filter(|&observer| self.sites.home(observer) != Some(region));
        outside.fold(0, |set, observer| set | observer.bit())
    }

    fn cast(&self, observer: Observer, region: Region, clock: Duration) -> Cast {
        let votes = self.tallies(observer, region).iter().map(|tally| tally.vote(clock, &self.rules));
        let (mut any, mut all_failed) = (false, true);
        for vote in votes {
            if vote == Vote::Ok {
                return Cast::Ok;
            }
            (any, all_failed) = (true, all_failed && vote == Vote::Fail);
        }
        match any && all_failed {
            false => Cast::Unknown,
            // Success cannot come of a broken link; failure can.
            true if self.trusts_itself(observer, region, clock) => Cast::Fail,
            true => Cast::Doubt,
        }
    }

    /// Whether a region fails for an observer that takes this for its own link.
    pub(crate) fn is_doubted(&self, observer: Observer, region: Region, now: Now) -> bool {
        self.cast(observer, region, now.clock) == Cast::Doubt
    }

    /// Whether an observer may believe that a region fails: most else that it sees is well. Its own region does not
    /// count, for its link is not needed for that; nor does a failing region that is known to be down, for that says
    /// nothing of the link. With nothing else to look at there is nothing to check.
    fn trusts_itself(&self, observer: Observer, judged: Region, clock: Duration) -> bool {
        let is_else = |region: &Region| {
            *region != judged
                && self.sites.home(observer) != Some(*region)
                && self.sites.looks_at(observer, *region)
                && self.sites.targets(*region) > 0
        };
        let (mut configured, mut known, mut bad) = (false, 0, 0);
        for region in self.sites.regions().filter(is_else) {
            configured = true;
            let is_out = self.watched[region.index()].is_out();
            for tally in self.tallies(observer, region) {
                match tally.looks_bad(clock, &self.rules) {
                    None => {}
                    Some(true) if is_out => {}
                    Some(is_bad) => (known, bad) = (known + 1, bad + usize::from(is_bad)),
                }
            }
        }
        !configured || bad * 2 < known
    }

    /// A region that has sent heartbeats must have stopped, or say itself that it has nothing that serves.
    fn is_corroborated(&self, region: Region, clock: Duration) -> bool {
        let Some(pulse) = &self.watched[region.index()].pulse else { return true };
        pulse.evidence.healthy == 0 || clock.saturating_sub(pulse.at) > self.rules.freshness()
    }

    fn advance(&mut self, passed: Duration) -> Vec<(Region, Wish)> {
        let advance = |(region, watched): (Region, &mut Watched)| {
            (region, watched.course.advance(&watched.seen, passed, &self.rules))
        };
        self.sites.regions().zip(&mut self.watched).map(advance).collect()
    }
}
