//! Room for many connections at a time.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Lets this process, and the daemons it starts, have so many open files. Panics where the hard limit is lower.
#[track_caller]
pub(crate) fn raise_descriptors(count: u64) {
    let mut limit = getrlimit(Resource::Nofile);
    let enough = limit.maximum.is_none_or(|maximum| maximum >= count);
    assert!(enough, "needs {count} open files; raise the hard limit (ulimit -Hn)");
    limit.current = limit.current.map(|current| current.max(count));
    setrlimit(Resource::Nofile, limit).expect("up to the hard limit");
}
