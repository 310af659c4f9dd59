//! What the process uses, read from `/proc` at every scrape.

use std::collections::HashMap;
use std::fs;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, Gauge};

/// A collector of the `fulcrum_process_*` family.
#[derive(Debug)]
pub(crate) struct ProcessMetrics {
    descriptions: Vec<Desc>,
    /// When the machine started, in seconds since 1970.
    boot: f64,
    ticks_per_second: f64,
    page_bytes: f64,
}

/// What `/proc/self/stat` tells, in its own units.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stat {
    /// User and system time, in ticks.
    cpu: f64,
    threads: f64,
    /// Since boot, in ticks.
    start: f64,
    /// In pages.
    resident: f64,
}

impl ProcessMetrics {
    /// Learns the constants of the machine.
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let descriptions = GAUGES
            .iter()
            .chain([&CPU])
            .map(|(name, help)| Desc::new((*name).to_owned(), (*help).to_owned(), Vec::new(), HashMap::new()))
            .collect::<Result<_, _>>()?;
        Ok(ProcessMetrics {
            descriptions,
            boot: fs::read_to_string("/proc/stat").ok().and_then(|text| boot_time(&text)).unwrap_or_default(),
            ticks_per_second: rustix::param::clock_ticks_per_second() as f64,
            page_bytes: rustix::param::page_size() as f64,
        })
    }

    /// The values of [`GAUGES`] in their order, and the processor time in seconds.
    fn read(&self) -> Option<([f64; GAUGES.len()], f64)> {
        let stat = parse_stat(&fs::read_to_string("/proc/self/stat").ok()?)?;
        // The listing itself holds one descriptor open.
        let descriptors = fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as f64;
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let gauges = [
            self.boot + stat.start / self.ticks_per_second,
            descriptors,
            limit.map_or(f64::INFINITY, |limit| limit as f64),
            stat.resident * self.page_bytes,
            stat.threads,
        ];
        Some((gauges, stat.cpu / self.ticks_per_second))
    }
}

impl Collector for ProcessMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    /// Nothing where `/proc` cannot be read: no value is better than a wrong one.
    fn collect(&self) -> Vec<MetricFamily> {
        let Some((values, cpu)) = self.read() else { return Vec::new() };
        // Made anew each time: two scrapes at once share nothing.
        let gauges = GAUGES.iter().zip(values).filter_map(|((name, help), value)| {
            let gauge = Gauge::new(*name, *help).ok()?;
            gauge.set(value);
            Some(gauge.collect())
        });
        let counter = Counter::new(CPU.0, CPU.1).ok().map(|counter| {
            counter.inc_by(cpu);
            counter.collect()
        });
        gauges.chain(counter).flatten().collect()
    }
}

/// The line `btime SECONDS` of `/proc/stat`.
fn boot_time(text: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

/// The fields of proc_pid_stat(5). The second one is the program's name in parentheses and may hold anything, so
/// counting begins after the last parenthesis, where field 3 is.
fn parse_stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
    Some(Stat { cpu: field(14)? + field(15)?, threads: field(20)?, start: field(22)?, resident: field(24)? })
}

/// Name and help, in the order of [`ProcessMetrics::read`].
const GAUGES: [(&str, &str); 5] = [
    ("fulcrum_process_start_time_seconds", "When the process started, in seconds since 1970."),
    ("fulcrum_process_open_fds", "Open file descriptors."),
    ("fulcrum_process_max_fds", "Most file descriptors the process may open."),
    ("fulcrum_process_resident_memory_bytes", "Memory in use."),
    ("fulcrum_process_threads", "Threads."),
];

const CPU: (&str, &str) = ("fulcrum_process_cpu_seconds_total", "Processor time, user and system.");

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    #[test]
    fn a_name_may_hold_anything() {
        let text =
            "42 (a) b (c) S 1 42 42 0 -1 4194560 1234 0 5 0 150 50 0 0 20 0 4 0 98765 1000000 321 18446744";
        assert_eq!(
            parse_stat(text),
            Some(Stat { cpu: 200.0, threads: 4.0, start: 98765.0, resident: 321.0 })
        );
        assert_eq!(parse_stat("42 (a) S 1"), None);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn boot_time_is_one_line_of_many() {
        assert_eq!(boot_time("cpu 1 2\nbtime 1700000000\nprocesses 3\n"), Some(1_700_000_000.0));
        assert_eq!(boot_time("cpu 1 2\n"), None);
    }

    #[test]
    fn values_are_those_of_this_process() {
        let metrics = ProcessMetrics::new().expect("the names are valid");
        let ([start, descriptors, limit, resident, threads], _) = metrics.read().expect("there is a /proc");
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs_f64();
        assert!((now - start).abs() < 3600.0, "started at {start}, now {now}");
        assert!(descriptors >= 3.0 && descriptors <= limit, "{descriptors} of {limit}");
        assert!(resident > 100_000.0, "{resident}");
        assert!(threads >= 1.0, "{threads}");
        assert_eq!(metrics.collect().len(), metrics.desc().len());
    }
}
