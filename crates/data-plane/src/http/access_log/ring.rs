//! The workers' end of the log: records gather in a block, full blocks go to the writer, empty ones come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use super::format::Format;
use super::record::Record;

/// A block is handed over when it holds this many bytes: large enough that a write costs nothing per record.
pub(super) const BLOCK: usize = 32 * 1024;
/// Room behind [`BLOCK`] for the record that fills it, so that ordinary records never make a block grow.
const SLACK: usize = 4 * 1024;
/// Blocks that wait for the writer, of all sinks: 2 MiB of records, some 5,000 of them.
pub(super) const QUEUE: usize = 64;
/// Empty blocks that wait for one sink; what comes back beyond them (after a burst) is freed.
const RETURNED: usize = 8;

/// How the log fares. Counted per block, so the log's counters trail the requests by one block or tick.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    written: AtomicU64,
    dropped: AtomicU64,
}

impl Counters {
    /// Records written out.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Records lost because the writer was behind or could not write.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(super) fn count_written(&self, records: u64) {
        self.written.fetch_add(records, Ordering::Relaxed);
    }

    pub(super) fn count_dropped(&self, records: u64) {
        self.dropped.fetch_add(records, Ordering::Relaxed);
    }
}

/// Lines on their way to the writer.
#[derive(Debug)]
pub(super) struct Handover {
    /// Whole lines.
    pub(super) lines: Vec<u8>,
    /// How many.
    pub(super) records: u64,
    home: SyncSender<Vec<u8>>,
}

impl Handover {
    /// Sends the emptied block back. One that a huge record has blown up is freed instead: memory stays bounded.
    pub(super) fn recycle(mut self) {
        if self.lines.capacity() <= BLOCK + SLACK {
            self.lines.clear();
            // Full or gone: the sink has enough, or has ended. The block is freed.
            let _ = self.home.try_send(self.lines);
        }
    }
}

/// What travels to the writer; `None` only wakes it.
pub(super) type Message = Option<Handover>;

/// One worker's end of the log. Never blocks. Dropping it hands over what it holds.
#[derive(Debug)]
pub(crate) struct Sink {
    format: Format,
    /// Without capacity until the first record after a hand-over.
    block: Vec<u8>,
    records: u64,
    queue: SyncSender<Message>,
    home: SyncSender<Vec<u8>>,
    returned: Receiver<Vec<u8>>,
    counters: Arc<Counters>,
}

impl Sink {
    pub(super) fn new(format: Format, queue: SyncSender<Message>, counters: Arc<Counters>) -> Sink {
        let (home, returned) = sync_channel(RETURNED);
        Sink { format, block: Vec::new(), records: 0, queue, home, returned, counters }
    }

    /// Takes one record; hands the block over when that filled it.
    pub(crate) fn record(&mut self, record: &Record<'_>) {
        if self.block.capacity() == 0 {
            self.block = self.returned.try_recv().unwrap_or_else(|_| Vec::with_capacity(BLOCK + SLACK));
        }
        self.format.write(record, &mut self.block);
        self.records += 1;
        if self.block.len() >= BLOCK {
            self.flush();
        }
    }

    /// Hands over the block unless it is empty. The worker calls this every tick, so that records of a quiet time
    /// are not held back.
    pub(crate) fn flush(&mut self) {
        if self.records == 0 {
            return;
        }
        let records = std::mem::take(&mut self.records);
        let lines = std::mem::take(&mut self.block);
        let handover = Handover { lines, records, home: self.home.clone() };
        match self.queue.try_send(Some(handover)) {
            Ok(()) => {}
            Err(TrySendError::Full(message) | TrySendError::Disconnected(message)) => {
                self.counters.count_dropped(records);
                message.into_iter().for_each(Handover::recycle);
            }
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.flush();
    }
}
