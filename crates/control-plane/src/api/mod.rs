//! The registry over HTTP: `/v1`, as `openapi.json` describes it.
//!
//! ```text
//!   server ─► route ─► auth ─► body ─► change (register, leave, order) ─► Registry::apply ─► audit
//!     ├ turns: no requests       ├───► beat (lease, heartbeats) ────────► Registry::beat
//!     └ pace: slow clients       └───► read, feed, prometheus_sd ───────► what is published
//! ```
//!
//! Whatever is not answered as wished is a problem document. Nothing that comes in is answered with 500.

mod address;
mod answer;
mod audit;
mod auth;
mod beat;
mod body;
mod bucket;
mod call;
mod change;
mod chunks;
mod counters;
mod document;
mod duration;
mod feed;
mod filter;
mod glob;
mod head;
mod json;
mod large_body;
mod order;
mod pace;
mod problem;
mod prometheus_sd;
mod query;
mod read;
mod refusal;
mod register_body;
mod route;
mod seats;
mod server;
mod settings;
mod shares;
mod turns;

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use fulcrum_balance::Rng;
use hyper::body::Incoming;
use hyper::http::request::Parts;
use hyper::{Method, Request, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use self::audit::{Act, Audit};
use self::auth::{Caller, Need};
use self::body::Body;
use self::call::{Call, refused_act};
use self::large_body::LargeBodies;
use self::problem::{Code, Problem};
use self::route::{Route, Template};
use self::seats::Seats;
use self::server::Visit;
use self::shares::Shares;
use crate::registry::Registry;

pub use self::address::{AllowAddresses, LocalAddresses, Registrant, is_own};
pub use self::auth::{Grant, Token};
pub use self::counters::Counters;
pub use self::glob::Glob;
pub use self::server::serve;
pub use self::settings::{Limits, Settings};

/// The API of a registry.
pub struct Api {
    registry: Arc<Registry>,
    settings: ArcSwap<Settings>,
    counters: Counters,
    audit: Audit,
    registrations: Mutex<Shares>,
    rng: Mutex<Rng>,
    seats: Arc<Seats>,
    watchers: Arc<Semaphore>,
    large_bodies: LargeBodies,
}

/// Who is at the other end of a connection, and at which of our addresses.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// The client.
    pub remote: SocketAddr,
    /// We.
    pub local: SocketAddr,
}

impl Api {
    /// The API of this registry. `seed` makes its random choices differ from those of others.
    pub fn new(registry: Arc<Registry>, settings: Settings, limits: Limits, seed: u64) -> Self {
        let now = Instant::now();
        Api {
            registry,
            counters: Counters::default(),
            audit: Audit::new(now),
            registrations: Mutex::new(Shares::new(settings.register_rate, now)),
            settings: ArcSwap::from_pointee(settings),
            rng: Mutex::new(Rng::from_seed(seed)),
            seats: Arc::new(Seats::new(limits.connections)),
            watchers: Arc::new(Semaphore::new(limits.watchers)),
            large_bodies: LargeBodies::new(),
        }
    }

    /// Other settings from here on.
    pub fn set(&self, settings: Settings) {
        self.settings.store(Arc::new(settings));
    }

    /// Where we listen ourselves.
    pub fn own(&self) -> Vec<SocketAddr> {
        self.settings.load().own.clone()
    }

    /// What has been counted.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Whose API it is.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Answers a request.
    async fn answer(&self, request: Request<Incoming>, visit: &Visit) -> Response<Body> {
        let (head, body) = request.into_parts();
        let route = Route::find(head.uri.path());
        let template = route.as_ref().map_or(Template::Other, Route::template);
        let answered = match &route {
            _ if visit.pace.is_ambiguous() => Err(refusal::two_lengths()),
            Ok(route) => self.admit(route, &head, body, visit).await,
            Err(problem) => Err(problem.clone()),
        };
        let response = answered.unwrap_or_else(|problem| {
            self.counters.refused(problem.code);
            problem.into()
        });
        self.counters.answered(template, response.status());
        response
    }

