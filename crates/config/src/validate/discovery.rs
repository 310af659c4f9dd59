//! Where services find endpoints.

use std::time::Duration;

use fulcrum_model::{HttpUrl, Pull, Source};

use crate::code::Code;
use crate::raw::{RawDiscovery, RawHttpSource, exactly_one};
use crate::registry::Discovery;

use super::{Context, name};

/// Where a service finds endpoints. `has_registry`: whether the configuration has one, or could not be read whole.
pub(crate) fn discovery(
    raw: RawDiscovery,
    has_registry: bool,
    context: &mut Context<'_>,
) -> Option<Discovery> {
    exactly_one(&raw.given, &["registry", "dns", "srv", "file", "http"], context.problems)?;
    let place = raw.given.place_or_whole("registry");
    if let Some(service) = raw.registry {
        if !has_registry {
            context
                .problems
                .add(Code::NoRegistry, place, "there is no registry to discover endpoints in")
                .note("like `registry: { bind: \"127.0.0.1:8500\" }`");
        }
        return name(&service.value, service.place, context).map(Discovery::Registry);
    }
    let source = raw.dns.map(|host| Source::Dns(host.0));
    let source = source.or_else(|| raw.srv.map(|name| Source::Srv(name.0)));
    let source = source.or_else(|| raw.file.map(|path| Source::File(path.value.0)));
    source.or_else(|| raw.http.and_then(pull)).map(Discovery::Source)
}

fn pull(raw: RawHttpSource) -> Option<Source> {
    let (url, interval, timeout): (HttpUrl, _, _) = match raw {
        RawHttpSource::Short(url) => (url.0, None, None),
        RawHttpSource::Long(long) => (long.url?.0, long.interval, long.timeout),
    };
    Some(Source::Http(Pull {
        url,
        interval: interval.map_or(Duration::from_secs(10), |span| span.0),
        timeout: timeout.map_or(Duration::from_secs(5), |span| span.0),
    }))
}
