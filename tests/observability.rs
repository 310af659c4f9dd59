//! What the daemon says about itself, held against traffic that the test has made: metrics, access log, admin.

mod access_log;
mod admin;
mod blocked_log;
mod descriptors;
mod host_names;
mod limits;
mod metrics;
