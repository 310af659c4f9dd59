//! Looks, orders, checks and reloads at once: nobody waits for who builds, and no change is lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use fulcrum_model::RegionName;

use super::super::{Responder, bind};
use super::*;

fn names(version: u8) -> String {
    let mut text = String::new();
    for number in 0..200 {
        let _ = writeln!(
            text,
            "        n{number}: {{ policy: failover, regions: {{ eu: [10.0.0.{number}], us: [10.0.1.{number}] }}, health: {HEALTH} }}"
        );
    }
    let _ = writeln!(text, "        new: {{ policy: weighted, endpoints: [10.9.0.{version}] }}");
    text
}

fn start() -> Responder {
    let gslb = gslb(&names(1));
    let sockets = bind(&gslb).expect("free ports");
    let outside = Outside {
        service: Arc::new(|_| None),
        // It never ends: what is seen is what the test says.
        probe: Arc::new(|_, _| Box::pin(std::future::pending())),
    };
    Responder::start(next(&gslb), 1, sockets, outside, (None, [1; 16])).expect("it starts")
}

/// What is answered, and what would be if all of it were built now.
fn told(responder: &Responder) -> [Vec<String>; 2] {
    let _building = responder.building();
    let mut state = responder.state();
    let told = |choices: &Choices| choices.iter().map(crate::Choice::told).collect();
    let answered = told(&responder.snapshot().choices);
    // What is in force stays, and so what it was made of: what has come since is still to be answered.
    let in_force = state.answered.take();
    let job = state.job().expect("nothing is answered");
    state.answered = in_force;
    [answered, told(&job.build().choices)]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_builds_keeps_no_check_waiting() {
    let responder = start();
    let building = responder.building();
    let target = *responder.state().targets.keys().next().expect("something is checked");
    responder.state().checked(target, Err("refused".to_owned()), responder.now());
    assert!(responder.state().unsettled_targets.contains(&target));
    drop(building);
    responder.tick();
    let [answered, anew] = told(&responder);
    assert_eq!(answered, anew);
    responder.end();
}

/// As after a panic while a reload builds: the state is the new one, and what is answered is the old.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_never_built_is_built_with_its_names() {
    let responder = start();
    let more = gslb(&(names(2) + "        more: { policy: weighted, endpoints: [10.9.1.1] }\n"));
    let now = responder.now();
    responder.state().replace(next(&more), 2, now);
    let before = responder.snapshot();
    responder.tick();
    let [answered, anew] = told(&responder);
    assert_eq!(answered, anew);
    let snapshot = responder.snapshot();
    assert_eq!((snapshot.generation, answered.len()), (2, before.choices.iter().count() + 1));
    assert!(Arc::ptr_eq(&snapshot.names, &responder.compiled().names));
    responder.end();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_that_race_are_all_answered() {
    let responder = start();
    let runtime = tokio::runtime::Handle::current();
    let is_over = AtomicBool::new(false);
    let targets: Vec<Target> = responder.state().targets.keys().copied().collect();
    let region: RegionName = "us".parse().expect("a name");
    thread::scope(|scope| {
        let looker = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                responder.tick();
            }
        });
        let checker = scope.spawn(|| {
            for target in targets.iter().cycle().take(2000) {
                responder.state().checked(*target, Err("refused".to_owned()), responder.now());
            }
        });
        let orders = scope.spawn(|| {
            for _ in 0..20 {
                let until = SystemTime::now() + Duration::from_secs(1000);
                let order = Order { forced: Forced::Down, until, reason: "a test".into() };
                responder.order(&region, Some(order)).expect("it can be ordered");
                responder.order(&region, None).expect("it was ordered");
            }
        });
        for version in 2..12 {
            let _context = runtime.enter();
            let gslb = gslb(&names(version));
            let no_files = |_: &std::path::Path, _: &DnsName| unreachable!("there are no files");
            let next = Next::prepare(&gslb, &no_files, Some(&responder)).expect("nothing is wrong");
            let _ = responder.commit(next, version.into());
            let [answered, _] = told(&responder);
            let last = answered.last().expect("there are names");
            assert!(
                last.contains(&format!("10, 9, 0, {version}]")),
                "what was just put in force is answered: {last}"
            );
        }
        checker.join().expect("no panic");
        orders.join().expect("no panic");
        is_over.store(true, Ordering::Relaxed);
        looker.join().expect("no panic");
    });
    responder.tick();
    let [answered, anew] = told(&responder);
    assert_eq!(answered, anew);
    assert_eq!(responder.snapshot().generation, 11);
    responder.end();
}
