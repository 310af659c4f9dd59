//! Files and sections that cannot be: each is refused by name, with its place, and what was there before is served on.

use std::fs;
use std::path::PathBuf;

use super::mmdb::{Writer, nested};
use super::yaml;
use crate::harness::{Fulcrum, eventually, fulcrum};

const MORE: &str = "  geo: { nets: \"@DIR@/nets.txt\", database: \"@DIR@/places.mmdb\", default: us }\n  regions: { eu: { match: \"continent:EU\" }, us: { match: default } }\n";
const WWW: &str = "        www: { policy: geo, regions: { eu: [203.0.113.1], us: [203.0.113.2] } }\n";
const NETS: &str = "198.51.100.0/24 eu\n";
const ZONE: &str =
    "$TTL 300\n@ SOA ns1 hostmaster 1 1h 10m 14d 60\n@ NS ns1\nns1 A 192.0.2.53\nwww A 192.0.2.1\n";

/// A database in which 192.0.2.0/24 is in Germany.
fn database() -> Vec<u8> {
    let place = nested("EU", "DE", "HE", (50.1, 8.7));
    Writer::v4(24).insert("192.0.2.0/24", &place).finish()
}

/// A daemon with everything that can be wrong.
struct Daemon(Fulcrum);

impl Daemon {
    fn start() -> Self {
        let directory = tempfile::tempdir().expect("room for a directory");
        fs::write(directory.path().join("places.mmdb"), database()).expect("room for a file");
        fs::write(directory.path().join("nets.txt"), NETS).expect("room for a file");
        fs::write(directory.path().join("zone"), ZONE).expect("room for a file");
        let daemon = Daemon(Fulcrum::start_in(directory, &good()));
        daemon.serves_on("at first");
        daemon
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.directory().join(name)
    }

    /// The answers that the database, the nets, the configuration and the zone file make.
    #[track_caller]
    fn serves_on(&self, why: &str) {
        for (name, subnet, expected) in [
            ("www.example.com", "192.0.2.0/24", "203.0.113.1"),
            ("www.example.com", "198.51.100.0/24", "203.0.113.1"),
            ("www.example.com", "203.0.113.0/24", "203.0.113.2"),
            ("www.example.net", "192.0.2.0/24", "192.0.2.1"),
        ] {
            assert_eq!(self.0.resolve(name, &[&format!("+subnet={subnet}")]), [expected], "{why}");
        }
    }

    /// A reload, and a check of the same, are refused with all of these words.
    #[track_caller]
    fn refuses(&self, words: &[&str]) {
        let reload = self.0.reload_with(&["--wait"]);
        let check = fulcrum(["check", "-c", &self.0.file().display().to_string()]);
        for output in [reload, check] {
            let told = format!("{}{}", output.stdout, output.stderr);
            assert_ne!(output.code, Some(0), "{told}");
            for word in words {
                let word = word.replace("@DIR@", &self.0.directory().display().to_string());
                assert!(told.contains(&word), "no {word:?} in {told}");
            }
        }
        self.serves_on(&words.join(" "));
    }
}

fn good() -> String {
    format!("{}    example.net: {{ file: \"@DIR@/zone\" }}\n", yaml(WWW, MORE))
}

#[test]
fn a_wrong_database_changes_nothing() {
    let daemon = Daemon::start();
    let file = daemon.file("places.mmdb");
    let good = database();
    let mut broken = good.clone();
    // The first node points behind the end of everything.
    broken[..7].fill(0xff);
    for bytes in [
        Vec::new(),
        b"192.0.2.0/24 eu\n".repeat(100),
        good[..good.len() / 2].to_vec(),
        good[..good.len() - 1].to_vec(),
        good[20..].to_vec(),
        broken,
    ] {
        fs::write(&file, bytes).expect("room for a file");
        daemon.refuses(&["@DIR@/places.mmdb"]);
    }
    fs::remove_file(&file).expect("it is there");
    daemon.refuses(&["@DIR@/places.mmdb", "No such file"]);
    fs::write(&file, good).expect("room for a file");
    assert_eq!(daemon.0.reload_with(&["--wait"]).code, Some(0), "and then all is well");
    daemon.serves_on("after all");
}

