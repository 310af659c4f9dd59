//! Every other instance falls silent at once: nobody is taken for dead, everyone is told so, and then they are back.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Fulcrum, eventually};
use crate::soak::histogram;

#[path = "../../benches/registry/beats.rs"]
#[allow(dead_code, reason = "the bench sends heartbeats together, too")]
mod beats;
#[path = "../../benches/registry/fleet.rs"]
#[allow(dead_code, reason = "the bench replaces instances, too")]
mod fleet;
#[path = "../../benches/registry/register.rs"]
mod register;
#[path = "../../benches/registry/wire.rs"]
#[allow(dead_code, reason = "the bench reads numbers in answers, too")]
mod wire;

use beats::{Beats, Sent};
use fleet::{Fleet, SERVICES, service};

/// How many, and how long they may be silent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) instances: u32,
    pub(crate) ttl: &'static str,
    /// Heartbeats a second, of whoever beats.
    pub(crate) rate: u32,
    /// Within which everything that is waited for happens.
    pub(crate) patience: Duration,
}

/// What it took.
#[derive(Debug)]
pub(crate) struct Cost {
    /// The time that 99 of 100 heartbeats took at most, of those who beat while the others were silent.
    pub(crate) beat: Duration,
    /// Of one core, over all of it.
    pub(crate) cores: f64,
}

/// The daemon, a fleet, and one listener that answers for all of it.
struct Scene {
    fulcrum: Fulcrum,
    fleet: Fleet,
    size: Size,
}

/// Services that the balancer follows and whose instances it checks.
const FOLLOWED: usize = 10;

impl Scene {
    #[track_caller]
    fn start(size: Size, hold_max: &str) -> Self {
        let port = answer_everywhere();
        let followed = (0..FOLLOWED).map(|number| {
            let name = service(number);
            format!("{name}: {{ discovery: {{ registry: {name} }}, health: /healthz, slow_start: none }}")
        });
        let followed = followed.collect::<Vec<_>>().join(", ");
        let fulcrum = Fulcrum::start(&format!(
            "state_dir: \"@DIR@/state\"\nlog: {{ level: warn }}\n\
             registry: {{ bind: \"127.0.0.1:0\", register_rate: none, hold_max: {hold_max}, allow_addresses: [127.0.0.0/8] }}\n\
             listeners: {{ web: {{ bind: \"127.0.0.1:0\" }} }}\nroutes: [{{ to: {} }}]\nservices: {{ {followed} }}\n",
            service(0)
        ));
        let fleet = Fleet::at(size.instances, (127, port), size.ttl);
        Scene { fulcrum, fleet, size }
    }

    fn registry(&self) -> SocketAddr {
        self.fulcrum.registry().parse().expect("an address")
    }

    /// Each of so many instances one beats, for as long as `work` takes; the p99 of its heartbeats.
    #[track_caller]
    fn beating(&self, one_of: usize, work: impl FnOnce()) -> Duration {
        let (address, rate) = (self.registry(), self.size.rate);
        let beats = Beats { address, fleet: &self.fleet, one_of, rate, sent: Sent::Alone };
        let beaten = beats.during(|| {
            work();
            Ok(())
        });
        let (outcome, ()) = beaten.expect("every heartbeat is answered");
        outcome.latency.percentile(0.99)
    }

    /// How many endpoints the balancer has, and how many of them it would use.
    fn endpoints(&self) -> (usize, usize) {
        let status = self.fulcrum.status();
        let services = status["services"].as_array().expect("a list").iter();
        let endpoints: Vec<&Value> =
            services.flat_map(|service| service["endpoints"].as_array().expect("a list")).collect();
        (endpoints.len(), endpoints.iter().filter(|endpoint| endpoint["state"] == "up").count())
    }

    /// How many there are to follow.
    fn followed(&self) -> usize {
        self.fleet.len() / SERVICES * FOLLOWED
    }

    #[track_caller]
    fn await_all_up(&self) {
        let all = (self.followed(), self.followed());
        self.within("all that is followed is up", || self.endpoints() == all);
    }

    /// Waits; looks once in a while, for a look goes over everyone.
    #[track_caller]
    fn within(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let began = Instant::now();
        while !is_so() {
            assert!(began.elapsed() < self.size.patience, "not in {:?}: {what}", self.size.patience);
            thread::sleep(Duration::from_millis(200));
        }
    }

