//! Bytes from upstreams: see `fulcrum_data_plane::fuzz::responses`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fulcrum_data_plane::fuzz::responses(bytes));
