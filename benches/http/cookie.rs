//! Cookies of clients that come back.

use std::io::{self, Write as _};
use std::net::SocketAddr;

use crate::generator::{connect, read_answer};

const LARGEST_ANSWER: usize = 16 * 1024;

/// The cookies that so many new clients are given.
pub(crate) fn collect(address: SocketAddr, clients: usize) -> io::Result<Vec<String>> {
    let given = || given(address, None)?.ok_or_else(|| io::Error::other("a new client was given no cookie"));
    (0..clients).map(|_| given()).collect()
}

/// An error when a client that brings its cookie is given another: it did not fit.
pub(crate) fn are_good(address: SocketAddr, cookies: &[String]) -> io::Result<()> {
    cookies.iter().try_for_each(|cookie| match given(address, Some(cookie))? {
        None => Ok(()),
        Some(other) => Err(io::Error::other(format!("a client with {cookie} was given {other}"))),
    })
}

/// The cookie that comes with an answer.
fn given(address: SocketAddr, brought: Option<&str>) -> io::Result<Option<String>> {
    let mut stream = connect(address)?;
    let cookie = brought.map(|cookie| format!("cookie: {cookie}\r\n")).unwrap_or_default();
    write!(stream, "GET / HTTP/1.1\r\nhost: h0.example.com\r\n{cookie}connection: close\r\n\r\n")?;
    let mut answer = [0; LARGEST_ANSWER];
    read_answer(&mut stream, &mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let fields = answer.lines().filter_map(|line| line.split_once(':'));
    let mut cookies = fields.filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
    // Attributes follow the value.
    Ok(cookies.find_map(|(_, value)| value.split(';').next()).map(|pair| pair.trim().to_owned()))
}
