//! The judge: takes what is seen and said, and says once a second how each region stands.

use std::time::Duration;

use super::ballot::{Cast, Votes};
use super::course::{Course, Seen, Wish};
use super::operator::Orders;
use super::panic::Watch;
use super::recorder::Recorder;
use super::view::{View, WHOLE};
use super::{Evidence, Failover, Memory, Now, Observer, Report, Rules, Sites, Standing, Transition, Vote};
use crate::region::Region;

/// The state of all regions. Bounded by their number, that of their targets and of observers.
#[derive(Clone, Debug)]
pub struct Judge {
    pub(super) sites: Sites,
    pub(super) rules: Rules,
    /// By observer, then by region.
    pub(super) views: Vec<Vec<View>>,
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
        let views: Vec<_> = sites.regions().map(|region| View::new(sites.targets(region))).collect();
        let watched = sites.regions().map(|region| {
            let configured = sites.site(region).and_then(|site| site.order.clone());
            Watched::new(Orders::configured(configured), now)
        });
        let mut judge = Judge {
            watched: watched.collect(),
            views: vec![views; sites.watchers().len()],
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
        // The clock may have started since: what is too old for that must not become fresh.
        let vote = if report.age > self.rules.freshness() { Vote::Unknown } else { report.vote };
        let at = now.clock.saturating_sub(report.age);
        let view = &mut self.views[report.observer.index()][report.region.index()];
        match view.take(report.target, (vote, report.sequence), (at, now.clock), &self.rules) {
            Some(true) => Taken::New,
            Some(false) => Taken::Old,
            None => Taken::Stranger,
        }
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
        self.views.iter_mut().flatten().for_each(View::forget);
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
        self.views.iter_mut().flatten().for_each(|view| view.recount(now.clock, &self.rules));
        let votes = self.sites.regions().map(|region| {
            let mut votes = Votes::default();
            for observer in self.sites.electorate(region) {
                votes.cast(observer, self.cast(observer, region));
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

    fn cast(&self, observer: Observer, region: Region) -> Cast {
        match self.view(observer, region).vote() {
            Vote::Ok => Cast::Ok,
            Vote::Unknown => Cast::Unknown,
            // Success cannot come of a broken link; failure can.
            Vote::Fail if self.trusts_itself(observer, region) => Cast::Fail,
            Vote::Fail => Cast::Doubt,
        }
    }

    /// Whether a region fails for an observer that takes this for its own link. What is not told any more counts until the
    /// next tick.
    pub(crate) fn is_doubted(&self, observer: Observer, region: Region) -> bool {
        self.cast(observer, region) == Cast::Doubt
    }

    /// Whether an observer may believe that a region fails: most else that it sees is well. Each region has one voice,
    /// however many targets it has, and gives it in parts. Its own region does not count, for its link is not needed for
    /// that; nor does what fails of a region that is known to be down, for that says nothing of the link. With nothing
    /// else to look at there is nothing to check.
    fn trusts_itself(&self, observer: Observer, judged: Region) -> bool {
        let is_else = |region: &Region| {
            *region != judged
                && self.sites.home(observer) != Some(*region)
                && self.sites.looks_at(observer, *region)
                && self.sites.targets(*region) > 0
        };
        let (mut configured, mut known, mut bad) = (false, 0, 0);
        for region in self.sites.regions().filter(is_else) {
            configured = true;
            let view = self.view(observer, region);
            let part = match self.watched[region.index()].is_out() {
                true => view.is_any_good().then_some(0),
                false => view.bad_part(),
            };
            let Some(part) = part else { continue };
            (known, bad) = (known + WHOLE, bad + part);
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
