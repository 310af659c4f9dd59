//! Who of those that have fallen silent goes, and who is kept, and why.
//!
//! In this order:
//! 1. so many fall silent together that our own network is the likelier cause: nobody goes, for a while;
//! 2. it cannot be reached while most others can: it goes; it can be reached: it stays;
//! 3. nobody knows: some go, in random order, and the others wait for their turn.
//!
//! Pure: the state, what is known of the ways, the time and a source of random numbers give the decision.

mod view;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use fulcrum_balance::Rng;
use fulcrum_model::{InstanceId, Reach, ServiceName};

use crate::lease::Lease;
use crate::state::{Command, Eviction, Evidence, Hold, Instance, Key, State};
use view::{Verdict, View, reach_of};

/// What is known of the ways to the instances of a service; of those that are left out nothing.
pub type Reaches = HashMap<InstanceId, Reach>;

/// How much silence is believed.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// The part of a service's instances that may go within one time-to-live without evidence, at least one: 0 to 1.
    pub evict_max: f64,
    /// How long the silence of many is held for a failure of our own network.
    pub hold_max: Duration,
    /// Whether the last instance of a service stays until there is evidence.
    pub empty_protect: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Policy { evict_max: 0.15, hold_max: Duration::from_secs(600), empty_protect: true }
    }
}

/// The instances whose leases have run out.
#[derive(Debug)]
pub struct Silent {
    since: BTreeMap<Key, Lapse>,
    /// Those who went because of it. They are part of a mass lapse as much as those who are still there: in one, leases
    /// run out one after the other, and whoever fails its check goes with its own.
    gone: BTreeMap<Key, Gone>,
    /// When instances went without evidence, by service: within the last time-to-live, the first one first.
    unproven: HashMap<ServiceName, VecDeque<Duration>>,
    mood: Mood,
    /// When the last mass lapse was over because so many were heard of again.
    thawed: Option<Duration>,
    rng: Rng,
}

#[derive(Debug)]
struct Lapse {
    lease: Arc<Lease>,
    at: Duration,
    /// It was told to go, and has gone unless it is found again.
    goes: Option<Gone>,
}

/// Whoever went: where it was, and when it fell silent.
#[derive(Clone, Copy, Debug)]
struct Gone {
    host: IpAddr,
    ttl: Duration,
    lapsed_at: Duration,
}

/// What comes of a look at everyone who is silent.
#[derive(Debug, Default)]
pub struct Judgement {
    /// To be applied.
    pub commands: Vec<Command>,
    /// They are silent no more: their leases have to be looked after again.
    pub heard: Vec<(Key, Arc<Lease>)>,
}

/// What so many silent instances make us believe.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    /// Each case by itself.
    #[default]
    Normal,
    /// Our own network has failed, since then: nobody goes.
    Frozen {
        /// By the lease clock.
        since: Duration,
    },
    /// It has lasted for too long to be that: they go, slowly.
    Releasing,
}

impl Silent {
    /// Nobody is silent.
    pub fn new(rng: Rng) -> Self {
        Silent {
            since: BTreeMap::new(),
            gone: BTreeMap::new(),
            unproven: HashMap::new(),
            mood: Mood::Normal,
            thawed: None,
            rng,
        }
    }

    /// The lease of an instance has run out.
    pub fn add(&mut self, key: Key, lease: Arc<Lease>, now: Duration) {
        self.since.insert(key, Lapse { lease, at: now, goes: None });
    }

    /// How many are silent.
    pub fn len(&self) -> usize {
        self.since.len()
    }

    /// Whether nobody is silent.
    pub fn is_empty(&self) -> bool {
        self.since.is_empty()
    }

    /// What is believed of the silence.
    pub fn mood(&self) -> Mood {
        self.mood
    }

    /// Decides over everyone who is silent. To be called every second or so, and its commands to be applied before the
    /// next call.
    pub fn judge(
        &mut self,
        state: &State,
        policy: &Policy,
        reaches: &dyn Fn(&ServiceName) -> Reaches,
        now: Duration,
    ) -> Judgement {
        let mut judgement = self.forget_heard(state, now);
        self.forget_gone(state, now);
        self.change_mood(state, policy, now);
        let services: BTreeSet<ServiceName> = self.since.keys().map(|key| key.service.clone()).collect();
        for service in services {
            let reaches = reaches(&service);
            self.judge_service(&service, state, policy, &reaches, now, &mut judgement.commands);
        }
        self.unproven.retain(|service, _| state.count(service) > 0);
        judgement
    }

