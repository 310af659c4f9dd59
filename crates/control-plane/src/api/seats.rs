//! Places of connections: so many, of one source three quarters of them. Where there is none left, who waits for nothing makes
//! room: first who never asked for anything, then who asked longest ago. Whoever holds connections only to hold them can
//! so keep out nobody.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use super::counters::Counters;
use super::lock;
use super::pace::Pace;

/// All places. Those who watch have theirs elsewhere.
#[derive(Debug)]
pub(super) struct Seats {
    most: usize,
    table: Mutex<Table>,
}

#[derive(Debug)]
struct Table {
    /// Of the next who comes; zero is nobody.
    number: u64,
    seated: BTreeMap<u64, Arc<Guest>>,
}

/// Who has a place, or had one.
#[derive(Debug)]
struct Guest {
    source: IpAddr,
    pace: Arc<Pace>,
    moved: Notify,
}

/// A place among the connections, as long as its holder keeps it.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    guest: Arc<Guest>,
    number: AtomicU64,
}

impl Seats {
    pub(super) fn new(most: usize) -> Self {
        Seats { most, table: Mutex::new(Table { number: 1, seated: BTreeMap::new() }) }
    }

    /// A place for a connection from there; nothing when all who have one are busy.
    pub(super) fn seat(
        self: &Arc<Self>,
        from: IpAddr,
        pace: &Arc<Pace>,
        counters: &Counters,
    ) -> Option<Seat> {
        let guest = Guest { source: source(from), pace: Arc::clone(pace), moved: Notify::new() };
        let seat = Seat { seats: Arc::clone(self), guest: Arc::new(guest), number: AtomicU64::new(0) };
        seat.take(counters);
        seat.is_taken().then_some(seat)
    }

    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        lock(&self.table).seated.len()
    }
}

impl Table {
    /// Has the one move who is idle longest, of this source or of all.
    fn make_room(&mut self, source: Option<IpAddr>) -> bool {
        let may_move = |guest: &Guest| guest.pace.is_idle() && source.is_none_or(|of| guest.source == of);
        let idle = self.seated.iter().filter(|(_, guest)| may_move(guest));
        let longest = idle.min_by_key(|(number, guest)| (guest.pace.asked(), **number));
        let Some(number) = longest.map(|(number, _)| *number) else { return false };
        if let Some(guest) = self.seated.remove(&number) {
            guest.moved.notify_one();
        }
        true
    }
}

impl Seat {
    /// Leaves the place to another connection.
    pub(super) fn leave(&self) {
        lock(&self.seats.table).seated.remove(&self.number.swap(0, Ordering::Relaxed));
    }

    /// Takes a place, if there is one.
    pub(super) fn take(&self, counters: &Counters) {
        let (most, source) = (self.seats.most, self.guest.source);
        let mut table = lock(&self.seats.table);
        let of_source = table.seated.values().filter(|guest| guest.source == source).count();
        let (is_crowded, crowd, refused) = if of_source >= most - most / SHARE {
            (true, Some(source), &counters.sources_refused)
        } else {
            (table.seated.len() >= most, None, &counters.connections_refused)
        };
        if is_crowded && !table.make_room(crowd) {
            refused.fetch_add(1, Ordering::Relaxed);
            return;
        }
        counters.made_room.fetch_add(is_crowded.into(), Ordering::Relaxed);
        let number = table.number;
        table.number += 1;
        table.seated.insert(number, Arc::clone(&self.guest));
        self.number.store(number, Ordering::Relaxed);
    }

    pub(super) fn is_taken(&self) -> bool {
        lock(&self.seats.table).seated.contains_key(&self.number.load(Ordering::Relaxed))
    }

    /// Waits until the place was given to another.
    pub(super) async fn moved(&self) {
        self.guest.moved.notified().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Of IPv6 a whole subnet: a single host has as many addresses there as it likes.
fn source(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

/// One of so many parts of the places is kept for other sources.
const SHARE: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_never_asked_makes_room_and_then_who_asked_longest_ago() {
        let (seats, counters) = (Arc::new(Seats::new(4)), Counters::default());
        let come = |last: u8| {
            let pace = Arc::new(Pace::default());
            let seat = seats.seat(IpAddr::from([10, 0, 0, last]), &pace, &counters);
            (pace, seat)
        };
        let is_taken = |guest: &(Arc<Pace>, Option<Seat>)| guest.1.as_ref().is_some_and(Seat::is_taken);
        let guests = [1, 2, 3, 4].map(come);
        assert!(guests.iter().all(is_taken));
        for last in [3, 0] {
            drop(guests[last].0.begin(0));
            assert!(guests[last].0.is_sent());
        }
        let answering = guests[1].0.begin(0);
        let newest = come(5);
        let taken = || guests.each_ref().map(is_taken);
        assert_eq!(taken(), [true, true, false, true], "the third never asked");
        let _busy = newest.0.begin(0);
        let next = come(6);
        assert_eq!(taken(), [true, true, false, false], "the fourth asked longest ago");
        let _busy = next.0.begin(0);
        let last = come(7);
        assert_eq!(taken(), [false, true, false, false]);
        let _busy = last.0.begin(0);
        assert!(!is_taken(&come(8)), "all are busy");
        drop(answering);
        assert!(!is_taken(&come(8)), "an answer is still being sent");
        assert!(guests[1].0.is_sent());
        assert!(is_taken(&come(8)));
        assert_eq!(counters.connections_ended()[0], ("limit", 2));
        assert_eq!(counters.connections_ended()[2], ("idle", 4));
    }

    #[test]
    fn one_source_has_a_part_of_the_places() {
        let (seats, counters) = (Arc::new(Seats::new(8)), Counters::default());
        let come = |text: &str| {
            let pace = Arc::new(Pace::default());
            let seat = seats.seat(text.parse().expect("an address"), &pace, &counters)?;
            Some((pace.begin(0), seat))
        };
        let _six = [1, 2, 3, 4, 5, 6].map(|host| come(&format!("2001:db8::{host}")).expect("a place"));
        assert!(come("2001:db8::7").is_none(), "the same subnet");
        let other = come("2001:db8:0:1::3").expect("another subnet");
        assert_eq!(counters.connections_ended()[1], ("source_limit", 1));
        assert_eq!(seats.taken(), 7);
        drop(other);
        assert_eq!(seats.taken(), 6);
    }
}
