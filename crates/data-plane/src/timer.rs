//! One coarse timer wheel per worker. A deadline that moves later costs one store: the wheel looks again when the old
//! one comes. Resolution is one tick; nothing here is for measuring.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;
use std::time::{Duration, Instant};

/// Milliseconds since the data plane started, the same on all workers.
pub(crate) type Millis = u64;

/// The wheel of a worker.
pub(crate) struct Wheel {
    started: Instant,
    now: Cell<Millis>,
    inner: RefCell<Inner>,
}

struct Inner {
    /// Everything up to this tick has fired.
    tick: u64,
    /// First node of each slot's list.
    slots: Box<[u32]>,
    nodes: Vec<Node>,
    /// First unused node, linked by `next`.
    free: u32,
}

struct Node {
    deadline: Millis,
    /// The tick it is queued for, if it is.
    queued: Option<u64>,
    previous: u32,
    next: u32,
    waker: Option<Waker>,
}

/// A deadline that wakes the task it belongs to. Freed on drop.
pub(crate) struct Timer {
    wheel: Rc<Wheel>,
    node: u32,
}

impl Wheel {
    /// A wheel whose time counts from this moment.
    pub(crate) fn new(started: Instant) -> Rc<Self> {
        let inner =
            Inner { tick: 0, slots: vec![NIL; SLOTS].into_boxed_slice(), nodes: Vec::new(), free: NIL };
        let wheel = Rc::new(Wheel { started, now: Cell::new(0), inner: RefCell::new(inner) });
        wheel.advance();
        wheel
    }

    /// The time of the last tick.
    pub(crate) fn now(&self) -> Millis {
        self.now.get()
    }

    /// Moves the time on and wakes whose deadline has passed.
    pub(crate) fn advance(&self) {
        self.advance_to(self.started.elapsed());
    }

    fn advance_to(&self, elapsed: Duration) {
        let now = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        self.now.set(now);
        let mut due = Vec::new();
        self.inner.borrow_mut().collect(now, &mut due);
        due.into_iter().for_each(Waker::wake);
    }

    /// Wakes every task with a timer, so that it looks at the world again.
    pub(crate) fn wake_all(&self) {
        let wakers: Vec<Waker> =
            self.inner.borrow().nodes.iter().filter_map(|node| node.waker.clone()).collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// A timer without a deadline, which wakes `waker`.
    pub(crate) fn timer(self: &Rc<Self>, waker: Waker) -> Timer {
        let mut inner = self.inner.borrow_mut();
        let node = Node { deadline: NEVER, queued: None, previous: NIL, next: NIL, waker: Some(waker) };
        let index = match inner.free {
            NIL => {
                inner.nodes.push(node);
                u32::try_from(inner.nodes.len() - 1).expect("fewer timers than file descriptors")
            }
            index => {
                inner.free = inner.nodes[index as usize].next;
                inner.nodes[index as usize] = node;
                index
            }
        };
        Timer { wheel: Rc::clone(self), node: index }
    }
}

impl Timer {
    /// Wakes the task at `deadline` or within a tick after it; [`NEVER`] for not at all.
    pub(crate) fn set(&self, deadline: Millis) {
        let mut inner = self.wheel.inner.borrow_mut();
        let now = self.wheel.now.get();
        let node = &mut inner.nodes[self.node as usize];
        node.deadline = deadline;
        let tick = deadline / TICK_MILLIS + 1;
        if deadline != NEVER && node.queued.is_none_or(|queued| queued > tick) {
            inner.unlink(self.node);
            inner.link(self.node, now);
        }
    }

    /// Wakes the task at `deadline` as well, if it would be woken only later.
    pub(crate) fn also_at(&self, deadline: Millis) {
        let current = self.wheel.inner.borrow().nodes[self.node as usize].deadline;
        // A deadline that has passed has done its work.
        if deadline < current || current <= self.now() {
            self.set(deadline);
        }
    }

    /// The time that deadlines are counted in.
    pub(crate) fn now(&self) -> Millis {
        self.wheel.now()
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let mut inner = self.wheel.inner.borrow_mut();
        inner.unlink(self.node);
        let free = std::mem::replace(&mut inner.free, self.node);
        let node = &mut inner.nodes[self.node as usize];
        node.waker = None;
        node.next = free;
    }
}

impl Inner {
    /// Queues a node for its deadline, or for the wheel's horizon when that is nearer.
    fn link(&mut self, index: u32, now: Millis) {
        let current = self.tick.max(now / TICK_MILLIS);
        let wanted = self.nodes[index as usize].deadline / TICK_MILLIS + 1;
        let tick = wanted.clamp(current + 1, current + SLOTS as u64 - 1);
        let slot = (tick % SLOTS as u64) as usize;
        let head = std::mem::replace(&mut self.slots[slot], index);
        if head != NIL {
            self.nodes[head as usize].previous = index;
        }
        let node = &mut self.nodes[index as usize];
        node.queued = Some(tick);
        node.previous = NIL;
        node.next = head;
    }

