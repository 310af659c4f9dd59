//! Where the daemon is operated: metrics, health, readiness, status, reload and orders over HTTP.
//!
//! ```text
//!   unix socket (mode 0600) ─┐
//!   admin.bind (TCP)        ─┴─► server ─► Admin::answer ─► metrics, status, reload, order, problem
//!                                              └─► auth: over TCP all but metrics, healthz, readyz needs the token
//! ```

mod auth;
mod discovery;
mod dns;
mod explain;
mod gslb;
mod metrics;
mod order;
mod problem;
mod registry;
mod server;
mod simulate;
mod sites;
mod socket;
mod status;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use bytes::Bytes;
use fulcrum_config::Secret;
use http_body_util::Full;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Response};
use prometheus::Registry;
use serde::Serialize;

use self::auth::{Door, Verdict};
use self::dns::DnsResource;
use self::problem::Problem;
use crate::gslb::Answering;
use crate::reload::{Mistakes, Reloaded};

pub(crate) use self::discovery::DiscoveryStatus;
pub(crate) use self::dns::region_target;
pub(crate) use self::explain::{
    CandidateDocument, ChoosingDocument, ClientDocument, ExplainDocument, PanicDocument, PartDocument,
    TargetDocument, ToldDocument, TtlDocument,
};
pub(crate) use self::gslb::{
    GslbRegionStatus, GslbStatus, GslbTargetStatus, RegionOrderDocument, RegionOrderStatus, RegionState,
};
pub(crate) use self::metrics::registry;
pub(crate) use self::order::{EndpointPath, NoEndpoint, OrderAction, OrderDocument, OrderedState};
pub(crate) use self::registry::{MoodStatus, RegistryStatus, SuspectStatus};
pub(crate) use self::simulate::{NameDocument, ReceiverDocument, ShareDocument, SimulationDocument};
pub(crate) use self::sites::{AdminError, AdminServer, AdminSockets};
#[cfg(test)]
pub(crate) use self::status::QueueStatus;
pub(crate) use self::status::{
    AbsentOverride, ConfigStatus, EndpointStatus, HostNameStatus, ListenerStatus, ServiceStatus, State,
    StatusDocument, WorkerStatus,
};

/// Everything an answer can need.
pub(crate) struct Admin {
    /// What `/metrics` shows.
    pub(crate) registry: Registry,
    /// What `/readyz` says.
    pub(crate) readiness: Arc<Readiness>,
    /// What a reload can change of all this.
    pub(crate) settings: ArcSwap<Settings>,
    /// What `/status` shows.
    pub(crate) status: Box<dyn Fn(&Settings) -> StatusDocument + Send + Sync>,
    /// Reloads; nothing when the daemon is ending. May take as long as that takes.
    pub(crate) reload: ReloadAction,
    /// Orders something of an endpoint.
    pub(crate) order: OrderAction,
    /// The responder that answers DNS, if there is one.
    pub(crate) answering: Answering,
}

/// Does what `/v1/reload` asks for.
pub(crate) type ReloadAction = Box<dyn Fn(Wait) -> Option<Result<Reloaded, Mistakes>> + Send + Sync>;

/// What of the admin is configured, as it is in force.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    /// Opens everything over TCP.
    pub(crate) token: Option<Secret>,
    /// Where the sockets are: as `--admin` takes a unix socket, and as bound for TCP.
    pub(crate) addresses: Vec<String>,
}

/// What a reload has to have reached before it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// That it cannot fail any more.
    Committed,
    /// Every worker.
    Everywhere,
}

/// Whether the daemon takes new work.
#[derive(Debug)]
pub(crate) struct Readiness(AtomicBool);

/// What matters of a request.
#[derive(Clone, Copy, Debug)]
struct Question<'a> {
    door: Door,
    method: &'a Method,
    path: &'a str,
    query: Option<&'a str>,
    authorization: Option<&'a [u8]>,
    /// Of a PUT; of others it does not matter.
    body: &'a [u8],
}

/// The things that can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Resource {
    Metrics,
    Health,
    Readiness,
    Status,
    Reload,
    Order(Result<EndpointPath, NoEndpoint>),
    Dns(DnsResource),
}

impl Readiness {
    /// Ready until told otherwise.
    pub(crate) fn new() -> Self {
        Readiness(AtomicBool::new(true))
    }

    /// No new work from here on.
    pub(crate) fn fail(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// The state as `/status` names it.
    pub(crate) fn state(&self) -> State {
        if self.0.load(Ordering::Relaxed) { State::Ready } else { State::Draining }
    }
}

impl Admin {
    /// Answers one question. Reads everything it needs in memory or `/proc`, and may take a while for it.
    fn answer(&self, question: &Question<'_>) -> Response<Full<Bytes>> {
        self.decide(question).unwrap_or_else(Into::into)
    }

