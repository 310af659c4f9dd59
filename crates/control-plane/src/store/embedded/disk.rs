//! A disk that loses power: what was not synced before may be there afterwards, or not, or in part.

use std::io;
use std::sync::{Arc, Mutex};

use fulcrum_balance::Rng;
use redb::StorageBackend;

/// A disk and its bytes. Clones are the same disk.
#[derive(Clone, Debug)]
pub(super) struct Disk(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    /// What survives.
    synced: Vec<u8>,
    /// What is read.
    seen: Vec<u8>,
    /// Since the last sync, in their order.
    pending: Vec<Pending>,
    /// Operations until the power fails.
    left: u64,
    /// There is room for no more.
    full: bool,
}

#[derive(Clone, Debug)]
enum Pending {
    Write(usize, Vec<u8>),
    Length(usize),
}

impl Disk {
    /// An empty disk that works for so many writes and syncs.
    pub(super) fn new(operations: u64) -> Self {
        Disk::of(Vec::new(), operations)
    }

    /// A disk that holds this.
    pub(super) fn of(bytes: Vec<u8>, operations: u64) -> Self {
        let inner =
            Inner { synced: bytes.clone(), seen: bytes, pending: Vec::new(), left: operations, full: false };
        Disk(Arc::new(Mutex::new(inner)))
    }

    /// Another disk with the same bytes, which does not fail.
    pub(super) fn copy(&self) -> Self {
        Disk::of(self.inner().seen.clone(), u64::MAX)
    }

    /// What is read from it.
    pub(super) fn bytes(&self) -> Vec<u8> {
        self.inner().seen.clone()
    }

    /// From here on there is room, or not.
    pub(super) fn fill(&self, full: bool) {
        self.inner().full = full;
    }

    /// The disk after the power has failed: each unsynced write is there, or not, or only in some of its sectors.
    pub(super) fn after_power_failure(&self, rng: &mut Rng, operations: u64) -> Self {
        let inner = self.inner();
        let mut bytes = inner.synced.clone();
        for pending in &inner.pending {
            match pending {
                // Lengths are journaled by the file system, in their order.
                Pending::Length(length) => bytes.resize(*length, 0),
                Pending::Write(offset, data) => {
                    let fate = rng.below(3);
                    for (number, sector) in data.chunks(SECTOR).enumerate() {
                        let start = offset + number * SECTOR;
                        let is_there = fate == 0 || (fate == 1 && rng.below(2) == 0);
                        if is_there && start + sector.len() <= bytes.len() {
                            bytes[start..start + sector.len()].copy_from_slice(sector);
                        }
                    }
                }
            }
        }
        Disk::of(bytes, operations)
    }

    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().expect("nobody panics with the disk")
    }
}

impl Inner {
    fn operate(&mut self) -> io::Result<()> {
        if self.full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.left = self.left.checked_sub(1).ok_or_else(|| io::Error::other("the power has failed"))?;
        Ok(())
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.inner().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let inner = self.inner();
        let start = offset as usize;
        let found = inner.seen.get(start..start + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut inner = self.inner();
        inner.operate()?;
        inner.seen.resize(len as usize, 0);
        inner.pending.push(Pending::Length(len as usize));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut inner = self.inner();
        inner.operate()?;
        inner.synced = inner.seen.clone();
        inner.pending.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut inner = self.inner();
        inner.operate()?;
        let start = offset as usize;
        if start + data.len() > inner.seen.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        inner.seen[start..start + data.len()].copy_from_slice(data);
        inner.pending.push(Pending::Write(start, data.to_vec()));
        Ok(())
    }
}

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;
