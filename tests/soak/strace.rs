//! strace, attached to one thread of a daemon to put wrong answers into the kernel's mouth.

use std::fs::{self, File};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::harness::{Fulcrum, eventually};

/// A tracer at work. Dropping it lets the thread go.
#[derive(Debug)]
pub(super) struct Strace {
    child: Child,
    /// Of its own: an older trace in it would look as if this one were at work.
    _directory: TempDir,
}

/// The calls that wait for events. A worker makes one at least every tick, so that its trace is never empty for long.
pub(super) const WAIT: &str = "/^epoll_p?wait";

impl Strace {
    /// Attaches to the first thread of this name and changes what `calls` do, in the words of `strace -e inject`.
    /// Returns when system calls are being traced. Panics where that is not possible.
    #[track_caller]
    pub(super) fn inject(fulcrum: &Fulcrum, thread: &str, calls: &str, change: &str) -> Self {
        let directory = tempfile::tempdir().expect("room for a directory");
        let (trace, stderr) = (directory.path().join("trace"), directory.path().join("stderr"));
        let mut command = Command::new("strace");
        command.arg("-p").arg(thread_named(fulcrum.child.pid(), thread).to_string()).arg("-o").arg(&trace);
        command.args(["-e", &format!("trace={WAIT},{calls}"), "-e", &format!("inject={calls}:{change}")]);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(File::create(&stderr).expect("a file in our own directory"));
        let child = command.spawn().expect("strace is installed: .ci/need strace");
        let mut strace = Strace { child, _directory: directory };
        eventually("strace sees a system call", || {
            let text = fs::read_to_string(&trace).unwrap_or_default();
            let ended = strace.child.try_wait().expect("our child");
            let told = fs::read_to_string(&stderr).unwrap_or_default();
            assert!(
                !text.is_empty() || ended.is_none(),
                "strace cannot trace the daemon (as root, or with kernel.yama.ptrace_scope=0, it may): {told}"
            );
            text.contains('\n').then_some(())
        });
        strace
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The number of a process's thread.
#[track_caller]
fn thread_named(process: u32, name: &str) -> u32 {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("it runs");
    let mut numbers = tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let is_named = |number: &u32| {
        let comm = fs::read_to_string(format!("/proc/{process}/task/{number}/comm"));
        comm.is_ok_and(|comm| comm.trim_end() == name)
    };
    numbers.find(is_named).unwrap_or_else(|| panic!("no thread {name}"))
}
