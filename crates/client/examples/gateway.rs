//! A small gateway without a balancer in between: `gateway SERVICE LISTEN`.
//!
//! It follows a service and calls its instances directly. While the registry is away it goes on with what it knew.
//! `FULCRUM_REGISTRY` names registries, with commas between them, `FULCRUM_REGISTRY_TOKEN` the token.

use std::env;
use std::error::Error;
use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use fulcrum_client::{Balancer, BalancerOptions, Registry, SendError};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderMap, HeaderName};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [service, listen] = &arguments[..] else {
        return Err("usage: gateway SERVICE LISTEN".into());
    };
    let watch = Arc::new(registry()?.watch([service.as_str()])?);
    let balancer = Balancer::new(&watch, service, BalancerOptions::default());
    watch.ready().await;
    let listener = TcpListener::bind(listen).await?;
    writeln!(std::io::stdout(), "{}", listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(serve(stream, balancer.clone()));
    }
}

fn registry() -> Result<Registry, Box<dyn Error>> {
    let urls = env::var("FULCRUM_REGISTRY").unwrap_or_else(|_| "http://127.0.0.1:8500".to_owned());
    let registry = Registry::new(urls.split(','))?;
    Ok(match env::var("FULCRUM_REGISTRY_TOKEN") {
        Ok(token) => registry.with_token(&token)?,
        Err(_) => registry,
    })
}

/// One connection, whose head has to come in the time that hyper allows.
async fn serve(stream: TcpStream, balancer: Balancer) {
    let service = service_fn(move |request| {
        let balancer = balancer.clone();
        async move { Ok::<_, hyper::Error>(forward(&balancer, request).await) }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    // What goes wrong there is the client's business, who sees it.
    let _ = builder.timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service).await;
}

type Answer = Response<BoxBody<Bytes, hyper::Error>>;

async fn forward(balancer: &Balancer, request: Request<Incoming>) -> Answer {
    let (mut head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, LARGEST_BODY).collect().await else {
        return plain(StatusCode::PAYLOAD_TOO_LARGE, "too large, or cut off");
    };
    remove_hop_by_hop(&mut head.headers);
    match balancer.send(Request::from_parts(head, body.to_bytes()), None).await {
        Ok(response) => {
            let (mut head, body) = response.into_parts();
            remove_hop_by_hop(&mut head.headers);
            Response::from_parts(head, body.boxed())
        }
        Err(error @ SendError::NoEndpoint(_)) => plain(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
        Err(error @ SendError::Late { .. }) => plain(StatusCode::GATEWAY_TIMEOUT, &error.to_string()),
        Err(error) => plain(StatusCode::BAD_GATEWAY, &error.to_string()),
    }
}

/// What is for one connection only (RFC 9110 §7.6.1). Framing is hyper's business on both sides.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|names| names.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .filter(|name| name != hyper::header::HOST && name != hyper::header::CONTENT_LENGTH)
        .collect();
    named.into_iter().for_each(|name| drop(headers.remove(name)));
    HOP_BY_HOP.iter().for_each(|name| drop(headers.remove(*name)));
}

fn plain(status: StatusCode, text: &str) -> Answer {
    let body = Full::new(Bytes::from(format!("{text}\n"))).map_err(|never| match never {}).boxed();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Bodies are held in memory, to be sent again when an endpoint dies.
const LARGEST_BODY: usize = 1 << 20;
