//! A run: four upstreams, both proxies, their loads, and what happens to the upstreams meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::load::{self, Load, Record};
use super::measure::{Figures, Times};
use super::process::Process;
use super::proxies::{self, Job, Wish};
use crate::harness::{Client, eventually};

/// The upstreams of both services.
#[derive(Debug)]
pub(super) struct Stage {
    /// The three of the service under test: red, green, blue.
    pub(super) main: Vec<Process>,
    second: Process,
    wish: Wish,
    _directory: TempDir,
}

/// What happens to upstreams, as it is told to the clock.
pub(super) struct Script<'a> {
    pub(super) main: &'a mut [Process],
    start: Instant,
    times: Times,
}

/// What has come of it.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) fulcrum: Figures,
    pub(super) haproxy: Figures,
}

impl Stage {
    pub(super) fn new(wish: Wish) -> Self {
        Self::with(wish, |directory| Process::start("red", "127.60.0.1", directory))
    }

    /// The same with the first upstream as the caller makes it.
    pub(super) fn with(wish: Wish, red: impl FnOnce(&std::path::Path) -> Process) -> Self {
        let directory = tempfile::tempdir().expect("room for a directory");
        let path = directory.path();
        let others = [("green", "127.60.0.2"), ("blue", "127.60.0.3")];
        let main = std::iter::once(red(path))
            .chain(others.map(|(name, host)| Process::start(name, host, path)))
            .collect();
        let second = Process::start("second", "127.60.0.4", path);
        Stage { main, second, wish, _directory: directory }
    }

    /// Lets it happen under load.
    pub(super) fn run(mut self, happen: impl FnOnce(&mut Script<'_>)) -> Outcome {
        let addresses: Vec<String> = self.main.iter().map(|process| process.address.clone()).collect();
        let job = Job {
            main: [&addresses[0], &addresses[1], &addresses[2]],
            second: &self.second.address,
            wish: self.wish,
        };
        let (fulcrum, haproxy) = (job.fulcrum(), job.haproxy());
        let proxies = [fulcrum.address().parse().expect("an address"), haproxy.address];
        proxies.iter().for_each(|proxy| await_ready(*proxy));
        let start = Instant::now();
        let is_over = AtomicBool::new(false);
        let (times, [ours, theirs]) = thread::scope(|scope| {
            let _over = EndAtDrop(&is_over);
            let is_over = &is_over;
            let loads = loads(proxies)
                .map(|pair| pair.map(|load| scope.spawn(move || load::run(&load, start, is_over))));
            let times = Script::play(&mut self.main, start, happen);
            is_over.store(true, Ordering::Release);
            (times, loads.map(|pair| pair.map(|load| load.join().expect("a load does not panic"))))
        });
        let done = self.done();
        let figures = |[main, second]: [Vec<Record>; 2]| {
            check_posts(&main, &done);
            Figures::new(&main, &second, &times, &done)
        };
        Outcome { fulcrum: figures(ours), haproxy: figures(theirs) }
    }

    /// How often each POST was done, by whomever.
    fn done(&self) -> BTreeMap<String, usize> {
        let mut done = BTreeMap::new();
        for (target, times) in self.main.iter().flat_map(Process::done) {
            *done.entry(target).or_default() += times;
        }
        done
    }
}

impl Script<'_> {
    fn play<'a>(main: &'a mut [Process], start: Instant, happen: impl FnOnce(&mut Script<'a>)) -> Times {
        let times = Times { failed: LEAD, back: LEAD, who: BTreeSet::new(), end: LEAD };
        let mut script = Script { main, start, times };
        thread::sleep(LEAD);
        happen(&mut script);
        thread::sleep(AFTER);
        script.times.end = start.elapsed();
        script.times
    }

    /// It happens now, to these of them, and lasts.
    pub(super) fn fail(&mut self, which: std::ops::Range<usize>, mut how: impl FnMut(&mut Process)) {
        self.times.failed = self.start.elapsed();
        for process in &mut self.main[which] {
            self.times.who.insert(process.name);
            how(process);
        }
    }

    /// It lasts.
    pub(super) fn last(&self) {
        thread::sleep(DURING);
    }

    /// It is over now.
    pub(super) fn recover(&mut self, which: std::ops::Range<usize>, how: impl FnMut(&mut Process)) {
        self.main[which].iter_mut().for_each(how);
        self.times.back = self.start.elapsed();
    }
}

/// Ends the loads, whatever goes wrong.
pub(super) struct EndAtDrop<'a>(pub(super) &'a AtomicBool);

impl Drop for EndAtDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// For each proxy what its services get.
fn loads([fulcrum, haproxy]: [SocketAddr; 2]) -> [[Load; 2]; 2] {
    let main = |proxy, prefix| Load { proxy, prefix, rate: 200, connections: 192 };
    let second = |proxy, prefix| Load { proxy, prefix, rate: 100, connections: 16 };
    [
        [main(fulcrum, "/fulcrum"), second(fulcrum, "/second/fulcrum")],
        [main(haproxy, "/haproxy"), second(haproxy, "/second/haproxy")],
    ]
}

fn await_ready(proxy: SocketAddr) {
    for target in ["/ready", "/second/ready"] {
        eventually("the proxy serves", || {
            (Client::connect(&proxy.to_string()).get(target).status == 200).then_some(())
        });
    }
}

/// What was answered was done.
fn check_posts(main: &[Record], done: &BTreeMap<String, usize>) {
    for record in main.iter().filter(|record| record.is_post && record.outcome.is_ok()) {
        assert!(done.contains_key(&record.target), "{record:?}");
    }
}

impl Outcome {
    /// Two rows of the table in docs/resilience.md.
    pub(super) fn print(&self, what: &str) {
        let mut out = io::stderr().lock();
        let _ = writeln!(out, "| {what} | Fulcrum | {} |", self.fulcrum);
        let _ = writeln!(out, "| | HAProxy {} | {} |", proxies::version(), self.haproxy);
        let _ = writeln!(out, "    {:?}\n    {:?}", self.fulcrum.failures, self.haproxy.failures);
    }
}

/// Before it happens.
const LEAD: Duration = Duration::from_secs(2);
/// How long it lasts.
pub(super) const DURING: Duration = Duration::from_secs(10);
/// What is seen of the return.
const AFTER: Duration = Duration::from_secs(12);
