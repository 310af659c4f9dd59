//! Pooled buffers of a worker: a connection holds one per direction only while bytes are in it.

use std::cell::RefCell;

/// Sizes a buffer can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    /// For heads and small bodies.
    Small,
    /// For bulk: fewer system calls per byte.
    Large,
}

impl Size {
    pub(crate) const fn bytes(self) -> usize {
        match self {
            Size::Small => 16 * 1024,
            Size::Large => 64 * 1024,
        }
    }
}

/// Received bytes that nobody has consumed yet, and room for more.
pub(crate) struct Buffer {
    /// Initialised once and never shrunk, so that reading into it needs no unsafe code.
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buffer {
    fn new(capacity: usize) -> Self {
        Buffer { bytes: vec![0; capacity].into_boxed_slice(), start: 0, end: 0 }
    }

    pub(crate) fn filled(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(crate) fn is_full(&self) -> bool {
        self.end - self.start == self.bytes.len()
    }

    pub(crate) fn capacity(&self) -> usize {
        self.bytes.len()
    }

    /// Drops bytes from the front.
    pub(crate) fn consume(&mut self, count: usize) {
        debug_assert!(count <= self.end - self.start);
        self.start += count;
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Room behind the filled part; what is filled moves to the front when little is left there.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        if self.start > 0 && self.bytes.len() - self.end < self.bytes.len() / 2 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        &mut self.bytes[self.end..]
    }

    /// So many bytes of [`space`](Self::space) have been filled.
    pub(crate) fn fill(&mut self, count: usize) {
        debug_assert!(self.end + count <= self.bytes.len());
        self.end += count;
    }

    fn append(&mut self, bytes: &[u8]) {
        self.bytes[self.end..self.end + bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
    }
}

/// Buffers that nobody uses.
#[derive(Default)]
pub(crate) struct BufferPool {
    small: RefCell<Vec<Buffer>>,
    large: RefCell<Vec<Buffer>>,
    output: RefCell<Vec<Vec<u8>>>,
}

impl BufferPool {
    /// An empty buffer.
    pub(crate) fn take(&self, size: Size) -> Buffer {
        let list = self.list(size);
        list.borrow_mut().pop().unwrap_or_else(|| Buffer::new(size.bytes()))
    }

    /// A buffer with at least `capacity` bytes and the contents of `old`.
    pub(crate) fn grow(&self, old: Buffer, capacity: usize) -> Buffer {
        let mut new =
            if capacity <= Size::Large.bytes() { self.take(Size::Large) } else { Buffer::new(capacity) };
        new.append(old.filled());
        self.give(old);
        new
    }

    /// Takes a buffer back. One of another size than the pool's is freed.
    pub(crate) fn give(&self, mut buffer: Buffer) {
        let list = match buffer.bytes.len() {
            length if length == Size::Small.bytes() => &self.small,
            length if length == Size::Large.bytes() => &self.large,
            _ => return,
        };
        let mut list = list.borrow_mut();
        if list.len() < MAX_POOLED {
            (buffer.start, buffer.end) = (0, 0);
            list.push(buffer);
        }
    }

    /// An empty buffer for bytes to be sent.
    pub(crate) fn take_output(&self) -> Vec<u8> {
        self.output.borrow_mut().pop().unwrap_or_default()
    }

    pub(crate) fn give_output(&self, mut output: Vec<u8>) {
        let mut list = self.output.borrow_mut();
        if output.capacity() > 0 && output.capacity() <= Size::Large.bytes() && list.len() < MAX_POOLED {
            output.clear();
            list.push(output);
        }
    }

    /// Frees what nobody uses.
    pub(crate) fn clear(&self) {
        self.small.take();
        self.large.take();
        self.output.take();
    }

    fn list(&self, size: Size) -> &RefCell<Vec<Buffer>> {
        match size {
            Size::Small => &self.small,
            Size::Large => &self.large,
        }
    }
}

/// Buffers kept of each size: 4 MiB small and 16 MiB large ones for a worker that has seen a burst.
const MAX_POOLED: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_survive_moving_and_growing() {
        let pool = BufferPool::default();
        let mut buffer = pool.take(Size::Small);
        let count = buffer.space().len();
        buffer.space().iter_mut().enumerate().for_each(|(at, byte)| *byte = at as u8);
        buffer.fill(count);
        assert!(buffer.is_full());
        buffer.consume(count - 3);
        let tail = buffer.filled().to_vec();
        assert!(buffer.space().len() >= count / 2);
        assert_eq!(buffer.filled(), tail);
        let grown = pool.grow(buffer, 20 * 1024);
        assert_eq!((grown.filled(), grown.capacity()), (&tail[..], Size::Large.bytes()));
        let huge = pool.grow(grown, 100_000);
        assert_eq!((huge.filled(), huge.capacity()), (&tail[..], 100_000));
        pool.give(huge);
        assert!(pool.take(Size::Large).is_empty());
    }
}
