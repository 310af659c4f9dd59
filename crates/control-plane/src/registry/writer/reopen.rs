//! The file that failed, or was taken away: opened again, and set right.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::Writer;
use crate::state::{Key, Sequence};
use crate::store::{Embedded, Image};

impl Writer {
    /// The file has failed: for how long nobody touches it.
    pub(super) fn leave_alone(&mut self) {
        self.reopen_at = Instant::now() + self.reopen_after;
        self.reopen_after = (self.reopen_after * 2).min(REOPEN_LAST);
    }

    /// A file that is not in its place any more is let go of before anything is written to it that nobody would find.
    fn miss(&mut self) {
        if self.store.as_ref().is_some_and(|store| !store.is_at(&self.file)) {
            tracing::error!(file = %self.file.display(), "the registry's file was removed or replaced");
            self.shared.counters.is_writable.store(false, Ordering::Relaxed);
            self.store = None;
            self.is_misplaced = true;
        }
    }

    /// After a failure opens the file again, now and then, and sets right what it may hold wrongly.
    pub(super) fn reopen(&mut self) {
        self.miss();
        if self.store.is_some() || Instant::now() < self.reopen_at {
            return;
        }
        self.leave_alone();
        // A file that is made anew continues this history.
        let (mut store, image) = match Embedded::open(&self.file, self.shared.epoch.0) {
            Ok(opened) => opened,
            Err(error) => return tracing::error!(%error, "the registry's file cannot be opened"),
        };
        if image.epoch != self.shared.epoch {
            return tracing::error!(file = %self.file.display(), "another registry is in the place of this one's file");
        }
        if self.is_misplaced || image.sequence == Sequence(0) {
            // Another file, of ours at most a copy from before.
            self.doubt_all(image);
        }
        let doubtful = self.doubtful.iter().map(|key| {
            let instance = self.state.find(key).map(|(instance, _)| &**instance);
            (key, instance, self.state.departure(key))
        });
        match store.set(doubtful, self.state.sequence()) {
            Ok(()) => {
                tracing::info!("the registry takes changes again");
                self.doubtful.clear();
                self.is_misplaced = false;
                self.shared.counters.is_writable.store(true, Ordering::Relaxed);
                self.reserved = store.reserved();
                self.reopen_after = REOPEN_FIRST;
                self.store = Some(store);
            }
            Err(error) => tracing::error!(%error, "the registry's file cannot be written"),
        }
    }

    /// Nothing of what a file holds need be as it is, nor all of it there.
    fn doubt_all(&mut self, image: Image) {
        let kept = image.instances.into_iter().map(|instance| instance.key);
        let departed =
            image.departed.into_iter().map(|(service, departure)| Key { service, id: departure.id });
        let ours = self.state.all().map(|(instance, _)| instance.key.clone()).chain(self.state.departed());
        let all: BTreeSet<Key> = kept.chain(departed).chain(ours).collect();
        self.doubtful = all.into_iter().collect();
    }

    pub(super) fn forget(&mut self) {
        self.forget_at = Instant::now() + FORGET_EVERY;
        self.shared.contents.forget(&self.state);
        let state = &self.state;
        let forgotten = self.store.as_mut().map(|store| store.forget(|key| state.departure(key).is_none()));
        if let Some(Err(error)) = forgotten {
            tracing::error!(%error, "the registry takes no changes for now");
            self.shared.counters.is_writable.store(false, Ordering::Relaxed);
            self.store = None;
            self.leave_alone();
        }
    }
}

/// How long a file that failed is left alone: twice as long each time that it cannot be opened.
pub(super) const REOPEN_FIRST: Duration = Duration::from_secs(1);
pub(super) const REOPEN_LAST: Duration = Duration::from_secs(30);

/// How often the file is rid of those who need not be remembered.
pub(super) const FORGET_EVERY: Duration = Duration::from_secs(60);
