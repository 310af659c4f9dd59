//! Processes as the kernel lists them.

use std::fs;

/// A process that cannot be confused with a later one of the same number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: u32,
    /// In ticks since boot.
    start: u64,
}

/// The children of a process.
pub(super) fn children_of(parent: u32) -> Vec<Process> {
    let entries = fs::read_dir("/proc").expect("the kernel lists processes");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| look(pid).filter(|(_, its_parent, _)| *its_parent == parent))
        .map(|(process, _, _)| process)
        .collect()
}

impl Process {
    /// Whether it runs; one that has ended and was not waited for does not.
    pub(super) fn is_running(&self) -> bool {
        look(self.pid).is_some_and(|(process, _, state)| process == *self && state != "Z")
    }

    /// Its command line.
    pub(super) fn arguments(&self) -> Vec<String> {
        let bytes = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        bytes.split(|&byte| byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
    }
}

/// A process, its parent and its state: fields 22, 4 and 3 of proc_pid_stat(5).
fn look(pid: u32) -> Option<(Process, u32, String)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let process = Process { pid, start: fields.get(19)?.parse().ok()? };
    Some((process, fields.get(1)?.parse().ok()?, (*fields.first()?).to_owned()))
}
