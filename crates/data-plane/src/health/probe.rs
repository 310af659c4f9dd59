//! One probe: connect, say what the check says, judge the answer.

use std::io;

use fulcrum_config::{HealthCheck, HttpProbe, Probe, TcpProbe};
use fulcrum_model::Address;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use crate::http::message::{Method, ResponseHead};
use crate::http1::decoder::{Event, ResponseDecoder};
use crate::http1::scan::HeadLimits;

/// A connection of a probe.
pub(super) enum Probed {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Probed {
    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Probed::Tcp(stream) => stream.write_all(bytes).await,
            Probed::Unix(stream) => stream.write_all(bytes).await,
        }
    }

    /// Appends what comes; an error where nothing more does.
    async fn receive(&mut self, into: &mut Vec<u8>) -> io::Result<usize> {
        match self {
            Probed::Tcp(stream) => stream.read_buf(into).await,
            Probed::Unix(stream) => stream.read_buf(into).await,
        }
    }
}

/// Connects; the error says what it means.
pub(super) async fn connect(address: &Address) -> Result<Probed, String> {
    let connected = match address {
        Address::Tcp(address) => TcpStream::connect(address).await.map(Probed::Tcp),
        Address::Unix(path) => UnixStream::connect(path).await.map(Probed::Unix),
    };
    connected.map_err(|error| format!("the check cannot connect: {error}"))
}

/// Runs a check against an endpoint.
pub(super) async fn check(address: &Address, check: &HealthCheck) -> Result<(), String> {
    let mut connection = connect(&at_port(address, check)).await?;
    match &check.probe {
        Probe::Tcp(probe) => tcp(&mut connection, probe).await,
        Probe::Http(probe) => http(&mut connection, probe, address).await,
    }
}

/// Where a check connects: its own port, if it has one.
fn at_port(address: &Address, check: &HealthCheck) -> Address {
    match (address, check.port) {
        (Address::Tcp(address), Some(port)) => {
            let mut address = *address;
            address.set_port(port.get());
            Address::Tcp(address)
        }
        _ => address.clone(),
    }
}

async fn tcp(connection: &mut Probed, probe: &TcpProbe) -> Result<(), String> {
    if let Some(text) = &probe.send {
        connection.send(text).await.map_err(|error| format!("the check cannot be sent: {error}"))?;
    }
    let Some(expected) = &probe.expect else { return Ok(()) };
    let mut received = Vec::new();
    while !holds(&received, expected) {
        if received.len() >= MOST_BYTES {
            return Err("the check's answer does not hold what is expected".to_owned());
        }
        match connection.receive(&mut received).await {
            Ok(1..) => {}
            Ok(0) => return Err("the check's answer does not hold what is expected".to_owned()),
            Err(error) => return Err(format!("the check got no answer: {error}")),
        }
    }
    Ok(())
}

async fn http(connection: &mut Probed, probe: &HttpProbe, address: &Address) -> Result<(), String> {
    let request = request(probe, address);
    connection.send(&request).await.map_err(|error| format!("the check cannot be sent: {error}"))?;
    let mut decoder = ResponseDecoder::new(LIMITS);
    let mut head = ResponseHead::default();
    let method = Method::from_bytes(probe.method.as_bytes());
    let mut received = Vec::new();
    loop {
        let step = decoder
            .head(&received, method, &mut head)
            .map_err(|error| format!("the check got no response: {error}"))?;
        received.drain(..step.skip);
        match step.event {
            Event::Head if (100..200).contains(&head.status) => {}
            Event::Head => break,
            _ => more(connection, &mut received).await?,
        }
    }
    let status = head.status;
    if !probe.status.iter().any(|&(least, most)| (least..=most).contains(&status)) {
        return Err(format!("the check was answered with {status}"));
    }
    match &probe.body {
        Some(expected) => body(connection, decoder, received, expected.as_bytes()).await,
        None => Ok(()),
    }
}

/// Looks for a text in the first 64 KiB of a body.
async fn body(
    connection: &mut Probed,
    mut decoder: ResponseDecoder,
    mut received: Vec<u8>,
    expected: &[u8],
) -> Result<(), String> {
    let mut payload = Vec::new();
    loop {
        let step =
            decoder.body(&received).map_err(|error| format!("the check got a broken response: {error}"))?;
        received.drain(..step.skip);
        match step.event {
            Event::Payload(count) => {
                payload.extend(received.drain(..count));
                decoder.consume(count);
                if holds(&payload, expected) {
                    return Ok(());
                }
            }
            Event::NeedMore | Event::Head if payload.len() < MOST_BYTES => {
                if let Err(error) = more(connection, &mut received).await {
                    return Err(if decoder.end_of_input() { MISSING.to_owned() } else { error });
                }
            }
            _ => return Err(MISSING.to_owned()),
        }
    }
}

async fn more(connection: &mut Probed, received: &mut Vec<u8>) -> Result<(), String> {
    match connection.receive(received).await {
        Ok(1..) => Ok(()),
        Ok(0) => Err("the check's connection was closed".to_owned()),
        Err(error) => Err(format!("the check's connection broke: {error}")),
    }
}

fn request(probe: &HttpProbe, address: &Address) -> Vec<u8> {
    let host = match (&probe.host, address) {
        (Some(host), _) => host.clone(),
        (None, Address::Tcp(address)) => address.to_string(),
        (None, Address::Unix(_)) => "localhost".to_owned(),
    };
    let mut text = format!("{} {} HTTP/1.1\r\nhost: {host}\r\n", probe.method, probe.path);
    let has = |name: &str| probe.headers.iter().any(|(found, _)| found.eq_ignore_ascii_case(name));
    if !has("user-agent") {
        text.push_str("user-agent: fulcrum-health\r\n");
    }
    for (name, value) in &probe.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("connection: close\r\n\r\n");
    text.into_bytes()
}

fn holds(text: &[u8], expected: &[u8]) -> bool {
    memchr::memmem::find(text, expected).is_some()
}

const MISSING: &str = "the check's answer does not hold what is expected";
/// Bytes of an answer that are looked at.
const MOST_BYTES: usize = 64 * 1024;
const LIMITS: HeadLimits = HeadLimits { first_line: 8192, field: 16 * 1024, total: 64 * 1024, count: 100 };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_say_who_asks_and_whom() {
        let probe = HttpProbe {
            path: "/up?a".to_owned(),
            method: "GET".to_owned(),
            host: None,
            headers: vec![("x-key".to_owned(), "1".to_owned())],
            status: vec![(200, 399)],
            body: None,
        };
        let address: Address = "127.0.0.1:80".parse().expect("an address");
        let text = String::from_utf8(request(&probe, &address)).expect("text");
        assert_eq!(
            text,
            "GET /up?a HTTP/1.1\r\nhost: 127.0.0.1:80\r\nuser-agent: fulcrum-health\r\nx-key: 1\r\nconnection: close\r\n\r\n"
        );
    }
}
