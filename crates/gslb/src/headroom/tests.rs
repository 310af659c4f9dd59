//! Loads that follow weights late, and what the weights make of that.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn evidence(load: f64, capacity: f64) -> Evidence {
    Evidence { healthy: 1, load, capacity: Some(capacity), data_ready: true }
}

/// Two regions. The clients of the first one that it does not keep go to the second one.
struct Loop {
    headroom: Headroom,
    /// What the clients of each region ask for.
    demand: [f64; 2],
    /// What each can take; `None` where nothing bounds it.
    capacity: [Option<f64>; 2],
    ttl: Duration,
    /// How late clients really follow.
    lag: Lag,
    /// The weights of each second, and those that clients follow.
    weights: Vec<[f64; 2]>,
    followed: [f64; 2],
    second: u32,
}

#[derive(Clone, Copy, Debug)]
enum Lag {
    /// All of them after so long.
    After(u32),
    /// One after the other, as caches run out.
    Spread(f64),
}

impl Loop {
    fn new(demand: [f64; 2], capacity: [f64; 2], ttl: u32, lag: Lag) -> Self {
        Loop {
            headroom: Headroom::new(2, HeadroomRules::default()),
            demand,
            capacity: capacity.map(Some),
            ttl: ttl * SECOND,
            lag,
            weights: Vec::new(),
            followed: [1.0; 2],
            second: 0,
        }
    }

    fn follow(&mut self) {
        let now = [0, 1].map(|region| self.headroom.weight(Region(region)));
        self.weights.push(now);
        match self.lag {
            Lag::After(lag) => {
                let when = self.weights.len().checked_sub(lag as usize + 1);
                self.followed = when.map_or([1.0; 2], |when| self.weights[when]);
            }
            Lag::Spread(time) => {
                for (followed, now) in self.followed.iter_mut().zip(now) {
                    *followed += (now - *followed) / time;
                }
            }
        }
    }

    fn loads(&self) -> [f64; 2] {
        let kept = [0, 1].map(|region| self.demand[region] * self.followed[region]);
        [kept[0] + self.demand[1] - kept[1], kept[1] + self.demand[0] - kept[0]]
    }

    fn run(&mut self, seconds: u32) {
        for _ in 0..seconds {
            self.second += 1;
            self.follow();
            let now = self.second * SECOND;
            if self.second.is_multiple_of(2) {
                let loads = self.loads();
                for region in [0, 1] {
                    let capacity = self.capacity[region];
                    let evidence = Evidence { capacity, ..evidence(loads[region], 0.0) };
                    self.headroom.observe(Region(region as u8), &evidence, self.ttl, now);
                }
            }
            self.headroom.tick(Region::first(2).collect(), self.ttl, now);
        }
    }

    fn spare(&self, region: usize) -> f64 {
        1.0 - self.loads()[region] / self.capacity[region].unwrap_or(f64::INFINITY)
    }

    /// The weights of the first region, each as long as it lasted.
    fn steps(&self) -> Vec<f64> {
        let mut steps: Vec<f64> = self.weights.iter().map(|weights| weights[0]).collect();
        steps.dedup();
        steps
    }
}

#[test]
fn an_overloaded_region_spills_slowly_and_no_more_than_it_must() {
    let mut world = Loop::new([120.0, 10.0], [100.0, 100.0], 60, Lag::After(60));
    world.run(3600);
    let steps = world.steps();
    assert!(steps.windows(2).all(|pair| pair[0] - pair[1] <= 0.1 + 1e-9 && pair[0] > pair[1]), "{steps:?}");
    assert!(world.spare(0) > 0.1 && world.spare(0) < 0.3, "{}", world.spare(0));
    let early = world.weights[..200].iter().map(|weights| weights[0]).fold(1.0, f64::min);
    assert!(early >= 0.6, "at most 10 % a minute: {early}");
}

#[test]
fn it_takes_its_clients_back_when_they_fit_again() {
    let mut world = Loop::new([120.0, 10.0], [100.0, 100.0], 60, Lag::After(60));
    world.run(3600);
    world.demand[0] = 60.0;
    world.run(3600);
    assert_eq!(world.headroom.weight(Region(0)), 1.0);
}

