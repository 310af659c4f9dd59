//! What was kept is found again, whatever happened in between.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use fulcrum_balance::Rng;
use fulcrum_model::Registration;

use super::disk::Disk;
use super::*;
use crate::state::{Bounds, Command, Incarnation, Leave, MayTouch, Now, Register, State, testing};

fn now() -> Now {
    Now { lease: Duration::ZERO, wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000) }
}

fn random_command(rng: &mut Rng) -> Command {
    let key = Key {
        service: ["web", "api"][rng.below(2) as usize].parse().expect("a name"),
        id: format!("i{}", rng.below(20)).parse().expect("an id"),
    };
    let principal = "t".into();
    if rng.below(3) == 0 {
        return Command::Leave(Leave { key, epoch: None, drain: None, principal, may_touch: MayTouch::All });
    }
    let registration = Registration {
        port: (1000 + rng.below(9) as u16).try_into().expect("a port"),
        ..testing::with(|traits| {
            traits.meta = [("v", "x".repeat(rng.below(3000) as usize).into())].into_iter().collect();
        })
    };
    let incarnation = Incarnation(u128::from(rng.next_u64()));
    Command::Register(Register { incarnation, ..testing::register(key, registration) })
}

/// The state of what a store holds.
fn state_of(image: Image) -> State {
    let mut state = State::new(image.sequence, Bounds::default());
    for instance in image.instances {
        state.restore(instance, now());
    }
    for (service, departure) in image.departed {
        state.remember(service, departure);
    }
    state
}

/// Whom a state holds, in an order. Without what only its process knows.
fn contents(state: &State) -> Vec<String> {
    let mut services: Vec<ServiceName> = state.services().map(|(name, _)| name.clone()).collect();
    services.sort();
    let instances = services.iter().flat_map(|service| state.instances(service));
    instances.map(|(instance, _)| format!("{instance:?}")).collect()
}

/// Applies a few commands as one batch; what they change is kept, or not done.
fn step(state: &mut State, store: &mut Embedded, rng: &mut Rng) -> Result<(), StoreError> {
    let mut changes = Vec::new();
    for _ in 0..=rng.below(4) {
        if let Ok(done) = state.apply(random_command(rng), now()) {
            changes.extend(done.changes);
        }
    }
    let kept = store.commit(&changes);
    if kept.is_err() {
        state.undo(changes);
    }
    kept
}

/// Power fails again and again over one history, at another place for each seed.
fn power_fails(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let mut rng = Rng::from_seed(seed);
        let mut disk = Disk::new(u64::from(rng.below(400)));
        let (mut kept, mut highest) = (Vec::new(), Sequence(0));
        let mut has_begun = false;
        for _ in 0..4 {
            let mut attempted = kept.clone();
            if let Ok((mut store, image)) = Embedded::over(disk.clone(), seed) {
                assert!(image.sequence >= highest, "seed {seed}: a number is given out twice");
                has_begun = true;
                let mut state = state_of(image);
                (kept, attempted) = until_it_fails(&mut state, &mut store, &mut rng);
                highest = state.sequence();
            }
            let operations = u64::from(rng.below(400)) + 100;
            disk = disk.after_power_failure(&mut rng, operations);
            let image = match Embedded::over(disk.copy(), seed) {
                Ok((_, image)) => image,
                // A file gets its name when it is whole: before that it is nobody's.
                Err(_) if !has_begun => {
                    disk = Disk::new(operations);
                    continue;
                }
                Err(error) => panic!("seed {seed}: a store does not survive its power failing: {error}"),
            };
            has_begun = true;
            if seed % AS_A_FILE == 0 {
                opens_as_a_file(&disk, seed, &image);
            }
            let found = contents(&state_of(image));
            assert!(found == kept || found == attempted, "seed {seed}: something acknowledged is lost");
            kept = found;
        }
    }
}

/// What a daemon finds that starts: it reads every page first, and refuses a file that is not whole.
fn opens_as_a_file(disk: &Disk, seed: u64, expected: &Image) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("registry.redb");
    std::fs::write(&path, disk.bytes()).expect("a file");
    let (_, image) = Embedded::open(&path, seed)
        .unwrap_or_else(|error| panic!("seed {seed}: a daemon does not survive its power failing: {error}"));
    assert_eq!((image.epoch, image.sequence), (expected.epoch, expected.sequence), "seed {seed}");
    assert!(image.instances == expected.instances, "seed {seed}: another state");
    assert!(image.departed == expected.departed, "seed {seed}: others have gone");
}

/// Of so many histories one is opened as a daemon does, with syncs to a real disk.
const AS_A_FILE: u64 = 4;

