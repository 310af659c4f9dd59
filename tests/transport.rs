//! Connections to the upstream: kept, used again, given up, and replaced where that is safe.

mod broken;
mod connecting;
mod downstream;
mod failing;
mod poison;
mod pool;
mod time;
