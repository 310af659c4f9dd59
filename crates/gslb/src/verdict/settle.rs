//! What regions wish for is granted as far as the brake lets it, and how each of them stands is written down.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use super::course::{Course, Seen, Stage, Wish};
use super::judge::{Pulse, Watched};
use super::operator::Orders;
use super::view::View;
use super::{
    Evidence, Forced, Judge, Now, Observer, Outcome, Reason, Rules, Standing, State, Transition, Ttl, Votes,
};
use crate::region::Region;

impl Judge {
    /// Who is to go down goes before who is to come back, and who has waited for longest goes first. A region that comes
    /// back keeps none from going down: the first one in the window is never kept waiting.
    pub(super) fn grant(&mut self, wishes: &[(Region, Wish)], now: Now) {
        let mut wishes = wishes.to_vec();
        let waited = |region: Region, wish| {
            let course = &self.watched[region.index()].course;
            if wish == Wish::GoDown { course.failing_for() } else { course.well_for() }
        };
        wishes.sort_by_key(|&(region, wish)| (wish != Wish::GoDown, Reverse(waited(region, wish))));
        for (region, wish) in wishes {
            self.watched[region.index()].is_braked = !self.is_granted(region, wish, now);
        }
    }

    fn is_granted(&mut self, region: Region, wish: Wish, now: Now) -> bool {
        let is_down = wish == Wish::GoDown;
        let watched = &mut self.watched[region.index()];
        let moves_clients = match (wish, watched.orders.forced()) {
            // Nor does it go down under an order to be up: it serves, and would go down unnoticed.
            (Wish::Stay, _) | (Wish::GoDown, Some(Forced::Up)) => return true,
            (_, forced) => forced.is_none(),
        };
        let free = if is_down { self.brake.down } else { self.brake.back };
        if moves_clients && now.clock < free {
            return false;
        }
        if is_down {
            watched.course.go_down();
        } else {
            watched.course.come_back(&watched.seen, &self.rules);
        }
        if moves_clients {
            let until = now.clock + self.rules.brake;
            self.brake.back = until;
            if is_down {
                self.brake.down = until;
            }
        }
        true
    }

    /// Writes down how each region stands. Gives, and records, what has changed.
    pub(super) fn settle(&mut self, now: Now) -> Vec<Transition> {
        let before: Vec<(State, u8)> =
            self.watched.iter().map(|watched| (watched.standing.state, watched.standing.share)).collect();
        self.show(now);
        let mut transitions = Vec::new();
        for (region, (from, share)) in self.sites().regions().zip(before) {
            let watched = &mut self.watched[region.index()];
            if (from, share) == (watched.standing.state, watched.standing.share) {
                continue;
            }
            if from != watched.standing.state {
                watched.standing.since = now.wall;
            }
            transitions.extend(self.transition(region, from, share, now));
        }
        transitions.iter().for_each(|transition| self.recorder.record(transition.clone()));
        transitions
    }

