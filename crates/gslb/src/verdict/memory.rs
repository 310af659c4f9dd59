//! What outlasts a restart: verdicts of the last hour, and orders until they end.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::course::{Course, Stage};
use super::judge::Pulse;
use super::{Forced, Judge, Now, Order};
use crate::region::RegionSet;

/// Verdicts as they are kept in the state directory. What is read back is believed as far as it is young enough; regions
/// that are not there any more are passed over.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// In milliseconds since 1970, as all times here.
    saved: u64,
    regions: BTreeMap<String, Remembered>,
    last_good: Vec<String>,
    /// Until when the brake keeps the next region from going down, and from coming back.
    brake: (u64, u64),
    /// The parts of their clients that regions keep for the sake of their headroom, where they do not keep all.
    #[serde(default)]
    weights: BTreeMap<String, f64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Remembered {
    stage: Stage,
    step: Option<u8>,
    since: u64,
    acknowledged: bool,
    released: bool,
    /// It has said that it has not got its data.
    without_data: bool,
    order: Option<RememberedOrder>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct RememberedOrder {
    forced: Forced,
    until: u64,
    reason: String,
}

/// Older verdicts say nothing any more.
const BELIEVED: Duration = Duration::from_secs(3600);

/// How far in the future they may have been saved: clocks are set back a little, but a clock that is far behind does not
/// know how old they are.
const SKEW: Duration = Duration::from_secs(60);

impl Memory {
    /// The same with what each of these regions keeps of its clients.
    #[must_use]
    pub fn with_weights<'a>(mut self, weights: impl Iterator<Item = (&'a str, f64)>) -> Self {
        let shed = weights.filter(|(_, weight)| *weight < 1.0);
        self.weights = shed.map(|(region, weight)| (region.to_owned(), weight)).collect();
        self
    }

    /// What a region kept of its clients, if that is young enough to be believed and was not all.
    pub fn weight(&self, region: &str, now: Now) -> Option<f64> {
        self.weights.get(region).copied().filter(|_| self.is_young(now.wall))
    }

    fn is_young(&self, wall: SystemTime) -> bool {
        match wall.duration_since(time(self.saved)) {
            Ok(age) => age < BELIEVED,
            Err(ahead) => ahead.duration() <= SKEW,
        }
    }
}

impl Judge {
    /// What is to be kept now.
    pub fn memory(&self, now: Now) -> Memory {
        let name = |region| self.sites().site(region).map(|site| site.name.to_string()).unwrap_or_default();
        let wall_of = |clock: Duration| millis(now.wall + clock.saturating_sub(now.clock));
        let regions = self.sites().regions().zip(&self.watched).map(|(region, watched)| {
            let course = &watched.course;
            let order = watched.orders.given.as_ref().map(|order| RememberedOrder {
                forced: order.forced,
                until: millis(order.until),
                reason: order.reason.to_string(),
            });
            let remembered = Remembered {
                stage: course.stage,
                step: course.step.map(|step| step as u8),
                since: millis(watched.standing.since),
                acknowledged: course.acknowledged,
                released: course.released,
                without_data: watched.is_without_data(),
                order,
            };
            (name(region), remembered)
        });
        Memory {
            saved: millis(now.wall),
            regions: regions.collect(),
            last_good: self.watch.last_good.iter().map(name).collect(),
            brake: (wall_of(self.brake.down), wall_of(self.brake.back)),
            weights: BTreeMap::new(),
        }
    }

    /// Takes up what was kept: verdicts if they are young, orders if they are not over.
    pub(super) fn recall(&mut self, memory: &Memory, now: Now) {
        let is_young = memory.is_young(now.wall);
        for (name, remembered) in &memory.regions {
            let region = self.sites().find(name);
            let Some(watched) = region.and_then(|region| self.watched_mut(region)) else { continue };
            watched.orders.given = remembered.order.as_ref().map(RememberedOrder::order);
            if is_young {
                watched.course = remembered.course();
                watched.standing.since = time(remembered.since);
                watched.pulse = remembered.without_data.then(|| Pulse::without_data(now));
            }
        }
        if is_young {
            let left = |until: u64| time(until).duration_since(now.wall).unwrap_or_default();
            let until = |wall: u64, brake: Duration| now.clock + left(wall).min(brake);
            let brake = self.rules().brake;
            self.brake.down = until(memory.brake.0, brake);
            self.brake.back = until(memory.brake.1, brake);
            let good = memory.last_good.iter().filter_map(|name| self.sites().find(name));
            self.watch.last_good = good.collect::<RegionSet>();
        }
    }
}

impl Remembered {
    /// The stage, but none of the time that was counted towards the next one: that must be seen again.
    fn course(&self) -> Course {
        let mut course = Course::at(self.stage);
        course.step = self.step.map(usize::from).filter(|_| self.stage == Stage::Recovering);
        (course.acknowledged, course.released) = (self.acknowledged, self.released);
        course
    }
}

impl RememberedOrder {
    fn order(&self) -> Order {
        Order { forced: self.forced, until: time(self.until), reason: self.reason.as_str().into() }
    }
}

fn millis(wall: SystemTime) -> u64 {
    let since = wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn time(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis)).unwrap_or(SystemTime::UNIX_EPOCH)
}
