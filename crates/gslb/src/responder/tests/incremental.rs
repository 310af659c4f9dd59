//! Two states see the same, seed by seed: one builds what has changed, the other one everything, each time.

use fulcrum_balance::Rng;

use super::*;
use crate::region::Region;
use crate::verdict::Refused;

struct Pair {
    rng: Rng,
    second: u64,
    /// Which of two configurations is in force.
    version: u8,
    endpoints: Vec<(u8, bool)>,
    incremental: State,
    anew: State,
}

/// Names of every policy. Versions have some others, and other targets.
fn names(version: u8) -> String {
    let mut text = String::new();
    let manners = ["round_robin", "weighted", "failover", "geo", "nearest", "sticky"];
    let panics = ["all", "last_good", "nodata", "fallback, fallback: 203.0.113.9"];
    for number in 0..40u8 {
        if number % 7 == 6 * version {
            continue;
        }
        let panic = panics[usize::from(number / 6) % panics.len()];
        let (one, other) = (number % 5, number % 3 + version);
        let health = if number % 4 == 0 { String::new() } else { format!(", health: {HEALTH}") };
        let manner = manners[usize::from(number) % manners.len()];
        let targets = match number % 2 {
            1 => format!(
                "regions: {{ eu: [10.0.0.{one}, 10.0.1.{other}], us: [10.0.2.{one}], asia: [10.0.3.{other}] }}"
            ),
            _ if matches!(manner, "geo" | "nearest") => {
                format!("regions: {{ us: [10.0.2.{one}, \"2001:db8::{one}\"], eu: [10.0.0.{other}] }}")
            }
            _ => format!("endpoints: [10.0.0.{one}, 10.0.1.{other}]"),
        };
        let _ =
            writeln!(text, "        n{number}: {{ policy: {manner}, {targets}, panic: {panic}{health} }}");
    }
    for (name, service) in [("a", "app"), ("b", "other"), ("\"*.c\"", "app")] {
        let _ = writeln!(text, "        {name}: {{ service: {service}, panic: all }}");
    }
    text
}

impl Pair {
    fn new(seed: u64) -> Self {
        let state = || State::new(next(&gslb(&names(0))), 1, None, at(0));
        let (incremental, anew) = (state(), state());
        let mut pair = Pair {
            rng: Rng::from_seed(seed),
            second: 0,
            version: 0,
            endpoints: vec![(1, true)],
            incremental,
            anew,
        };
        pair.serve();
        pair
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.rng.next_u64() % bound
    }

    fn both(&mut self, change: impl Fn(&mut State, Now)) {
        let now = at(self.second);
        change(&mut self.incremental, now);
        change(&mut self.anew, now);
    }

    fn serve(&mut self) {
        let endpoints = self.endpoints.clone();
        self.both(|state, _| {
            let endpoints = endpoints.clone();
            state.serve(move |name| match name.as_str() {
                "app" => Some(view(&endpoints)),
                _ => Some(ServiceView { is_unknown: endpoints.len() > 3, ..view(&endpoints[..1]) }),
            });
        });
    }

    fn step(&mut self) {
        match self.below(20) {
            0..=9 => {
                let targets: Vec<Target> = self.incremental.targets.keys().copied().collect();
                let target = targets[self.below(targets.len() as u64) as usize];
                let is_well = self.below(3) == 0;
                self.both(|state, now| {
                    let outcome = if is_well { Ok(()) } else { Err("refused".to_owned()) };
                    state.checked(target, outcome, now);
                });
            }
            10..=11 => {
                let is_healthy = self.below(2) == 0;
                match self.below(3) {
                    0 if self.endpoints.len() < 5 => {
                        self.endpoints.push((self.endpoints.len() as u8 + 1, true))
                    }
                    1 if self.endpoints.len() > 1 => drop(self.endpoints.pop()),
                    _ => self.endpoints[0].1 = is_healthy,
                }
                self.serve();
            }
            12..=13 => self.order(),
            14 => self.reload(),
            _ => self.second += 1,
        }
        self.both(|state, now| drop(state.judge(now)));
    }

    fn order(&mut self) {
        let region = Region::new(self.below(3) as usize).expect("one of three");
        let forced =
            [Some(Forced::Down), Some(Forced::Drain), Some(Forced::Up), None][self.below(4) as usize];
        self.both(|state, now| {
            let judge = state.judge.as_mut().expect("there are regions");
            let until = now.wall + Duration::from_secs(30);
            let done = match forced {
                Some(forced) => judge.order(region, Order { forced, until, reason: "a test".into() }, now),
                None => judge.lift(region, now),
            };
            assert!(matches!(done, Ok(_) | Err(Refused::NothingToLift)), "{done:?}");
        });
    }

    fn reload(&mut self) {
        self.version = 1 - self.version;
        let gslb = gslb(&names(self.version));
        self.both(|state, now| {
            let before = (Arc::clone(&state.gslb), Arc::clone(&state.compiled));
            let no_files = |_: &std::path::Path, _: &DnsName| unreachable!("there are no files");
            let compiled = crate::compiled::Compiled::new(&gslb, &no_files, Some((&before.0, &before.1)));
            let compiled = compiled.expect("nothing is wrong");
            let groundwork = super::super::Groundwork::new(&gslb, &compiled);
            state.replace(Next { gslb: Arc::new(gslb.clone()), compiled, groundwork, log: None }, 2, now);
        });
        self.serve();
    }

    /// How many names were built.
    fn compare(&mut self) -> usize {
        let now = at(self.second);
        let built = self.incremental.follow(now);
        self.anew.answered = None;
        self.anew.follow(now);
        assert_eq!(self.incremental.told(), self.anew.told());
        for region in Region::first(3) {
            let exposed = |state: &State| state.exposure.exposed(region, now.clock);
            assert_eq!(exposed(&self.incremental), exposed(&self.anew), "{region:?}");
        }
        built
    }
}

#[test]
fn what_is_built_of_changes_is_what_is_built_of_everything() {
    let (mut steps, mut some, mut all) = (0, 0, 0);
    for seed in 0..8 {
        let mut pair = Pair::new(seed);
        pair.compare();
        for _ in 0..150 {
            pair.step();
            let (built, count) = (pair.compare(), pair.anew.choices().iter().count());
            steps += 1;
            some += usize::from((1..count).contains(&built));
            all += usize::from(built == count);
        }
    }
    // Otherwise nothing is shown by it.
    assert!(some > steps / 10, "{some} of {steps}");
    assert!(all < steps / 5, "{all} of {steps}");
}
