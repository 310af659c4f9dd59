//! Reload after reload under load: no request of any method fails, what lasts goes on, and nothing is left behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use std::{fs, thread};

use super::verified_load::{Load, application, echo};
use crate::harness::{Client, DEADLINE, Fulcrum, Upstream, eventually};

/// What a daemon holds.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Holdings {
    /// Without those of pooled connections, whose number is the load's.
    descriptors: usize,
    /// By name, without those that do what blocks: they come as they are needed, and go after ten idle seconds.
    threads: Vec<String>,
}

impl Holdings {
    #[track_caller]
    fn of(fulcrum: &Fulcrum) -> Self {
        let pooled = fulcrum.metric("fulcrum_upstream_connections_idle", &[]);
        let list = |what: &str| {
            let folder = format!("/proc/{}/{what}", fulcrum.child.pid());
            let entries = fs::read_dir(folder).expect("it runs");
            entries.map(|entry| entry.expect("an entry").path()).collect::<Vec<_>>()
        };
        let names = list("task").into_iter().filter_map(|task| fs::read_to_string(task.join("comm")).ok());
        let (blocking, mut threads): (Vec<_>, Vec<_>) =
            names.partition(|name| name.trim() == "fulcrum-control");
        assert!(blocking.len() < 8, "{} threads do what blocks", blocking.len());
        threads.sort();
        Holdings { descriptors: list("fd").len() - pooled as usize, threads }
    }
}

/// Three upstreams of requests and two of TCP, of which each configuration knows some.
struct Cast {
    web: [Upstream; 3],
    db: [Upstream; 2],
    received: Arc<AtomicUsize>,
}

impl Cast {
    fn new() -> Self {
        let received = Arc::new(AtomicUsize::new(0));
        let web = [(); 3].map(|()| application(Arc::clone(&received)));
        Cast { web, db: [(); 2].map(|()| Upstream::new(echo)), received }
    }

    /// The configuration of this number: another set of endpoints with other weights, another policy, up to two more
    /// listeners, a route and a service of its own.
    fn config(&self, number: usize) -> String {
        let balance = ["least_request", "round_robin", "random", "maglev"][number % 4];
        let web = |offset: usize| self.web[(number + offset) % 3].address();
        let extra: String = (0..number % 3)
            .map(|place| format!("  extra{number}-{place}: {{ bind: \"127.0.1.{}:0\" }}\n", place + 1))
            .collect();
        format!(
            "workers: 2\nlog: {{ level: warn, access: none }}\nlisteners:\n  web: {{ bind: \"127.0.0.1:0\" }}\n  \
             db: {{ bind: \"127.0.0.2:0\", protocol: tcp, to: words }}\n{extra}routes:\n  \
             - {{ path: /generation, respond: {{ status: 200, body: \"{number}\" }} }}\n  \
             - {{ path: /own/{number}, to: own{number} }}\n  - {{ to: app }}\n{LASTING_ROUTES}services:\n  \
             app: {{ balance: {balance}, health: /health, endpoints: [\"{}\", {{ address: \"{}\", weight: {} }}] }}\n  \
             own{number}: {{ endpoints: [\"{}\"] }}\n  words: {{ endpoints: [\"{}\"] }}\n{}",
            web(0),
            web(1),
            1 + number % 5,
            web(2),
            self.db[number % 2].address(),
            LASTING_SERVICE.replace('@', self.web[0].address()),
        )
    }

    /// The same as the first one, but for what lasts: its service is gone.
    fn last_config(&self, number: usize) -> String {
        let first = self.config(1).replace("body: \"1\"", &format!("body: \"{number}\""));
        let lasting = LASTING_SERVICE.replace('@', self.web[0].address());
        first.replace(LASTING_ROUTES, "").replace(&lasting, "")
    }
}

const LASTING_ROUTES: &str = "  - { path: /chat, to: lasting }\n  - { path: /download, to: lasting }\n";
const LASTING_SERVICE: &str = "  lasting: { endpoints: [\"@\"] }\n";

/// Writes a configuration and has it noticed, by itself or by SIGHUP in turns.
#[track_caller]
fn reload(fulcrum: &Fulcrum, number: usize, yaml: &str) {
    fulcrum.move_config(yaml);
    if number.is_multiple_of(2) {
        fulcrum.hang_up();
    }
    let is_in_force =
        |address: &str| Client::connect(address).get("/generation").text() == number.to_string();
    eventually(&format!("configuration {number}"), || is_in_force(fulcrum.address()).then_some(()));
    for place in 0..number % 3 {
        let extra = format!("extra{number}-{place}");
        if yaml.contains(&extra) {
            assert!(is_in_force(&fulcrum.address_of(&extra)), "{extra} serves");
        }
    }
}