    /// Forgets who is heard of again, was replaced, or has gone.
    fn forget_heard(&mut self, state: &State, now: Duration) -> Judgement {
        let mut judgement = Judgement::default();
        let gone = &mut self.gone;
        self.since.retain(|key, lapse| {
            let goes = lapse.goes.take();
            let found = state.find(key).filter(|(_, lease)| Arc::ptr_eq(lease, &lapse.lease));
            let Some((instance, lease)) = found else {
                gone.extend(goes.map(|goes| (key.clone(), goes)));
                return false;
            };
            if lease.is_lapsed(now) {
                return true;
            }
            if instance.suspect.is_some() {
                let (key, epoch) = (key.clone(), instance.epoch);
                judgement.commands.push(Command::Suspect { key, epoch, hold: None });
            }
            judgement.heard.push((key.clone(), Arc::clone(lease)));
            false
        });
        judgement
    }

    /// Forgets those who went once they are back, or for so long that those who fall silent now do not do so with them. As
    /// long as a mass lapse is held they are part of it.
    fn forget_gone(&mut self, state: &State, now: Duration) {
        let is_frozen = matches!(self.mood, Mood::Frozen { .. });
        self.gone.retain(|key, gone| {
            let is_recent = now.saturating_sub(gone.lapsed_at) <= gone.ttl;
            (is_frozen || is_recent) && state.find(key).is_none()
        });
    }

    fn change_mood(&mut self, state: &State, policy: &Policy, now: Duration) {
        let is_mass =
            |silent: usize, all: usize| silent >= MASS_LEAST && silent as f64 > MASS_PART * all as f64;
        let all = state.len() + self.gone.len();
        let is_held = is_mass(self.since.len() + self.gone.len(), all);
        self.mood = match self.mood {
            Mood::Normal if is_held && is_mass(self.fell_silent_together(state, now), all) => {
                Mood::Frozen { since: now }
            }
            Mood::Frozen { since } if is_held && now - since >= policy.hold_max => Mood::Releasing,
            Mood::Frozen { .. } if !is_held => {
                self.thawed = Some(now);
                Mood::Normal
            }
            // What is left to be released: those who went have been.
            Mood::Releasing if !is_mass(self.since.len(), state.len()) => Mood::Normal,
            mood => mood,
        };
    }

    /// How many have fallen silent within one time-to-live, those who went included; none when they were all on a few
    /// hosts.
    fn fell_silent_together(&self, state: &State, now: Duration) -> usize {
        let still_there = self.since.iter().filter_map(|(key, lapse)| Some(lapse.gone(state.find(key)?.0)));
        let mut hosts: BTreeSet<IpAddr> = BTreeSet::new();
        let mut count = 0;
        for silent in still_there.chain(self.gone.values().copied()) {
            if now.saturating_sub(silent.lapsed_at) <= silent.ttl {
                count += 1;
                if hosts.len() < MASS_HOSTS {
                    hosts.insert(silent.host);
                }
            }
        }
        if hosts.len() < MASS_HOSTS { 0 } else { count }
    }

    fn judge_service(
        &mut self,
        service: &ServiceName,
        state: &State,
        policy: &Policy,
        reaches: &Reaches,
        now: Duration,
        commands: &mut Vec<Command>,
    ) {
        let view = View::of(service, state, reaches);
        let mut left = view.total;
        let (mut unproven, mut going) = (Vec::new(), Vec::new());
        for (instance, since) in self.silent_of(service, state) {
            let verdict = match (self.mood, reach_of(reaches, instance)) {
                (Mood::Frozen { .. }, _) => Verdict::Keep(Hold::MassLapse),
                (_, Reach::Reachable) => Verdict::Keep(Hold::Reachable),
                (Mood::Releasing, _) => Verdict::Unproven,
                (Mood::Normal, reach) => view.judge(instance, reach, now.saturating_sub(since)),
            };
            match verdict {
                Verdict::Go(evidence) => {
                    left -= 1;
                    going.push(instance);
                    commands.push(evict(instance, evidence));
                }
                Verdict::Keep(hold) => keep(instance, hold, commands),
                Verdict::Unproven => {
                    let patience = self.patience(instance, since, state);
                    unproven.push((instance, now.saturating_sub(since) < patience));
                }
            }
        }
        let mut may_go = self.may_go(service, &view, policy, now);
        shuffle(&mut unproven, &mut self.rng);
        for (instance, is_early) in unproven {
            if policy.empty_protect && left == 1 {
                keep(instance, Hold::LastInstance, commands);
            } else if is_early {
                keep(instance, Hold::TooEarly, commands);
            } else if may_go == 0 {
                keep(instance, Hold::EvictionCap, commands);
            } else {
                (left, may_go) = (left - 1, may_go - 1);
                self.unproven.entry(service.clone()).or_default().push_back(now);
                going.push(instance);
                commands.push(evict(instance, Evidence::Silence));
            }
        }
        going.into_iter().for_each(|instance| self.note(instance));
    }

