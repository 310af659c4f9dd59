//! What became of a request so far.

use crate::http::error::Reason;
use crate::http::exchange::Repeat;
use crate::service::{InFlight, MembersView, Tried};
use crate::timer::Millis;

/// What became of a request so far.
#[derive(Default)]
pub(super) struct Tries {
    /// Until when it may wait for the first word of an endpoint.
    pub(super) hold_until: Millis,
    /// Where its client belongs.
    pub(super) pinned: Option<usize>,
    pub(super) list: Tried,
    pub(super) attempts: u32,
    /// Endpoints that may have seen the request.
    pub(super) delivered: u8,
    /// The last of them.
    pub(super) delivered_to: Option<usize>,
    /// A pooled connection turned out to be closed: the same endpoint, by a new connection.
    pub(super) again: Option<(usize, InFlight)>,
    pub(super) failed: Option<Reason>,
}

impl Tries {
    /// Names the same endpoints by their places in another membership.
    pub(super) fn follow(&mut self, before: &MembersView, current: &MembersView) {
        let place = |place: usize| current.place_of(before.at(place));
        self.pinned = self.pinned.and_then(place);
        self.delivered_to = self.delivered_to.and_then(place);
        let serials = self.list.serials(before);
        self.list = Tried::default();
        current.places_of(&serials).for_each(|place| self.list.add(place));
    }

    /// Counts the endpoint at this place once: an endpoint that dies can break a pooled connection and then the new one.
    pub(super) fn count_delivery(&mut self, place: usize, repeat: Repeat) {
        if repeat != Repeat::Any && self.delivered_to != Some(place) {
            self.delivered_to = Some(place);
            self.delivered += 1;
        }
    }
}