    fn transition(&self, region: Region, from: State, share: u8, now: Now) -> Option<Transition> {
        let standing = self.standing(region);
        let name =
            |observer: &Observer| self.sites().watchers().get(observer.index()).map(|who| who.name.clone());
        let mut votes: Vec<(Arc<str>, &'static str)> = Vec::new();
        for (vote, observers) in standing.votes.observers() {
            votes.extend(observers.iter().filter_map(name).map(|name| (name, vote)));
        }
        Some(Transition {
            at: now.wall,
            region: self.sites().site(region)?.name.clone(),
            from,
            to: standing.state,
            share: (share, standing.share),
            reason: standing.reason.clone(),
            votes,
        })
    }

    /// Brings every standing up to date.
    pub(super) fn show(&mut self, now: Now) {
        for watched in &mut self.watched {
            let brake = if watched.seen.outcome == Outcome::Ok { self.brake.back } else { self.brake.down };
            let brake = brake.saturating_sub(now.clock);
            watched.show(now, brake, &self.rules);
        }
    }

    pub(super) fn votes(&self, region: Region) -> Votes {
        self.watched[region.index()].votes
    }

    pub(super) fn watched(&self, region: Region) -> Option<&Watched> {
        self.watched.get(region.index())
    }

    pub(super) fn watched_mut(&mut self, region: Region) -> Option<&mut Watched> {
        self.watched.get_mut(region.index())
    }

    pub(super) fn view(&self, observer: Observer, region: Region) -> &View {
        &self.views[observer.index()][region.index()]
    }
}

impl Watched {
    pub(super) fn new(orders: Orders, now: Now) -> Self {
        let standing = Standing {
            state: State::Up,
            share: 100,
            since: now.wall,
            reason: Reason::Unverified,
            ttl: Ttl::Normal,
            next_change: None,
            acknowledged: false,
            votes: Votes::default(),
        };
        let seen = Seen {
            outcome: Outcome::TooFew,
            is_corroborated: true,
            is_unanimous: false,
            nothing_else: false,
        };
        Watched {
            course: Course::at(Stage::Up),
            orders,
            standing,
            seen,
            votes: Votes::default(),
            is_braked: false,
            pulse: None,
        }
    }

    /// Whether it is known to be out, so that its failing says nothing of the link it is seen by.
    pub(super) fn is_out(&self) -> bool {
        let is_ordered_out = matches!(self.orders.forced(), Some(Forced::Down | Forced::Drain));
        is_ordered_out || self.is_out_by_itself()
    }

    /// The same, whatever is ordered.
    pub(super) fn is_out_by_itself(&self) -> bool {
        matches!((self.course.stage, self.course.step), (Stage::Down, _) | (Stage::Recovering, None))
    }

    /// Whether its last word was that it has not got its data.
    pub(super) fn is_without_data(&self) -> bool {
        self.pulse.is_some_and(|pulse| !pulse.evidence.data_ready)
    }

    fn show(&mut self, now: Now, brake: Duration, rules: &Rules) {
        let without_data = self.is_without_data();
        let standing = &mut self.standing;
        standing.votes = self.votes;
        standing.acknowledged = self.course.acknowledged;
        let next = self.course.next_change(&self.seen, rules);
        standing.next_change = next.map(|next| if self.is_braked { next.max(brake) } else { next });
        let Some(order) = self.orders.in_force() else {
            standing.state = state(self.course.stage);
            standing.share = self.course.share(rules);
            standing.reason = self.course.reason(&self.seen, self.is_braked, rules);
            let is_young = self.course.stage == Stage::Recovering && standing.share > 0;
            let is_low = is_young || self.course.stage == Stage::Suspect;
            standing.ttl = if is_low { Ttl::Low } else { Ttl::Normal };
            // Whoever has not got the data serves nobody, in whatever state.
            if without_data {
                (standing.share, standing.reason) = (0, Reason::DataNotReady);
            }
            return;
        };
        (standing.state, standing.share) = match order.forced {
            Forced::Up => (State::ForcedUp, 100),
            Forced::Down => (State::ForcedDown, 0),
            Forced::Drain => (State::Drained, 0),
        };
        standing.reason = Reason::Ordered(order.reason.clone());
        let is_low = order.forced == Forced::Up && self.course.is_failing();
        standing.ttl = if is_low { Ttl::Low } else { Ttl::Normal };
        standing.next_change = Some(order.until.duration_since(now.wall).unwrap_or_default());
    }
}

impl Pulse {
    /// Of a region that said so before a restart, until it says something else.
    pub(super) fn without_data(now: Now) -> Self {
        let evidence = Evidence { healthy: 0, load: 0.0, capacity: None, data_ready: false };
        Pulse { evidence, at: now.clock }
    }
}

fn state(stage: Stage) -> State {
    match stage {
        Stage::Up => State::Up,
        Stage::Suspect => State::Suspect,
        Stage::Down => State::DownConfirmed,
        Stage::Recovering => State::Recovering,
    }
}
