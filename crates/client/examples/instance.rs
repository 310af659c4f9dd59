//! A small service that registers itself: `instance SERVICE ID LISTEN [DRAIN_MILLISECONDS]`.
//!
//! It answers every request with its id. SIGTERM makes it leave: it gets no new work, finishes what it has, and ends.
//! `FULCRUM_REGISTRY` names registries, with commas between them, `FULCRUM_REGISTRY_TOKEN` the token.

use std::convert::Infallible;
use std::env;
use std::error::Error;
use std::io::Write as _;
use std::num::NonZeroU16;
use std::time::Duration;

use bytes::Bytes;
use fulcrum_client::{Instance, LoadReport, Registry, State};
use http_body_util::Full;
use hyper::Response;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [service, id, listen, drain @ ..] = &arguments[..] else {
        return Err("usage: instance SERVICE ID LISTEN [DRAIN_MILLISECONDS]".into());
    };
    let drain = Duration::from_millis(drain.first().map_or(Ok(10_000), |drain| drain.parse())?);
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    let port = NonZeroU16::new(address.port()).ok_or("no port")?;

    let instance = Instance::new(service, id, port)?.address(address.ip()).ttl(Duration::from_secs(3));
    let registered = registry()?.register(instance)?;
    registered.ready().await?;
    writeln!(std::io::stdout(), "{address}")?;

    let (end, ending) = watch::channel(());
    let serving = tokio::spawn(serve(listener, id.clone(), registered.load(), ending));
    let mut status = registered.status();
    tokio::select! {
        left = registered.leave_on_signal(drain) => left?,
        // Another process has this id now: what comes here still is answered, and nothing more.
        _ = status.wait_for(|status| status.state == State::Replaced) => {}
    }
    drop(end);
    Ok(tokio::time::timeout(Duration::from_secs(5), serving).await??)
}

fn registry() -> Result<Registry, Box<dyn Error>> {
    let urls = env::var("FULCRUM_REGISTRY").unwrap_or_else(|_| "http://127.0.0.1:8500".to_owned());
    let registry = Registry::new(urls.split(','))?;
    Ok(match env::var("FULCRUM_REGISTRY_TOKEN") {
        Ok(token) => registry.with_token(&token)?,
        Err(_) => registry,
    })
}

/// Until the end, and then until the last answer is out.
async fn serve(listener: TcpListener, id: String, load: LoadReport, mut ending: watch::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = ending.changed() => break,
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                connections.spawn(answer(stream, id.clone(), load.clone(), ending.clone()));
            },
            Some(_) = connections.join_next() => {}
        }
    }
    while connections.join_next().await.is_some() {}
}

async fn answer(stream: TcpStream, id: String, load: LoadReport, mut ending: watch::Receiver<()>) {
    let service = service_fn(move |_| {
        let (id, in_flight) = (id.clone(), load.begin());
        async move {
            let _in_flight = in_flight;
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(id))))
        }
    });
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = ending.changed() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
