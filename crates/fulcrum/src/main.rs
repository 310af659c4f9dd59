//! The `fulcrum` command.
//!
//! ```text
//!   main ─► cli ─┬─► run ──► config::load ─► data_plane::prepare ─► start ─► ready line ─► signals ─► shutdown
//!                │    ├────► admin (unix socket, TCP): /metrics /healthz /readyz /status /v1/reload /v1/services
//!                │    └────► reload: changed files, SIGHUP, the admin ─► load ─► prepare ─► commit
//!                ├─► check, schema         read a file, touch nothing else
//!                ├─► status, reload, drain, undrain, maintenance, weight ─► ask ─► client ─► admin of a running daemon
//!                ├─► explain, simulate, up, down ─► ask ─► client ─► admin of a running daemon
//!                ├─► services, instances, register, deregister, watch ─► instances ─► client ─► API of a registry
//!                ├─► registry check, export, import ─► registry_file ─► the file of a registry that does not run
//!                └─► demo ─► `fulcrum run` and three `fulcrum demo-backend` as child processes
//! ```
//!
//! Control work (admin, signals) has a small runtime of its own; the threads that carry traffic belong to the data
//! plane.

mod admin;
mod ask;
mod check;
mod cli;
mod client;
mod demo;
mod demo_backend;
mod discovery;
mod duration;
mod exit;
mod explain;
mod generations;
mod gslb;
mod instances;
mod names;
mod order;
mod output;
mod parent;
mod process_metrics;
mod region_order;
mod registry;
mod registry_file;
mod reload;
mod run;
mod schema;
mod shutdown;
mod signals;
mod simulate;
mod status;
mod telemetry;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::exit::Exit;

fn main() -> ExitCode {
    let exit = match Cli::try_parse() {
        Ok(cli) => execute(cli.command),
        Err(message) => show(&message),
    };
    exit.into()
}

fn execute(command: Command) -> Exit {
    match command {
        Command::Run(options) => run::run(&options),
        Command::Check(options) => check::check(&options),
        Command::Schema => schema::print(),
        Command::Status(options) => status::status(&options),
        Command::Reload(options) => reload::command::reload(&options),
        Command::Drain(options) => order::drain(&options),
        Command::Undrain(options) => order::undrain(&options),
        Command::Up(options) => region_order::up(&options),
        Command::Down(options) => region_order::down(&options),
        Command::Maintenance(options) => order::maintenance(&options),
        Command::Weight(options) => order::weight(&options),
        Command::Explain(command) => explain::explain(&command),
        Command::Simulate(command) => simulate::simulate(&command),
        Command::Services(options) => instances::services(&options),
        Command::Instances(options) => instances::instances(&options),
        Command::Register(options) => instances::register(&options),
        Command::Deregister(options) => instances::deregister(&options),
        Command::Watch(options) => instances::watch(&options),
        Command::Registry(command) => registry_file::registry(&command),
        Command::Demo(options) => demo::demo(&options),
        Command::DemoBackend(options) => demo_backend::serve(options),
    }
}

/// Help and version go to standard output and are no failure; everything else is wrong usage.
fn show(message: &clap::Error) -> Exit {
    // A closed pipe is no reason to fail: nobody is listening.
    let _ = message.print();
    if message.use_stderr() { Exit::Usage } else { Exit::Done }
}
