//! A question in wire form, and what of an answer the bench looks at.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

/// Asks for the address of a name; with a subnet of 24 bits in the name of its clients.
pub(crate) fn question(name: &str, subnet: Option<Ipv4Addr>) -> Vec<u8> {
    let mut message = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(subnet.is_some())];
    for label in name.split('.') {
        message.push(label.len() as u8);
        message.extend_from_slice(label.as_bytes());
    }
    message.extend_from_slice(&[0, 0, 1, 0, 1]);
    if let Some(subnet) = subnet {
        // OPT: 1232 bytes, one option of 7 bytes, which is an IPv4 subnet of 24 bits.
        message.extend_from_slice(&[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 11, 0, 8, 0, 7, 0, 1, 24, 0]);
        message.extend_from_slice(&subnet.octets()[..3]);
    }
    message
}

/// The response code and the first address of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) code: u8,
    pub(crate) address: Option<Ipv4Addr>,
}

/// Asks a server over UDP.
pub(crate) fn ask(server: SocketAddr, name: &str, subnet: Option<Ipv4Addr>) -> io::Result<Said> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.connect(server)?;
    let query = question(name, subnet);
    socket.send(&query)?;
    let mut answer = [0; 1500];
    let length = socket.recv(&mut answer)?;
    let answer = &answer[..length];
    // Behind the question: a pointer to its name, type, class, time-to-live, length.
    let record = 12 + name.len() + 2 + 4;
    let address = match answer.get(record + 2..record + 16) {
        Some(&[0, 1, 0, 1, _, _, _, _, 0, 4, a, b, c, d]) if answer[7] > 0 => Some(Ipv4Addr::new(a, b, c, d)),
        _ => None,
    };
    Ok(Said { code: answer.get(3).copied().unwrap_or_default() & 15, address })
}

const PATIENCE: Duration = Duration::from_millis(500);
