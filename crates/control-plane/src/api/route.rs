//! The paths of the API and what can be done there. The names are for ever.

use fulcrum_model::{InstanceId, ServiceName};
use hyper::Method;

use super::problem::{Code, Problem};
use crate::state::Key;

/// A path of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Services,
    Instances(ServiceName),
    Instance(Key),
    Lease(Key),
    Override(Key),
    Heartbeats,
    Watch,
    PrometheusSd,
    Audit,
    OpenApi,
    Health,
}

/// A path without its names: what requests are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Template {
    Services,
    Instances,
    Instance,
    Lease,
    Override,
    Heartbeats,
    Watch,
    PrometheusSd,
    Audit,
    OpenApi,
    Health,
    /// No path of the API.
    Other,
}

impl Template {
    /// In the order of the variants: the path as OpenAPI writes it, and the methods.
    pub(super) const ALL: [(Template, &'static str, &'static str); 12] = [
        (Template::Services, "/v1/services", READ),
        (Template::Instances, "/v1/services/{service}/instances", READ),
        (Template::Instance, "/v1/services/{service}/instances/{id}", "GET, HEAD, PUT, DELETE"),
        (Template::Lease, "/v1/services/{service}/instances/{id}/lease", "PUT"),
        (Template::Override, "/v1/services/{service}/instances/{id}/override", "PUT, DELETE"),
        (Template::Heartbeats, "/v1/heartbeats", "POST"),
        (Template::Watch, "/v1/watch", "GET"),
        (Template::PrometheusSd, "/v1/prometheus/sd", READ),
        (Template::Audit, "/v1/audit", READ),
        (Template::OpenApi, "/v1/openapi.json", READ),
        (Template::Health, "/healthz", READ),
        (Template::Other, "other", ""),
    ];

    pub(super) fn path(self) -> &'static str {
        Template::ALL[self as usize].1
    }

    pub(super) fn methods(self) -> &'static str {
        Template::ALL[self as usize].2
    }
}

impl Route {
    /// The route of a path as it was sent.
    pub(super) fn find(path: &str) -> Result<Self, Problem> {
        let unknown = || Problem::new(Code::NotFound, "no such path: see /v1/openapi.json");
        let segments: Vec<&str> = path.strip_prefix('/').ok_or_else(unknown)?.split('/').take(7).collect();
        Ok(match segments[..] {
            ["healthz"] => Route::Health,
            ["v1", "services"] => Route::Services,
            ["v1", "services", service, "instances"] => Route::Instances(name(service)?),
            ["v1", "services", service, "instances", id] => Route::Instance(key(service, id)?),
            ["v1", "services", service, "instances", id, "lease"] => Route::Lease(key(service, id)?),
            ["v1", "services", service, "instances", id, "override"] => Route::Override(key(service, id)?),
            ["v1", "heartbeats"] => Route::Heartbeats,
            ["v1", "watch"] => Route::Watch,
            ["v1", "prometheus", "sd"] => Route::PrometheusSd,
            ["v1", "audit"] => Route::Audit,
            ["v1", "openapi.json"] => Route::OpenApi,
            _ => return Err(unknown()),
        })
    }

    pub(super) fn template(&self) -> Template {
        match self {
            Route::Services => Template::Services,
            Route::Instances(_) => Template::Instances,
            Route::Instance(_) => Template::Instance,
            Route::Lease(_) => Template::Lease,
            Route::Override(_) => Template::Override,
            Route::Heartbeats => Template::Heartbeats,
            Route::Watch => Template::Watch,
            Route::PrometheusSd => Template::PrometheusSd,
            Route::Audit => Template::Audit,
            Route::OpenApi => Template::OpenApi,
            Route::Health => Template::Health,
        }
    }

    pub(super) fn check_method(&self, method: &Method) -> Result<(), Problem> {
        let allowed = self.template().methods();
        if allowed.split(", ").any(|allowed| allowed == method.as_str()) {
            return Ok(());
        }
        Err(Problem::method(allowed))
    }
}

