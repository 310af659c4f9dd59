//! Sources of endpoints outside of the configuration.

pub mod dns;
