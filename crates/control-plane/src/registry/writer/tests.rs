//! The writer step by step, without its thread: a file that fails, and what goes on without it.

use std::path::Path;

use fulcrum_model::{Reach, Weight};

use super::*;
use crate::eviction::Policy;
use crate::state::{Bounds, Hold, Leave, MayTouch, testing};

fn open(folder: &Path) -> Writer {
    let file = folder.join("registry.redb");
    let settings = Settings { file, policy: Policy::default(), bounds: Bounds::default() };
    Writer::open(settings, Rng::from_seed(1), Instant::now()).expect("a new file").0
}

fn key(number: usize) -> Key {
    let id = format!("i{number}").parse().expect("an id");
    Key { service: "web".parse().expect("a name"), id }
}

fn registering(number: usize, ttl: Duration) -> Command {
    Command::Register(testing::register(key(number), testing::lasting(ttl)))
}

/// Has so many instances register; their leases end at once when `ttl` is zero.
fn register(writer: &mut Writer, count: usize, ttl: Duration) {
    let commands = (0..count).map(|number| registering(number, ttl));
    writer.do_all(commands.collect());
    assert_eq!(writer.state.len(), count);
}

/// A heartbeat that says a weight.
fn say(writer: &Writer, number: usize, weight: u16) {
    let key = key(number);
    let (_, lease) = writer.state.find(&key).expect("registered");
    if lease.weigh(Weight::new(weight).expect("not zero")) {
        writer.shared.weighed.add(&key, lease);
    }
}

/// How many weigh this, as is published.
fn weighing(writer: &Writer, weight: u16) -> usize {
    let published = writer.shared.contents.service(&key(0).service).expect("a service");
    published.entries.iter().filter(|entry| entry.instance.weight().get() == weight).count()
}

#[test]
fn a_file_that_fails_is_read_less_and_less_often() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut writer = open(folder.path());
    writer.store = None;
    let (other, _) = Embedded::open(&writer.file, 1).expect("nobody else has it");
    let mut waits = Vec::new();
    for _ in 0..7 {
        writer.reopen_at = Instant::now();
        let before = Instant::now();
        writer.reopen();
        assert!(writer.store.is_none(), "another has it");
        waits.push(writer.reopen_at.duration_since(before).as_secs());
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30]);
    drop(other);
    writer.reopen();
    assert!(writer.store.is_none(), "it is left alone");
    writer.reopen_at = Instant::now();
    writer.reopen();
    assert!(writer.store.is_some());
    assert_eq!(writer.reopen_after, REOPEN_FIRST);
}

/// Nothing of what heartbeats say, or that there are none, is written.
#[test]
fn weights_and_marks_need_no_room_on_the_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut writer = open(folder.path());
    register(&mut writer, 2, Duration::ZERO);
    writer.store = None;
    writer.reopen_at = Instant::now() + Duration::from_secs(3600);
    say(&writer, 0, 5);
    writer.weigh();
    assert_eq!(weighing(&writer, 5), 1);
    let silent: Vec<_> = (0..2).map(key).collect();
    for key in silent {
        let lease = Arc::clone(writer.state.find(&key).expect("registered").1);
        writer.silent.add(key, lease, Duration::ZERO);
    }
    // One can be reached and is marked, the other one would go, and cannot.
    let known = [(key(0).id, Reach::Reachable), (key(1).id, Reach::Failing)];
    let evidence: Evidence = Box::new(move |_| known.iter().cloned().collect());
    writer.judge(&evidence);
    let published = writer.shared.contents.service(&key(0).service).expect("a service");
    let marks: Vec<_> = published.entries.iter().map(|entry| entry.instance.suspect).collect();
    assert_eq!(marks, [Some(Hold::Reachable), None]);
    // A number that is not reserved might be given out again after a start.
    writer.reserved = Sequence(writer.state.sequence().0 + 1);
    say(&writer, 1, 6);
    writer.weigh();
    assert_eq!(weighing(&writer, 6), 0);
}

