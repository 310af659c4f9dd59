//! A hundred reloads under load of every kind.

use std::io::{self, Write as _};

use crate::lifecycle::reload_load::run;

#[test]
#[ignore = "takes half a minute"]
fn no_request_is_lost_in_a_hundred_reloads() {
    let [early, late] = run(100);
    let _ = writeln!(io::stderr(), "{} KiB after 10 reloads, {} KiB after 100", early >> 10, late >> 10);
}
