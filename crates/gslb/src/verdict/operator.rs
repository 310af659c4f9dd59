//! What operators order: it goes before everything that is seen, says why, and ends by itself.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use super::course::Stage;
use super::judge::Watched;
use super::{Judge, Now, Transition};
use crate::region::Region;

/// What a region is ordered to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Forced {
    /// Serving everyone.
    Up,
    /// Out: it is held for dead.
    Down,
    /// Out: nobody new is sent to it, and it serves whom it has.
    Drain,
}

/// An operator's order for a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// What it is to be.
    pub forced: Forced,
    /// When the order ends, by the time of day.
    pub until: SystemTime,
    /// Why, in the operator's words: 1 to 500 bytes.
    pub reason: Arc<str>,
}

/// Where an order comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// It was given while the daemon ran.
    RunTime,
    /// It is among `overrides`.
    Configuration,
}

/// The longest reason, in bytes.
const MAX_REASON: usize = 500;

/// Why an order is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no such region.
    UnknownRegion,
    /// It would have ended already.
    Over,
    /// It does not say why, or says it in more than 500 bytes.
    Reason,
    /// The region waits for no confirmation.
    NothingToConfirm,
    /// No order was given for it at run time. One of the configuration is lifted there.
    NothingToLift,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refused::UnknownRegion => "there is no such region",
            Refused::Over => "the order would have ended already: `until` is not in the future",
            Refused::Reason => "an order needs a reason of 1 to 500 bytes",
            Refused::NothingToConfirm => "the region waits for no confirmation",
            Refused::NothingToLift => "no order was given for the region at run time",
        })
    }
}

impl std::error::Error for Refused {}

/// The orders for a region, and the one that was followed last.
#[derive(Clone, Debug)]
pub(super) struct Orders {
    pub(super) configured: Option<Order>,
    pub(super) given: Option<Order>,
    followed: Option<Forced>,
}

impl Orders {
    /// Only what the configuration orders.
    pub(super) fn configured(configured: Option<Order>) -> Self {
        Orders { configured, given: None, followed: None }
    }

    /// The one in force: what was given at run time goes before the configuration.
    pub(super) fn in_force(&self) -> Option<&Order> {
        self.given.as_ref().or(self.configured.as_ref())
    }

    pub(super) fn forced(&self) -> Option<Forced> {
        self.in_force().map(|order| order.forced)
    }

    /// Forgets those that are over. Gives the one that was followed until now, if none is any more.
    fn follow(&mut self, wall: SystemTime) -> Option<Forced> {
        self.given.take_if(|order| order.until <= wall);
        self.configured.take_if(|order| order.until <= wall);
        let forced = self.forced();
        let before = std::mem::replace(&mut self.followed, forced);
        before.filter(|_| forced.is_none())
    }
}

impl Judge {
    /// Orders what a region is to be, in place of what was ordered at run time before.
    pub fn order(&mut self, region: Region, order: Order, now: Now) -> Result<Vec<Transition>, Refused> {
        if order.until <= now.wall {
            return Err(Refused::Over);
        }
        if order.reason.is_empty() || order.reason.len() > MAX_REASON {
            return Err(Refused::Reason);
        }
        self.find(region)?.orders.given = Some(order);
        self.follow_orders(now);
        Ok(self.settle(now))
    }

    /// What is ordered of a region, and whether that was at run time.
    pub fn ordered(&self, region: Region) -> Option<(&Order, Source)> {
        let orders = &self.watched(region)?.orders;
        let source = if orders.given.is_some() { Source::RunTime } else { Source::Configuration };
        orders.in_force().map(|order| (order, source))
    }

    /// Ends what was ordered at run time.
    pub fn lift(&mut self, region: Region, now: Now) -> Result<Vec<Transition>, Refused> {
        self.find(region)?.orders.given.take().ok_or(Refused::NothingToLift)?;
        self.follow_orders(now);
        Ok(self.settle(now))
    }

    /// Confirms what a region waits for: that names with [`Failover::Confirm`](super::Failover) leave it, or, with
    /// [`Failback::Manual`](super::Failback), that it comes back.
    pub fn confirm(&mut self, region: Region, now: Now) -> Result<Vec<Transition>, Refused> {
        let watched = self.watched.get_mut(region.index()).ok_or(Refused::UnknownRegion)?;
        let course = &mut watched.course;
        if course.awaits_operator(&self.rules) {
            course.released = true;
        } else if course.stage == Stage::Down && !course.acknowledged {
            course.acknowledged = true;
        } else {
            return Err(Refused::NothingToConfirm);
        }
        Ok(self.settle(now))
    }

    fn find(&mut self, region: Region) -> Result<&mut Watched, Refused> {
        self.watched_mut(region).ok_or(Refused::UnknownRegion)
    }

    /// Sees which orders are over, and lets regions that are out of them go on from where they are.
    pub(super) fn follow_orders(&mut self, now: Now) {
        for watched in &mut self.watched {
            // Who says that it is down confirms it: clients do not go back to it when the order ends.
            if watched.orders.forced() == Some(Forced::Down) && watched.is_out_by_itself() {
                watched.course.acknowledged = true;
            }
            match watched.orders.follow(now.wall) {
                Some(Forced::Down | Forced::Drain) => watched.course.come_in(&self.rules),
                Some(Forced::Up) => watched.course.stay_in(),
                None => {}
            }
        }
    }
}
