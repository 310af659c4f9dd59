//! Bodies against messages written by hand.

use super::*;

fn name(text: &str) -> DnsName {
    text.parse().expect("a name")
}

#[track_caller]
fn copy(body: &Body, question: &str) -> Vec<u8> {
    let mut bytes = vec![0; body.lengths().0];
    body.copy(&mut bytes, name(question).as_wire().len());
    bytes
}

#[test]
fn owners_and_names_point_to_the_question() {
    let mut writer = BodyWriter::new(&name("www.example.com"));
    assert!(writer.record(Section::Answer, Owner::Question, 60, &RecordData::Cname(name("a.example.com"))));
    assert!(writer.record(
        Section::Answer,
        Owner::Name(&name("a.example.com")),
        5,
        &RecordData::A([192, 0, 2, 1].into())
    ));
    let body = writer.finish(AUTHORITATIVE);
    // The question has 12 + 17 + 4 bytes; `example.com` is at 16, the alias's target at 45.
    let expected = [
        b"\xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x04\x01a\xc0\x10".as_slice(),
        b"\xc0\x2d\0\x01\0\x01\0\0\0\x05\0\x04\xc0\x00\x02\x01",
    ];
    assert_eq!(copy(&body, "www.example.com"), expected.concat());
    assert_eq!(body.counts(), ([2, 0, 0], [2, 0, 0]));
}

#[test]
fn addresses_are_written_as_the_writer_does() {
    let owner = name("*.Example.com");
    let all: Vec<RecordData> = (0..20)
        .map(|number: u8| match number % 2 {
            0 => RecordData::A([192, 0, 2, number].into()),
            _ => RecordData::Aaaa([u16::from(number); 8].into()),
        })
        .collect();
    for count in 0..all.len() {
        let mut writer = BodyWriter::new(&owner);
        assert!(write_set(&mut writer, Section::Answer, Owner::Question, 77, &all[..count]));
        let expected = (count <= ADDRESSES_MAX).then(|| writer.finish(AUTHORITATIVE));
        assert_eq!(address_body(&owner, 77, &all[..count]), expected);
    }
    assert_eq!(address_body(&owner, 77, &[all[0].clone(), RecordData::Cname(owner.clone())]), None);
}

#[test]
fn pointers_move_with_the_question() {
    let mut writer = BodyWriter::new(&name("*.example.com"));
    assert!(writer.record(Section::Answer, Owner::Question, 60, &RecordData::Cname(name("b.example.com"))));
    assert!(writer.record(
        Section::Answer,
        Owner::Name(&name("b.example.com")),
        60,
        &RecordData::Cname(name("*.example.com"))
    ));
    let body = writer.finish(AUTHORITATIVE);
    let bytes = copy(&body, "long.er.example.com");
    // `example.com` stands behind `long.er`, and the target behind the question of 12 + 21 + 4 bytes and 12 more.
    let expected = [
        b"\xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x04\x01b\xc0\x14".as_slice(),
        b"\xc0\x31\0\x05\0\x01\0\0\0\x3c\0\x04\x01*\xc0\x14",
    ];
    assert_eq!(bytes, expected.concat());
}

#[test]
fn what_is_additional_can_be_left_out() {
    let mut writer = BodyWriter::new(&name("example.com"));
    let mail = RecordData::Mx { preference: 10, exchange: name("mail.example.com") };
    assert!(writer.record(Section::Answer, Owner::Question, 60, &mail));
    let essential = writer.message.len() - writer.start;
    assert!(writer.record(
        Section::Additional,
        Owner::Name(&name("mail.example.com")),
        60,
        &RecordData::A([0; 4].into())
    ));
    let body = writer.finish(AUTHORITATIVE);
    assert_eq!(body.lengths(), (essential + 16, essential));
    assert_eq!(body.counts(), ([1, 0, 1], [1, 0, 0]));
    let mut bytes = vec![0; essential];
    body.copy(&mut bytes, 99);
    assert_eq!(&bytes[..2], b"\xc0\x0c");
}

#[test]
fn what_no_message_holds_is_not_written() {
    let mut writer = BodyWriter::new(&name("example.com"));
    let large = RecordData::Other(RecordType(666), vec![0; 60_000].into());
    assert!(writer.record(Section::Answer, Owner::Question, 60, &large));
    assert!(!writer.record(Section::Answer, Owner::Question, 60, &large));
    let body = writer.finish(AUTHORITATIVE);
    assert_eq!((body.lengths().0, body.counts().0), (60_012, [1, 0, 0]));
}

#[test]
fn of_a_set_that_no_message_holds_nothing_is_written() {
    let owner = name("example.com");
    let data: Vec<RecordData> =
        (0..3).map(|number| RecordData::Other(RecordType(666), vec![number; 30_000].into())).collect();
    let mut writer = BodyWriter::new(&owner);
    assert!(write_set(&mut writer, Section::Answer, Owner::Question, 60, &data[..1]));
    let other = Owner::Name(&name("mail.example.org"));
    assert!(!write_set(&mut writer, Section::Additional, other, 60, &data[1..]));
    let body = writer.finish(AUTHORITATIVE);
    assert_eq!((body.lengths(), body.counts()), ((30_012, 30_012), ([1, 0, 0], [1, 0, 0])));
    assert!(fits(&owner, &data[..2]) && !fits(&owner, &data));
}

#[test]
fn pointers_point_behind_questions_of_any_length() {
    let mut writer = BodyWriter::new(&name("*.w.example.com"));
    for number in 0..700 {
        let exchange = name(&format!("mail{number}.host{number}.example.org"));
        let record = RecordData::Mx { preference: 1, exchange };
        assert!(writer.record(Section::Answer, Owner::Question, 60, &record));
    }
    for number in 0..700 {
        let exchange = name(&format!("other.host{number}.example.org"));
        let record = RecordData::Mx { preference: 1, exchange };
        assert!(writer.record(Section::Answer, Owner::Question, 60, &record));
    }
    let body = writer.finish(AUTHORITATIVE);
    let last = name(&format!("{0}.{0}.{0}.w.example.com", "x".repeat(60))).as_wire().len();
    for length in [last, name("x.w.example.com").as_wire().len()] {
        let mut bytes = vec![0; body.lengths().0];
        body.copy(&mut bytes, length);
        for &place in &body.pointers {
            let [high, low] = [0, 1].map(|next| usize::from(bytes[usize::from(place) + next]));
            let start = HEADER + length + 4;
            let target = ((high & 0x3f) << 8 | low).checked_sub(start).map(|target| bytes[target]);
            assert!(high >= 0xc0 && target.is_none_or(|label| (3..=9).contains(&label)), "{place}");
        }
    }
}
