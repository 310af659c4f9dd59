//! Two thousand slow clients, until the last limit has met its own.

use std::io::{self, Write as _};

use crate::edges::slow_clients::{Dripping, run};

#[test]
#[ignore = "takes 40 s"]
fn each_of_two_thousand_slow_clients_is_ended() {
    for (kind, bytes) in run(Dripping::UntilCutOff) {
        let _ = writeln!(io::stderr(), "{kind}: {bytes} bytes a connection");
    }
}
