//! Many datagrams with one system call: recvmmsg(2) and sendmmsg(2), which no safe wrapper in the tree offers with the address that
//! a query was sent to.

use std::io;
use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

/// Queries that came together, and the answers to them. It stays with the thread that made it: messages point into it.
pub(super) struct Batch {
    queries: Box<[Room; BATCH]>,
    /// Each has `room` bytes.
    answers: Box<[u8]>,
    room: usize,
    peers: Box<[libc::sockaddr_storage; BATCH]>,
    controls: Box<[Control; BATCH]>,
    /// What the kernel fills; they point to the queries, peers and controls of their place for good.
    incoming: Box<[libc::mmsghdr; BATCH]>,
    /// What the kernel sends.
    outgoing: Box<[libc::mmsghdr; BATCH]>,
    /// Where the bytes of incoming messages go, and where those of outgoing ones are.
    pieces: Box<[[libc::iovec; BATCH]; 2]>,
    received: [Received; BATCH],
    count: usize,
}

/// Room for a query. Were it as large as a page, the beginnings of all would share a few lines of the processor's cache.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Room([u8; QUERY_MAX + 64]);

/// Room for one IP_PKTINFO or IPV6_PKTINFO, aligned as a cmsghdr has to be.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; 64]);

#[derive(Clone, Copy, Default)]
struct Received {
    query: usize,
    answer: usize,
    peer: libc::socklen_t,
    control: usize,
}

impl Batch {
    /// For answers of at most `room` bytes.
    pub(super) fn new(room: usize) -> Self {
        // SAFETY: these are plain data, for which all bits zero are a value: AF_UNSPEC; null pointers and lengths of zero.
        let (peer, message): (libc::sockaddr_storage, libc::mmsghdr) =
            unsafe { (mem::zeroed(), mem::zeroed()) };
        let piece = libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 };
        let mut batch = Batch {
            queries: Box::new([Room([0; QUERY_MAX + 64]); BATCH]),
            answers: vec![0; room * BATCH].into(),
            room,
            peers: Box::new([peer; BATCH]),
            controls: Box::new([Control([0; 64]); BATCH]),
            incoming: Box::new([message; BATCH]),
            outgoing: Box::new([message; BATCH]),
            pieces: Box::new([[piece; BATCH]; 2]),
            received: [Received::default(); BATCH],
            // All places are to be made ready.
            count: BATCH,
        };
        for place in 0..BATCH {
            let [incoming, outgoing] = &mut *batch.pieces;
            incoming[place] =
                libc::iovec { iov_base: batch.queries[place].0.as_mut_ptr().cast(), iov_len: QUERY_MAX };
            let message = &mut batch.incoming[place].msg_hdr;
            message.msg_name = (&raw mut batch.peers[place]).cast();
            message.msg_iov = &raw mut incoming[place];
            message.msg_iovlen = 1;
            message.msg_control = batch.controls[place].0.as_mut_ptr().cast();
            let message = &mut batch.outgoing[place].msg_hdr;
            message.msg_iov = &raw mut outgoing[place];
            message.msg_iovlen = 1;
        }
        batch
    }

    /// Waits for queries as long as the socket's timeout says, and takes those that are there, at most [`BATCH`].
    pub(super) fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        // What came last was told in the same places.
        for message in &mut self.incoming[..self.count] {
            message.msg_hdr.msg_namelen = mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            message.msg_hdr.msg_controllen = mem::size_of::<Control>() as _;
        }
        self.count = 0;
        // SAFETY: the messages and what they point to are in boxes of `self`, which is borrowed mutably and lets none of them
        // go; all lengths are those of the arrays. No timeout is passed.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.incoming.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_WAITFORONE,
                ptr::null_mut(),
            )
        };
        let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
        for (received, message) in self.received.iter_mut().zip(&self.incoming[..count]) {
            let is_whole = message.msg_hdr.msg_flags & libc::MSG_TRUNC == 0;
            *received = Received {
                // What is longer than any query is no query.
                query: if is_whole { message.msg_len as usize } else { 0 },
                answer: 0,
                peer: message.msg_hdr.msg_namelen,
                control: message.msg_hdr.msg_controllen,
            };
        }
        self.count = count;
        Ok(count)
    }

    /// Makes an answer of each query; `None` is no answer.
    pub(super) fn answer(&mut self, mut answer: impl FnMut(&[u8], SocketAddr, &mut [u8]) -> Option<usize>) {
        for place in 0..self.count {
            let received = &mut self.received[place];
            let Some(peer) = socket_addr(&self.peers[place], received.peer) else { continue };
            let query = &self.queries[place].0[..received.query];
            let out = &mut self.answers[place * self.room..][..self.room];
            received.answer = answer(query, peer, out).unwrap_or(0).min(self.room);
        }
    }

    /// Sends the answers, each from the address that was asked. Tells how many could not be sent.
    pub(super) fn send(&mut self, socket: BorrowedFd<'_>) -> usize {
        let mut count = 0;
        for place in 0..self.count {
            let received = self.received[place];
            if received.answer == 0 {
                continue;
            }
            self.pieces[1][count] = libc::iovec {
                iov_base: self.answers[place * self.room..].as_mut_ptr().cast(),
                iov_len: received.answer,
            };
            let message = &mut self.outgoing[count].msg_hdr;
            message.msg_name = (&raw mut self.peers[place]).cast();
            message.msg_namelen = received.peer;
            (message.msg_control, message.msg_controllen) = (ptr::null_mut(), 0);
            if received.control > 0 {
                let control = &mut self.controls[place].0;
                let length = received.control.min(control.len());
                let_routes_decide(&mut control[..length]);
                message.msg_control = control.as_mut_ptr().cast();
                message.msg_controllen = length as _;
            }
            count += 1;
        }
        let (mut sent, mut failed) = (0, 0);
        while sent < count {
            let left = &mut self.outgoing[sent..count];
            // SAFETY: as for recvmmsg; the kernel reads what the messages point to, and writes their lengths.
            let result = unsafe {
                libc::sendmmsg(socket.as_raw_fd(), left.as_mut_ptr(), left.len() as libc::c_uint, 0)
            };
            match usize::try_from(result) {
                Ok(more) if more > 0 => sent += more,
                _ if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
                // The first of those that are left cannot be sent; the others perhaps can.
                _ => (sent, failed) = (sent + 1, failed + 1),
            }
        }
        failed
    }
}

