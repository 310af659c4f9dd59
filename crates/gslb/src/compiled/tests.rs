//! Zones that are kept answer as if they had been made anew.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use fulcrum_balance::Rng;

use super::*;
use crate::zone::file::read_with_texts;

/// Zones within zones, in files and in the configuration.
struct World {
    rng: Rng,
    folder: tempfile::TempDir,
    /// What changes: by zone, whether it is there, and the version of its names.
    zones: BTreeMap<&'static str, (bool, u32)>,
    /// The version of what policies answer.
    policies: u32,
}

const FILES: [&str; 3] = ["example.com", "sub.example.com", "b.a.sub.example.com"];
const INLINE: [&str; 3] = ["a.sub.example.com", "other.example", "in.other.example"];
const LABELS: [&str; 8] = ["www", "a", "b.a", "*", "x.y", "cut", "in", "alias"];

impl World {
    fn new(seed: u64) -> Self {
        let zones = FILES.iter().chain(&INLINE).map(|zone| (*zone, (true, 0))).collect();
        World {
            rng: Rng::from_seed(seed),
            folder: tempfile::tempdir().expect("a folder"),
            zones,
            policies: 0,
        }
    }

    fn step(&mut self) {
        let names: Vec<&str> = self.zones.keys().copied().collect();
        let zone = names[self.rng.below(names.len() as u32) as usize];
        let (is_there, version) = self.zones.get_mut(zone).expect("it is one of them");
        match self.rng.below(4) {
            0 => *is_there = !*is_there || zone == "other.example",
            1 => self.policies += 1,
            _ => *version = self.rng.below(4),
        }
    }

    /// The zones' files, and the configuration.
    fn write(&self) -> Gslb {
        let mut text =
            "version: 1\nstate_dir: /var/lib/fulcrum\ngslb:\n  bind: \"127.0.0.1:0\"\n  zones:\n".to_owned();
        for (zone, (_, version)) in self.zones.iter().filter(|(_, (is_there, _))| *is_there) {
            if FILES.contains(zone) {
                let path = self.folder.path().join(zone);
                std::fs::write(&path, file(zone, *version, &self.zones)).expect("a file");
                let _ = writeln!(text, "    {zone}: {{ file: {} }}", path.display());
            } else {
                let _ = write!(
                    text,
                    "    {zone}:\n      soa: {{ primary: ns, contact: hostmaster, serial: {version} }}\n      ns: [ns]\n      names:\n        \
                     ns: {{ a: 192.0.2.1 }}\n        v{version}: {{ txt: hello }}\n        p{}: {{ policy: weighted, endpoints: [192.0.2.{}] }}\n        \
                     q: {{ policy: weighted, endpoints: [192.0.2.{}, 192.0.2.9] }}\n",
                    version % 2,
                    version + 1,
                    self.policies % 200 + 10,
                );
            }
        }
        let loaded = fulcrum_config::load_text("test.yaml", &text, &|_| None);
        loaded.unwrap_or_else(|report| panic!("{report}\n{text}")).config.gslb.expect("it is there")
    }
}

/// The text of a zone: other names in each version, and delegations; nothing that a lower zone could hide.
fn file(zone: &str, version: u32, zones: &BTreeMap<&'static str, (bool, u32)>) -> String {
    let mut text = format!("$TTL 300\n@ SOA ns hostmaster {version} 1h 15m 1w 60\n@ NS ns\nns A 192.0.2.1\n");
    let _ = writeln!(text, "www A 192.0.2.{version}\nalias CNAME w.x.y\nw.x.y TXT v{version}\n@ MX 10 www");
    if version.is_multiple_of(2) {
        let _ = writeln!(
            text,
            "*.wild A 192.0.2.{version}\ncut NS ns.cut\nns.cut A 192.0.2.7\ncut DS 1 8 9 abcd"
        );
    } else {
        let _ = writeln!(text, "* TXT all\nb.c.d AAAA ::{version}");
    }
    if zone == "example.com" && zones["sub.example.com"].0 {
        let _ = writeln!(text, "sub NS ns.sub\nsub DS {version} 8 9 abcd\nns.sub A 192.0.2.8");
    }
    text
}

