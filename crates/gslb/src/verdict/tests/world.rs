//! Regions and daemons that observe them. Each daemon has a judge of its own and tells the others what it sees.

use std::time::SystemTime;

use fulcrum_balance::Rng;

use super::super::*;
use crate::region::Region;

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const TARGETS: u16 = 2;
pub(super) const NAMES: [&str; 4] = ["eu", "us", "ap", "sa"];

/// What is true, and what each daemon makes of it.
pub(super) struct World {
    pub(super) seed: u64,
    pub(super) rng: Rng,
    pub(super) regions: Vec<Truth>,
    pub(super) daemons: Vec<Daemon>,
    pub(super) now: Duration,
    sequence: u64,
}

/// What is true of a region.
#[derive(Clone, Copy, Debug)]
pub(super) struct Truth {
    pub(super) is_alive: bool,
    /// Nobody outside reaches it, though it lives.
    pub(super) is_unreachable: bool,
    /// What its balancer says while it lives, if it has one.
    pub(super) evidence: Option<Evidence>,
}

/// A daemon: an observer and a judge.
pub(super) struct Daemon {
    pub(super) judge: Judge,
    pub(super) home: Option<Region>,
    /// Its own link is cut: it sees what is in its region, and nobody hears of it.
    pub(super) is_cut: bool,
    /// It sees, but neither hears the others nor is heard.
    pub(super) is_deaf: bool,
    /// The process stands still.
    pub(super) is_stopped: bool,
    /// How many of a hundred looks at that region fail on the way.
    pub(super) loss: Vec<u32>,
    pub(super) transitions: Vec<(Duration, Transition)>,
    /// The last order for each region, and when it ends.
    pub(super) ordered: Vec<(Duration, Option<Forced>)>,
}

impl World {
    pub(super) fn new(seed: u64, regions: usize, homes: &[Option<u8>]) -> Self {
        World::with_rules(seed, regions, homes, Rules::default())
    }

    pub(super) fn with_rules(seed: u64, regions: usize, homes: &[Option<u8>], rules: Rules) -> Self {
        let truth = Truth { is_alive: true, is_unreachable: false, evidence: None };
        let now = at(Duration::ZERO);
        let daemon = |home: &Option<u8>| Daemon {
            judge: Judge::new(sites(regions, homes), rules.clone(), None, now),
            home: home.map(Region),
            is_cut: false,
            is_deaf: false,
            is_stopped: false,
            loss: vec![0; regions],
            transitions: Vec::new(),
            ordered: vec![(Duration::ZERO, None); regions],
        };
        World {
            seed,
            rng: Rng::from_seed(seed),
            regions: vec![truth; regions],
            daemons: homes.iter().map(daemon).collect(),
            now: Duration::ZERO,
            sequence: 0,
        }
    }

    /// A second passes: every other one all daemons look at everything.
    pub(super) fn second(&mut self) {
        self.now += SECOND;
        if self.now.as_secs().is_multiple_of(2) {
            self.look();
        }
        let now = at(self.now);
        for daemon in self.daemons.iter_mut().filter(|daemon| !daemon.is_stopped) {
            let transitions = daemon.judge.tick(now);
            daemon.transitions.extend(transitions.into_iter().map(|transition| (now.clock, transition)));
        }
    }

    pub(super) fn seconds(&mut self, count: u64) {
        (0..count).for_each(|_| self.second());
    }

    fn look(&mut self) {
        self.sequence += 1;
        for region in Region::first(self.regions.len()) {
            self.beat(region);
            for observer in 0..self.daemons.len() {
                for target in 0..TARGETS {
                    let vote = self.sees(observer, region);
                    let observer = Observer(observer as u8);
                    let age = Duration::from_millis(u64::from(self.rng.below(900)));
                    self.tell(Report { observer, region, target, vote, sequence: self.sequence, age });
                }
            }
        }
    }

