//! What several registries say of an instance, and what that is together.

use std::cmp::Reverse;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::registered::{State, Status};

/// The last word of each registry.
#[derive(Debug)]
pub(crate) struct Board {
    each: Mutex<Vec<Status>>,
    together: watch::Sender<Status>,
}

impl Board {
    /// So many registries, none of which has been asked yet.
    pub(crate) fn new(registries: usize) -> Self {
        let first = Status { state: State::Registering, epoch: None, problem: None };
        let together = watch::Sender::new(first.clone());
        Board { each: Mutex::new(vec![first; registries]), together }
    }

    /// What they say together, and every change of it.
    pub(crate) fn together(&self) -> watch::Receiver<Status> {
        self.together.subscribe()
    }

    /// What each of them says.
    pub(crate) fn each(&self) -> Vec<Status> {
        self.lock().clone()
    }

    /// The one at this place says so now.
    pub(crate) fn tell(&self, place: usize, status: Status) {
        let mut each = self.lock();
        each[place] = status;
        let now = together(&each);
        self.together.send_if_modified(|before| {
            let has_changed = !before.says_the_same_as(&now);
            if has_changed {
                *before = now;
            }
            has_changed
        });
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Status>> {
        // Each change is one assignment.
        self.each.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An instance is where most is made of it: it has work while one registry sends it some. Who was replaced anywhere is
/// replaced.
fn together(each: &[Status]) -> Status {
    let best = each.iter().max_by_key(|status| rank(status.state)).expect("there is a registry");
    // One that has no answer at all may still take what another has refused.
    let problems = each.iter().filter(|status| status.problem.is_some());
    let worst = problems.max_by_key(|status| Reverse(status.is_refused()));
    let problem = best.problem.clone().or_else(|| worst.and_then(|status| status.problem.clone()));
    Status { problem, ..best.clone() }
}

fn rank(state: State) -> u8 {
    match state {
        State::Replaced => 6,
        State::Up => 5,
        State::Draining => 4,
        State::Maintenance => 3,
        State::Registering => 2,
        State::Left => 1,
        State::Refused => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ask::{AskError, Problem};

    fn refusal(status: u16, code: &str) -> Arc<AskError> {
        let code = code.to_owned();
        let problem = Problem { status, code, detail: String::new(), after: None, re_register_after: None };
        let registry = "http://127.0.0.1:1".parse().expect("an address");
        Arc::new(AskError::Refused { registry, problem })
    }

    fn status(state: State, epoch: Option<u64>) -> Status {
        Status { state, epoch, problem: None }
    }

    #[test]
    fn the_registry_that_makes_most_of_it_speaks_for_all() {
        let check = |states: &[State], expected: State| {
            let each: Vec<Status> = states.iter().map(|state| status(*state, None)).collect();
            assert_eq!(together(&each).state, expected, "{states:?}");
        };
        use State::{Draining, Left, Maintenance, Refused, Registering, Replaced, Up};
        check(&[Registering, Up], Up);
        check(&[Up, Draining], Up);
        check(&[Draining, Left], Draining);
        check(&[Maintenance, Registering], Maintenance);
        check(&[Refused, Registering], Registering);
        check(&[Refused, Left], Left);
        check(&[Up, Replaced], Replaced);
        check(&[Refused], Refused);
    }

    #[test]
    fn what_is_wrong_anywhere_is_told() {
        let (forbidden, busy) = (refusal(403, "forbidden"), refusal(503, "busy"));
        let of = |problem| Status { problem: Some(problem), ..status(State::Registering, None) };
        let told = |each: &[Status]| together(each).problem.map(|error| error.to_string());
        assert_eq!(told(&[status(State::Up, Some(1)), of(busy.clone())]), Some(busy.to_string()));
        let refused = together(&[of(forbidden.clone()), of(forbidden)]);
        assert!(refused.is_refused());
    }

    #[test]
    fn only_changes_are_told() {
        let board = Board::new(2);
        let mut told = board.together();
        told.mark_unchanged();
        board.tell(1, status(State::Registering, None));
        assert!(!told.has_changed().expect("it is there"));
        board.tell(1, status(State::Up, Some(3)));
        assert!(told.has_changed().expect("it is there"));
        assert_eq!((told.borrow_and_update().epoch, board.each()[0].epoch), (Some(3), None));
        board.tell(0, status(State::Registering, None));
        assert!(!told.has_changed().expect("it is there"), "the other one speaks for both");
    }
}