/// Its endpoints have no limits any more: it takes everybody back, as slowly as it shed them.
#[test]
fn a_region_that_nothing_bounds_takes_its_clients_back_step_by_step() {
    let mut world = Loop::new([160.0, 10.0], [100.0, 300.0], 60, Lag::After(60));
    world.run(3600);
    let shed = world.headroom.weight(Region(0));
    assert!(shed < 0.6, "{shed}");
    let before = world.weights.len();
    world.capacity[0] = None;
    world.run(1200);
    let now = world.weights.split_off(before);
    assert_eq!(now.last().map(|weights| weights[0]), Some(1.0));
    let changes = now.windows(2).map(|pair| pair[1][0] - pair[0][0]).enumerate().filter(|(_, by)| *by != 0.0);
    let changes: Vec<(usize, f64)> = changes.collect();
    assert!(changes.iter().all(|(_, by)| *by > 0.0 && *by <= 0.1 + 1e-9), "{changes:?}");
    assert!(changes.windows(2).all(|pair| pair[1].0 - pair[0].0 >= 60), "{changes:?}");
    assert_eq!(changes.len(), ((1.0 - shed) / 0.1).ceil() as usize, "{changes:?}");
}

/// Nobody spills to a region of which nobody knows how much is too much.
#[test]
fn what_has_no_bound_is_no_room() {
    let mut world = Loop::new([160.0, 10.0], [100.0, 300.0], 60, Lag::After(60));
    world.capacity[1] = None;
    world.run(3600);
    assert_eq!(world.steps(), [1.0]);
}

/// After a restart clients go on as they were led, and what is wanted instead comes step by step.
#[test]
fn a_weight_that_is_recalled_is_left_step_by_step() {
    let check = |weight: f64, expected: f64| {
        let mut headroom = Headroom::new(2, HeadroomRules::default());
        headroom.recall(Region(0), weight, SECOND);
        headroom.recall(Region(9), weight, SECOND);
        assert_eq!(headroom.weight(Region(0)), expected, "{weight}");
        let mut tick = |second: u64| {
            let now = Duration::from_secs(second);
            headroom.observe(Region(0), &evidence(10.0, 100.0), SECOND, now);
            headroom.tick(Region::first(2).collect(), SECOND, now);
            headroom.weight(Region(0))
        };
        assert_eq!(tick(30), expected, "not before clients may have followed");
        assert_eq!(tick(31), (expected + 0.1).min(1.0));
    };
    check(0.4, 0.4);
    check(0.0, 0.05);
    check(7.0, 1.0);
    check(f64::NAN, 1.0);
}

/// However late clients follow, weights turn round ever less, and by less, and then stay.
#[test]
fn the_loop_settles() {
    for demand in [95.0, 110.0, 130.0, 160.0, 200.0] {
        for ttl in [5, 30, 60, 300] {
            let lags =
                [Lag::After(ttl), Lag::Spread(f64::from(ttl) / 2.0), Lag::After(ttl + 30), Lag::After(1)];
            for lag in lags {
                check_settles(demand, ttl, lag);
            }
        }
    }
}

fn check_settles(demand: f64, ttl: u32, lag: Lag) {
    let case = format!("demand {demand}, ttl {ttl}, {lag:?}");
    let mut world = Loop::new([demand, 20.0], [100.0, 300.0], ttl, lag);
    world.run(40 * ttl.max(60));
    let steps = world.steps();
    let deltas: Vec<f64> = steps.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let turns = deltas.windows(2).filter(|pair| pair[0] * pair[1] < 0.0).count();
    assert!(turns <= 1, "{case}: {steps:?}");
    let quarter = world.weights.len() * 3 / 4;
    let last = world.weights[quarter..].iter().map(|weights| weights[0]);
    assert_eq!(last.clone().fold(0.0, f64::max), last.fold(1.0, f64::min), "{case}: it swings: {steps:?}");
    // It has spilled what it must, or what it may.
    assert!(world.spare(0) >= 0.1 - 0.06 && world.spare(0) <= 0.31, "{case}: {}", world.spare(0));
    assert!(world.spare(1) >= 0.1, "{case}: the other one is overloaded in its place: {}", world.spare(1));
}