/// A reply leaves from the address that was asked, over the interface that leads to the client: only for addresses of one link the
/// interface is part of the address.
fn let_routes_decide(control: &mut [u8]) {
    let header = mem::size_of::<libc::cmsghdr>();
    let number = |place: usize| {
        control.get(place..place + 4).and_then(|bytes| Some(i32::from_ne_bytes(bytes.try_into().ok()?)))
    };
    // cmsghdr: length (8 bytes), level, type.
    let kind = (number(header - 8), number(header - 4));
    let index = if kind == (Some(libc::IPPROTO_IP), Some(libc::IP_PKTINFO)) {
        // in_pktinfo: interface, local address, destination.
        header
    } else if kind == (Some(libc::IPPROTO_IPV6), Some(libc::IPV6_PKTINFO))
        && control.get(header..header + 2).is_some_and(|start| start[0] != 0xfe || start[1] & 0xc0 != 0x80)
    {
        // in6_pktinfo: address, interface.
        header + 16
    } else {
        return;
    };
    if let Some(interface) = control.get_mut(index..index + 4) {
        interface.fill(0);
    }
}

/// The address of a peer; `None` of what is no internet address. Mapped addresses are those of IPv4.
fn socket_addr(storage: &libc::sockaddr_storage, length: libc::socklen_t) -> Option<SocketAddr> {
    let length = length as usize;
    match i32::from(storage.ss_family) {
        libc::AF_INET if length >= mem::size_of::<libc::sockaddr_in>() => {
            // SAFETY: the kernel wrote a sockaddr_in, as family and length say; sockaddr_storage is aligned for all of them.
            let address = unsafe { &*ptr::from_ref(storage).cast::<libc::sockaddr_in>() };
            let ip = IpAddr::from(u32::from_be(address.sin_addr.s_addr).to_be_bytes());
            Some(SocketAddr::new(ip, u16::from_be(address.sin_port)))
        }
        libc::AF_INET6 if length >= mem::size_of::<libc::sockaddr_in6>() => {
            // SAFETY: as above, of sockaddr_in6.
            let address = unsafe { &*ptr::from_ref(storage).cast::<libc::sockaddr_in6>() };
            let ip = IpAddr::from(address.sin6_addr.s6_addr).to_canonical();
            Some(SocketAddr::new(ip, u16::from_be(address.sin6_port)))
        }
        _ => None,
    }
}

