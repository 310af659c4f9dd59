//! Regions of very different size, seen by one daemon outside of all of them: each has one voice on whether its link works.

use fulcrum_balance::Rng;

use super::super::*;
use super::world::{NAMES, SECOND, at, site};
use crate::region::Region;

const HERE: Observer = Observer(0);

/// How many targets each region has, and how many of them fail.
struct Uneven {
    judge: Judge,
    sizes: Vec<u16>,
    failing: Vec<u16>,
    now: Duration,
    sequence: u64,
}

impl Uneven {
    fn new(sizes: &[u16]) -> Self {
        let region = |(name, &targets): (&&str, &u16)| Site { targets, ..site(name) };
        let here = Watcher { name: "lb".into(), home: None };
        let sites = Sites::new(NAMES.iter().zip(sizes).map(region).collect(), vec![here]).expect("sound");
        let now = Duration::from_secs(1);
        Uneven {
            judge: Judge::new(sites, Rules::default(), None, at(now)),
            sizes: sizes.to_vec(),
            failing: vec![0; sizes.len()],
            now,
            sequence: 0,
        }
    }

    /// Gives how often a region was taken out or came back.
    fn seconds(&mut self, count: u64) -> usize {
        let mut switches = 0;
        for _ in 0..count {
            self.now += SECOND;
            if self.now.as_secs().is_multiple_of(2) {
                self.look();
            }
            switches += self.judge.tick(at(self.now)).iter().filter(|change| change.is_switch()).count();
        }
        switches
    }

    fn look(&mut self) {
        self.sequence += 1;
        for region in Region::first(self.sizes.len()) {
            for target in 0..self.sizes[region.index()] {
                let vote = if target < self.failing[region.index()] { Vote::Fail } else { Vote::Ok };
                let (sequence, age) = (self.sequence, Duration::ZERO);
                let report = Report { observer: HERE, region, target, vote, sequence, age };
                assert_eq!(self.judge.report(report, at(self.now)), Taken::New);
            }
        }
    }

    fn states(&self) -> Vec<State> {
        Region::first(self.sizes.len()).map(|region| self.judge.standing(region).state).collect()
    }

    /// The own link is cut: everything fails.
    fn cut(&mut self) {
        self.failing.clone_from(&self.sizes);
    }
}

#[test]
fn a_large_region_that_fails_in_part_keeps_no_other_one_in() {
    let mut world = Uneven::new(&[1, 100, 20]);
    world.failing[1] = 60;
    assert_eq!(world.seconds(3600), 0);
    world.failing[0] = 1;
    assert_eq!(world.seconds(90), 0, "the hold is respected");
    assert!(!world.judge.is_doubted(HERE, Region(0)));
    assert_eq!(world.seconds(12), 1);
    assert_eq!(world.states(), [State::DownConfirmed, State::Up, State::Up]);
}

#[test]
fn a_small_region_that_is_well_does_not_outweigh_a_cut() {
    let mut world = Uneven::new(&[1, 100, 20]);
    world.failing[1] = 60;
    world.seconds(60);
    world.cut();
    assert_eq!(world.seconds(3600), 0);
    assert!(Region::first(3).all(|region| world.judge.is_doubted(HERE, region)));
    // Half of what else there is, is enough to doubt.
    let mut world = Uneven::new(&[1, 4096, 3]);
    world.seconds(20);
    world.failing = vec![1, 4096, 0];
    assert_eq!(world.seconds(600), 0);
}

/// A region is taken out exactly when it fails altogether and what fails of the others comes to less than half of them.
#[test]
fn regions_of_any_size_have_one_voice_each() {
    let mut taken_out = 0;
    for seed in 0..24 {
        let mut rng = Rng::from_seed(seed);
        let mut size = || {
            let most = 1 << rng.below(8);
            1 + rng.below(most) as u16
        };
        let sizes: Vec<u16> = (0..4).map(|_| size()).collect();
        let mut world = Uneven::new(&sizes);
        world.seconds(20);
        // Never all of the others: only the first one dies.
        world.failing = sizes.iter().map(|&size| rng.below(size.into()) as u16).collect();
        world.failing[0] = sizes[0];
        let parts = sizes.iter().zip(&world.failing).skip(1);
        let bad: f64 = parts.map(|(&size, &failing)| f64::from(failing) / f64::from(size)).sum();
        let expected = if bad < 1.5 { State::DownConfirmed } else { State::Up };
        taken_out += world.seconds(200);
        assert_eq!(world.states()[0], expected, "seed {seed}: {:?} of {sizes:?}", world.failing);
        assert_eq!(world.states()[1..], [State::Up; 3], "seed {seed}");
        let before = world.states();
        world.cut();
        let switches = world.seconds(600);
        assert_eq!((switches, world.states()), (0, before), "seed {seed}: its own link");
    }
    assert!((4..=20).contains(&taken_out), "both are seen: {taken_out} of 24");
}
