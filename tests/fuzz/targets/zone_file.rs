//! Zone files: see `fulcrum_gslb::fuzz::zone_file`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fulcrum_gslb::fuzz::zone_file(bytes));
