//! Bytes from clients, and what upstreams see of them: see `fulcrum_data_plane::fuzz::forwarded`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fulcrum_data_plane::fuzz::forwarded(bytes));