    fn suspects(&self) -> f64 {
        self.fulcrum.metric("fulcrum_registry_suspects", &[])
    }

    #[track_caller]
    fn assert_traffic(&self) {
        assert_eq!(self.fulcrum.get("/").status, 200);
    }
}

/// A listener on one port of every address of this host, which answers every request.
fn answer_everywhere() -> u16 {
    let listener = TcpListener::bind("0.0.0.0:0").expect("a free port");
    let port = listener.local_addr().expect("it is bound").port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let small = thread::Builder::new().stack_size(64 << 10);
            small.spawn(move || answer(stream)).expect("a thread");
        }
    });
    port
}

/// Until the other side ends.
fn answer(mut stream: TcpStream) {
    let mut request = [0; 4096];
    while stream.read(&mut request).is_ok_and(|read| read > 0) {
        if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").is_err() {
            return;
        }
    }
}

/// Half of a fleet falls silent, is held, and comes back: all is as before.
#[track_caller]
pub(crate) fn is_held(size: Size) -> Cost {
    let scene = Scene::start(size, "10m");
    let half = scene.fleet.len() / 2;
    register::all(scene.registry(), &scene.fleet).expect("all are registered");
    let cpu = || scene.fulcrum.metric("fulcrum_process_cpu_seconds_total", &[]);
    let (began, before) = (Instant::now(), cpu());
    scene.beating(1, || scene.await_all_up());
    let beat = scene.beating(2, || {
        scene.within("all who are silent are suspect", || scene.suspects() >= half as f64);
        assert_eq!(scene.fulcrum.metric("fulcrum_registry_frozen", &[]), 1.0);
        let registry = scene.fulcrum.status()["registry"].clone();
        let found = (&registry["mood"], &registry["suspects"], &registry["instances"]);
        assert_eq!(found, (&"frozen".into(), &half.into(), &scene.fleet.len().into()));
        assert_eq!(registry["first_suspects"][0]["hold"], "mass_lapse");
        assert_eq!(scene.endpoints(), (scene.followed(), scene.followed()));
        scene.assert_traffic();
    });
    scene.beating(1, || {
        scene.within("all are believed again", || scene.suspects() == 0.0);
        scene.within("and nothing is held", || scene.fulcrum.metric("fulcrum_registry_frozen", &[]) == 0.0);
    });
    let cores = (cpu() - before) / began.elapsed().as_secs_f64();
    assert_eq!(scene.fulcrum.status()["registry"]["mood"], "normal");
    assert_eq!(scene.fulcrum.metric("fulcrum_registry_evictions_total", &[]), 0.0);
    assert_eq!(scene.fulcrum.metric("fulcrum_registry_instances", &[]), scene.fleet.len() as f64);
    scene.await_all_up();
    scene.assert_traffic();
    Cost { beat, cores }
}

const SMALL: Size = Size { instances: 2000, ttl: "4s", rate: 1000, patience: Duration::from_secs(30) };

#[test]
fn half_of_all_fall_silent_and_come_back() {
    is_held(SMALL);
}

/// When it is believed in the end, whoever can be reached stays all the same.
#[test]
fn who_can_be_reached_stays_when_the_hold_ends() {
    let scene = Scene::start(SMALL, "2s");
    register::all(scene.registry(), &scene.fleet).expect("all are registered");
    scene.beating(1, || scene.await_all_up());
    scene.beating(2, || {
        let unseen = (scene.fleet.len() - scene.followed()) / 2;
        let evicted = || scene.fulcrum.metric("fulcrum_registry_evictions_total", &[]);
        scene.within("everyone else is removed", || evicted() == unseen as f64);
        assert_eq!(scene.endpoints(), (scene.followed(), scene.followed()));
        assert_eq!(scene.suspects(), scene.followed() as f64 / 2.0);
    });
    let suspects = scene.fulcrum.status()["registry"]["first_suspects"].clone();
    let suspects = suspects.as_array().expect("a list");
    assert!(suspects.iter().all(|suspect| suspect["hold"] == "reachable"), "{suspects:?}");
    eventually("traffic flows", || (scene.fulcrum.get("/").status == 200).then_some(()));
}
