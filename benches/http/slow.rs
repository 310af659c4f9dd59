//! Clients that keep a proxy busy with next to nothing: they say, take or want little, and hold their connection.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::net::{AddressFamily, SocketType, connect, socket, sockopt};

use crate::generator::{connect as connect_fast, read_answer};
use crate::process;

/// Descriptors that the bench needs beside the clients.
const RESERVE: u64 = 500;
/// Each client moves once in so many ticks,
const TICKS: usize = 100;
/// which are so long: once a second.
const TICK: Duration = Duration::from_millis(10);
/// Bytes that the kernel keeps for one that reads slowly.
const RECEIVE_BUFFER: usize = 4096;
/// Bytes that it takes at a time.
const SIP: usize = 1024;

/// How a client is slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It sends its headers byte by byte.
    DripsHead,
    /// It says nothing at all.
    Silent,
    /// It sends its body byte by byte.
    DripsBody,
    /// It has stopped in the middle of its body.
    StallsBody,
    /// It reads a large answer in small sips.
    SipsAnswer,
    /// It has been answered and says nothing more.
    Idle,
}

const KINDS: [Kind; 6] =
    [Kind::DripsHead, Kind::Silent, Kind::DripsBody, Kind::StallsBody, Kind::SipsAnswer, Kind::Idle];

struct Client {
    kind: Kind,
    stream: TcpStream,
}

/// Works while `count` slow clients, a sixth of each kind, are at the proxy. An error if one of them was turned away.
pub(crate) fn beside<T>(
    address: SocketAddr,
    count: u32,
    work: impl FnOnce() -> io::Result<T>,
) -> io::Result<T> {
    process::need_descriptors(u64::from(count) + RESERVE)?;
    let kinds = KINDS.iter().cycle().take(count as usize);
    let mut clients = kinds.map(|kind| Client::open(*kind, address)).collect::<io::Result<Vec<_>>>()?;
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let moving = scope.spawn(|| keep_moving(&mut clients, &is_over));
        let done = work();
        is_over.store(true, Ordering::Relaxed);
        moving.join().expect("slow clients do not panic")?;
        done
    })
}

fn keep_moving(clients: &mut [Client], is_over: &AtomicBool) -> io::Result<()> {
    let share = clients.len().div_ceil(TICKS);
    while !is_over.load(Ordering::Relaxed) {
        for few in clients.chunks_mut(share) {
            few.iter_mut().try_for_each(Client::step)?;
            thread::sleep(TICK);
        }
    }
    // Whoever has not moved lately, too, must still be there.
    clients.iter_mut().try_for_each(Client::step)
}

impl Client {
    fn open(kind: Kind, address: SocketAddr) -> io::Result<Client> {
        let mut stream = match kind {
            Kind::SipsAnswer => connect_small(address)?,
            _ => connect_fast(address)?,
        };
        stream.write_all(kind.opening())?;
        if kind == Kind::Idle {
            read_answer(&mut stream, &mut [0; 16 * 1024])?;
        }
        stream.set_nonblocking(true)?;
        Ok(Client { kind, stream })
    }

    /// Moves a little, and finds out whether the proxy still wants this client.
    fn step(&mut self) -> io::Result<()> {
        let mut sip = [0; SIP];
        match (self.kind, self.stream.read(&mut sip)) {
            (_, Err(error)) if error.kind() == ErrorKind::WouldBlock => {}
            (Kind::SipsAnswer, Ok(1..)) => return Ok(()),
            (kind, Ok(count)) => {
                let said = String::from_utf8_lossy(&sip[..count]);
                let said = said.lines().next().unwrap_or("the end").to_owned();
                return Err(io::Error::other(format!("a slow client ({kind:?}) was answered: {said}")));
            }
            (kind, Err(error)) => {
                return Err(io::Error::new(error.kind(), format!("a slow client ({kind:?}): {error}")));
            }
        }
        match self.kind {
            Kind::DripsHead | Kind::DripsBody => self.stream.write_all(b"x"),
            Kind::Silent | Kind::StallsBody | Kind::SipsAnswer | Kind::Idle => Ok(()),
        }
    }
}

impl Kind {
    /// What it says at once.
    fn opening(self) -> &'static [u8] {
        match self {
            Kind::DripsHead => b"GET / HTTP/1.1\r\nhost: h0.example.com\r\nx-slow: ",
            Kind::Silent => b"",
            Kind::DripsBody => b"POST /sink HTTP/1.1\r\nhost: h0.example.com\r\ncontent-length: 100000\r\n\r\n",
            Kind::StallsBody => {
                b"POST /sink HTTP/1.1\r\nhost: h0.example.com\r\ncontent-length: 100000\r\n\r\nand that was it"
            }
            Kind::SipsAnswer => b"GET /files/16m HTTP/1.1\r\nhost: h0.example.com\r\n\r\n",
            Kind::Idle => b"GET / HTTP/1.1\r\nhost: h0.example.com\r\n\r\n",
        }
    }
}

/// The buffer has to be small before the connection is made: it decides on the window.
fn connect_small(address: SocketAddr) -> io::Result<TcpStream> {
    let descriptor = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    sockopt::set_socket_recv_buffer_size(&descriptor, RECEIVE_BUFFER)?;
    connect(&descriptor, &address)?;
    Ok(TcpStream::from(descriptor))
}
