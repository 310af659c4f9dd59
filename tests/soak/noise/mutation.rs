//! Requests that are almost right, and bytes that are nothing at all.

use super::rng::Rng;

/// What to send.
pub(super) fn noise(rng: &mut Rng) -> Vec<u8> {
    if rng.below(20) == 0 {
        return (0..rng.up_to(5000)).map(|_| rng.byte()).collect();
    }
    let mut bytes = rng.choose(&REQUESTS).as_bytes().to_vec();
    // A few stay whole: what works must go on working between the rest.
    for _ in 0..rng.below(6) {
        mutate(&mut bytes, rng);
    }
    bytes
}

fn mutate(bytes: &mut Vec<u8>, rng: &mut Rng) {
    let at = rng.up_to(bytes.len());
    let end = (at + rng.up_to(40)).min(bytes.len());
    match rng.below(8) {
        0 => bytes.insert(at, rng.byte()),
        1 => drop(bytes.drain(at..end)),
        2 => bytes.truncate(at),
        3 => insert(bytes, at, rng.choose(&PIECES).as_bytes()),
        4 => insert(bytes, at, &rng.choose(&PIECES).repeat(rng.up_to(3000)).into_bytes()),
        5 => {
            let copy = bytes[at..end].to_vec();
            drop(bytes.splice(at..at, copy));
        }
        6 => insert(bytes, at, rng.choose(&REQUESTS).as_bytes()),
        _ => bytes[at..end].iter_mut().for_each(|byte| *byte ^= 1 << rng.below(8)),
    }
}

fn insert(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
    bytes.splice(at..at, piece.iter().copied());
}

const REQUESTS: [&str; 9] = [
    "GET / HTTP/1.1\r\nHost: test\r\n\r\n",
    "GET /a/../b?c=d&e HTTP/1.1\r\nHost: test\r\nCookie: a=b; c=d\r\nAccept: */*\r\n\r\n",
    "HEAD /head HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n",
    "GET http://test/absolute HTTP/1.0\r\nHost: test\r\nConnection: keep-alive\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n",
    "POST /length HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n0123456789",
    "POST /chunks HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n\r\n\
     5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nx: y\r\n\r\n",
    "PUT /expect HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
    "GET /socket HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
];

const PIECES: [&str; 22] = [
    "\r\n",
    "\r\n\r\n",
    "\r",
    "\n",
    "\0",
    " ",
    "\t",
    ":",
    ";",
    "%2f",
    "%00",
    "/..",
    "0",
    "f",
    "ffffffffffffffff\r\n",
    "Host: other\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: 99999999999999999999\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Connection: close, x\r\n",
    "Expect: 100-continue\r\n",
    "\u{e9}",
];