    /// Lets those in who may.
    async fn admit(
        &self,
        route: &Route,
        head: &Parts,
        body: Incoming,
        visit: &Visit,
    ) -> Result<Response<Body>, Problem> {
        let peer = visit.peer;
        route.check_method(&head.method)?;
        let settings = self.settings.load_full();
        let need = route.need(&head.method);
        if need == Need::Nothing {
            return Ok(open(route));
        }
        let note = |problem: Problem, caller: Option<&Caller>| {
            self.note_refused(&problem, &refused_act(route, head, peer, caller));
            problem
        };
        let caller = Caller::of(&head.headers, peer.remote, &settings.tokens);
        let caller = caller.map_err(|problem| note(problem, None))?;
        caller.check(need).map_err(|problem| note(problem, Some(&caller)))?;
        let call = Call { route, head, peer, caller, settings };
        let answered = self.serve(&call, body, visit).await;
        answered.map_err(|problem| note(problem, Some(&call.caller)))
    }

    async fn serve(&self, call: &Call<'_>, body: Incoming, visit: &Visit) -> Result<Response<Body>, Problem> {
        let query = call.query();
        let headers = &call.head.headers;
        match (call.route, &call.head.method) {
            (Route::Instance(key), &Method::PUT) => {
                self.register(key, call, &server::small(body).await?).await
            }
            (Route::Instance(key), &Method::DELETE) => self.leave(key, call).await,
            (Route::Instance(key), _) => self.instance(key, query),
            (Route::Lease(key), _) => {
                self.beat(key, &call.caller, &call.settings, &server::small(body).await?)
            }
            (Route::Override(key), &Method::PUT) => self.order(key, call, &server::small(body).await?).await,
            (Route::Override(key), _) => self.clear_order(key, call).await,
            (Route::Heartbeats, _) => {
                let body = self.large_bodies.read(body, &call.caller.name).await?;
                self.beats(&call.caller, &call.settings, &body.bytes)
            }
            (Route::Services, _) => self.services(query),
            (Route::Instances(service), _) => self.instances(service, query, headers, visit).await,
            (Route::Watch, _) => self.watch(query, headers, visit),
            (Route::PrometheusSd, _) => self.prometheus_sd(query),
            (Route::Audit, _) => self.audited(query),
            (Route::OpenApi | Route::Health, _) => Ok(open(call.route)),
        }
    }

    /// What is remembered of changes.
    fn audited(&self, query: Option<&str>) -> Result<Response<Body>, Problem> {
        let mut query = query::Query::parse(query)?;
        let since = query.number("since")?.unwrap_or_default();
        query.end()?;
        let entries = self.audit.since(since).into_iter();
        Ok(answer::typed(Body::list("{\"entries\":[".to_owned(), entries, "]}\n"), "application/json"))
    }

    /// Writes down who wanted to change what is not theirs to change.
    fn note_refused(&self, problem: &Problem, act: &Option<Act>) {
        if let Some(act) = act
            && problem.code.is_of_authorisation()
        {
            let act = Act { outcome: problem.code.as_str(), ..act.clone() };
            self.audit.refused(act, Instant::now());
        }
    }

    /// A place among those who watch.
    fn watch_place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let place = Arc::clone(&self.watchers).try_acquire_owned();
        place.map_err(|_| {
            let wait = Duration::from_millis(1000 + self.below(4000));
            Problem::new(Code::Overload, "too many clients watch already").after(wait).closing()
        })
    }

    /// A random number below this one.
    fn below(&self, bound: u64) -> u64 {
        lock(&self.rng).below(u32::try_from(bound).unwrap_or(u32::MAX)).into()
    }

    fn store_epoch(&self) -> String {
        self.registry.epoch().to_string()
    }
}

/// What anyone may see.
fn open(route: &Route) -> Response<Body> {
    match route {
        Route::OpenApi => answer::typed(Body::whole(OPENAPI), "application/json"),
        _ => answer::typed(Body::whole("ok\n"), "text/plain; charset=utf-8"),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that is locked here is ever left half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api").field("registry", &self.registry).finish_non_exhaustive()
    }
}

const OPENAPI: &str = include_str!("openapi.json");

#[cfg(test)]
mod tests;