/// What was acknowledged; and what the batch would have made that was not, and may be there nevertheless, as a whole.
fn until_it_fails(state: &mut State, store: &mut Embedded, rng: &mut Rng) -> (Vec<String>, Vec<String>) {
    loop {
        let before = (state.sequence(), contents(state));
        let mut rng_before = rng.clone();
        if step(state, store, rng).is_err() {
            assert_eq!((state.sequence(), contents(state)), before, "not undone");
            return (before.1, ahead(state, &mut rng_before));
        }
    }
}

/// What the batch that failed would have made.
fn ahead(state: &mut State, rng: &mut Rng) -> Vec<String> {
    let mut changes = Vec::new();
    for _ in 0..=rng.below(4) {
        if let Ok(done) = state.apply(random_command(rng), now()) {
            changes.extend(done.changes);
        }
    }
    let contents = contents(state);
    state.undo(changes);
    contents
}

#[test]
fn nothing_acknowledged_is_lost_when_the_power_fails() {
    power_fails(0..200);
}

/// The long form.
#[test]
#[ignore = "minutes: make soak"]
fn nothing_acknowledged_is_lost_when_the_power_fails_thousands_of_times() {
    power_fails(1000..4000);
}

#[test]
fn a_full_disk_refuses_changes_and_takes_them_again_when_there_is_room() {
    let disk = Disk::new(u64::MAX);
    let mut rng = Rng::from_seed(1);
    let (mut store, image) = Embedded::over(disk.clone(), 1).expect("a new store");
    let mut state = state_of(image);
    while state.len() < 5 {
        step(&mut state, &mut store, &mut rng).expect("there is room");
    }
    let before = contents(&state);
    disk.fill(true);
    while step(&mut state, &mut store, &mut rng).is_ok() {}
    assert_eq!(contents(&state), before);
    disk.fill(false);
    drop(store);
    let (mut store, image) =
        Embedded::over(disk.after_power_failure(&mut rng, u64::MAX), 1).expect("it is whole");
    assert_eq!(contents(&state_of(image)), before);
    step(&mut state, &mut store, &mut rng).expect("there is room again");
}

/// Nothing half made is ever found under the file's name, and nothing is left beside it.
#[test]
fn a_new_file_has_its_name_when_it_is_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("registry.redb");
    drop(Embedded::open(&path, 7).expect("a new file"));
    let names = std::fs::read_dir(folder.path()).expect("the folder").map(|entry| entry.expect("an entry"));
    assert_eq!(names.map(|entry| entry.file_name()).collect::<Vec<_>>(), ["registry.redb"]);
    std::fs::write(&path, "").expect("an empty file");
    assert!(matches!(Embedded::inspect(&path), Err(OpenError::Corrupt { .. })));
    let (_, image) = Embedded::open(&path, 8).expect("whoever made room for it wants it to begin there");
    assert_eq!(image.epoch, StoreEpoch(8));
    let missing = folder.path().join("missing/registry.redb");
    assert!(matches!(Embedded::open(&missing, 9), Err(OpenError::Io { .. })));
}

#[test]
fn numbers_and_history_outlive_the_process() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("registry.redb");
    let (mut store, image) = Embedded::open(&path, 7).expect("a new file");
    assert_eq!((image.epoch, image.sequence), (StoreEpoch(7), Sequence(0)));
    let mut state = state_of(image);
    let mut rng = Rng::from_seed(2);
    for _ in 0..20 {
        step(&mut state, &mut store, &mut rng).expect("kept");
    }
    let holder = match Embedded::open(&path, 8) {
        Err(OpenError::InUse { holder, .. }) => holder,
        other => panic!("{other:?}"),
    };
    assert_eq!(holder, Some(std::process::id()));
    drop(store);
    let (_, image) = Embedded::open(&path, 8).expect("its own file");
    assert_eq!(image.epoch, StoreEpoch(7), "the same history");
    assert!(image.sequence > state.sequence());
    assert_eq!(contents(&state_of(image)), contents(&state));
}

#[test]
fn a_file_that_is_not_whole_is_refused_and_left_as_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let check = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("a file");
        let opened = Embedded::open(&path, 1).map(|_| ());
        assert!(matches!(opened, Err(OpenError::Corrupt { .. })), "{name}: {opened:?}");
        assert_eq!(std::fs::read(&path).expect("the file"), bytes, "{name} was touched");
    };
    check("text", b"not a registry at all");
    let path = folder.path().join("whole");
    drop(Embedded::open(&path, 1).expect("a new file"));
    let whole = std::fs::read(&path).expect("the file");
    check("truncated", &whole[..whole.len() / 2]);
    let foreign = folder.path().join("foreign");
    let database = Database::create(&foreign).expect("a file");
    let transaction = database.begin_write().expect("begun");
    transaction.open_table(TableDefinition::<u64, u64>::new("theirs")).expect("a table");
    transaction.commit().expect("written");
    drop(database);
    assert!(matches!(Embedded::open(&foreign, 1), Err(OpenError::Corrupt { .. })));
}

