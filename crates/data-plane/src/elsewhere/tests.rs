//! What others have somewhere: one endpoint, and two balancers in simulated time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use fulcrum_balance::{Member, Members, PickState, Picker, Policy, Rng, Share};
use fulcrum_config::EndpointState;

use super::*;
use crate::service::Standing;

fn endpoint(id: &str) -> Arc<Endpoint> {
    let standing = Standing::new(EndpointState::Up, None);
    let address: fulcrum_model::Address = "127.0.0.1:80".parse().expect("an address");
    Arc::new(Endpoint::new(id.parse().expect("an id"), address, standing))
}

#[test]
fn it_is_news_for_a_while() {
    let elsewhere = Elsewhere::default();
    let check = |now: Millis, expected: u32| assert_eq!(elsewhere.at(now), expected, "at {now}");
    check(0, 0);
    check(u64::MAX, 0);
    elsewhere.set(9, Duration::from_millis(3_001));
    check(0, 9);
    check(3_001, 9);
    check(3_099, 9);
    check(3_100, 0);
    elsewhere.set(u32::MAX, Duration::MAX);
    check(u64::from(u32::MAX), u32::MAX);
    elsewhere.set(0, Duration::MAX);
    check(0, 0);
    elsewhere.set(7, Duration::MAX);
    elsewhere.forget();
    check(0, 0);
}

#[test]
fn our_own_are_not_those_of_others() {
    let endpoint = endpoint("a");
    let (reports, started) = (Arc::new(LoadReports::default()), Instant::now());
    let ear = Ear::open(&reports, &endpoint, started);
    assert!(ear.hears(&reports) && !ear.hears(&Arc::default()));
    (0..3).for_each(|_| assert!(endpoint.try_start()));
    let valid_for = Duration::from_secs(5);
    let check = |in_flight: u32, elsewhere: u32| {
        reports.tell(LoadReport { in_flight, valid_for });
        assert_eq!((endpoint.elsewhere.at(0), endpoint.load(0)), (elsewhere, 3 + elsewhere), "{in_flight}");
    };
    check(10, 7);
    check(3, 0);
    check(1, 0);
    check(4, 1);
    // It stays what it was then, whatever becomes of ours.
    endpoint.finished();
    assert_eq!((endpoint.elsewhere.at(0), endpoint.load(0)), (1, 3));
    assert_eq!((endpoint.elsewhere.at(4_900), endpoint.load(4_900)), (1, 3));
    assert_eq!((endpoint.elsewhere.at(60_000), endpoint.load(60_000)), (0, 2));
    reports.tell(LoadReport { in_flight: u32::MAX, valid_for });
    assert!(endpoint.try_start() && endpoint.try_start());
    assert_eq!(endpoint.load(0), u32::MAX, "and no more");
    // Another registration: nothing of the old one counts any more, nor is it heard.
    let others = Arc::new(LoadReports::default());
    let other = Ear::open(&others, &endpoint, started);
    drop(ear);
    reports.tell(LoadReport { in_flight: 50, valid_for });
    assert_eq!(endpoint.elsewhere.at(0), 0);
    others.tell(LoadReport { in_flight: 50, valid_for });
    assert_eq!(endpoint.elsewhere.at(0), 46);
    drop((endpoint, other));
    others.tell(LoadReport { in_flight: 50, valid_for });
}

/// One of several balancers in front of the same instances, with everything that a data plane has of them.
struct Balancer {
    endpoints: Vec<Arc<Endpoint>>,
    ears: Vec<Arc<Ear>>,
    picker: Picker,
    turn: PickState,
    /// This part of its requests, in percent, goes to the first endpoint, whatever the load: clients that belong there.
    pinned: u32,
}

struct Look<'a>(&'a Balancer, Millis);

impl Members for Look<'_> {
    fn load(&self, index: usize) -> u32 {
        self.0.endpoints[index].load(self.1)
    }

    fn share(&self, _: usize) -> Share {
        Share::FULL
    }
}

impl Balancer {
    fn new(count: usize, pinned: u32, rng: &mut Rng) -> Self {
        let ids: Vec<String> = (0..count).map(|number| number.to_string()).collect();
        let members: Vec<Member<'_>> = ids.iter().map(|id| Member { id, weight: 1 }).collect();
        let picker = Picker::new(Policy::LeastRequest, &members);
        let turn = PickState::new(&picker, rng);
        Balancer {
            endpoints: ids.iter().map(|id| endpoint(id)).collect(),
            ears: Vec::new(),
            picker,
            turn,
            pinned,
        }
    }

    fn pick(&mut self, now: Millis, rng: &mut Rng) -> usize {
        if rng.below(100) < self.pinned {
            return 0;
        }
        let mut turn = self.turn.clone();
        let picked = self.picker.pick(&mut turn, &Look(self, now), None, rng);
        self.turn = turn;
        picked.expect("all are eligible")
    }
}

/// Two balancers, the instances, and simulated time.
struct World {
    balancers: Vec<Balancer>,
    rng: Rng,
    /// When requests end, of which balancer, and where.
    ends: BinaryHeap<Reverse<(Millis, usize, usize)>>,
    /// Nobody hears an instance any more after this.
    silent_from: Millis,
}

