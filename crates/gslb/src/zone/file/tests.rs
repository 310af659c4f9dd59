//! Zone files, line by line: what they say, and what is said of the wrong ones.

mod includes;
mod properties;
mod speed;

use fulcrum_model::RecordData;

use super::*;

/// Records as `owner ttl data`, or what is wrong.
type Told = Result<Vec<String>, Vec<String>>;

pub(super) fn told(result: Result<Vec<Record>, Vec<ZoneError>>) -> Told {
    let record = |record: &Record| format!("{} {} {:?}", record.owner, record.ttl, record.data);
    result
        .map(|records| records.iter().map(record).collect())
        .map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

pub(super) fn origin() -> DnsName {
    "example.com".parse().expect("a name")
}

#[track_caller]
fn reads(text: &str, expected: &[&str]) {
    assert_eq!(told(parse(text.as_bytes(), &origin())), Ok(texts(expected)), "{text:?}");
}

#[track_caller]
fn refuses(text: &str, expected: &[&str]) {
    assert_eq!(told(parse(text.as_bytes(), &origin())), Err(texts(expected)), "{text:?}");
}

fn texts(of: &[&str]) -> Vec<String> {
    of.iter().map(|text| (*text).to_owned()).collect()
}

/// RFC 1035 §5.3, with what it leaves out, and as people write it.
pub(super) const ISI: &str = r#"@   IN  SOA     VENERA      Action\.domains (
                                 20     ; SERIAL
                                 7200   ; REFRESH
                                 600    ; RETRY
                                 3600000; EXPIRE
                                 60)    ; MINIMUM

        NS      A.ISI.EDU.
        NS      VENERA
        MX      10      VENERA
        MX      20      VAXA
A       A       26.3.0.103
VENERA  A       10.1.0.52
        A       128.9.0.32
VAXA    A       10.2.0.27
        A       128.9.0.33
"#;

