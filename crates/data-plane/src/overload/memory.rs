//! How much memory there is and how much of it is used: of the cgroup, where that has a limit, else of the host.

use std::fs;
use std::path::Path;

/// Bytes in use, and the most there can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) used: u64,
    /// Never 0.
    pub(crate) total: u64,
}

impl Memory {
    /// What the files below `root` tell: `/`, but for tests. `None` where there are none.
    pub(crate) fn read(root: &Path) -> Option<Self> {
        let host = Self::of_host(root);
        let cgroups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
        let limits = cgroups.lines().filter_map(Version::of).flat_map(|(version, path)| {
            // A limit of any of the groups around it is a limit. A path that is not to be seen from inside a container
            // leads to the root of what is.
            Path::new(path.trim_start_matches('/'))
                .ancestors()
                .filter_map(|group| version.read(&root.join(version.mount()).join(group)))
                .collect::<Vec<_>>()
        });
        // A group without a limit says so by a number that no host has.
        let real = |limit: &Memory| host.is_none_or(|host| limit.total < host.total);
        limits.filter(real).max_by(Memory::compare_use).or(host)
    }

    fn of_host(root: &Path) -> Option<Self> {
        let text = fs::read_to_string(root.join("proc/meminfo")).ok()?;
        let kilobytes = |key: &str| number_of(&text, key)?.checked_mul(1024);
        let (total, available) = (kilobytes("MemTotal:")?, kilobytes("MemAvailable:")?);
        (total > 0).then_some(Memory { used: total.saturating_sub(available), total })
    }

    /// By the share in use.
    fn compare_use(&self, other: &Memory) -> std::cmp::Ordering {
        let cross = |one: u64, other: u64| u128::from(one) * u128::from(other);
        cross(self.used, other.total).cmp(&cross(other.used, self.total))
    }
}

/// The two kinds of cgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl Version {
    /// The kind and path that a line of `/proc/self/cgroup` tells, if it is about memory (cgroups(7)).
    fn of(line: &str) -> Option<(Self, &str)> {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        match controllers {
            "" => Some((Version::Two, path)),
            _ if controllers.split(',').any(|name| name == "memory") => Some((Version::One, path)),
            _ => None,
        }
    }

    fn mount(self) -> &'static str {
        match self {
            Version::One => "sys/fs/cgroup/memory",
            Version::Two => "sys/fs/cgroup",
        }
    }

    /// The files of the limit, of what is used, and of what that consists of; the prefix of keys in the last.
    fn files(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Version::One => ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
            Version::Two => ("memory.max", "memory.current", ""),
        }
    }

    /// The limit of one group and what is used of it; `None` where there is no limit.
    fn read(self, group: &Path) -> Option<Memory> {
        let (limit, usage, prefix) = self.files();
        // Without a limit version 2 says `max`, which is no number.
        let number = |file: &str| fs::read_to_string(group.join(file)).ok()?.trim().parse::<u64>().ok();
        let (total, used) = (number(limit).filter(|&total| total > 0)?, number(usage)?);
        // Files in the cache count as used, but the kernel takes them back before it is out of memory. Whoever writes
        // a log would seem to need all there is.
        let text = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
        let cached = |key: &str| number_of(&text, &format!("{prefix}{key}")).unwrap_or(0);
        let cache = cached("inactive_file").saturating_add(cached("active_file"));
        Some(Memory { used: used.saturating_sub(cache), total })
    }
}

