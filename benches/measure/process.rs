//! A process under the bench: pinned to a core, watched through `/proc`, ended by its own id.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

/// The core of the proxy under test.
pub(crate) const PROXY_CORE: u32 = 0;
/// The core of everything else.
pub(crate) const LOAD_CORE: u32 = 1;

/// How long a process may take to end when asked to.
const PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(10);
/// Without scheduler statistics in the kernel: clock ticks a second as `/proc` counts them (USER_HZ).
const TICKS: u64 = 100;

/// A running process, its children included.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    output: PathBuf,
}

impl Process {
    /// Starts `binary` on `core`, its output going to the file `output` in `folder`.
    pub(crate) fn start<A: AsRef<OsStr>>(
        core: u32,
        binary: &Path,
        arguments: &[A],
        folder: &Path,
    ) -> io::Result<Self> {
        let output = folder.join("output.log");
        let stdout = File::create(&output)?;
        let stderr = stdout.try_clone()?;
        let child = Command::new("taskset")
            .args(["-c", &core.to_string()])
            .arg(binary)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .map_err(|error| io::Error::new(error.kind(), format!("taskset: {error}")))?;
        Ok(Process { child, output })
    }

    /// Lets it run on both cores from now on.
    pub(crate) fn spread(&self) -> io::Result<()> {
        pin(self.child.id(), &format!("{PROXY_CORE},{LOAD_CORE}"))
    }

    /// Sends a signal to the process, not to its children.
    pub(crate) fn signal(&self, which: Signal) {
        signal(self.child.id(), which);
    }

    /// An error with the last output when the process has ended.
    pub(crate) fn check(&mut self) -> io::Result<()> {
        let Some(status) = self.child.try_wait()? else { return Ok(()) };
        let output = fs::read_to_string(&self.output).unwrap_or_default();
        let lines: Vec<_> = output.lines().rev().take(10).collect();
        let lines: Vec<_> = lines.into_iter().rev().collect();
        Err(io::Error::other(format!("ended with {status}:\n{}", lines.join("\n"))))
    }

    /// CPU time of all threads of the process and its children so far. To the nanosecond, or to a clock tick on
    /// kernels without scheduler statistics.
    pub(crate) fn cpu(&self) -> io::Result<Duration> {
        self.family()?.into_iter().map(cpu_of).sum()
    }

    /// Resident bytes: of one process its RSS; of several the sum of their proportional sizes, so that pages which
    /// they share count once.
    pub(crate) fn memory(&self) -> io::Result<u64> {
        let start = Instant::now();
        loop {
            match self.memory_now() {
                // One of the family has ended between being found and being looked at.
                Err(_) if start.elapsed() < PATIENCE => thread::sleep(POLL),
                found => return found,
            }
        }
    }

    fn memory_now(&self) -> io::Result<u64> {
        match self.family()?.as_slice() {
            [alone] => field_of(*alone, "status", "VmRSS:"),
            family => family.iter().map(|pid| field_of(*pid, "smaps_rollup", "Pss:")).sum(),
        }
    }

    /// The process and all that descend from it.
    fn family(&self) -> io::Result<Vec<u32>> {
        let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
        for entry in fs::read_dir("/proc")? {
            let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            // A process may be gone by the time it is looked at.
            if let Some(parent) = stat_of(pid).ok().and_then(|stat| stat.get(1)?.parse().ok()) {
                children.entry(parent).or_default().push(pid);
            }
        }
        let mut family = vec![self.child.id()];
        let mut next = 0;
        while next < family.len() {
            family.extend(children.remove(&family[next]).unwrap_or_default());
            next += 1;
        }
        Ok(family)
    }

    fn ended_within(&mut self, patience: Duration) -> bool {
        let start = Instant::now();
        while start.elapsed() < patience {
            match self.child.try_wait() {
                Ok(None) => thread::sleep(POLL),
                Ok(Some(_)) | Err(_) => return true,
            }
        }
        false
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended_within(POLL) {
            return;
        }
        let family = self.family().unwrap_or_else(|_| vec![self.child.id()]);
        signal(self.child.id(), Signal::TERM);
        if !self.ended_within(PATIENCE) {
            family.into_iter().for_each(|pid| signal(pid, Signal::KILL));
            self.ended_within(PATIENCE);
        }
    }
}

/// Moves this process, and what it starts from now on, to the load's core.
pub(crate) fn pin_self() -> io::Result<()> {
    pin(std::process::id(), &LOAD_CORE.to_string())
}

/// Binds all threads of a process to these cores.
fn pin(pid: u32, cores: &str) -> io::Result<()> {
    let status = Command::new("taskset")
        .args(["-a", "-p", "-c", cores, &pid.to_string()])
        .stdout(Stdio::null())
        .status()
        .map_err(|error| io::Error::new(error.kind(), format!("taskset (util-linux): {error}")))?;
    if status.success() { Ok(()) } else { Err(io::Error::other("two cores are needed: 0 and 1")) }
}

/// Lets this process, and what it starts from now on, have as many descriptors as the system allows: not every proxy
/// does that by itself.
pub(crate) fn raise_descriptors() -> io::Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}

/// An error when so many descriptors cannot be had.
pub(crate) fn need_descriptors(wanted: u64) -> io::Result<()> {
    match getrlimit(Resource::Nofile).current {
        Some(current) if current < wanted => {
            Err(io::Error::other(format!("needs {wanted} open files; raise the hard limit (ulimit -Hn)")))
        }
        _ => Ok(()),
    }
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may have ended by itself.
        let _ = kill_process(pid, signal);
    }
}

fn cpu_of(pid: u32) -> io::Result<Duration> {
    let mut nanoseconds = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let Ok(schedstat) = fs::read_to_string(task?.path().join("schedstat")) else { return ticks_of(pid) };
        nanoseconds +=
            schedstat.split(' ').next().and_then(|run| run.parse::<u64>().ok()).unwrap_or_default();
    }
    // Threads that have ended are counted in ticks only.
    let (alive, all) = (Duration::from_nanos(nanoseconds), ticks_of(pid)?);
    Ok(if all > alive + ROUNDING { all } else { alive })
}

/// What ticks may be too much by: one of user and one of system time, and some to spare.
const ROUNDING: Duration = Duration::from_millis(50);

fn ticks_of(pid: u32) -> io::Result<Duration> {
    let stat = stat_of(pid)?;
    let ticks =
        |index: usize| stat.get(index).and_then(|ticks| ticks.parse::<u64>().ok()).unwrap_or_default();
    Ok(Duration::from_millis((ticks(11) + ticks(12)) * 1000 / TICKS))
}

/// The fields of `/proc/PID/stat` behind the name: state, parent, … user time (11), system time (12).
fn stat_of(pid: u32) -> io::Result<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().map(str::to_owned).collect());
    fields.ok_or_else(|| io::Error::other("/proc/PID/stat has no name"))
}

/// A size in bytes of a file in `/proc/PID` with lines of `Name: N kB`.
fn field_of(pid: u32, file: &str, name: &str) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}"))?;
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB")?.parse::<u64>().ok())
        .map(|kilobytes| kilobytes * 1024)
        .ok_or_else(|| io::Error::other(format!("/proc/{pid}/{file} has no {name}")))
}
