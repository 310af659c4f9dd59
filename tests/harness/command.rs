//! One command of the binary, run to its end.

use std::ffi::OsStr;
use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;

use super::child::tells_of_panic;
use super::wait::eventually;

/// What a command left.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs `fulcrum` with these arguments. Panics where it hangs or panics itself.
#[track_caller]
pub(crate) fn fulcrum<I>(arguments: I) -> Output
where
    I: IntoIterator<Item: AsRef<OsStr>>,
{
    fulcrum_with_environment(arguments, &[])
}

/// The same with variables of the environment set.
#[track_caller]
pub(crate) fn fulcrum_with_environment<I>(arguments: I, environment: &[(&str, &str)]) -> Output
where
    I: IntoIterator<Item: AsRef<OsStr>>,
{
    let mut command = Command::new(env!("CARGO_BIN_EXE_fulcrum"));
    command
        .args(arguments)
        .env_remove("FULCRUM_ADMIN")
        .env_remove("FULCRUM_ADMIN_TOKEN")
        .env_remove("FULCRUM_REGISTRY")
        .env_remove("FULCRUM_REGISTRY_TOKEN");
    command.envs(environment.iter().copied());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary is built");
    let stdout = collect(child.stdout.take().expect("a pipe"));
    let stderr = collect(child.stderr.take().expect("a pipe"));
    let status = eventually(&format!("{command:?} ends"), || child.try_wait().expect("our child"));
    let output = Output {
        code: status.code(),
        stdout: stdout.join().expect("reading does not panic"),
        stderr: stderr.join().expect("reading does not panic"),
    };
    assert!(!tells_of_panic(&output.stderr), "{command:?}: {}", output.stderr);
    output
}

/// Reads to the end beside us, so that a full pipe blocks nobody.
fn collect(mut pipe: impl Read + Send + 'static) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
