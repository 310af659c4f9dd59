//! Every row of what has to be so, by two witnesses that know nothing of this server: dnspython (witness) and dig.
//!
//! | rows | dnspython | dig | else |
//! |---|---|---|---|
//! | R1 – R7 header and parsing | all | R2 – R5 | R7 fuzz target `query` |
//! | R8 – R15 authority | all | all | |
//! | R16 DNAME | | | refused when it is read: here |
//! | R17 – R19 transfers, classes, ANY | all | all | |
//! | R20 – R26 EDNS | all | all | R25 RFC 9018's own examples: crates/gslb, `cookie` |
//! | R27 – R31 subnets of clients | all | R27, R28, R31 | scopes of random maps: crates/gslb, `geo` |
//! | R32 transport | all | | `answers` |
//! | R33 reloads | all rows, during reloads | | `changes` |
//! | R34 no signatures | all | all | |

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::start_with;
use crate::harness::{Fulcrum, fulcrum};

/// The configuration that has everything that rows ask for, at this address and in this turn.
fn everything(bind: &str, turn: u8) -> String {
    let many: Vec<String> = (1..=200).map(|number| format!("192.0.2.{number}")).collect();
    let text: Vec<String> = ['a', 'b', 'c', 'd'].map(|letter| letter.to_string().repeat(220)).to_vec();
    include_str!("rows.yaml")
        .replace("@BIND@", bind)
        .replace("@TURN@", &turn.to_string())
        .replace("@MANY@", &format!("[{}]", many.join(", ")))
        .replace("@TEXT@", &format!("[{}]", text.join(", ")))
}

fn start(bind: &str) -> Fulcrum {
    let files = [
        ("nets.txt", "192.0.2.0/24 eu\n198.51.100.128/25 eu\n2001:db8::/32 eu\n127.0.0.7 eu\n"),
        ("cookie.new", "e5e973e5a6b2a43f48e7dc849e37bfcf\n"),
        ("cookie.old", "dd3bdf9344b678b185a6f5cb60fca715\n"),
    ];
    start_with(&everything(bind, 1), &files)
}

/// All rows, while the configuration is exchanged all the time, every other time for one that is refused.
#[test]
fn dnspython_finds_every_row_so() {
    let fulcrum = start(":0");
    let mut witness = Witness::start(&fulcrum);
    let mut turns = (1..=250).cycle();
    let status = loop {
        if let Some(status) = witness.0.try_wait().expect("our child") {
            break status;
        }
        let turn = turns.next().expect("it has no end");
        fulcrum.move_config(&everything(":0", turn));
        assert_eq!(fulcrum.reload_with(&["--wait"]).code, Some(0));
        fulcrum.move_config(
            &everything(":0", turn).replace("other: { cname: one }", "other: { cname: one, a: 192.0.2.1 }"),
        );
        assert_eq!(fulcrum.reload_with(&["--wait"]).code, Some(1));
    };
    let told = fs::read_to_string(fulcrum.directory().join("told")).expect("it was written");
    assert!(status.success(), "{told}");
    let mut shown: Vec<&str> =
        told.lines().filter_map(|line| line.split_once(" ok: ")).map(|(row, _)| row).collect();
    shown.sort_unstable();
    let mut rows: Vec<String> = (1..=34).filter(|row| *row != 16).map(|row| format!("R{row}")).collect();
    rows.push("ECS".to_owned());
    rows.sort_unstable();
    assert_eq!(shown, rows, "no row is left out");
}

/// The program that asks, until it is dropped. What it says goes to the file `told`.
struct Witness(Child);