#[test]
fn many_weights_are_taken_a_batch_at_a_time_and_each_once_a_second() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut writer = open(folder.path());
    let all = BATCH + 100;
    register(&mut writer, all, Duration::from_secs(3600));
    (0..all).for_each(|number| say(&writer, number, 5));
    writer.weigh();
    assert_eq!(weighing(&writer, 5), BATCH);
    assert!(writer.weigh_at.is_some(), "the others have their turn");
    writer.weigh();
    assert_eq!((weighing(&writer, 5), writer.weigh_at), (all, None));
    say(&writer, 0, 6);
    writer.weigh();
    assert_eq!(weighing(&writer, 6), 0, "it has changed a moment ago");
    assert!(writer.weigh_at.is_some(), "it is not forgotten");
    // A second passes.
    writer.state.find(&key(0)).expect("registered").1.has_changed_weight(Duration::ZERO);
    writer.shared.stood_still.store(0, Ordering::Relaxed);
    while writer.now().lease < lease::WEIGHED_EVERY {
        std::thread::yield_now();
    }
    writer.weigh();
    assert_eq!((weighing(&writer, 6), writer.weigh_at), (1, None));
}

/// Asks as a client does; what the answer is.
fn ask(writer: &mut Writer, command: Command) -> Result<(), Failure> {
    let (answer, mut outcome) = oneshot::channel();
    writer.serve(vec![Request { command, answer }]);
    outcome.try_recv().expect("it is answered").map(|_| ())
}

fn leaving(number: usize) -> Command {
    let principal = "t".into();
    Command::Leave(Leave { key: key(number), epoch: None, drain: None, principal, may_touch: MayTouch::All })
}

/// Whom the next process finds, and who has gone.
fn after_a_start(writer: Writer) -> (Vec<Key>, Vec<Key>) {
    let (file, epoch, last) = (writer.file.clone(), writer.shared.epoch, writer.state.sequence());
    drop(writer);
    let (_, image) = Embedded::open(&file, 7).expect("it is whole");
    assert_eq!(image.epoch, epoch, "the history goes on");
    assert!(image.sequence >= last, "no number is given out twice");
    let departed = image.departed.into_iter().map(|(service, departure)| Key { service, id: departure.id });
    (image.instances.into_iter().map(|instance| instance.key).collect(), departed.collect())
}

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_file_that_was_removed_is_made_anew_before_the_next_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut writer = open(folder.path());
    register(&mut writer, 2, HOUR);
    ask(&mut writer, leaving(1)).expect("it was there");
    std::fs::remove_file(&writer.file).expect("it was there");
    ask(&mut writer, registering(2, HOUR)).expect("the folder is there");
    assert!(writer.shared.counters.is_writable.load(Ordering::Relaxed));
    assert_eq!(after_a_start(writer), (vec![key(0), key(2)], vec![key(1)]));
}

#[test]
fn a_copy_from_before_in_the_place_of_the_file_is_brought_up_to_date() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut writer = open(folder.path());
    register(&mut writer, 2, HOUR);
    let copy = folder.path().join("copy");
    std::fs::copy(&writer.file, &copy).expect("a copy");
    ask(&mut writer, leaving(1)).expect("it was there");
    ask(&mut writer, registering(2, HOUR)).expect("there is room");
    std::fs::rename(&copy, &writer.file).expect("a copy");
    writer.reopen();
    assert_eq!(after_a_start(writer), (vec![key(0), key(2)], vec![key(1)]));
}

#[test]
fn another_registry_in_the_place_of_the_file_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut writer = open(folder.path());
    register(&mut writer, 2, HOUR);
    let [other, aside] = ["other", "aside"].map(|name| folder.path().join(name));
    drop(Embedded::open(&other, 99).expect("a new file"));
    std::fs::rename(&writer.file, &aside).expect("it was there");
    std::fs::rename(&other, &writer.file).expect("it was there");
    assert_eq!(ask(&mut writer, registering(2, HOUR)), Err(Failure::Store));
    assert!(!writer.shared.counters.is_writable.load(Ordering::Relaxed), "it is shown");
    assert_eq!(writer.state.len(), 2);
    // Nothing of ours is in it, and ours goes on when it is back.
    let (_, image) = Embedded::open(&writer.file, 1).expect("nobody has it");
    assert_eq!((image.epoch.0, image.instances.len()), (99, 0));
    std::fs::rename(&aside, &writer.file).expect("it was there");
    writer.reopen_at = Instant::now();
    ask(&mut writer, registering(2, HOUR)).expect("it is back");
    assert_eq!(after_a_start(writer).0, [key(0), key(1), key(2)]);
}
