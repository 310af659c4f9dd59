//! Configuration files: whatever they hold, they are loaded or refused with errors that can be printed.

#![no_main]

use std::hint::black_box;

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(bytes) else { return Corpus::Reject };
    // Nothing on this machine is to be read.
    if text.contains("include") || text.contains("file:") {
        return Corpus::Reject;
    }
    match fulcrum_config::load_text("fuzz.yaml", text, &|name| (name == "A").then(|| "1".to_owned())) {
        Ok(loaded) => drop(black_box(loaded)),
        Err(report) => drop(black_box(report.to_string())),
    }
    Corpus::Keep
});
