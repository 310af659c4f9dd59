//! A gibibyte each way to readers that stop for seconds.

use std::io::{self, Write as _};
use std::time::Duration;

use crate::tcp::slow_readers::{Transfer, run};

#[test]
#[ignore = "passes 2 GiB, takes ten seconds"]
fn a_gibibyte_each_way_costs_no_memory() {
    let grown = run(Transfer { bytes: 1 << 30, stop: Duration::from_secs(2) });
    let _ = writeln!(io::stderr(), "the daemon has grown by {} KiB at most", grown >> 10);
}
