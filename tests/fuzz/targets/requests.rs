//! Bytes from clients: see `fulcrum_data_plane::fuzz::requests`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fulcrum_data_plane::fuzz::requests(bytes));
