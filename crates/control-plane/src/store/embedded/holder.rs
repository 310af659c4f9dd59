//! Which process holds the lock of a file: a second daemon should say who is there already.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The process that has locked this file; nothing when that is not known for certain.
pub(super) fn of(path: &Path) -> Option<u32> {
    let inode = fs::metadata(path).ok()?.ino();
    find(&fs::read_to_string("/proc/locks").ok()?, inode)
}

/// In the lines of proc_locks(5): `1: FLOCK ADVISORY WRITE 4711 fd:01:262146 0 EOF`. A device is written otherwise than
/// stat(2) does on some file systems, so that the inode has to be enough; where two have it nobody is named.
fn find(locks: &str, inode: u64) -> Option<u32> {
    let holder = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, "FLOCK", _, _, process, file, ..] = fields[..] else { return None };
        let is_meant = file.rsplit(':').next()?.parse() == Ok(inode);
        // A process of another container has no number here: 0 or -1.
        process.parse().ok().filter(|process| is_meant && *process > 0)
    };
    let mut holders = locks.lines().filter_map(holder);
    let first = holders.next()?;
    holders.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_certain_holder_is_named() {
        let check = |locks: &str, expected: Option<u32>| assert_eq!(find(locks, 77), expected, "{locks}");
        check("1: FLOCK  ADVISORY  WRITE 4711 fd:01:77 0 EOF\n", Some(4711));
        check("1: POSIX  ADVISORY  WRITE 4711 fd:01:77 0 EOF\n", None);
        check("1: FLOCK  ADVISORY  WRITE 4711 fd:01:78 0 EOF\n", None);
        check("1: FLOCK  ADVISORY  WRITE 0 fd:01:77 0 EOF\n", None);
        check("1: FLOCK  ADVISORY  WRITE -1 fd:01:77 0 EOF\n", None);
        check(
            "1: FLOCK  ADVISORY  WRITE 1 00:1f:77 0 EOF\n2: FLOCK  ADVISORY  WRITE 2 fd:01:77 0 EOF\n",
            None,
        );
        check("1: -> FLOCK  ADVISORY  WRITE 9 fd:01:77 0 EOF\n", None);
        check("", None);
        check("nonsense\n", None);
    }
}
