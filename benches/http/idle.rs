//! Many connections that have served one request each and now do nothing.

use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use crate::generator::{connect, read_answer};
use crate::process;
use crate::stage::Proxy;

/// Descriptors that the bench needs beside the connections.
const RESERVE: u64 = 100;
/// A proxy may give back what an idle connection does not need a moment later.
const SETTLE: Duration = Duration::from_secs(1);

/// What a proxy holds in memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Footprint {
    /// Bytes before the first connection.
    pub(crate) before: u64,
    /// Bytes with all of them.
    pub(crate) after: u64,
}

/// Opens `count` connections, one request on each, and leaves them open while it looks.
pub(crate) fn measure(proxy: &Proxy, count: usize) -> io::Result<Footprint> {
    process::need_descriptors(count as u64 + RESERVE)?;
    let before = proxy.process.memory()?;
    let connections = (0..count).map(|_| open(proxy.address)).collect::<io::Result<Vec<_>>>()?;
    thread::sleep(SETTLE);
    let after = proxy.process.memory()?;
    for stream in &connections {
        still_open(stream)?;
    }
    Ok(Footprint { before, after })
}

fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let mut stream = connect(address)?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: h0.example.com\r\n\r\n")?;
    read_answer(&mut stream, &mut [0; 16 * 1024])?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// A proxy that closed the connection does not hold it.
fn still_open(stream: &TcpStream) -> io::Result<()> {
    match stream.peek(&mut [0]) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Ok(_) | Err(_) => Err(io::Error::other("an idle connection was closed")),
    }
}