#[test]
fn the_example_of_the_standard_is_read() {
    let origin: DnsName = "isi.edu".parse().expect("a name");
    let records = parse(ISI.as_bytes(), &origin).expect("nothing is wrong");
    assert_eq!(records.len(), 10);
    let lines: Vec<_> = records.iter().map(|record| record.line).collect();
    assert_eq!(lines, [1, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
    assert!(records.iter().all(|record| record.ttl == 60), "the minimum of the start");
    let RecordData::Soa(start) = &records[0].data else { panic!("the first is the start") };
    assert_eq!(start.contact.to_string(), r"action\.domains.isi.edu.");
    assert_eq!((start.serial, start.expire), (20, 3_600_000));
    assert_eq!(records[7].owner.to_string(), "venera.isi.edu.");
    crate::zone::Zone::new(origin, records, Default::default()).expect("it is a zone");
}

#[test]
fn owners_and_origins() {
    let record = |owner: &str| format!("{owner} 1 A(192.0.2.1)");
    let check = |text: &str, owners: &[&str]| {
        let expected: Vec<_> = owners.iter().map(|owner| record(owner)).collect();
        assert_eq!(told(parse(text.as_bytes(), &origin())), Ok(expected), "{text:?}");
    };
    check("@ 1 A 192.0.2.1", &["example.com."]);
    check("a 1 A 192.0.2.1\n 1 A 192.0.2.1\n\t1 A 192.0.2.1", &["a.example.com."; 3]);
    check("a.b. 1 A 192.0.2.1", &["a.b."]);
    check("$ORIGIN b\na 1 A 192.0.2.1\n$ORIGIN org.\na 1 A 192.0.2.1", &["a.b.example.com.", "a.org."]);
    check("$origin .\na 1 A 192.0.2.1\n$ORIGIN b\n 1 A 192.0.2.1", &["a.", "a."]);
    check(r"\$a\.b 1 A 192.0.2.1", &[r"$a\.b.example.com."]);
    check("* 1 A 192.0.2.1\n*.b 1 A 192.0.2.1", &["*.example.com.", "*.b.example.com."]);
    check("IN 1 IN A 192.0.2.1\n300 1 A 192.0.2.1", &["in.example.com.", "300.example.com."]);
    check("( a 1\nA 192.0.2.1 )", &["a.example.com."]);
}

#[test]
fn times_and_classes_in_any_order() {
    let check = |text: &str, ttl: u32| reads(text, &[&format!("a.example.com. {ttl} A(192.0.2.1)")]);
    check("a 60 A 192.0.2.1", 60);
    check("a 60 IN A 192.0.2.1", 60);
    check("a IN 60 A 192.0.2.1", 60);
    check("a in 1h30m a 192.0.2.1", 5400);
    check("a CLASS1 0 TYPE1 192.0.2.1", 0);
    check("a 2147483647 A 192.0.2.1", 2_147_483_647);
    check("a 1W IN A 192.0.2.1", 604_800);
    refuses(
        "a 2147483648 A 192.0.2.1\na 1x A 192.0.2.1",
        &[
            "line 1: \"2147483648\" cannot be a time to live: seconds to 2147483647, or like 1h30m",
            "line 2: \"1x\" cannot be a time to live: seconds to 2147483647, or like 1h30m",
        ],
    );
    refuses(
        "a 1 CH A 192.0.2.1\na CLASS3 1 A 192.0.2.1\na HS TXT b",
        &[
            "line 1: the class CH is not served, only IN",
            "line 2: the class CLASS3 is not served, only IN",
            "line 3: the class HS is not served, only IN",
        ],
    );
    let unknown = |line: u32, found: &str| {
        format!(
            "line {line}: there is no type of records {found:?}: others are written as TYPE and their number"
        )
    };
    refuses(
        "a 1 1 A 192.0.2.1\na IN IN A 192.0.2.1\na 1 FOO b",
        &[&unknown(1, "1"), &unknown(2, "IN"), &unknown(3, "FOO")],
    );
    refuses(
        "a\na 1\na 1 IN",
        &[1, 2, 3]
            .map(|line| format!("line {line}: a type of records is missing"))
            .each_ref()
            .map(String::as_str),
    );
}

#[test]
fn records_without_a_time_take_one() {
    let check = |text: &str, expected: &[u32]| {
        let records = parse(text.as_bytes(), &origin()).expect("nothing is wrong");
        let found: Vec<_> = records.iter().map(|record| record.ttl).collect();
        assert_eq!(found, expected, "{text:?}");
    };
    check("$TTL 5\na A 192.0.2.1\na 7 A 192.0.2.1\na A 192.0.2.1", &[5, 7, 5]);
    check("a 7 A 192.0.2.1\na A 192.0.2.1\n$TTL 1h\na A 192.0.2.1", &[7, 7, 3600]);
    check("$TTL 5\na A 192.0.2.1\n$ttl 6\na A 192.0.2.1", &[5, 6]);
    check("@ SOA a b 1 2 3 4 9\na A 192.0.2.1\na 7 A 192.0.2.1\na A 192.0.2.1", &[9, 9, 7, 7]);
    check("@ 8 SOA a b 1 2 3 4 9\na A 192.0.2.1", &[8, 8]);
    check("$TTL 5\n@ SOA a b 1 2 3 4 9\na A 192.0.2.1", &[5, 5]);
    let missing =
        "line 1: how long it may be remembered is not said: begin the file with $TTL, like `$TTL 1h`";
    refuses("a A 192.0.2.1\na A 192.0.2.1\n@ SOA a b 1 2 3 4 5", &[missing]);
}

#[test]
fn data_is_read() {
    reads(
        "$TTL 1\na TXT \"b ;c\" d\\032e \"\"\na MX 10 m\na TYPE666 \\# 3 0a 0B0c\na HTTPS 1 . alpn=\"h2,h3\"",
        &[
            r#"a.example.com. 1 Txt([[98, 32, 59, 99], [100, 32, 101], []])"#,
            "a.example.com. 1 Mx { preference: 10, exchange: m.example.com. }",
            "a.example.com. 1 Other(TYPE666, [10, 11, 12])",
            "a.example.com. 1 Other(HTTPS, [0, 1, 0, 0, 1, 0, 6, 2, 104, 50, 2, 104, 51])",
        ],
    );
    refuses(
        "$TTL 1\na TXT \"\\#\" 1 00\na TYPE666 \\# 2 00\na TYPE666 x\na DNAME b\na A 192.0.2\na A\na MX 10 b..c",
        &[
            "line 3: expected as many bytes as the length says",
            "line 4: expected `\\#`, the number of bytes, and the bytes in hexadecimal (RFC 3597)",
            "line 5: DNAME cannot be served: aliases of whole trees are not served",
            "line 6: expected an IPv4 address, found \"192.0.2\"",
            "line 7: expected an IPv4 address",
            "line 8: two dots in a row, or one at the beginning",
        ],
    );
}

#[test]
fn directives_that_are_wrong() {
    refuses("$GENERATE 1-9 a$ A 192.0.2.$", &["line 1: $GENERATE is not understood: write its records out"]);
    refuses("$INCLUDE a", &["line 1: $INCLUDE a: this text is in no folder"]);
    refuses("$INCLUDE", &["line 1: $INCLUDE needs a file behind it, and perhaps a name"]);
    refuses(
        "$INCLUDE a b..c",
        &["line 1: \"b..c\" cannot be a name: two dots in a row, or one at the beginning"],
    );
    refuses("$ORIGIN", &["line 1: $ORIGIN needs one name behind it"]);
    refuses("$ORIGIN a b", &["line 1: $ORIGIN needs one name behind it"]);
    refuses(
        "$ORIGIN a..b",
        &["line 1: \"a..b\" cannot be a name: two dots in a row, or one at the beginning"],
    );
    refuses("$TTL\na A 192.0.2.1", &["line 1: $TTL needs one time behind it, like 3600 or 1h"]);
    refuses(
        "$TTL x\na A 192.0.2.1",
        &["line 1: \"x\" cannot be a time to live: seconds to 2147483647, or like 1h30m"],
    );
    refuses("$FOO", &[&format!("line 1: {DIRECTIVE}")]);
    refuses(
        "a 1 A 192.0.2.1\n $TTL 5",
        &["line 2: there is no type of records \"$TTL\": others are written as TYPE and their number"],
    );
}

#[test]
fn one_mistake_is_told_once() {
    let orphan = "there is no name before this record that it could belong to";
    refuses(
        " 1 A 192.0.2.1\n 1 A 192.0.2.1",
        &[1, 2].map(|line| format!("line {line}: {orphan}")).each_ref().map(String::as_str),
    );
    refuses(
        "b..c 1 A 192.0.2.1\n 1 A 192.0.2.1",
        &["line 1: \"b..c\" cannot be a name: two dots in a row, or one at the beginning"],
    );
    refuses("b) 1 A 192.0.2.1\n 1 A 192.0.2.1", &["line 1: a closing parenthesis without an opening one"]);
    let name = "line 2: \"b..c\" cannot be a name: two dots in a row, or one at the beginning";
    refuses(
        "a 1 A 192.0.2.1\nb..c 1 A 192.0.2.1\n 1 A 192.0.2.2\n A 192",
        &[name, "line 4: expected an IPv4 address, found \"192\""],
    );
    refuses(
        "@ SOA a b\na A 192.0.2.1",
        &["line 1: expected primary, contact, serial, refresh, retry, expire and minimum"],
    );
}

#[test]
fn files_that_end_too_early_are_refused() {
    let cut = |behind: &str| &ISI[..ISI.find(behind).expect("it is there") + behind.len()];
    refuses(cut("600    ; RETRY\n"), &["line 1: this parenthesis is never closed"]);
    refuses(
        "a 1 TXT \"b c",
        &["line 1: a quotation mark without its other half: a text ends in the line that it begins in"],
    );
    refuses("a 1 TXT b\\", &["line 1: a backslash at the end of a line"]);
    refuses("$TTL 1\na A 192.0.2.1\nb", &["line 3: a type of records is missing"]);
    reads("a 1 A 192.0.2.1", &["a.example.com. 1 A(192.0.2.1)"]);
}

#[test]
fn lines_end_in_other_ways_too() {
    let origin: DnsName = "isi.edu".parse().expect("a name");
    let plain = parse(ISI.as_bytes(), &origin);
    let check = |text: String| assert_eq!(parse(text.as_bytes(), &origin), plain, "{text:?}");
    check(ISI.replace('\n', "\r\n"));
    check(ISI.trim_end().to_owned());
    check(format!("{}\r", ISI.trim_end()));
    check(format!("\u{feff}{ISI}"));
    check(ISI.replace("        ", "\t"));
    check(ISI.replace('\n', &format!(" ;{}\n", "x".repeat(100_000))));
}

#[test]
fn bytes_that_are_not_text_are_told_with_their_line() {
    let check = |text: &[u8], expected: &[&str]| {
        assert_eq!(told(parse(text, &origin())), Err(texts(expected)));
    };
    let encoding = "bytes that are not UTF-8: write them as `\\` and three digits";
    check(b"$TTL 1\na A 192.0.2.1\nb\xe4 A 192.0.2.1\n A 192.0.2.1", &[&format!("line 3: {encoding}")]);
    check(b"a 1 TXT \"\xff\"", &[&format!("line 1: {encoding}")]);
    check(b"a 1 A 192.0.2.1\0", &["line 1: a control character: write it as `\\` and three digits"]);
    assert!(parse(b"a 1 A 192.0.2.1 ; \xe4\n", &origin()).is_ok(), "comments say nothing");
}

#[test]
fn long_things_are_bounded() {
    let longest = format!("a 1 TXT{}", " \"\"".repeat(65_535));
    assert_eq!(parse(longest.as_bytes(), &origin()).map(|records| records.len()), Ok(1));
    refuses(&format!("{longest} \"\""), &["line 1: data has at most 65535 bytes"]);
    refuses(&format!("{longest}{}", " \"\"".repeat(100)), &["line 1: no record is this long"]);
    refuses(
        &format!("{} 1 A 192.0.2.1", "a".repeat(1_000_000)),
        &[&format!("line 1: {:?} cannot be a name: a label has at most 63 bytes", "a".repeat(100),)],
    );
    let mut reader = Reader { records_max: 2, ..Reader::new(None) };
    reader.text(&b"a 1 A 192.0.2.1\n".repeat(9), Context::new(None, &origin()));
    assert_eq!(told(reader.finish()), Err(texts(&["line 3: a zone has at most 2,000,000 records"])));
}

#[test]
fn a_hundred_mistakes_are_enough() {
    let text = "a 1 A b\n".repeat(1000);
    let errors = parse(text.as_bytes(), &origin()).expect_err("it is wrong");
    assert_eq!(errors.len(), 100);
    assert_eq!(errors.last().map(|error| error.line), Some(100));
    let text = format!("{}a 1 A b\n", "a )\n".repeat(99));
    assert_eq!(parse(text.as_bytes(), &origin()).map_err(|errors| errors.len()), Err(100));
}