/// The number behind a key at the begin of a line.
fn number_of(text: &str, key: &str) -> Option<u64> {
    let mut words = text.lines().map(str::split_ascii_whitespace);
    words.find_map(|mut words| words.next().filter(|word| *word == key).and(words.next()))?.parse().ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn write(root: &Path, file: &str, text: &str) {
        let path = root.join(file);
        fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    /// A host with so many kilobytes.
    pub(crate) fn host(root: &Path, total: u64, available: u64) {
        let text = format!("MemTotal:  {total} kB\nMemFree:   1 kB\nMemAvailable:   {available} kB\n");
        write(root, "proc/meminfo", &text);
    }

    /// The memory that a root with these files tells of, on a host with 1000 KiB of which 400 are used.
    fn read(files: &[(&str, &str)]) -> Option<(u64, u64)> {
        let root = tempfile::tempdir().expect("a folder");
        host(root.path(), 1000, 600);
        files.iter().for_each(|(file, text)| write(root.path(), file, text));
        Memory::read(root.path()).map(|memory| (memory.used, memory.total))
    }

    const HOST: Option<(u64, u64)> = Some((400 * 1024, 1000 * 1024));

    #[test]
    fn the_host_counts_where_no_group_has_a_limit() {
        #[track_caller]
        fn check(files: &[(&str, &str)]) {
            assert_eq!(read(files), HOST, "{files:?}");
        }
        check(&[]);
        check(&[("proc/self/cgroup", "nonsense\n\n0:\n")]);
        check(&[("proc/self/cgroup", "0::/a\n")]);
        check(&[
            ("proc/self/cgroup", "0::/a\n"),
            ("sys/fs/cgroup/a/memory.max", "max\n"),
            ("sys/fs/cgroup/a/memory.current", "7\n"),
        ]);
        check(&[
            ("proc/self/cgroup", "4:memory:/\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "7\n"),
        ]);
        // A limit without a usage is of no use.
        check(&[("proc/self/cgroup", "0::/a\n"), ("sys/fs/cgroup/a/memory.max", "1000\n")]);
    }

    #[test]
    fn groups_of_both_versions_have_limits() {
        let stat = "anon 100\ninactive_file 30\nactive_file 20\ntotal_inactive_file 1\ntotal_active_file 2\n";
        let two = read(&[
            ("proc/self/cgroup", "1:name=systemd:/x\n0::/a/b\n"),
            ("sys/fs/cgroup/a/b/memory.max", "1000\n"),
            ("sys/fs/cgroup/a/b/memory.current", "550\n"),
            ("sys/fs/cgroup/a/b/memory.stat", stat),
        ]);
        assert_eq!(two, Some((500, 1000)), "what is cached can be taken back");
        let one = read(&[
            ("proc/self/cgroup", "3:cpu,cpuacct:/x\n2:hugetlb,memory:/a\n"),
            ("sys/fs/cgroup/memory/a/memory.limit_in_bytes", "1000\n"),
            ("sys/fs/cgroup/memory/a/memory.usage_in_bytes", "553\n"),
            ("sys/fs/cgroup/memory/a/memory.stat", stat),
        ]);
        assert_eq!(one, Some((550, 1000)));
    }

    #[test]
    fn the_fullest_of_the_groups_around_it_counts() {
        let around = [
            ("proc/self/cgroup", "0::/a/b\n"),
            ("sys/fs/cgroup/a/b/memory.max", "1000\n"),
            ("sys/fs/cgroup/a/b/memory.current", "100\n"),
            ("sys/fs/cgroup/a/memory.max", "2000\n"),
            ("sys/fs/cgroup/a/memory.current", "1900\n"),
            ("sys/fs/cgroup/memory.max", "max\n"),
        ];
        assert_eq!(read(&around), Some((1900, 2000)));
    }

    #[test]
    fn a_path_from_outside_the_container_leads_to_its_root() {
        let container = [
            ("proc/self/cgroup", "4:memory:/docker/0123\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "1000\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "300\n"),
        ];
        assert_eq!(read(&container), Some((300, 1000)));
    }

    #[test]
    fn a_system_that_tells_nothing_has_no_memory() {
        let root = tempfile::tempdir().expect("a folder");
        assert_eq!(Memory::read(root.path()), None);
        assert!(Memory::read(Path::new("/")).is_some(), "this one tells");
    }
}
