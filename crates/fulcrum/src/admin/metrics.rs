//! What `/metrics` shows: the data plane's collector, the process, and which build this is.

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use prometheus::core::Collector;
use prometheus::{Encoder, IntGauge, Opts, Registry, TextEncoder};

use crate::process_metrics::ProcessMetrics;

/// A registry with everything the process has to show.
pub(crate) fn registry(data_plane: Box<dyn Collector>) -> Result<Registry, prometheus::Error> {
    let build = IntGauge::with_opts(
        Opts::new("fulcrum_build_info", "Always 1; the version is in the label.")
            .const_label("version", env!("CARGO_PKG_VERSION")),
    )?;
    build.set(1);
    let registry = Registry::new();
    registry.register(data_plane)?;
    registry.register(Box::new(ProcessMetrics::new()?))?;
    registry.register(Box::new(build))?;
    Ok(registry)
}

/// Gathers and renders everything in the Prometheus text format.
pub(crate) fn render(registry: &Registry) -> Result<Response<Full<Bytes>>, prometheus::Error> {
    let encoder = TextEncoder::new();
    let mut text = Vec::new();
    encoder.encode(&registry.gather(), &mut text)?;
    let mut response = Response::new(Full::from(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(prometheus::TEXT_FORMAT));
    Ok(response)
}