    fn decide(&self, question: &Question<'_>) -> Result<Response<Full<Bytes>>, Problem> {
        let resource = Resource::find(question.path).ok_or(Problem::Unknown)?;
        resource.check_method(question.method)?;
        let settings = self.settings.load();
        if !resource.is_public() {
            match auth::judge(question.door, settings.token.as_ref(), question.authorization) {
                Verdict::Allowed => {}
                Verdict::Unauthorized => return Err(Problem::Unauthorized),
                Verdict::Closed => return Err(Problem::NoToken),
            }
        }
        self.serve(resource, question, &settings)
    }

    fn reload(&self, query: Option<&str>) -> Result<Response<Full<Bytes>>, Problem> {
        let wait = match query.unwrap_or_default() {
            "" | "wait=false" => Wait::Committed,
            "wait=true" => Wait::Everywhere,
            _ => return Err(Problem::Query),
        };
        let reloaded = (self.reload)(wait).ok_or(Problem::NotReady)?.map_err(Problem::Refused)?;
        json(&reloaded)
    }

    fn order(
        &self,
        path: Result<EndpointPath, NoEndpoint>,
        question: &Question<'_>,
    ) -> Result<Response<Full<Bytes>>, Problem> {
        let path = path.map_err(Problem::NoEndpoint)?;
        let order = match question.method == Method::PUT {
            true => Some(OrderDocument::parse(question.body, SystemTime::now())?),
            false => None,
        };
        json(&(self.order)(&path, order).map_err(Problem::NoEndpoint)?)
    }

    fn serve(
        &self,
        resource: Resource,
        question: &Question<'_>,
        settings: &Settings,
    ) -> Result<Response<Full<Bytes>>, Problem> {
        match (resource, self.readiness.state()) {
            (Resource::Health, _) => Ok(plain("ok\n")),
            (Resource::Readiness, State::Ready) => Ok(plain("ready\n")),
            (Resource::Readiness, State::Draining) => Err(Problem::NotReady),
            (Resource::Metrics, _) => metrics::render(&self.registry).map_err(|error| internal(&error)),
            (Resource::Reload, _) => self.reload(question.query),
            (Resource::Order(path), _) => self.order(path, question),
            (Resource::Dns(resource), _) => resource.serve(&self.answering, question),
            (Resource::Status, _) => json(&(self.status)(settings)),
        }
    }
}

impl Resource {
    fn find(path: &str) -> Option<Self> {
        match path {
            "/metrics" => Some(Resource::Metrics),
            "/healthz" => Some(Resource::Health),
            "/readyz" => Some(Resource::Readiness),
            "/status" => Some(Resource::Status),
            "/v1/reload" => Some(Resource::Reload),
            _ => {
                let order = EndpointPath::of_target(path).map(Resource::Order);
                order.or_else(|| DnsResource::find(path).map(Resource::Dns))
            }
        }
    }

    fn check_method(&self, method: &Method) -> Result<(), Problem> {
        match self {
            Resource::Reload if method == Method::POST => Ok(()),
            Resource::Reload => Err(Problem::Method("POST")),
            Resource::Order(_) if [Method::PUT, Method::DELETE].contains(method) => Ok(()),
            Resource::Order(_) => Err(Problem::Method("PUT, DELETE")),
            Resource::Dns(resource) => resource.check_method(method),
            _ if [Method::GET, Method::HEAD].contains(method) => Ok(()),
            _ => Err(Problem::Method(READING)),
        }
    }

    /// Whether anyone on TCP may have it.
    fn is_public(&self) -> bool {
        match self {
            Resource::Metrics | Resource::Health | Resource::Readiness => true,
            Resource::Status | Resource::Reload | Resource::Order(_) | Resource::Dns(_) => false,
        }
    }
}

fn plain(text: &'static str) -> Response<Full<Bytes>> {
    typed(text, "text/plain; charset=utf-8")
}

fn json(document: &impl Serialize) -> Result<Response<Full<Bytes>>, Problem> {
    let text = serde_json::to_string(document).map_err(|error| internal(&error))?;
    Ok(typed(text + "\n", "application/json"))
}

fn typed(text: impl Into<Bytes>, content_type: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(text.into()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn internal(error: &dyn std::error::Error) -> Problem {
    tracing::error!("admin: {error}");
    Problem::Internal
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin")
            .field("readiness", &self.readiness)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// `there are a, b and 7 more`.
pub(crate) fn there_are(known: &[String]) -> String {
    format!("there {}", order::are(known))
}

/// Of everything that is read.
const READING: &str = "GET, HEAD";

#[cfg(test)]
mod tests;
