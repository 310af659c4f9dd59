//! What HTTP/1 says about single messages, old clients and clients that go away.

mod bodiless;
mod connections;
mod fields;
mod interim;
mod leaving;
mod options;