    fn sees(&mut self, observer: usize, region: Region) -> Vote {
        let lost = self.rng.below(100);
        let (daemon, truth) = (&self.daemons[observer], self.regions[region.index()]);
        let is_home = daemon.home == Some(region);
        let is_reached =
            is_home || !daemon.is_cut && !truth.is_unreachable && lost >= daemon.loss[region.index()];
        if truth.is_alive && is_reached { Vote::Ok } else { Vote::Fail }
    }

    fn tell(&mut self, report: Report) {
        let from = report.observer.index();
        let is_heard = !self.daemons[from].is_cut && !self.daemons[from].is_deaf;
        if self.daemons[from].is_stopped {
            return;
        }
        let now = at(self.now);
        for (number, daemon) in self.daemons.iter_mut().enumerate() {
            if number == from || is_heard && !daemon.is_cut && !daemon.is_deaf && !daemon.is_stopped {
                assert_eq!(daemon.judge.report(report, now), Taken::New);
            }
        }
    }

    fn beat(&mut self, region: Region) {
        let truth = self.regions[region.index()];
        let Some(evidence) = truth.evidence.filter(|_| truth.is_alive) else { return };
        let now = at(self.now);
        for daemon in self.daemons.iter_mut().filter(|daemon| !daemon.is_stopped) {
            if !daemon.is_cut || daemon.home == Some(region) {
                daemon.judge.heartbeat(region, evidence, now);
            }
        }
    }

    /// A region and the daemons in it die, or live again.
    pub(super) fn set_alive(&mut self, region: u8, is_alive: bool) {
        self.regions[usize::from(region)].is_alive = is_alive;
        let at_home = |daemon: &&mut Daemon| daemon.home == Some(Region(region));
        self.daemons.iter_mut().filter(at_home).for_each(|daemon| daemon.is_stopped = !is_alive);
    }

    /// A daemon ends, and starts with what it has kept.
    pub(super) fn restart(&mut self, daemon: usize, pause: Duration) {
        let kept = self.daemons[daemon].judge.memory(at(self.now));
        let kept = serde_json::to_string(&kept).expect("plain values");
        (0..pause.as_secs()).for_each(|_| {
            self.daemons[daemon].is_stopped = true;
            self.second();
        });
        let judge = &self.daemons[daemon].judge;
        let (sites, rules) = (judge.sites().clone(), judge.rules().clone());
        let kept: Memory = serde_json::from_str(&kept).expect("what was written");
        self.daemons[daemon].judge = Judge::new(sites, rules, Some(&kept), at(self.now));
        self.daemons[daemon].is_stopped = false;
    }

    /// How a region stands for the first daemon.
    pub(super) fn standing(&self, region: u8) -> &Standing {
        self.daemons[0].judge.standing(Region(region))
    }

    pub(super) fn states(&self) -> Vec<State> {
        (0..self.regions.len() as u8).map(|region| self.standing(region).state).collect()
    }
}

impl Daemon {
    /// When regions were taken out or came back, by itself.
    pub(super) fn switches(&self) -> impl Iterator<Item = &(Duration, Transition)> {
        self.transitions.iter().filter(|(_, transition)| transition.is_switch())
    }
}

pub(super) fn at(clock: Duration) -> Now {
    Now { clock, wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000) + clock }
}

pub(super) fn site(name: &str) -> Site {
    Site {
        name: name.parse().expect("a name"),
        targets: TARGETS,
        identity: 0,
        observers: Vec::new(),
        order: None,
    }
}

pub(super) fn sites(regions: usize, homes: &[Option<u8>]) -> Sites {
    let watchers = homes.iter().enumerate().map(|(number, home)| Watcher {
        name: format!("lb-{number}").into(),
        home: home.map(|home| NAMES[usize::from(home)].parse().expect("a name")),
    });
    Sites::new(NAMES[..regions].iter().map(|name| site(name)).collect(), watchers.collect()).expect("sound")
}

pub(super) fn evidence(healthy: u32) -> Evidence {
    Evidence { healthy, load: 10.0, capacity: Some(100.0), data_ready: true }
}