impl World {
    /// `pinned` of each balancer; with or without ears.
    fn new(pinned: [u32; 2], hears: bool, seed: u64) -> Self {
        let mut rng = Rng::from_seed(seed);
        let mut balancers: Vec<Balancer> =
            pinned.iter().map(|&pinned| Balancer::new(INSTANCES, pinned, &mut rng)).collect();
        for balancer in balancers.iter_mut().filter(|_| hears) {
            let open = |endpoint: &Arc<Endpoint>| Ear::open(&Arc::default(), endpoint, Instant::now());
            balancer.ears = balancer.endpoints.iter().map(open).collect();
        }
        World { balancers, rng, ends: BinaryHeap::new(), silent_from: Millis::MAX }
    }

    /// What an instance has under way.
    fn load(&self, instance: usize) -> u32 {
        self.balancers.iter().map(|balancer| balancer.endpoints[instance].in_flight()).sum()
    }

    /// A millisecond: requests end, begin, and instances report, each at its time.
    fn step(&mut self, now: Millis) {
        while let Some(&Reverse((end, balancer, instance))) = self.ends.peek()
            && end <= now
        {
            self.ends.pop();
            self.balancers[balancer].endpoints[instance].finished();
        }
        for number in 0..self.balancers.len() {
            if self.rng.below(1000) < RATE {
                let instance = self.balancers[number].pick(now, &mut self.rng);
                assert!(self.balancers[number].endpoints[instance].try_start(), "there is no limit");
                let end = now + 20 + u64::from(self.rng.below(160));
                self.ends.push(Reverse((end, number, instance)));
            }
        }
        for instance in 0..INSTANCES {
            let is_due = now % BEAT == instance as u64 * BEAT / INSTANCES as u64;
            if is_due && now < self.silent_from {
                let valid_for = Duration::from_millis(3 * BEAT);
                let report = LoadReport { in_flight: self.load(instance), valid_for };
                let ears = self.balancers.iter().filter_map(|balancer| balancer.ears.get(instance));
                ears.for_each(|ear| ear.note(report, Duration::from_millis(now)));
            }
        }
    }

    /// So many milliseconds from `from` on; what balancer `of`, or all of them, had under way at each instance meanwhile,
    /// on average, and the most that an instance had at a moment, on average too.
    fn run(&mut self, from: Millis, millis: Millis, of: Option<usize>) -> ([f64; INSTANCES], f64) {
        let (mut sums, mut most) = ([0.0; INSTANCES], 0.0);
        for now in from..from + millis {
            self.step(now);
            let loads = (0..INSTANCES).map(|instance| match of {
                Some(balancer) => self.balancers[balancer].endpoints[instance].in_flight(),
                None => self.load(instance),
            });
            let loads: Vec<f64> = loads.map(f64::from).collect();
            sums.iter_mut().zip(&loads).for_each(|(sum, load)| *sum += load / millis as f64);
            most += loads.iter().copied().fold(0.0, f64::max) / millis as f64;
        }
        (sums, most)
    }

    /// How much more than its due the busiest instance has in a minute, and at a moment: 1 is all of them alike.
    fn unevenness(&mut self) -> (f64, f64) {
        let (loads, most) = self.run(0, MINUTE, None);
        let due = loads.iter().sum::<f64>() / INSTANCES as f64;
        (loads.iter().copied().fold(0.0, f64::max) / due, most / due)
    }
}

/// Clients that belong to one instance load it through one balancer: the other makes room, as far as it hears of it.
#[test]
fn balancers_that_hear_of_each_other_spread_better() {
    for seed in 0..16 {
        let check = |pinned, gain: f64| {
            let (deaf, _) = World::new([pinned, 0], false, seed).unevenness();
            let (hearing, _) = World::new([pinned, 0], true, seed).unevenness();
            assert!(hearing < deaf - gain, "seed {seed}, {pinned} %: {hearing} with reports, {deaf} without");
        };
        // Of all requests 35 % are pinned, where 20 % are due: 1.75 is the best that there can be.
        check(70, 0.3);
        check(50, 0.2);
        check(30, 0.04);
    }
}

/// Where there is nothing to correct, news of a moment that is seconds ago must not do harm: the balancers do not chase
/// each other from one instance to the next.
#[test]
fn balancers_that_are_alike_stay_even() {
    for seed in 0..16 {
        let (mean, moment) = World::new([0, 0], true, seed).unevenness();
        assert!(mean < 1.15 && moment < 1.45, "seed {seed}: {mean}, at a moment {moment}");
    }
}

/// An instance that falls silent after bad news gets its share again when that is old.
#[test]
fn old_news_starves_nobody() {
    for seed in 0..16 {
        let mut world = World::new([70, 0], true, seed);
        world.run(0, MINUTE, None);
        world.silent_from = MINUTE;
        world.balancers[0].pinned = 0;
        let part = |(loads, _): ([f64; INSTANCES], f64)| loads[0] / loads.iter().sum::<f64>();
        let before = part(world.run(MINUTE, 2 * BEAT, Some(1)));
        assert!(before < 0.1, "seed {seed}: {before}, in spite of the news");
        world.run(MINUTE + 2 * BEAT, BEAT, None);
        let after = part(world.run(MINUTE + 3 * BEAT, MINUTE, Some(1)));
        assert!((0.17..0.23).contains(&after), "seed {seed}: {after} of a due of 0.2");
    }
}

const INSTANCES: usize = 5;
/// Requests in a second, per balancer.
const RATE: u32 = 250;
/// How often an instance reports, in milliseconds: a hundred times the duration of a request.
const BEAT: Millis = 10_000;
const MINUTE: Millis = 60_000;
