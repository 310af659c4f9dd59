//! What an instance says of itself when it registers, and what others know of it.

use std::net::IpAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use crate::endpoint::Weight;
use crate::few::Few;

/// What an instance tells the registry of itself. What it tells as others of its service do is read as if it were here,
/// too.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Registration {
    /// Where it is reached.
    pub address: IpAddr,
    /// Where it serves.
    pub port: NonZeroU16,
    /// The start of an instance that it is the outcome of.
    pub launch_id: Option<Box<str>>,
    /// Everything else.
    pub traits: Arc<Traits>,
}

/// What instances of a service say mostly alike: in memory once for all who do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Traits {
    /// Further ports by their names, like `metrics`.
    pub ports: Few<NonZeroU16>,
    /// Its share of traffic relative to the other instances.
    pub weight: Weight,
    /// Where it runs, like a zone of a cloud.
    pub locality: Option<Arc<str>>,
    /// The region it belongs to.
    pub region: Option<Arc<str>>,
    /// What it can be found by, in order, each once.
    pub tags: Arc<[Box<str>]>,
    /// Whatever else is worth knowing.
    pub meta: Few<Box<str>>,
    /// How long it stays registered after its last heartbeat.
    pub ttl: Duration,
    /// Requests that it can work on at a time; `None` when it has not said so.
    pub load_limit: Option<NonZeroU32>,
}

impl Deref for Registration {
    type Target = Traits;

    fn deref(&self) -> &Traits {
        &self.traits
    }
}

impl Registration {
    /// What its texts take in memory, about, in bytes, where it shares none of them.
    pub fn texts(&self) -> usize {
        let Traits { ports, locality, region, tags, meta, .. } = &**self;
        let named = [locality.as_deref(), region.as_deref(), self.launch_id.as_deref()];
        let ports = ports.iter().map(|(name, _)| name);
        let meta = meta.iter().flat_map(|(key, value)| [key, &**value]);
        let texts = named.into_iter().flatten().chain(ports).chain(meta).chain(tags.iter().map(|tag| &**tag));
        texts.map(|text| TEXT + text.len()).sum()
    }
}

impl Traits {
    /// Where `other` says the same it takes the place of these. Else what it says with the same words is in memory once
    /// from here on.
    pub fn share(this: &mut Arc<Traits>, other: &Arc<Traits>) {
        if this == other {
            *this = Arc::clone(other);
        } else {
            Arc::make_mut(this).share_parts(other);
        }
    }

    fn share_parts(&mut self, other: &Traits) {
        fn share<T: Clone + PartialEq>(mine: &mut T, other: &T) {
            if *mine == *other {
                *mine = other.clone();
            }
        }
        share(&mut self.ports, &other.ports);
        share(&mut self.locality, &other.locality);
        share(&mut self.region, &other.region);
        share(&mut self.tags, &other.tags);
        share(&mut self.meta, &other.meta);
    }
}

/// What a text takes besides its letters, about, in bytes: where it is, and the allocator's share.
pub const TEXT: usize = 32;

/// What is known of the way to an instance, apart from what it says itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Nobody has looked.
    #[default]
    Unknown,
    /// It passes its health check.
    Reachable,
    /// Its health check fails, it refuses connections, or it was ejected for its errors.
    Failing,
}
