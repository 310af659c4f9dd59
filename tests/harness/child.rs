//! A process of the binary, which ends with its test.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use rustix::process::{Pid, Resource, Rlimit, Signal, kill_process, prlimit};

use super::wait::{DEADLINE, eventually};

/// A running process of the binary. Dropping it kills it, and fails the test where it panicked.
#[derive(Debug)]
pub(crate) struct Child {
    child: std::process::Child,
    stdout: Receiver<String>,
    stderr: PathBuf,
    /// It is driven into a panic: that is what the test is about.
    is_to_fail: bool,
}

impl Child {
    /// Starts `fulcrum` with these arguments; its diagnostics go to `stderr`.
    #[track_caller]
    pub(crate) fn start(arguments: &[&str], stderr: PathBuf) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fulcrum"));
        command.args(arguments);
        Self::spawn(command, stderr)
    }

    /// Starts a command that is, or becomes, `fulcrum`.
    #[track_caller]
    pub(crate) fn spawn(mut command: Command, stderr: PathBuf) -> Self {
        let mut child = command
            .env_remove("FULCRUM_ADMIN")
            .env_remove("FULCRUM_ADMIN_TOKEN")
            .env_remove("FULCRUM_REGISTRY")
            .env_remove("FULCRUM_REGISTRY_TOKEN")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&stderr).expect("a file in our own directory"))
            .spawn()
            .expect("the binary is built");
        let (sender, lines) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Child { child, stdout: lines, stderr, is_to_fail: false }
    }

    /// The next line of standard output.
    #[track_caller]
    pub(crate) fn line(&self) -> String {
        self.stdout
            .recv_timeout(2 * DEADLINE)
            .unwrap_or_else(|_| panic!("no line on stdout; stderr:\n{}", self.stderr()))
    }

    /// Everything on standard output that nobody has read.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.stdout.try_iter().collect()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.stderr).unwrap_or_default()).into_owned()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // It may have ended by itself: whoever waits for it will see how.
        let _ = kill_process(self.process(), signal);
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("our child").is_none()
    }

    /// From now on it may panic or abort: that fails no test, and leaves no core file behind.
    pub(crate) fn expect_failure(&mut self) {
        self.is_to_fail = true;
        let none = Rlimit { current: Some(0), maximum: Some(0) };
        prlimit(Some(self.process()), Resource::Core, none).expect("it is our own child");
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(&mut self) -> ExitStatus {
        eventually("the process ends", || self.child.try_wait().expect("our child"))
    }

    /// Waits for its end; the exit code, or nothing after a signal.
    #[track_caller]
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        self.end().code()
    }

    fn process(&self) -> Pid {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id")
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let stderr = self.stderr();
        if thread::panicking() {
            let _ = writeln!(io::stderr(), "---- stderr of process {}\n{stderr}----", self.pid());
        } else {
            assert!(self.is_to_fail || !tells_of_panic(&stderr), "the daemon panicked:\n{stderr}");
        }
    }
}

/// Whether a panic is told: in Rust's words, or, once the daemon has its log, in one line of its own.
pub(super) fn tells_of_panic(stderr: &str) -> bool {
    // Lines of a configuration that are shown may say `panic:` too.
    let is_told = |line: &str| line.contains("ERROR") && line.contains(" panic: ");
    stderr.contains("panicked at") || stderr.lines().any(is_told)
}
