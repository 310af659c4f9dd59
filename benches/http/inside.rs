//! What a proxy says of itself, to prove that what is measured took place.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::peer::Kind;
use crate::stage::Proxy;

const PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(1);

/// Requests that have waited for a place at an endpoint: how many; of HAProxy, which does not count them, the most at a
/// time.
pub(crate) fn waited(proxy: &Proxy) -> io::Result<u64> {
    match proxy.peer.kind {
        Kind::Fulcrum => {
            let metrics = ask(proxy, "admin.sock", METRICS)?;
            Ok(sum(&metrics, "fulcrum_upstream_queue_duration_seconds_count"))
        }
        Kind::Haproxy => {
            let stat = ask(proxy, "haproxy.sock", "show stat\n")?;
            // proxy,server,qcur,qmax,…
            Ok(stat.lines().filter_map(|line| line.split(',').nth(3)?.parse::<u64>().ok()).sum())
        }
        Kind::Nginx => Ok(0),
    }
}

/// Health checks that it has made; of HAProxy, which does not count the good ones, endpoints with a good last one.
pub(crate) fn checks(proxy: &Proxy) -> io::Result<u64> {
    match proxy.peer.kind {
        Kind::Fulcrum => Ok(sum(&ask(proxy, "admin.sock", METRICS)?, "fulcrum_health_probes_total")),
        Kind::Haproxy => Ok(ask(proxy, "haproxy.sock", "show stat\n")?.matches(",L7OK,").count() as u64),
        Kind::Nginx => Ok(0),
    }
}

/// Responses that Fulcrum has had from its endpoints.
pub(crate) fn answered(proxy: &Proxy) -> io::Result<u64> {
    Ok(sum(&ask(proxy, "admin.sock", METRICS)?, "fulcrum_upstream_requests_total"))
}

/// Returns when HAProxy's master takes orders: one that comes while it turns into the next master is lost.
pub(crate) fn await_master(proxy: &Proxy) -> io::Result<()> {
    let start = Instant::now();
    // It keeps a connection open until it is told to quit.
    while !ask(proxy, MASTER_SOCKET, "show proc;quit\n").is_ok_and(|answer| answer.contains("master")) {
        if start.elapsed() > PATIENCE {
            return Err(io::Error::other("the master says nothing of itself"));
        }
        thread::sleep(POLL);
    }
    Ok(())
}

/// Where HAProxy's master is asked.
pub(crate) const MASTER_SOCKET: &str = "master.sock";

const METRICS: &str = "GET /metrics HTTP/1.1\r\nhost: fulcrum\r\nconnection: close\r\n\r\n";

fn ask(proxy: &Proxy, socket: &str, question: &str) -> io::Result<String> {
    let mut stream = UnixStream::connect(proxy.file(socket))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(question.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The sum of a metric's series.
fn sum(metrics: &str, name: &str) -> u64 {
    let values = metrics.lines().filter_map(|line| {
        let labels_and_value = line.strip_prefix(name)?;
        labels_and_value.starts_with(['{', ' ']).then(|| line.rsplit(' ').next()?.parse::<f64>().ok())?
    });
    values.sum::<f64>() as u64
}