#[test]
fn wrong_nets_change_nothing() {
    let daemon = Daemon::start();
    for (text, words) in [
        ("192.0.2.0/24 eu\n10.0.0.0/8 mars\n", "line 2"),
        ("192.0.2.0/24 eu\n\n192.0.2.0/24 us\n", "line 3"),
        ("192.0.2.1/24 eu\n", "line 1"),
        ("192.0.2.0/24", "line 1"),
    ] {
        fs::write(daemon.file("nets.txt"), text).expect("room for a file");
        daemon.refuses(&["@DIR@/nets.txt", words]);
    }
}

#[test]
fn wrong_zones_change_nothing() {
    let daemon = Daemon::start();
    let inner = "    inner.example.com:\n      soa: { primary: ns1.example.com., contact: h.example.com. }\n      ns: [ns1.example.com.]\n      names: {}\n";
    // Each with the line of the configuration that it stands in.
    for (place, more, words) in [
        ("www", "        www: { cname: a, a: 192.0.2.1 }\n".to_owned(), &["CNAME"][..]),
        ("www", "        www.example.org.: { a: 192.0.2.1 }\n".to_owned(), &["www.example.org."]),
        (
            "www",
            format!("        www.inner: {{ txt: x }}\n{inner}"),
            &["www.inner.example.com.", "inner.example.com."],
        ),
        ("EXAMPLE", "    EXAMPLE.com.: { file: \"@DIR@/zone\" }\n".to_owned(), &["example.com"]),
        (
            "example.net",
            "    example.net: { file: \"@DIR@/zone\", ns: [a.example.org.] }\n".to_owned(),
            &["file"],
        ),
    ] {
        let yaml = yaml("", MORE) + &more;
        daemon.0.move_config(&yaml);
        let line = yaml.lines().position(|line| line.contains(place)).expect("it is there") + 1;
        daemon.refuses(&[words, &[&format!("fulcrum.yaml:{line}:")]].concat());
    }
    daemon.0.move_config(&good());
    for (text, words) in [
        (ZONE.replace("www A 192.0.2.1\n", "www A 192.0."), "line 5: "),
        (ZONE.replace("www A 192.0.2.1\n", "www TXT \"cut o"), "line 5: "),
        (
            ZONE.replace("ns1 A", "ns1.example.com. A"),
            "line 4: ns1.example.com. is not in the zone example.net.",
        ),
        (format!("{ZONE}www CNAME ns1\n"), "line 6: www.example.net. has a CNAME and something else"),
        (ZONE[..20].to_owned(), "line 2: "),
    ] {
        fs::write(daemon.file("zone"), text).expect("room for a file");
        daemon.refuses(&["@DIR@/zone", words]);
    }
    // One zone of a file above another one: what it has below can never be answered.
    fs::write(daemon.file("zone"), format!("{ZONE}www.inner A 192.0.2.7\n")).expect("room for a file");
    let inner = inner.replace("example.com:", "example.net:");
    daemon.0.move_config(&format!("{}{inner}", good()));
    daemon.refuses(&["@DIR@/zone", "line 6: ", "www.inner.example.net.", "inner.example.net."]);
}

/// Whoever renews a database need not tell; one that was cut off changes nothing.
#[test]
fn a_database_is_read_by_itself_when_it_changes() {
    let daemon = Daemon::start();
    let whole = database();
    fs::write(daemon.file("places.mmdb"), &whole[..whole.len() / 2]).expect("it is written");
    eventually("it is refused", || daemon.0.child.stderr().contains("reload refused").then_some(()));
    daemon.serves_on("a database cut in two");
    let elsewhere = Writer::v4(24).insert("203.0.113.0/24", &nested("EU", "FR", "IDF", (48.9, 2.4))).finish();
    fs::write(daemon.file("new.mmdb"), elsewhere).expect("it is written");
    fs::rename(daemon.file("new.mmdb"), daemon.file("places.mmdb")).expect("it is moved");
    eventually("clients of the new network", || {
        let found = daemon.0.resolve("www.example.com", &["+subnet=203.0.113.0/24"]);
        (found == ["203.0.113.1"]).then_some(())
    });
    let told = daemon.0.child.stderr();
    assert!(told.contains("reloaded: files ~1 (") && told.contains("places.mmdb)"), "{told}");
}
