//! Paths of requests: see `fulcrum_data_plane::fuzz::path`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fulcrum_data_plane::fuzz::path(bytes));