/// So many reloads. Resident memory after the tenth and after the last one.
#[track_caller]
pub(crate) fn run(reloads: usize) -> [u64; 2] {
    let cast = Cast::new();
    let fulcrum = Fulcrum::start(&cast.config(0));
    reload(&fulcrum, 1, &cast.config(1));
    fulcrum.await_metric("fulcrum_config_generations_alive", &[], 1.0);
    let before = Holdings::of(&fulcrum);
    let (web, db) = (fulcrum.address().to_owned(), fulcrum.addresses("db")[0].clone());
    let load = Load::default();
    let mut resident = [0; 2];
    let answered: usize = thread::scope(|scope| {
        let _over = EndAtDrop(&load);
        let clients = load.run(scope, &web, &db);
        for number in 2..=reloads {
            let progress = load.progress();
            let is_last = number == reloads;
            reload(&fulcrum, number, &if is_last { cast.last_config(number) } else { cast.config(number) });
            eventually("every client goes on", || {
                let failed = clients.iter().any(thread::ScopedJoinHandle::is_finished);
                assert!(!failed, "see above");
                load.has_moved(&progress).then_some(())
            });
            if number == 10 || is_last {
                resident[usize::from(is_last)] = fulcrum.resident();
            }
        }
        // What lasts has outlived its service, and holds no generation.
        fulcrum.await_metric("fulcrum_config_generations_alive", &[], 1.0);
        load.is_over.store(true, Ordering::Release);
        clients.into_iter().map(|client| client.join().expect("see above")).sum()
    });
    check_answers(&fulcrum, answered, cast.received.load(Ordering::Relaxed));
    check_left(&fulcrum, before, resident);
    resident
}

/// Nothing has failed, and each request has arrived once.
#[track_caller]
fn check_answers(fulcrum: &Fulcrum, answered: usize, received: usize) {
    assert!(answered > 100, "{answered} requests are no load");
    assert_eq!(received, answered, "each request arrived once");
    let metrics = fulcrum.metrics();
    // The end of the download was the client's.
    let errors = metrics.value("fulcrum_http_errors_total", &[]);
    assert_eq!(errors, metrics.value("fulcrum_http_errors_total", &[("reason", "client_closed")]));
    assert!(errors <= 1.0, "{errors}");
    for name in ["fulcrum_tcp_errors_total", "fulcrum_upstream_errors_total", "fulcrum_process_panics_total"]
    {
        assert_eq!(metrics.value(name, &[]), 0.0, "{name}");
    }
    assert_eq!(metrics.value("fulcrum_config_reloads_total", &[("result", "refused")]), 0.0);
}

/// The daemon holds what it held, and its memory has not grown with the number of reloads.
#[track_caller]
fn check_left(fulcrum: &Fulcrum, before: Holdings, resident: [u64; 2]) {
    for name in ["fulcrum_http_connections", "fulcrum_tcp_connections", "fulcrum_http_requests_in_flight"] {
        fulcrum.await_metric(name, &[], 0.0);
    }
    fulcrum.await_metric("fulcrum_config_generations_alive", &[], 1.0);
    let mut after = before.clone();
    let start = Instant::now();
    while start.elapsed() < DEADLINE {
        after = Holdings::of(fulcrum);
        if after == before {
            break;
        }
    }
    assert_eq!(after, before, "what it holds, after all of it and before");
    let [early, late] = resident;
    let growth = (early / 5).max(4 << 20);
    assert!(late < early + growth, "from {early} to {late} bytes");
}

struct EndAtDrop<'a>(&'a Load);

impl Drop for EndAtDrop<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Release);
    }
}

#[test]
fn no_request_is_lost_in_thirty_reloads() {
    run(30);
}

/// Nothing is known of any endpoint then: requests wait for the first word, also those that come in the middle of it.
#[test]
fn no_request_is_lost_where_every_endpoint_is_replaced() {
    let cast = Cast::new();
    let yaml = |number: usize| {
        format!(
            "workers: 2\nlog: {{ level: warn, access: none }}\nlisteners: {{ web: {{ bind: \"127.0.0.1:0\" }} }}\n\
             routes: [{{ to: app }}]\nservices: {{ app: {{ health: /health, endpoints: [\"{}\"] }} }}\n",
            cast.web[number % 3].address()
        )
    };
    let fulcrum = Fulcrum::start(&yaml(0));
    let (address, load) = (fulcrum.address().to_owned(), Load::default());
    let answered: usize = thread::scope(|scope| {
        let _over = EndAtDrop(&load);
        let clients = load.ask(scope, &address);
        for number in 1..=100 {
            let done = || load.progress().iter().sum::<usize>();
            let before = done();
            fulcrum.change(&yaml(number));
            // Now and then somebody is let through: a busy machine may take longer for a check than for a reload.
            if number % 10 == 0 {
                eventually("requests go on", || (done() > before + 20).then_some(()));
            }
        }
        load.is_over.store(true, Ordering::Release);
        clients.into_iter().map(|client| client.join().expect("see above")).sum()
    });
    check_answers(&fulcrum, answered, cast.received.load(Ordering::Relaxed));
}
