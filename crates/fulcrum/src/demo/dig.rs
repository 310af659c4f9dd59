//! What `dig` does, for a demo that needs no dig to see that its names are answered.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use fulcrum_gslb::ask::{Question, Reply};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::stops::Dig;

/// The records that are answered, as `dig +short` shows them.
pub(super) async fn ask(dig: &Dig, server: SocketAddr) -> io::Result<Vec<String>> {
    let question = Question {
        name: dig.name.parse().expect("the names of the tour are valid"),
        record_type: dig.record_type,
        subnet: dig.subnet.map(|subnet| subnet.parse().expect("the networks of the tour are valid")),
    };
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    socket.connect(server).await?;
    socket.send(&question.message(ID)).await?;
    let mut answer = [0; 1232];
    let length = timeout(PATIENCE, socket.recv(&mut answer)).await??;
    let reply = Reply::read(&answer[..length], ID);
    Ok(reply.ok_or(io::ErrorKind::InvalidData)?.records)
}

/// The socket takes answers of one server only.
const ID: u16 = 0x0b5e;

/// As long as dig waits.
const PATIENCE: Duration = Duration::from_secs(5);
