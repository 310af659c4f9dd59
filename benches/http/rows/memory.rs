//! What idle connections take.

use std::io;

use crate::idle::{self, Footprint};
use crate::options::Work;
use crate::peer::Setup;
use crate::report::Cell;

use super::{Bench, megabytes, progress};

impl Bench<'_> {
    pub(super) fn idle(&mut self) -> io::Result<()> {
        if !self.options.wants(Work::Idle) {
            return Ok(());
        }
        let count = self.options.idle;
        let (mut totals, mut each) = (Vec::new(), Vec::new());
        for peer in self.peers {
            progress("idle connections", &peer.label);
            let proxy = self.stage.start(peer, &Setup::PLAIN)?;
            let footprint = idle::measure(&proxy, count).map_err(|error| proxy.blame(&error))?;
            totals.push(megabytes(footprint.after));
            each.push(kilobytes_each(footprint, count));
        }
        self.tables.memory.push(&format!("{count} idle connections: RSS, MB"), totals);
        self.tables.memory.push(&format!("{count} idle connections: KB each"), each);
        Ok(())
    }
}

/// What one of `count` connections takes.
pub(super) fn kilobytes_each(footprint: Footprint, count: usize) -> Cell {
    Cell::number(footprint.after.saturating_sub(footprint.before) as f64 / 1000.0 / count as f64, 2)
}
