//! A small name server, and a daemon that asks it.

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use tempfile::TempDir;

use crate::harness::Fulcrum;

/// Answers over UDP from a table that can be exchanged; every record holds for a second.
pub(super) struct NameServer {
    address: Ipv4Addr,
    table: Arc<Mutex<String>>,
    over: Arc<AtomicBool>,
}

impl NameServer {
    /// Starts one at an address of this machine that no other test has.
    ///
    /// # Panics
    /// Without the right to bind port 53, the only one that `/etc/resolv.conf` knows.
    pub(super) fn start() -> Self {
        static NUMBER: AtomicU8 = AtomicU8::new(1);
        let [high, low] = (std::process::id() as u16).to_be_bytes();
        let address = Ipv4Addr::new(127, 128 | high, low, NUMBER.fetch_add(1, Ordering::Relaxed));
        let socket = UdpSocket::bind((address, 53))
            .unwrap_or_else(|error| panic!("a name server at {address}:53 (this takes root): {error}"));
        let server = NameServer { address, table: Arc::default(), over: Arc::default() };
        let (table, over) = (Arc::clone(&server.table), Arc::clone(&server.over));
        thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((length, client)) = socket.recv_from(&mut buffer) {
                if over.load(Ordering::Acquire) {
                    return;
                }
                let table = table.lock().expect("nobody panics").clone();
                if let Some(answer) = answer(&buffer[..length], &table) {
                    socket.send_to(&answer, client).expect("the client is there");
                }
            }
        });
        server
    }

    /// From now on knows these records, a line each: `NAME A ADDRESS` or `NAME SRV PRIORITY WEIGHT PORT TARGET`. With
    /// `silence` it says nothing.
    pub(super) fn say(&self, table: &str) {
        *self.table.lock().expect("nobody panics") = table.to_owned();
    }

    /// Starts a daemon that resolves names here, in a view of the files of its own.
    #[track_caller]
    pub(super) fn start_daemon(&self, yaml: &str) -> Fulcrum {
        let folder: TempDir = tempfile::tempdir().expect("room for a directory");
        let resolv_conf = folder.path().join("resolv.conf");
        fs::write(&resolv_conf, format!("nameserver {}\n", self.address)).expect("room for a file");
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c"]);
        command.arg("mount --bind \"$1\" /etc/resolv.conf && exec \"$0\" run -c \"$2\"");
        command.arg(env!("CARGO_BIN_EXE_fulcrum")).arg(resolv_conf);
        Fulcrum::start_by(command, folder, yaml)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Release);
        // Wakes the thread, which then looks.
        let _ = UdpSocket::bind((self.address, 0)).and_then(|socket| socket.send_to(&[], (self.address, 53)));
    }
}

/// The answer to one question (RFC 1035 §4), or none.
fn answer(question: &[u8], table: &str) -> Option<Vec<u8>> {
    if table == "silence" || question.len() < 12 {
        return None;
    }
    let (name, end) = name_at(question, 12)?;
    let kind = u16::from_be_bytes([*question.get(end)?, *question.get(end + 1)?]);
    let records = table.lines().filter_map(|line| {
        let mut words = line.split(' ');
        (words.next()? == name).then(|| words.collect::<Vec<_>>())
    });
    let records: Vec<Vec<&str>> = records.collect();
    let wanted: Vec<Vec<u8>> = records.iter().filter_map(|words| data(words, kind)).collect();
    // Response, recursion available; NXDOMAIN for names without any record.
    let code = if records.is_empty() { 3 } else { 0 };
    let mut answer = question[..2].to_vec();
    answer.extend([0x81, 0x80 | code, 0, 1, 0, wanted.len() as u8, 0, 0, 0, 0]);
    answer.extend(question.get(12..end + 4)?);
    for data in wanted {
        // The name of the question, its kind and class, one second.
        answer.extend([0xc0, 12]);
        answer.extend(kind.to_be_bytes());
        answer.extend([0, 1, 0, 0, 0, 1]);
        answer.extend((data.len() as u16).to_be_bytes());
        answer.extend(data);
    }
    Some(answer)
}

/// A name in lower case, and where it ends.
fn name_at(message: &[u8], mut at: usize) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*message.get(at)?);
        let label = message.get(at + 1..at + 1 + length)?;
        at += 1 + length;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
    }
}

/// The data of a record, if it is of this kind.
fn data(words: &[&str], kind: u16) -> Option<Vec<u8>> {
    match (words, kind) {
        (["A", address], 1) => Some(address.parse::<Ipv4Addr>().expect("an address").octets().to_vec()),
        (["SRV", numbers @ .., target], 33) => {
            let number = |text: &&str| text.parse::<u16>().expect("a number").to_be_bytes();
            let mut data: Vec<u8> = numbers.iter().flat_map(number).collect();
            for label in target.split('.').chain([""]) {
                data.push(label.len() as u8);
                data.extend(label.as_bytes());
            }
            Some(data)
        }
        _ => None,
    }
}