#[test]
fn a_file_of_a_later_release_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("registry.redb");
    let (store, _) = Embedded::open(&path, 1).expect("a new file");
    let transaction = store.database.begin_write().expect("begun");
    transaction.open_table(META).expect("a table").insert("format", FORMAT + 1).expect("written");
    transaction.commit().expect("written");
    drop(store);
    assert!(matches!(Embedded::open(&path, 1), Err(OpenError::Later { found: 2, .. })));
}

/// Whom a file holds that was damaged, or why it is refused; how it was left is checked.
fn opened_damaged(path: &Path, bytes: &[u8]) -> Result<Vec<String>, OpenError> {
    std::fs::write(path, bytes).expect("a file");
    let inspected = Embedded::inspect(path).map(|image| contents(&state_of(image)));
    assert!(std::fs::read(path).expect("the file") == bytes, "it was touched by a look");
    let opened = Embedded::open(path, 1).map(|(_, image)| contents(&state_of(image)));
    match &opened {
        Ok(opened) => assert_eq!(opened, inspected.as_ref().expect("the look said the same")),
        Err(_) => {
            assert!(inspected.is_err(), "the look said otherwise");
            assert!(std::fs::read(path).expect("the file") == bytes, "it was touched");
        }
    }
    opened
}

/// Wherever a file is damaged: it holds what it held, or it is refused and stays as it is.
#[test]
fn damage_anywhere_is_noticed_before_anything_is_written() {
    damage(100);
}

/// The long form.
#[test]
#[ignore = "minutes: make soak"]
fn damage_is_noticed_at_thousands_of_places() {
    damage(4000);
}

fn damage(damages: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("registry.redb");
    let (mut store, image) = Embedded::open(&path, 7).expect("a new file");
    let (mut state, mut rng) = (state_of(image), Rng::from_seed(3));
    let mut histories = vec![contents(&state)];
    for _ in 0..40 {
        step(&mut state, &mut store, &mut rng).expect("kept");
        let now = contents(&state);
        if histories.last() != Some(&now) {
            histories.push(now);
        }
    }
    let killed = std::fs::read(&path).expect("the file");
    drop(store);
    let closed = std::fs::read(&path).expect("the file");
    let [.., before, held] = &histories[..] else { panic!("nothing happened") };
    let mut refused = 0;
    for (name, whole) in [("closed", &closed), ("killed", &killed)] {
        assert_eq!(opened_damaged(&path, whole).expect(name), *held, "{name}");
        for _ in 0..damages {
            let mut bytes = whole.clone();
            let place = rng.below(bytes.len() as u32) as usize;
            let end = (place + 1 + rng.below(64) as usize).min(bytes.len());
            bytes[place..end].iter_mut().for_each(|byte| *byte ^= 0x5a);
            match opened_damaged(&path, &bytes) {
                Err(OpenError::Corrupt { .. } | OpenError::Later { .. }) => refused += 1,
                Err(other) => panic!("{name}, {place}: {other}"),
                Ok(found) if found == *held => {}
                // Nobody can tell it from a commit that was under way, and never acknowledged.
                Ok(found) if name == "killed" && found == *before => {}
                Ok(found) => panic!("{name}, damaged at {place}: {} instead of {}", found.len(), held.len()),
            }
        }
    }
    assert!(refused > damages / 10, "{refused} were noticed");
}

/// What instances say alike is in memory once from the first moment on.
#[test]
fn what_instances_have_in_common_is_read_once() {
    let disk = Disk::new(u64::MAX);
    let (mut store, image) = Embedded::over(disk.clone(), 1).expect("an empty disk");
    let mut state = state_of(image);
    for number in 0..9 {
        let said = testing::with(|traits| {
            traits.locality = Some(["a", "b"][number / 5].into());
            traits.meta = [("version", "1".into())].into_iter().collect();
        });
        let register = testing::register(testing::key("web", &format!("i{number}")), said);
        let changes = state.apply(Command::Register(register), now()).expect("registered").changes;
        store.commit(&changes).expect("there is room");
    }
    drop(store);
    let (_, image) = Embedded::over(disk, 1).expect("it is whole");
    let all = || image.instances.iter();
    let pointers: BTreeSet<_> = all().map(|instance| Arc::as_ptr(&instance.registration.traits)).collect();
    assert_eq!((all().len(), pointers.len()), (9, 2));
    let owners: BTreeSet<_> = all().map(|instance| instance.owner.as_ptr()).collect();
    let services: BTreeSet<_> = all().map(|instance| instance.key.service.as_str().as_ptr()).collect();
    assert_eq!((owners.len(), services.len()), (1, 1));
}
