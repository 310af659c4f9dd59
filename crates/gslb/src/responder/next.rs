//! A configuration that can be put in force.

use std::sync::Arc;

use fulcrum_config::gslb::Gslb;

use super::Responder;
use super::groundwork::Groundwork;
use crate::compiled::{CompileError, Compiled, ReadZone};
use crate::query_log::RunningLog;

/// A configuration that can be put in force.
#[derive(Debug)]
pub struct Next {
    pub(super) gslb: Arc<Gslb>,
    pub(super) compiled: Compiled,
    pub(super) groundwork: Groundwork,
    /// Another query log, or none; nothing where it stays as it is.
    pub(super) log: Option<Option<RunningLog>>,
}

impl Next {
    /// Checks a configuration. `read` reads zone files.
    pub fn prepare(
        gslb: &Gslb,
        read: ReadZone<'_>,
        running: Option<&Responder>,
    ) -> Result<Self, Vec<CompileError>> {
        let before = running.map(|running| {
            let state = running.state();
            (Arc::clone(&state.gslb), Arc::clone(&state.compiled))
        });
        let before = before.as_ref().map(|(gslb, compiled)| (&**gslb, &**compiled));
        let compiled = Compiled::new(gslb, read, before)?;
        let groundwork = Groundwork::new(gslb, &compiled);
        Ok(Next { gslb: Arc::new(gslb.clone()), compiled, groundwork, log: None })
    }

    /// Opens what queries are written to, unless that is open. A mere check does not: it leaves no files.
    pub fn open_log(&mut self, running: Option<&Responder>) -> std::io::Result<()> {
        let wanted = self.gslb.query_log.as_ref();
        let counts = running.map(|running| Arc::clone(&running.log_counts)).unwrap_or_default();
        let current = running.map(|running| running.log());
        let is = current.as_ref().and_then(|log| log.as_ref()).map(|log| &log.config);
        if is != wanted {
            self.log = Some(wanted.map(|config| RunningLog::open(config, &counts)).transpose()?);
        }
        Ok(())
    }
}