impl Witness {
    #[track_caller]
    fn start(fulcrum: &Fulcrum) -> Self {
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let python = top.join("target/dnspython/bin/python");
        assert!(python.exists(), "{} is missing: `make dnspython` installs it", python.display());
        let port = fulcrum.dns().rsplit(':').next().expect("a port");
        let told = File::create(fulcrum.directory().join("told")).expect("room for a file");
        let mut command = Command::new(python);
        command.args([top.join("tests/dns/witness").as_os_str(), port.as_ref()]);
        command.env("PYTHONDONTWRITEBYTECODE", "1").stdin(Stdio::null()).stdout(told);
        Witness(command.spawn().expect("it is there"))
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What dig is told, in one text: status and flags, answers and authority, sorted.
#[track_caller]
fn told(fulcrum: &Fulcrum, arguments: &str) -> (String, Vec<String>, Vec<String>, String) {
    let dig = fulcrum.dig(&arguments.split(' ').collect::<Vec<_>>());
    assert!(!dig.text.contains("WARNING: Message") && !dig.text.contains("bad"), "{}", dig.text);
    let (mut answers, mut authority) = (dig.answers, dig.authority);
    answers.sort();
    authority.sort();
    (format!("{} {}", dig.status, dig.flags), answers, authority, dig.text)
}

#[track_caller]
fn check(fulcrum: &Fulcrum, arguments: &str, head: &str, answers: &[&str], authority: &[&str]) {
    let found = told(fulcrum, arguments);
    assert_eq!(found.0, head, "{}", found.3);
    assert_eq!((&found.1[..], &found.2[..]), (&*owned(answers), &*owned(authority)), "{}", found.3);
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

const START: &str = "example.com. 60 IN SOA ns1.example.com. hostmaster.example.com. 1 3600 600 1209600 60";

/// R2 – R5.
#[test]
fn dig_finds_headers_so() {
    let fulcrum = start("127.0.0.1:0");
    let check = |arguments: &str, head: &str| check(&fulcrum, arguments, head, &[], &[]);
    check("+header-only +noedns", "FORMERR qr rd");
    check("+header-only", "FORMERR qr rd");
    check("+header-only +cookie=0123456789abcdef", "NOERROR qr rd");
    for opcode in [1, 2, 3, 6, 7, 15] {
        check(&format!("www.example.com +opcode={opcode}"), "NOTIMP qr rd");
        check(&format!("+header-only +norec +noedns +opcode={opcode}"), "NOTIMP qr");
    }
    for (flags, back) in [
        ("+aaflag +adflag +raflag +tcflag +zflag", "NXDOMAIN qr aa rd"),
        ("+norec +adflag", "NXDOMAIN qr aa"),
        ("+cdflag", "NXDOMAIN qr aa rd cd"),
    ] {
        let found = told(&fulcrum, &format!("nowhere.example.com {flags}"));
        assert_eq!(found.0, back, "{}", found.3);
        assert!(!found.3.contains("MBZ"), "{}", found.3);
    }
    for more in ["", " +edns=1 +noednsneg", " +ednsopt=8:00", " +opcode=0"] {
        let found = told(&fulcrum, &format!("+question WwW.eXamplE.coM{more}"));
        assert!(found.3.contains(";WwW.eXamplE.coM."), "{}", found.3);
    }
}

/// R8 – R15, R17 – R19.
#[test]
fn dig_finds_authority_so() {
    let fulcrum = start("127.0.0.1:0");
    let check = |arguments: &str, head: &str, answers: &[&str], authority: &[&str]| {
        check(&fulcrum, arguments, head, answers, authority)
    };
    let (aa, none, denied) = ("NOERROR qr aa rd", &[][..], "NXDOMAIN qr aa rd");
    for outside in ["example.org", "com", ".", "-c CH version.bind TXT", "-c HS www.example.com"] {
        check(outside, "REFUSED qr rd", none, none);
    }
    for one in ["AAAA", "NS", "MX", "HTTPS", "TYPE666", "TLSA", "TYPE65280"] {
        check(&format!("weighted.example.com {one}"), aa, none, &[START]);
    }
    for one in ["empty.example.com", "there.wild.example.com", "_udp.example.com ANY", "cut.example.com DS"] {
        check(one, aa, none, &[START]);
    }
    check("www.empty.example.com", denied, none, &[START]);
    let inner = "inner.example.com. 30 IN SOA ns1.inner.example.com. hostmaster.inner.example.com. 1 3600 600 1209600 60";
    check("nowhere.inner.example.com", denied, none, &[inner]);
    check("inner.example.com SOA", aa, &[inner], none);
    check("inner.example.com NS", aa, &["inner.example.com. 30 IN NS ns1.inner.example.com."], none);
    check("service.example.com TYPE666", aa, &["service.example.com. 300 IN TYPE666 \\# 3 010203"], none);
    let (alias, www) = (
        "alias.example.com. 300 IN CNAME www.example.com.",
        ["www.example.com. 300 IN A 192.0.2.1", "www.example.com. 300 IN A 192.0.2.2"],
    );
    check("alias.example.com", aa, &[alias, www[0], www[1]], none);
    check("alias.example.com ANY", aa, &[alias], none);
    check("alias.example.com MX", aa, &[alias], &[START]);
    check("alias.example.com RRSIG", aa, none, &[START]);
    check(
        "dangling.example.com",
        denied,
        &["dangling.example.com. 300 IN CNAME nowhere.example.com."],
        &[START],
    );
    check("one.example.com", aa, &["one.example.com. 300 IN CNAME other.example.com."], none);
    check("tailored.example.com MX", aa, &["tailored.example.com. 60 IN CNAME www.example.org."], none);
    check("tailored.example.com NSEC", aa, none, &[START]);
    check("a.b.wild.example.com", aa, &["a.b.wild.example.com. 300 IN A 192.0.2.3"], none);
    check("*.wild.example.com", aa, &["*.wild.example.com. 300 IN A 192.0.2.3"], none);
    for below in
        ["x.there.wild.example.com", "a.*.wild.example.com", "x.www.example.com", "x.nowhere.example.com"]
    {
        check(below, denied, none, &[START]);
    }
    let servers =
        ["cut.example.com. 300 IN NS ns.cut.example.com.", "cut.example.com. 300 IN NS ns.example.org."];
    for cut in ["cut.example.com", "ns.cut.example.com", "x.cut.example.com ANY", "*.cut.example.com MX"] {
        check(cut, "NOERROR qr rd", none, &servers);
    }
    check("many.example.com ANY +ignore", aa, &["many.example.com. 3600 IN HINFO \"RFC8482\" \"\""], none);
    for transfer in ["AXFR", "IXFR=1"] {
        assert!(told(&fulcrum, &format!("example.com {transfer}")).3.contains("Transfer failed"));
    }
    let signed = told(&fulcrum, "-y hmac-sha256:k:c2VjcmV0 www.example.com");
    assert!(signed.0.starts_with("NOTAUTH"), "{}", signed.3);
}

/// R20 – R26, R34.
#[test]
fn dig_finds_edns_so() {
    let fulcrum = start("127.0.0.1:0");
    let text = |arguments: &str| told(&fulcrum, &format!("www.example.com {arguments}")).3;
    #[track_caller]
    fn has(text: &str, wanted: &str) {
        assert!(text.contains(wanted), "no {wanted:?} in {text}");
    }
    for more in
        ["", " +nsid", " +cookie=0123456789abcdef", " +dnssec", " +subnet=192.0.2.0/24", " +ednsopt=9"]
    {
        let text = text(&format!("+edns=1 +noednsneg{more}"));
        has(&text, "status: BADVERS");
        has(&text, "EDNS: version: 0,");
        assert!(!text.contains("ANSWER SECTION"), "{text}");
    }
    for option in ["65001:abcd", "9", "11", "12:00000000", "15:0001"] {
        let text = text(&format!("+ednsopt={option}"));
        has(&text, "status: NOERROR");
        has(&text, "; EDNS: version: 0, flags:; udp: 1232\n;; ANSWER");
    }
    has(&text("+ednsflags=0x7fff"), "; EDNS: version: 0, flags:; udp: 1232");
    assert!(!text("+noedns").contains("EDNS"));
    has(&text("+nsid"), "NSID: 6c 62 2d 31 (\"lb-1\")");
    has(&text("+ednsopt=3:abcd"), "NSID: 6c 62 2d 31 (\"lb-1\")");
    has(&text("+cookie=0123456789abcdef"), "(good)");
    has(&text("+cookie=0123456789abcdef0123456789abcdef"), "(good)");
    has(&text("+ednsopt=10:0123"), "status: FORMERR");
    for (size, limit) in
        [("+noedns", 512), ("+bufsize=100", 512), ("+bufsize=700", 700), ("+bufsize=4096", 1232)]
    {
        let dig = fulcrum.dig(&["many.example.com", size, "+ignore", "+stats"]);
        let length: usize =
            dig.text.split_once("MSG SIZE  rcvd: ").expect("a size").1.trim().parse().expect("a number");
        assert!(length <= limit && dig.flags == "qr aa tc rd" && dig.answers.is_empty(), "{}", dig.text);
        assert_eq!(dig.text.contains("EDNS"), size != "+noedns", "{}", dig.text);
        assert_eq!(fulcrum.dig(&["many.example.com", size]).answers.len(), 200, "over TCP");
    }
    for record_type in ["A", "DNSKEY", "NSEC", "RRSIG", "ANY", "DS"] {
        let text = text(&format!("{record_type} +dnssec"));
        has(&text, "flags: do;");
        assert!(!text.contains("IN\tRRSIG") && !text.contains("IN\tNSEC"), "{text}");
    }
}

/// R27, R28, R31.
#[test]
fn dig_finds_subnets_so() {
    let fulcrum = start("127.0.0.1:0");
    let check = |name: &str, subnet: &str, scope: u8, expected: &str| {
        let found = told(&fulcrum, &format!("{name}.example.com +subnet={subnet}"));
        assert!(found.3.contains(&format!("CLIENT-SUBNET: {subnet}/{scope}\n")), "{scope}: {}", found.3);
        assert!(found.1.iter().any(|answer| answer.ends_with(expected)), "{expected}: {}", found.3);
    };
    let (eu, us) = (" 203.0.113.1", " 203.0.113.2");
    check("geo", "192.0.2.0/24", 24, eu);
    check("geo", "192.0.2.9/32", 24, eu);
    check("geo", "198.51.100.128/25", 25, eu);
    check("geo", "198.51.100.0/24", 24, us);
    check("geo", "192.0.0.0/8", 8, us);
    check("geo", "0.0.0.0/0", 0, us);
    check("www", "192.0.2.0/24", 0, " 192.0.2.1");
    check("sticky", "10.1.2.0/24", 20, "");
    assert!(told(&fulcrum, "geo.example.com +ednsopt=8:00011818c00002").0.starts_with("FORMERR"));
}

/// R16: what would have to be made up for each name below is not served, and so not taken.
#[test]
fn a_dname_is_refused_when_it_is_read() {
    let directory = tempfile::tempdir().expect("room for a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    let zone = "$TTL 300\n@ SOA ns1 hostmaster 1 1h 10m 14d 60\n@ NS ns1\nns1 A 192.0.2.53\nold DNAME new\n";
    fs::write(path("zone"), zone).expect("room for a file");
    let inline = "{ soa: { primary: ns1, contact: h }, ns: [ns1], names: { ns1: { a: 192.0.2.53 }, old: { type39: '\\# 1 00' } } }";
    for (source, said) in
        [(format!("{{ file: \"{}\" }}", path("zone")), "line 5: "), (inline.to_owned(), "fulcrum.yaml:3:")]
    {
        let yaml = format!(
            "version: 1\nstate_dir: \"{}\"\ngslb: {{ bind: \"127.0.0.1:5353\", zones: {{ example.com: {source} }} }}\n",
            path("state")
        );
        fs::write(path("fulcrum.yaml"), yaml).expect("room for a file");
        let output = fulcrum(["check", "-c", &path("fulcrum.yaml")]);
        let told = format!("{}{}", output.stdout, output.stderr);
        assert!(output.code != Some(0) && told.contains(said) && told.contains("DNAME"), "{told}");
    }
}
