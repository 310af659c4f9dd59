//! What the daemon says about itself, held against traffic that the test has made: metrics, access log, admin.

mod access_log;
mod admin;
mod blocked_log;
mod descriptors;
mod limits;
mod metrics;
