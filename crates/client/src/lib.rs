//! For services that register with a Fulcrum registry, and for gateways that call them directly.
//!
//! ```text
//!   Instance ─► Registry::register ─► Registered ── a thread, for each registry: lifecycle (what next, pure) ─► ask ─► registry
//!                                         └── status, load, leave, drop
//!
//!   Registry::watch ─► Watch ── a task: events (pure) ─► view (pure) ─► Endpoints
//!                        │
//!                        └─► Balancer ─► cluster (who, pure) ─► Picked ── report, drop
//!                                └─► send ─► ResponseBody
//! ```
//!
//! A registry that is away changes nothing: instances go on asking for it, watchers and balancers go on with what they knew.
//! Everything is plain HTTP/1.1; tokio is the only runtime.

mod ask;
mod balancer;
mod board;
mod cluster;
mod condition;
mod events;
mod instance;
mod keeper;
mod lifecycle;
mod load;
mod pace;
mod pool;
mod registered;
mod registry;
mod response;
mod send;
mod servers;
mod url;
mod view;
mod watch;
mod wire;

pub use ask::{AskError, Problem};
pub use balancer::{Balancer, BalancerOptions, NoEndpoint, Picked};
pub use condition::Outcome;
pub use events::{Event, Events, TooLarge};
pub use fulcrum_balance::Policy;
pub use fulcrum_balance::outlier::OutlierPolicy;
pub use fulcrum_balance::panic::PanicPolicy;
pub use fulcrum_model::{InstanceId, NameError, ServiceName, Weight};
pub use instance::Instance;
pub use load::{LoadReport, RequestInFlight};
pub use registered::{InstanceError, Registered, State, Status, terminated};
pub use registry::{Registry, RegistryError};
pub use response::ResponseBody;
pub use send::SendError;
pub use url::{RegistryUrl, UrlError};
pub use view::{Endpoint, EndpointState, Endpoints};
pub use watch::Watch;

/// The examples of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
