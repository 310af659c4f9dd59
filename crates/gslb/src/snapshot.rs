//! Everything that an answer needs, as one value: whoever answers holds one and never sees half of a change.

use std::sync::Arc;

use crate::answer::{DATAGRAM_MAX, DIRECTORY_DATAGRAM_MAX};
use crate::choices::Choices;
use crate::cookie::CookieKeys;
use crate::counters::ZoneCells;
use crate::directory::Directory;
use crate::names::Names;

/// What is answered. A change of verdicts exchanges the choices alone; names and choices are shared.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// The generation of the configuration that it comes from.
    pub generation: u64,
    /// The names of all zones.
    pub names: Arc<Names>,
    /// What answers where it depends on who asks, by number.
    pub choices: Choices,
    /// What makes and checks cookies.
    pub cookies: Arc<CookieKeys>,
    /// The counters of the zones, by number.
    pub zone_cells: Arc<[Arc<ZoneCells>]>,
    /// Those of what is in no zone.
    pub nowhere_cells: Arc<ZoneCells>,
    /// What this server is called, at most [`IDENTITY_MAX`] bytes; empty for a secret.
    pub identity: Arc<[u8]>,
    /// What the numbers of regions stand for.
    pub regions: Arc<[Named]>,
    /// The services of a registry: they are answered instead of the names.
    pub directory: Option<Arc<Directory>>,
}

impl Snapshot {
    /// The largest datagram that is sent.
    pub(crate) fn datagram_max(&self) -> usize {
        if self.directory.is_some() { DIRECTORY_DATAGRAM_MAX } else { DATAGRAM_MAX }
    }
}

/// What a region is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named(pub fulcrum_model::RegionName);

/// The longest name of a server.
pub const IDENTITY_MAX: usize = 128;
