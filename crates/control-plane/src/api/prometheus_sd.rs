//! Targets for the HTTP service discovery of Prometheus.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use fulcrum_model::ServiceName;
use hyper::Response;
use serde::Serialize;

use super::body::Body;
use super::problem::{Code, Problem};
use super::query::Query;
use super::{Api, answer, read};
use crate::state::Instance;

#[derive(Debug, Serialize)]
struct Target {
    targets: [SocketAddr; 1],
    labels: BTreeMap<String, String>,
}

impl Api {
    /// All instances, or those of some services.
    pub(super) fn prometheus_sd(&self, query: Option<&str>) -> Result<Response<Body>, Problem> {
        let mut query = Query::parse(query)?;
        let names = services(&mut query)?;
        query.end()?;
        let lists = match names {
            Some(names) => names.iter().filter_map(|name| self.registry.service(name)).collect(),
            None => self.registry.services().0.into_iter().map(|(_, list)| list).collect::<Vec<_>>(),
        };
        let instances = lists.into_iter().flat_map(|list| read::instances(Some(list)));
        let targets = instances.map(|shown| Target::from(&*shown.0));
        Ok(answer::typed(Body::list("[".to_owned(), targets, "]\n"), "application/json"))
    }
}

/// The services that a query names; nothing when it names none.
pub(super) fn services(query: &mut Query) -> Result<Option<Vec<ServiceName>>, Problem> {
    let names = query.all("service").into_iter().map(|name| {
        name.parse().map_err(|error| Problem::new(Code::Name, format!("service {name:?}: {error}")))
    });
    let mut names: Vec<ServiceName> = names.collect::<Result<_, Problem>>()?;
    names.sort();
    names.dedup();
    Ok(Some(names).filter(|names| !names.is_empty()))
}

impl From<&Instance> for Target {
    fn from(instance: &Instance) -> Self {
        let registration = &instance.registration;
        let mut labels = BTreeMap::new();
        let mut add = |name: String, value: &str| {
            labels.entry(format!("__meta_fulcrum_{name}")).or_insert_with(|| value.to_owned());
        };
        add("service".to_owned(), instance.key.service.as_str());
        add("instance".to_owned(), instance.key.id.as_str());
        add("state".to_owned(), instance.stage().as_str());
        add("weight".to_owned(), &instance.weight().get().to_string());
        for (name, value) in [("locality", &registration.locality), ("region", &registration.region)] {
            if let Some(value) = value {
                add(name.to_owned(), value);
            }
        }
        // Between commas at both ends, so that an expression can look for `,tag,`.
        let tags: String = registration.tags.iter().map(|tag| format!("{tag},")).collect();
        add("tags".to_owned(), &format!(",{tags}"));
        for (name, port) in registration.ports.iter() {
            add(format!("port_{}", plain(name)), &port.to_string());
        }
        for (key, value) in registration.meta.iter() {
            add(format!("meta_{}", plain(key)), value);
        }
        let target = SocketAddr::new(registration.address, registration.port.get());
        Target { targets: [target], labels }
    }
}

/// What label names may have: `[a-zA-Z0-9_]`.
fn plain(name: &str) -> String {
    name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' }).collect()
}