    /// That an instance was told to go. One that said so itself is no part of a mass lapse.
    fn note(&mut self, instance: &Instance) {
        if instance.drain_until.is_none()
            && let Some(lapse) = self.since.get_mut(&instance.key)
        {
            lapse.goes = Some(lapse.gone(instance));
        }
    }

    /// The silent ones of a service, and since when that counts: those who were held in a mass lapse, since it was over.
    fn silent_of<'a>(&self, service: &ServiceName, state: &'a State) -> Vec<(&'a Instance, Duration)> {
        let since = |lapse: &Lapse| self.thawed.map_or(lapse.at, |thawed| lapse.at.max(thawed));
        let all = state.instances(service);
        all.filter_map(|(instance, _)| Some((&**instance, since(self.since.get(&instance.key)?)))).collect()
    }

    /// How long nobody goes without evidence: for as long as the leases of others who fell silent together with it may still
    /// last. When many come back they come one after the other, too: each has a lease's time, as after a start.
    fn patience(&self, instance: &Instance, since: Duration, state: &State) -> Duration {
        if self.thawed == Some(since) {
            return instance.ttl();
        }
        let between_beats = (state.longest_ttl() / BEATS).min(LONGEST_PATIENCE);
        between_beats + between_beats / 10
    }

    /// How many of a service may still go without evidence, of those that were there a time-to-live ago.
    fn may_go(&mut self, service: &ServiceName, view: &View, policy: &Policy, now: Duration) -> usize {
        let pace = if self.mood == Mood::Releasing { 2.0 } else { 1.0 };
        let gone = self.unproven.get_mut(service).map_or(0, |times| {
            let is_over = |at: &Duration| now.saturating_sub(*at) >= view.ttl;
            let over = times.iter().take_while(|at| is_over(at)).count();
            times.drain(..over);
            times.len()
        });
        let cap = ((view.total + gone) as f64 * policy.evict_max).floor().max(1.0) * pace;
        (cap as usize).saturating_sub(gone)
    }
}

impl Lapse {
    /// Of this instance, if it goes.
    fn gone(&self, instance: &Instance) -> Gone {
        Gone { host: instance.registration.address, ttl: instance.ttl(), lapsed_at: self.at }
    }
}

fn evict(instance: &Instance, evidence: Evidence) -> Command {
    Command::Evict(Eviction { key: instance.key.clone(), epoch: instance.epoch, evidence })
}

fn keep(instance: &Instance, hold: Hold, commands: &mut Vec<Command>) {
    if instance.suspect != Some(hold) {
        let (key, epoch) = (instance.key.clone(), instance.epoch);
        commands.push(Command::Suspect { key, epoch, hold: Some(hold) });
    }
}

/// Fisher and Yates.
fn shuffle<T>(items: &mut [T], rng: &mut Rng) {
    for place in (1..items.len()).rev() {
        let other = rng.below(u32::try_from(place + 1).unwrap_or(u32::MAX)) as usize;
        items.swap(place, other);
    }
}

/// The silence of so many, of such a part of all, on so many hosts, within one time-to-live, is believed to be ours.
const MASS_LEAST: usize = 20;
const MASS_PART: f64 = 0.3;
const MASS_HOSTS: usize = 3;

/// Heartbeats in a time-to-live, give or take a tenth. Leases of those who fall silent together run out one after the
/// other, within the time between two heartbeats: nobody goes without evidence before it is known how many they are.
const BEATS: u32 = 3;

/// Where leases last for hours nobody waits for hours.
const LONGEST_PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests;
