//! An open-loop load generator for HTTP/1.1 over cleartext: a fixed rate of `GET`s over keep-alive connections, and
//! the percentiles of their latency, counted from the time each request was meant to start.
//!
//! ```text
//! cargo bench -p fulcrum --bench load -- --rate 20000 --connections 64 --seconds 10 http://127.0.0.1:8080/
//! ```

#![allow(clippy::print_stdout, reason = "a program whose output is its result")]

mod generator;
mod histogram;

use std::io;
use std::net::ToSocketAddrs;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

use generator::{Load, OnFailure, Outcome};
use histogram::Histogram;

#[derive(Parser)]
#[command(about = "Open-loop load with a fixed rate", long_about = None)]
struct Options {
    /// Requests per second over all connections.
    #[arg(long, default_value_t = 1000.0)]
    rate: f64,
    /// Keep-alive connections.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// How long requests are started.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// http://HOST:PORT/TARGET
    url: Option<String>,
    /// Given by `cargo bench`.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let Some(url) = &options.url else {
        println!(
            "load: give it a URL: cargo bench -p fulcrum --bench load -- --rate 1000 http://127.0.0.1:8080/"
        );
        return ExitCode::SUCCESS;
    };
    match parse(url, &options).and_then(|load| generator::run(&load)) {
        Ok(outcome) => {
            print(&outcome);
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("load: {url}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn parse(url: &str, options: &Options) -> io::Result<Load> {
    let invalid = |what| io::Error::new(io::ErrorKind::InvalidInput, what);
    if !(options.rate > 0.0 && options.seconds > 0.0 && options.connections > 0) {
        return Err(invalid("rate, seconds and connections must be positive"));
    }
    let rest = url.strip_prefix("http://").ok_or_else(|| invalid("the URL must begin with http://"))?;
    let (host, target) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let authority = if host.contains(':') { host.to_owned() } else { format!("{host}:80") };
    let address = authority.to_socket_addrs()?.next().ok_or_else(|| invalid("the host has no address"))?;
    Ok(Load {
        address,
        hosts: vec![host.to_owned()],
        target: if target.is_empty() { "/".to_owned() } else { target.to_owned() },
        rate: options.rate,
        connections: options.connections,
        duration: Duration::from_secs_f64(options.seconds),
        on_failure: OnFailure::Fail,
    })
}

fn print(outcome: &Outcome) {
    let answered = outcome.latency.count();
    println!(
        "{answered} answers in {:.2?}, {:.0}/s",
        outcome.elapsed,
        answered as f64 / outcome.elapsed.as_secs_f64()
    );
    for (name, histogram) in [("latency", &outcome.latency), ("sent late by", &outcome.lateness)] {
        println!("{name:>12}  {}", percentiles(histogram));
    }
}

fn percentiles(histogram: &Histogram) -> String {
    let shown = [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)];
    let shown = shown.map(|(name, fraction)| format!("{name} {:.3?}", histogram.percentile(fraction)));
    format!("{}  max {:.3?}", shown.join("  "), histogram.max())
}
