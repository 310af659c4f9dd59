//! S1 to S5: where a body ends.

use crate::harness::{Setup, Upstream};

use super::{check_refused, post, refused};

#[test]
fn s01_content_length_and_transfer_encoding_is_refused() {
    let chunks = "5\r\nhello\r\n0\r\n\r\n";
    let requests = [
        post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", chunks),
        post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", chunks),
        post("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", chunks),
        post("transfer-encoding: chunked\r\nX-Between: 1\r\ncontent-length: 15\r\n", chunks),
        post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\nConnection: Content-Length\r\n", chunks),
        post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\nConnection: Transfer-Encoding\r\n", chunks),
    ];
    check_refused(&refused("conflicting_framing", &requests));
}

#[test]
fn s02_malformed_content_length_is_refused() {
    let lengths = [
        "5\r\nContent-Length: 6",
        "6\r\nX-Between: 1\r\nContent-Length: 5",
        "5,5",
        "5, 5",
        "5, 6",
        "+5",
        "-5",
        "0x5",
        "",
        "5 5",
        "5;",
        "5.0",
        "five",
        "\u{665}",
        // What a signed and an unsigned parser read differently.
        "9223372036854775808",
        "18446744073709551621",
        "100000000000000000000000000000005",
    ];
    let requests = lengths.map(|length| post(&format!("Content-Length: {length}\r\n"), "hello"));
    check_refused(&refused("invalid_content_length", &requests));
}

#[test]
fn s03_identical_content_lengths_collapse_to_one() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).start();
    let request = post("Content-Length: 5\r\nContent-Length: 5\r\ncontent-length: 5\r\n", "hello");
    assert_eq!(fulcrum.connect().ask(request).status, 200);
    let request = upstream.only_request();
    assert_eq!(request.head.values("content-length"), ["5"]);
    assert_eq!(request.body, b"hello");
}

#[test]
fn s04_transfer_encoding_other_than_chunked_is_refused() {
    let codings = [
        "xchunked",
        "chunkedx",
        "chunked, identity",
        "gzip, chunked",
        "chunked, chunked",
        "chunked\r\nTransfer-Encoding: chunked",
        "chunked\r\nTransfer-Encoding: identity",
        "identity",
        "gzip",
        "",
        "chunked,",
        ",chunked",
        "chunked;q=1",
        "\"chunked\"",
        "'chunked'",
    ];
    let chunks = "5\r\nhello\r\n0\r\n\r\n";
    let requests = codings.map(|coding| post(&format!("Transfer-Encoding: {coding}\r\n"), chunks));
    check_refused(&refused("invalid_transfer_encoding", &requests));
}

#[test]
fn s04_transfer_encoding_chunked_in_any_case_is_understood() {
    let upstream = Upstream::named("app");
    let fulcrum = Setup::new(&upstream).start();
    let request = post("Transfer-Encoding: \t ChUnKeD \t\r\n", "5\r\nhello\r\n0\r\n\r\n");
    assert_eq!(fulcrum.connect().ask(request).status, 200);
    let request = upstream.only_request();
    assert_eq!(request.head.values("transfer-encoding"), ["chunked"], "the framing is our own");
    assert_eq!(request.body, b"hello");
}

#[test]
fn s05_transfer_encoding_in_http_1_0_is_refused() {
    let request = |lines: &str| {
        format!("POST /offending HTTP/1.0\r\nHost: test\r\n{lines}\r\n5\r\nhello\r\n0\r\n\r\n").into_bytes()
    };
    let requests = [
        request("Transfer-Encoding: chunked\r\n"),
        request("Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n"),
        request("Transfer-Encoding: identity\r\n"),
    ];
    check_refused(&refused("invalid_transfer_encoding", &requests));
}