/// What is found of every name, with every type that makes a difference.
fn told(compiled: &Compiled) -> Vec<String> {
    let mut told = Vec::new();
    for zone in FILES.iter().chain(&INLINE) {
        for label in LABELS.iter().chain(&[
            "", "nope", "q", "p0", "p1", "x.q", "v1", "v2", "n.wild", "n.cut", "w.x.y", "b.c.d", "c.d",
        ]) {
            let name: DnsName = format!("{label}.{zone}").trim_start_matches('.').parse().expect("a name");
            for record_type in [1, 6, 15, 16, 28, 43, 255] {
                let (found, number) = compiled.names.find(name.as_wire(), record_type);
                let chosen = match found {
                    crate::names::Found::Choice(number, _) | crate::names::Found::Below(number, _) => {
                        Some(&compiled.chosen[number as usize].answer)
                    }
                    _ => None,
                };
                told.push(format!("{name} {record_type}: {found:?} {number} {chosen:?}"));
            }
        }
    }
    told.push(format!("{} {:?}", compiled.names.count(), compiled.names.zones().collect::<Vec<_>>()));
    told
}

#[test]
fn zones_that_are_kept_answer_as_if_they_were_made_anew() {
    let mut kept = 0;
    for seed in 0..10 {
        let mut world = World::new(seed);
        let read = |path: &Path, name: &DnsName| read_with_texts(path, name);
        let mut gslb = world.write();
        let mut compiled = Compiled::new(&gslb, &read, None).expect("nothing is wrong");
        for _ in 0..40 {
            world.step();
            let next = world.write();
            let incremental =
                Compiled::new(&next, &read, Some((&gslb, &compiled))).expect("nothing is wrong");
            let anew = Compiled::new(&next, &read, None).expect("nothing is wrong");
            assert_eq!(told(&incremental), told(&anew));
            let is_kept = |made: &&Arc<Made>| compiled.zones.iter().any(|before| Arc::ptr_eq(before, made));
            kept += incremental.zones.iter().filter(is_kept).count();
            (gslb, compiled) = (next, incremental);
        }
    }
    assert!(kept > 800, "{kept} of at most 2400 are kept");
}

#[test]
fn a_file_is_read_when_it_has_changed() {
    let mut world = World::new(1);
    let reads = Cell::new(0);
    let read = |path: &Path, name: &DnsName| {
        reads.set(reads.get() + 1);
        read_with_texts(path, name)
    };
    let mut gslb = world.write();
    let mut compiled = Compiled::new(&gslb, &read, None).expect("nothing is wrong");
    assert_eq!(reads.take(), 3);
    let mut check = |world: &World, expected: usize| {
        let next = world.write();
        compiled = Compiled::new(&next, &read, Some((&gslb, &compiled))).expect("nothing is wrong");
        gslb = next;
        assert_eq!(reads.take(), expected);
    };
    check(&world, 0);
    world.policies += 1;
    check(&world, 0);
    world.zones.insert("other.example", (true, 3));
    check(&world, 0);
    world.zones.insert("sub.example.com", (true, 1));
    check(&world, 1);
    // One that begins or ends changes the one above, too.
    world.zones.insert("b.a.sub.example.com", (false, 0));
    check(&world, 0);
    world.zones.insert("a.sub.example.com", (false, 0));
    check(&world, 1);
}

/// `cargo test --release -p fulcrum-gslb hundred_thousand -- --ignored --nocapture`: only a release is measured.
#[test]
#[ignore = "a measurement"]
#[allow(clippy::print_stdout, reason = "a measurement")]
fn a_hundred_thousand_names_are_kept_or_made_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("zone");
    let write = |version: u32| {
        let mut text =
            format!("$TTL 300\n@ SOA ns hostmaster {version} 1h 15m 1w 60\n@ NS ns\nns A 192.0.2.1\n");
        for name in 0..100_000u32 {
            let _ = writeln!(text, "h{name} A {}", std::net::Ipv4Addr::from(0x0a00_0000 + name + version));
        }
        std::fs::write(&path, text).expect("a file");
    };
    let text = format!(
        "version: 1\nstate_dir: /var/lib/fulcrum\ngslb:\n  bind: \"127.0.0.1:0\"\n  zones:\n    example.com: {{ file: {} }}\n",
        path.display()
    );
    let gslb = fulcrum_config::load_text("test.yaml", &text, &|_| None).expect("it is right").config.gslb;
    let gslb = gslb.expect("it is there");
    write(1);
    let mut compiled = Compiled::new(&gslb, &read_with_texts, None).expect("nothing is wrong");
    for (version, most) in [(1, 50), (2, 500)] {
        write(version);
        let began = std::time::Instant::now();
        compiled =
            Compiled::new(&gslb, &read_with_texts, Some((&gslb, &compiled))).expect("nothing is wrong");
        let took = began.elapsed();
        println!("version {version}: {took:?}");
        assert!(took.as_millis() < most, "{took:?}");
    }
}
