//! Watches the workers make progress: one that hangs would hold its share of the connections for ever.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::shared::{Phase, Shared};

/// What a worker's silence calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Fine,
    /// Silent for long enough to be told.
    Slow,
    /// Silent for so long that only a new process helps.
    Stuck,
}

/// What the watchdog knows of one worker.
#[derive(Clone, Copy, Debug, Default)]
struct Watched {
    beats: u64,
    /// Consecutive looks without a beat.
    silent: u32,
}

impl Watched {
    fn look(&mut self, beats: u64) -> Verdict {
        if beats != self.beats {
            *self = Watched { beats, silent: 0 };
            return Verdict::Fine;
        }
        self.silent += 1;
        match self.silent {
            SLOW => Verdict::Slow,
            STUCK.. => Verdict::Stuck,
            _ => Verdict::Fine,
        }
    }
}

/// Looks at the workers until the process stops. Ends the process when one is stuck.
pub(crate) fn run(shared: &Arc<Shared>) {
    let mut watched = vec![Watched::default(); shared.workers.len()];
    let mut last = Instant::now();
    while shared.phase() < Phase::Stopped {
        std::thread::sleep(LOOK);
        // A machine that was paused is not a stuck worker: only looks that came in time count.
        let in_time = last.elapsed() < LOOK * 2;
        last = Instant::now();
        if !in_time {
            continue;
        }
        for (worker, watched) in watched.iter_mut().enumerate() {
            match watched.look(shared.workers[worker].beats.load(Ordering::Relaxed)) {
                Verdict::Fine => {}
                Verdict::Slow => tracing::warn!(worker, "no progress for 2 s"),
                Verdict::Stuck => {
                    // Not on this thread: who reads our log may be what the worker is stuck on.
                    std::thread::spawn(move || tracing::error!(worker, "no progress for 10 s: aborting"));
                    std::thread::sleep(LOOK);
                    std::process::abort();
                }
            }
        }
    }
}

const LOOK: Duration = Duration::from_millis(200);
/// Looks in 2 s.
const SLOW: u32 = 10;
/// Looks in 10 s.
const STUCK: u32 = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_told_once_and_then_ends_the_process() {
        let mut watched = Watched::default();
        let verdicts: Vec<Verdict> = (0..STUCK).map(|_| watched.look(0)).collect();
        assert_eq!(verdicts.iter().filter(|verdict| **verdict == Verdict::Slow).count(), 1);
        assert_eq!(verdicts.iter().position(|verdict| *verdict == Verdict::Stuck), Some(STUCK as usize - 1));
        assert_eq!(watched.look(1), Verdict::Fine);
        assert_eq!(watched.silent, 0);
    }
}