fn name(segment: &str) -> Result<ServiceName, Problem> {
    let text = decode(segment)?;
    text.parse().map_err(|error| Problem::new(Code::Name, format!("service {text:?}: {error}")))
}

fn key(service: &str, id: &str) -> Result<Key, Problem> {
    let text = decode(id)?;
    let id: Result<InstanceId, _> = text.parse();
    let id = id.map_err(|error| Problem::new(Code::Name, format!("instance {text:?}: {error}")))?;
    Ok(Key { service: name(service)?, id })
}

/// The text that percent-encoding stands for (RFC 3986 §2.1).
pub(super) fn decode(text: &str) -> Result<String, Problem> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    let broken = || Problem::new(Code::Encoding, "the percent-encoding is broken, or is not of UTF-8");
    while let [first, behind @ ..] = rest {
        rest = match (first, behind) {
            (b'%', [high, low, behind @ ..]) => {
                let digit = |digit: &u8| char::from(*digit).to_digit(16).ok_or_else(broken);
                bytes.push((digit(high)? * 16 + digit(low)?) as u8);
                behind
            }
            (b'%', _) => return Err(broken()),
            _ => {
                bytes.push(*first);
                behind
            }
        };
    }
    String::from_utf8(bytes).map_err(|_| broken())
}

/// Of what is only read.
const READ: &str = "GET, HEAD";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_routes() {
        let key = || Key { service: "web".parse().expect("a name"), id: "a:1".parse().expect("an id") };
        let check = |path: &str, expected: Result<Route, Code>| {
            assert_eq!(Route::find(path).map_err(|problem| problem.code), expected, "{path}");
        };
        check("/healthz", Ok(Route::Health));
        check("/v1/services", Ok(Route::Services));
        check("/v1/services/web/instances", Ok(Route::Instances(key().service)));
        check("/v1/services/w%65b/instances/a%3a1", Ok(Route::Instance(key())));
        check("/v1/services/web/instances/a:1/lease", Ok(Route::Lease(key())));
        check("/v1/services/web/instances/a:1/override", Ok(Route::Override(key())));
        check("/v1/heartbeats", Ok(Route::Heartbeats));
        check("/v1/watch", Ok(Route::Watch));
        check("/v1/prometheus/sd", Ok(Route::PrometheusSd));
        check("/v1/audit", Ok(Route::Audit));
        check("/v1/openapi.json", Ok(Route::OpenApi));
        check("/", Err(Code::NotFound));
        check("*", Err(Code::NotFound));
        check("/v1/services/", Err(Code::NotFound));
        check("/v1/services/web", Err(Code::NotFound));
        check("/v1/services/web/instances/a/lease/", Err(Code::NotFound));
        check("/v2/services", Err(Code::NotFound));
        check("/v1/services/web/instances/", Err(Code::Name));
        check("/v1/services/w%20b/instances/a", Err(Code::Name));
        check("/v1/services/web/instances/a%2Fb", Err(Code::Name));
        check("/v1/services/web/instances/a%00", Err(Code::Name));
        check("/v1/services/web/instances/a%", Err(Code::Encoding));
        check("/v1/services/web/instances/a%zz", Err(Code::Encoding));
        check("/v1/services/web/instances/a%ff", Err(Code::Encoding));
    }

    #[test]
    fn the_table_is_in_the_order_of_the_templates() {
        for (place, (template, path, methods)) in Template::ALL.into_iter().enumerate() {
            assert_eq!((template as usize, template.path(), template.methods()), (place, path, methods));
            let example = path.replace("{service}", "web").replace("{id}", "a");
            let found = Route::find(&example).map_or(Template::Other, |route| route.template());
            assert_eq!(found, template);
        }
    }

    #[test]
    fn methods_are_those_of_the_table() {
        let lease = Route::find("/v1/services/web/instances/a/lease").expect("a route");
        assert!(lease.check_method(&Method::PUT).is_ok());
        assert_eq!(lease.check_method(&Method::GET).expect_err("it takes PUT").code, Code::Method);
        assert!(Route::Services.check_method(&Method::HEAD).is_ok());
        assert!(Route::Watch.check_method(&Method::HEAD).is_err());
    }
}