/// Sets what no safe wrapper sets: where a socket has several addresses the one that was asked comes with each query, answers over
/// IPv4 may be fragmented on their way, and those over IPv6 fit through every link.
pub(super) fn prepare(socket: BorrowedFd<'_>, bound: IpAddr) -> io::Result<()> {
    let has_several = libc::c_int::from(bound.is_unspecified());
    // DF off, and nothing is believed about a path (RFC 9715 §3.1); of a socket for IPv6 that is what it sends over IPv4.
    set(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_OMIT)?;
    if bound.is_ipv4() {
        return set(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, has_several);
    }
    set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, has_several)?;
    set(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU, 1280)
}

fn set(socket: BorrowedFd<'_>, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    // SAFETY: the kernel reads one int.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            mem::size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// What is set.
#[cfg(test)]
pub(super) fn option(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
) -> io::Result<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut length = mem::size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the kernel writes at most one int.
    let result = unsafe {
        libc::getsockopt(socket.as_raw_fd(), level, name, (&raw mut value).cast(), &raw mut length)
    };
    if result == 0 { Ok(value) } else { Err(io::Error::last_os_error()) }
}

/// Datagrams that are taken at once: more of them make answers wait for each other.
pub(super) const BATCH: usize = 16;
/// The longest query that is read.
const QUERY_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsFd;
    use std::time::Duration;

    use super::*;

    #[track_caller]
    fn check(bind: &str, asked: &str) {
        let server = UdpSocket::bind(bind).expect("a socket");
        server.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        prepare(server.as_fd(), server.local_addr().expect("an address").ip()).expect("options");
        let port = server.local_addr().expect("an address").port();
        let client =
            UdpSocket::bind(if asked.contains(':') { "[::]:0" } else { "0.0.0.0:0" }).expect("a socket");
        client.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout");
        let asked: IpAddr = asked.parse().expect("an address");
        for text in ["one", "two", ""] {
            client.send_to(text.as_bytes(), (asked, port)).expect("it is sent");
        }
        let mut batch = Batch::new(512);
        let mut left = 3;
        while left > 0 {
            left -= batch.receive(server.as_fd()).expect("queries");
            batch.answer(|query, peer, answer| {
                assert_eq!(peer.port(), client.local_addr().expect("an address").port());
                answer[..query.len()].copy_from_slice(query);
                (!query.is_empty()).then_some(query.len())
            });
            assert_eq!(batch.send(server.as_fd()), 0);
        }
        let mut buffer = [0; 10];
        for text in ["one", "two"] {
            let (length, from) = client.recv_from(&mut buffer).expect("an answer");
            assert_eq!((&buffer[..length], from.ip()), (text.as_bytes(), asked), "from where it was asked");
        }
    }

    #[test]
    fn answers_come_from_the_address_that_was_asked() {
        check("127.0.0.1:0", "127.0.0.1");
        check("0.0.0.0:0", "127.0.0.77");
        check("[::]:0", "127.0.0.77");
        check("[::]:0", "::1");
        check("[::1]:0", "::1");
    }

    #[test]
    fn waiting_ends() {
        let server = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        server.set_read_timeout(Some(Duration::from_millis(1))).expect("a timeout");
        let error = Batch::new(512).receive(server.as_fd()).expect_err("nobody asks");
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn what_is_too_long_is_no_query() {
        let server = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let client = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        client.send_to(&[7; 5000], server.local_addr().expect("an address")).expect("it is sent");
        let mut batch = Batch::new(512);
        batch.receive(server.as_fd()).expect("it came");
        batch.answer(|query, _, _| {
            assert!(query.is_empty());
            None
        });
    }
}
