//! What tells the data plane where endpoints are.
//!
//! ```text
//!   names of the configuration ──► discovery ──► addresses, whenever they change
//!   instances ──► api ──► registry (state, store, lease, eviction) ──► api, data plane: whoever follows
//! ```
//!
//! It decides nothing about traffic: it learns, and tells whoever asked to be told.

pub mod api;
pub mod discovery;
pub mod eviction;
pub mod file_watch;
pub mod lease;
pub mod metrics;
pub mod registry;
pub mod state;
pub mod store;
pub mod timestamp;
