//! Messages to a name server: see `fulcrum_gslb::fuzz::query`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fulcrum_gslb::fuzz::query(bytes));