#[test]
fn where_both_are_full_nobody_spills() {
    let mut world = Loop::new([110.0, 85.0], [100.0, 100.0], 60, Lag::After(60));
    world.run(3600);
    assert_eq!(world.steps(), [1.0]);
    // There is room for a part of it: 10 of 120.
    let mut world = Loop::new([120.0, 70.0], [100.0, 100.0], 60, Lag::After(60));
    world.run(3600);
    assert!(world.spare(1) >= 0.15, "{}", world.spare(1));
    assert!(world.headroom.weight(Region(0)) < 1.0);
}

#[test]
fn what_is_not_known_changes_nothing() {
    let all: RegionSet = Region::first(2).collect();
    let mut headroom = Headroom::new(2, HeadroomRules::default());
    let mut check = |first: Evidence, second: Evidence, later: u64, changed: bool| {
        headroom = Headroom::new(2, HeadroomRules::default());
        headroom.observe(Region(0), &first, SECOND, SECOND);
        headroom.observe(Region(1), &second, SECOND, SECOND);
        let now = Duration::from_secs(1 + later);
        assert_eq!(!headroom.tick(all, SECOND, now).is_empty(), changed, "{first:?}, {second:?}, {later}");
    };
    let (full, idle) = (evidence(99.0, 100.0), evidence(1.0, 100.0));
    check(full, idle, 6, true);
    check(full, idle, 7, false);
    check(Evidence { capacity: None, ..full }, idle, 1, false);
    check(full, Evidence { capacity: None, ..idle }, 1, false);
    check(evidence(f64::NAN, 100.0), idle, 1, false);
    check(evidence(99.0, 0.0), idle, 1, false);
    check(evidence(99.0, f64::INFINITY), idle, 1, false);
}

#[test]
fn nobody_spills_to_a_region_that_is_out() {
    let mut headroom = Headroom::new(2, HeadroomRules::default());
    headroom.observe(Region(0), &evidence(99.0, 100.0), SECOND, SECOND);
    headroom.observe(Region(1), &evidence(0.0, 100.0), SECOND, SECOND);
    assert!(headroom.tick([Region(0)].into_iter().collect(), SECOND, SECOND).is_empty());
    assert_eq!((headroom.weight(Region(0)), headroom.weight(Region(9))), (1.0, 1.0));
    assert_eq!(headroom.spare(Region(9), SECOND), None);
}

#[test]
fn weights_outlast_a_reload() {
    let mut world = Loop::new([120.0, 10.0], [100.0, 100.0], 60, Lag::After(60));
    world.run(600);
    let (weight, now) = (world.headroom.weight(Region(0)), world.second * SECOND);
    assert!(weight < 1.0);
    let was = [None, Some(Region(0)), Some(Region(9))];
    let headroom = world.headroom.reconfigured(&was, HeadroomRules::default());
    assert_eq!([0, 1, 2].map(|region| headroom.weight(Region(region))), [1.0, weight, 1.0]);
    assert_eq!(headroom.spare(Region(1), now), world.headroom.spare(Region(0), now));
}

#[test]
fn the_floor_is_kept() {
    let mut world = Loop::new([5000.0, 0.0], [100.0, 9000.0], 30, Lag::After(30));
    world.run(3600);
    assert!((world.headroom.weight(Region(0)) - 0.05).abs() < 0.05 + 1e-9);
    assert!(world.weights.iter().all(|weights| weights[0] >= 0.05 - 1e-9));
}

#[test]
fn a_shift_is_spread_by_what_each_has_to_spare() {
    let check = |load, receivers: &[(u8, f64)], takes: &[(u8, f64)], kept| {
        let region = |&(number, spare): &(u8, f64)| (Region(number), spare);
        let found = shift(load, &receivers.iter().map(region).collect::<Vec<_>>());
        let expected = Shift { takes: takes.iter().map(region).collect(), kept };
        assert_eq!((found.fits(), found), (kept == 0.0, expected), "{load} to {receivers:?}");
    };
    check(40.0, &[(1, 60.0), (2, 20.0)], &[(1, 30.0), (2, 10.0)], 0.0);
    check(100.0, &[(1, 60.0), (2, 20.0)], &[(1, 60.0), (2, 20.0)], 20.0);
    check(10.0, &[(1, -5.0), (2, f64::NAN)], &[], 10.0);
    check(0.0, &[(1, 5.0)], &[(1, 0.0)], 0.0);
    check(-1.0, &[], &[], 0.0);
}
