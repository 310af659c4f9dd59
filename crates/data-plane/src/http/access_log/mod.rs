//! One record per request, formatted by the worker that served it, written by one thread for all workers.
//!
//! ```text
//!   worker ── Record ─► Sink ── whole block ─► bounded queue ─► writer thread ─► file or stdout
//!                         ▲                                         │
//!                         └──────────── empty block ◄───────────────┘
//! ```
//!
//! A worker never waits for the log: when the queue is full the whole block is dropped and its records are counted.
//! Blocks travel in circles, so a steady stream of records allocates nothing.

mod calendar;
mod encode;
mod field;
mod format;
mod record;
mod ring;
mod writer;

pub(crate) use calendar::civil_from_days;
pub(crate) use record::Record;
pub(crate) use ring::{Counters, Sink};
pub(crate) use writer::AccessLog;
