//! Bodies pass byte by byte as they come, both ways, in any framing, and a broken one never ends cleanly.

mod back_pressure;
mod bodies;
mod broken;
mod kept;
mod leaving;

use std::thread;

use crate::harness::{Client, Wire};

const LARGE: usize = 16 << 20;

/// Sends a body piece by piece beside us.
fn send_beside(client: &Client, bytes: Vec<u8>, piece: usize) -> thread::JoinHandle<()> {
    let mut wire = Wire::new(client.wire.socket.try_clone());
    thread::spawn(move || {
        for piece in bytes.chunks(piece) {
            if wire.send(piece).is_err() {
                return;
            }
        }
    })
}
