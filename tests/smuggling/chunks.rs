//! S8 to S10: chunks (RFC 9112 §7.1). The head of such a request has been forwarded; it never becomes whole.

use crate::harness::{Setup, Upstream};

use super::{check_refused_chunks, post};

#[test]
fn s08_malformed_chunk_sizes_are_refused() {
    let sizes = [
        "+5",
        "-5",
        "0x5",
        " 5",
        "5 ",
        "\t5",
        "5\t",
        "",
        "g",
        "5g",
        "5_0",
        "\u{665}",
        "00000000000000005",
        "fffffffffffffffff",
        "ffffffffffffffff",
        "8000000000000000",
        "FFFFFFFFFFFFFFFB",
    ];
    check_refused_chunks("invalid_chunk", &sizes.map(|size| format!("{size}\r\nhello\r\n0\r\n\r\n")));
}

#[test]
fn s08_a_malformed_chunk_size_behind_a_good_chunk_is_refused() {
    let sizes = ["+5", "0x5", "fffffffffffffffff", ""];
    check_refused_chunks(
        "invalid_chunk",
        &sizes.map(|size| format!("3\r\nabc\r\n{size}\r\nhello\r\n0\r\n\r\n")),
    );
}

#[test]
fn s09_small_chunk_extensions_are_dropped() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).start();
    let body = "3;name=value\r\nabc\r\n2;x=\"quoted\";y\r\nde\r\n0;last\r\n\r\n";
    assert_eq!(fulcrum.connect().ask(post("Transfer-Encoding: chunked\r\n", body)).status, 200);
    assert_eq!(upstream.only_request().body, b"abcde");
    for part in ["name=value", "quoted", "last"] {
        assert!(!upstream.text().contains(part), "{part} reached the upstream: {}", upstream.text());
    }
}

#[test]
fn s09_chunk_extensions_of_over_4_kib_are_refused() {
    let large = "x".repeat(4097);
    let half = "x".repeat(2100);
    let spread = format!("1;{}\r\na\r\n", "x".repeat(100)).repeat(42);
    check_refused_chunks(
        "invalid_chunk",
        &[
            format!("5;{large}\r\nhello\r\n0\r\n\r\n"),
            format!("3;{half}\r\nabc\r\n2;{half}\r\nde\r\n0\r\n\r\n"),
            format!("5\r\nhello\r\n0;{large}\r\n\r\n"),
            format!("{spread}0\r\n\r\n"),
        ],
    );
}

#[test]
fn s10_bare_line_endings_in_chunks_are_refused() {
    check_refused_chunks(
        "bare_line_ending|invalid_chunk",
        &[
            "5;a\nb\r\nhello\r\n0\r\n\r\n".to_owned(),
            "5;a\n\r\nhello\r\n0\r\n\r\n".to_owned(),
            "5\nhello\r\n0\r\n\r\n".to_owned(),
            "5\r\nhello\n0\r\n\r\n".to_owned(),
            "5\r\nhello\r\n0\n\r\n".to_owned(),
            "5\r\nhello\r\n0\r\n\n".to_owned(),
            "5\r\nhello\r\n0\r\nX-A: b\n\r\n".to_owned(),
            "5;a\rb\r\nhello\r\n0\r\n\r\n".to_owned(),
            "5\r5\r\nhello\r\n0\r\n\r\n".to_owned(),
            "5\r\nhello\r0\r\n\r\n".to_owned(),
        ],
    );
}

#[test]
fn s10_data_longer_or_shorter_than_its_chunk_size_is_refused() {
    check_refused_chunks(
        "invalid_chunk|bare_line_ending",
        &[
            "5\r\nhello!\r\n0\r\n\r\n".to_owned(),
            "6\r\nhello\r\n0\r\n\r\n".to_owned(),
            "5\r\nhello0\r\n\r\n".to_owned(),
        ],
    );
}