    fn unlink(&mut self, index: u32) {
        let node = &mut self.nodes[index as usize];
        let Some(tick) = node.queued.take() else { return };
        let (previous, next) = (node.previous, node.next);
        match previous {
            NIL => self.slots[(tick % SLOTS as u64) as usize] = next,
            previous => self.nodes[previous as usize].next = next,
        }
        if next != NIL {
            self.nodes[next as usize].previous = previous;
        }
    }

    /// Empties the slots up to `now`; what is due goes to `due`, the rest is queued again.
    fn collect(&mut self, now: Millis, due: &mut Vec<Waker>) {
        let last = now / TICK_MILLIS;
        // After a long pause one turn of the wheel sees every slot.
        let first = (self.tick + 1).max(last.saturating_sub(SLOTS as u64 - 1));
        for tick in first..=last {
            let mut index = std::mem::replace(&mut self.slots[(tick % SLOTS as u64) as usize], NIL);
            self.tick = tick;
            while index != NIL {
                let node = &mut self.nodes[index as usize];
                let next = node.next;
                node.queued = None;
                if node.deadline <= now {
                    due.extend(node.waker.clone());
                } else if node.deadline != NEVER {
                    self.link(index, now);
                }
                index = next;
            }
        }
    }
}

/// No deadline.
pub(crate) const NEVER: Millis = Millis::MAX;

/// A configured timeout; no timeout is [`NEVER`].
pub(crate) fn millis(timeout: Option<Duration>) -> Millis {
    timeout.map_or(NEVER, |timeout| u64::try_from(timeout.as_millis()).unwrap_or(NEVER))
}

/// Length of a tick: timeouts are of seconds, a twentieth of one is exact enough.
pub(crate) const TICK: Duration = Duration::from_millis(TICK_MILLIS);
const TICK_MILLIS: u64 = 50;

/// One turn is 25 s; later deadlines are looked at once a turn.
const SLOTS: usize = 512;

/// No node.
const NIL: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn counted(wheel: &Rc<Wheel>) -> (Timer, Arc<Count>) {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        (wheel.timer(Waker::from(Arc::clone(&count))), count)
    }

    fn advance(wheel: &Wheel, to: Millis) {
        wheel.advance_to(Duration::from_millis(to));
    }

    #[test]
    fn wakes_within_a_tick_of_the_deadline() {
        for deadline in [1, 49, 50, 51, 1000, 25_600, 100_000, 3_600_000] {
            let wheel = Wheel::new(Instant::now());
            let (timer, count) = counted(&wheel);
            timer.set(deadline);
            let mut now = 0;
            while count.0.load(Ordering::Relaxed) == 0 {
                now += 50;
                advance(&wheel, now);
                assert!(now <= deadline + 100, "deadline {deadline} missed at {now}");
            }
            assert!(now >= deadline, "deadline {deadline} early at {now}");
        }
    }

    #[test]
    fn a_deadline_can_move_either_way() {
        let wheel = Wheel::new(Instant::now());
        let (timer, count) = counted(&wheel);
        timer.set(1000);
        timer.set(5000);
        advance(&wheel, 2000);
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        timer.set(2100);
        advance(&wheel, 2200);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        timer.set(NEVER);
        advance(&wheel, 20_000);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_long_pause_fires_what_is_due() {
        let wheel = Wheel::new(Instant::now());
        let (timer, count) = counted(&wheel);
        timer.set(60_000);
        advance(&wheel, 10_000_000);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn many_timers_come_and_go() {
        let wheel = Wheel::new(Instant::now());
        let mut random = fulcrum_balance::Rng::from_seed(7);
        let mut live = Vec::new();
        for step in 0..20_000u64 {
            advance(&wheel, step * 20);
            let (timer, count) = counted(&wheel);
            timer.set(wheel.now() + u64::from(random.below(60_000)));
            live.push((timer, count));
            if live.len() > 300 {
                let victim = random.below(300) as usize;
                live.swap_remove(victim);
            }
        }
        assert!(wheel.inner.borrow().nodes.len() <= 302, "nodes are used again");
        live.clear();
        assert!(wheel.inner.borrow().slots.iter().all(|&head| head == NIL));
    }
}
