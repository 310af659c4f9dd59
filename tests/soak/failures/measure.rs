//! What the records of a load say about its proxy.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use super::load::Record;

/// When things happened, since the beginning.
#[derive(Clone, Debug)]
pub(super) struct Times {
    pub(super) failed: Duration,
    pub(super) back: Duration,
    /// Who had failed.
    pub(super) who: BTreeSet<&'static str>,
    pub(super) end: Duration,
}

/// A row of the table.
#[derive(Clone, Debug)]
pub(super) struct Figures {
    pub(super) requests: usize,
    /// Failed requests that may be repeated.
    pub(super) gets: usize,
    /// Failed requests that must not be.
    pub(super) posts: usize,
    /// POSTs that were done more than once.
    pub(super) twice: usize,
    pub(super) longest: Duration,
    /// From the failure to the end of the last request that failed, or was slow, of those that began before the return and
    /// may be repeated. What may not be waits for its answer: that shows in `longest`.
    pub(super) converged: Duration,
    /// From the return to the first answer of one that had failed.
    pub(super) first: Option<Duration>,
    /// From the return until they had most of their share.
    pub(super) share: Option<Duration>,
    pub(super) second: Second,
    /// What happened instead of answers.
    pub(super) failures: BTreeMap<String, usize>,
}

/// How the second service fared.
#[derive(Clone, Debug)]
pub(super) struct Second {
    pub(super) requests: usize,
    pub(super) failed: usize,
    pub(super) p99_before: Duration,
    pub(super) p99_during: Duration,
}

impl Figures {
    pub(super) fn new(
        main: &[Record],
        second: &[Record],
        times: &Times,
        done: &BTreeMap<String, usize>,
    ) -> Self {
        let failed = |is_post: bool| {
            main.iter().filter(|record| record.is_post == is_post && record.outcome.is_err()).count()
        };
        let bad = main.iter().filter(|record| record.outcome.is_err() || record.latency() > SLOW);
        let bad = bad.filter(|record| !record.is_post);
        let bad = bad.filter(|record| record.began < times.back && record.ended > times.failed);
        let ours = |target: &str| main.iter().any(|record| record.is_post && record.target == target);
        let mut failures = BTreeMap::new();
        for failure in main.iter().filter_map(|record| record.outcome.as_ref().err()) {
            *failures.entry(failure.clone()).or_default() += 1;
        }
        Figures {
            requests: main.len(),
            gets: failed(false),
            posts: failed(true),
            twice: done.iter().filter(|(target, times)| **times > 1 && ours(target)).count(),
            longest: main.iter().map(Record::latency).max().unwrap_or_default(),
            converged: bad.map(|record| record.ended - times.failed).max().unwrap_or_default(),
            first: first(main, times),
            share: share(main, times),
            second: Second::new(second, times),
            failures,
        }
    }
}

impl Second {
    fn new(records: &[Record], times: &Times) -> Self {
        let p99 = |from: Duration, to: Duration| {
            let within = records.iter().filter(|record| (from..to).contains(&record.began));
            let mut latencies: Vec<Duration> = within.map(Record::latency).collect();
            latencies.sort();
            latencies.get(latencies.len() * 99 / 100).copied().unwrap_or_default()
        };
        Second {
            requests: records.len(),
            failed: records.iter().filter(|record| record.outcome.is_err()).count(),
            p99_before: p99(Duration::ZERO, times.failed),
            p99_during: p99(times.failed, times.back),
        }
    }
}

fn is_of(record: &Record, times: &Times) -> bool {
    record.outcome.as_ref().is_ok_and(|name| times.who.contains(name.as_str()))
}

fn first(main: &[Record], times: &Times) -> Option<Duration> {
    let answers = main.iter().filter(|record| record.began >= times.back && is_of(record, times));
    answers.map(|record| record.ended - times.back).min()
}

/// When the first second begins in which those who were gone answer most of their share.
fn share(main: &[Record], times: &Times) -> Option<Duration> {
    let fair = times.who.len() as f64 / UPSTREAMS * MOST;
    let windows = (0..).map(|step| times.back + STEP * step).take_while(|from| *from + WINDOW <= times.end);
    let mut reached = windows.filter(|&from| {
        let within: Vec<&Record> =
            main.iter().filter(|record| (from..from + WINDOW).contains(&record.began)).collect();
        let theirs = within.iter().filter(|record| is_of(record, times)).count();
        theirs as f64 >= within.len() as f64 * fair
    });
    reached.next().map(|from| from - times.back)
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |time: Option<Duration>| time.map_or("later".to_owned(), Figures::seconds);
        write!(
            f,
            "{} | {} | {} | {} | {} | {} | {} | {} / {}",
            self.requests,
            self.gets,
            self.posts,
            Figures::seconds(self.longest),
            Figures::seconds(self.converged),
            seconds(self.first),
            seconds(self.share),
            self.second.failed,
            Figures::milliseconds(self.second.p99_during),
        )
    }
}

impl Figures {
    fn seconds(time: Duration) -> String {
        format!("{:.1} s", time.as_secs_f64())
    }

    fn milliseconds(time: Duration) -> String {
        format!("{:.1} ms", time.as_secs_f64() * 1000.0)
    }
}

/// A request that takes longer has met a failure.
const SLOW: Duration = Duration::from_millis(250);
const UPSTREAMS: f64 = 3.0;
/// What is most of a share.
const MOST: f64 = 0.75;
const WINDOW: Duration = Duration::from_secs(1);
const STEP: Duration = Duration::from_millis(250);
