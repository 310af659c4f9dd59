//! An upstream that can be frozen and killed, because it is a process: this test binary, started once more.
//!
//! It is told by lines on its standard input how to behave, and ends with it. A POST counts as done when its target is in
//! the journal, which is before the answer and survives the death of the process.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::process::{Signal, set_parent_process_death_signal};

use crate::harness::{Socket, Wire};

/// The name of [`tests::is_an_upstream`] as the test binary knows it.
pub(super) const TEST: &str = "soak::failures::process::is_an_upstream";
/// Its variables: who it is, where it listens, and where it writes down what it has done.
pub(super) const NAME: &str = "FULCRUM_SOAK_NAME";
pub(super) const ADDRESS: &str = "FULCRUM_SOAK_ADDRESS";
pub(super) const JOURNAL: &str = "FULCRUM_SOAK_JOURNAL";
/// What it says when it listens, before its address.
pub(super) const LISTENING: &str = "listening at ";

/// What is checked.
const HEALTH: &str = "/healthz";
/// How long an answer takes.
const WORK: Duration = Duration::from_millis(20);
/// So much of `x` follows the first line of an answer: no one segment holds it.
const PADDING: usize = 4000;

/// How it behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Manner {
    /// Answers.
    Well,
    /// Takes requests and never answers.
    Mute,
    /// The same, but its check passes.
    MuteBehindItsCheck,
    /// Answers 500.
    Error,
    /// The same, but its check passes.
    ErrorBehindItsCheck,
    /// Answers 503.
    Unavailable,
    /// The same, but its check passes.
    UnavailableBehindItsCheck,
    /// Breaks the connection in the middle of a response.
    Breaking,
    /// The same, but its check passes.
    BreakingBehindItsCheck,
}

impl Manner {
    const ALL: [Manner; 9] = [
        Manner::Well,
        Manner::Mute,
        Manner::MuteBehindItsCheck,
        Manner::Error,
        Manner::ErrorBehindItsCheck,
        Manner::Unavailable,
        Manner::UnavailableBehindItsCheck,
        Manner::Breaking,
        Manner::BreakingBehindItsCheck,
    ];

    /// The same for one request: its check may be told something else.
    fn towards(self, target: &str) -> Manner {
        let is_hidden = target == HEALTH;
        match self {
            _ if is_hidden && self.is_behind_its_check() => Manner::Well,
            Manner::MuteBehindItsCheck => Manner::Mute,
            Manner::ErrorBehindItsCheck => Manner::Error,
            Manner::UnavailableBehindItsCheck => Manner::Unavailable,
            Manner::BreakingBehindItsCheck => Manner::Breaking,
            manner => manner,
        }
    }

    fn is_behind_its_check(self) -> bool {
        matches!(
            self,
            Manner::MuteBehindItsCheck
                | Manner::ErrorBehindItsCheck
                | Manner::UnavailableBehindItsCheck
                | Manner::BreakingBehindItsCheck
        )
    }
}

/// The process.
struct Backend {
    name: String,
    manner: AtomicU8,
    journal: Mutex<File>,
}

/// Serves until the standard input ends.
pub(super) fn serve() {
    set_parent_process_death_signal(Some(Signal::KILL)).expect("a signal that there is");
    let variable = |name: &str| std::env::var(name).expect("who starts it says so");
    let journal = OpenOptions::new().append(true).create(true).open(variable(JOURNAL));
    let backend = Arc::new(Backend {
        name: variable(NAME),
        manner: AtomicU8::new(Manner::Well as u8),
        journal: Mutex::new(journal.expect("room for a file")),
    });
    let listener = TcpListener::bind(variable(ADDRESS)).expect("the address is ours");
    let address = listener.local_addr().expect("bound");
    writeln!(io::stdout(), "{LISTENING}{address}").expect("whoever started us listens");
    let theirs = Arc::clone(&backend);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let backend = Arc::clone(&theirs);
            thread::spawn(move || backend.converse(stream));
        }
    });
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        backend.manner.store(line.parse().expect("the number of a manner"), Ordering::Release);
    }
    std::process::exit(0);
}

impl Backend {
    fn manner(&self) -> Manner {
        Manner::ALL[usize::from(self.manner.load(Ordering::Acquire))]
    }

    fn converse(&self, stream: TcpStream) {
        stream.set_nodelay(true).expect("a TCP stream");
        let mut wire = Wire::new(Socket::Tcp(stream));
        // It is the proxy that closes idle connections.
        wire.socket.set_read_timeout(Duration::from_secs(600));
        let record = wire.record();
        while let Ok(head) = wire.head() {
            let body = usize::try_from(head.content_length().unwrap_or(0)).expect("a short body");
            if wire.exactly(body).is_err() || !self.answer(&mut wire, head.word(0), head.word(1)) {
                return;
            }
            record.lock().expect("nobody panics with the record").clear();
        }
    }

    /// Answers one request; whether the connection is still of use.
    fn answer(&self, wire: &mut Wire, method: &str, target: &str) -> bool {
        let manner = self.manner().towards(target);
        let status = match manner {
            Manner::Error => "500 Internal Server Error",
            Manner::Unavailable => "503 Service Unavailable",
            _ => "200 OK",
        };
        // Who answers with an error has done nothing.
        if method == "POST" && status == "200 OK" {
            let mut journal = self.journal.lock().expect("nobody panics with the journal");
            writeln!(journal, "{target}").expect("room for a line");
        }
        if manner == Manner::Mute {
            self.keep_silent();
            return false;
        }
        thread::sleep(WORK);
        let body = format!("{} {target}\n{}", self.name, "x".repeat(PADDING));
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        if manner == Manner::Breaking {
            let _ = wire.send(&answer.as_bytes()[..answer.len() / 2]);
            wire.socket.reset_on_close();
            return false;
        }
        wire.send(answer.as_bytes()).is_ok()
    }

    fn keep_silent(&self) {
        while self.manner() == Manner::Mute || self.manner() == Manner::MuteBehindItsCheck {
            thread::sleep(Duration::from_millis(10));
        }
    }
}
