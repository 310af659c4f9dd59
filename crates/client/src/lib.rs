//! For services that register with a Fulcrum registry, and for gateways that call them directly.

mod ask;
mod events;
mod instance;
mod lifecycle;
mod load;
mod pace;
mod registered;
mod registry;
mod servers;
mod url;
mod view;
mod watch;

pub use ask::{AskError, Problem};
pub use fulcrum_model::{InstanceId, NameError, ServiceName, Weight};
pub use instance::Instance;
pub use load::{LoadReport, RequestInFlight};
pub use registered::{InstanceError, Registered, State, Status, terminated};
pub use registry::{Registry, RegistryError};
pub use url::{RegistryUrl, UrlError};
pub use view::{Endpoint, EndpointState, Endpoints};
pub use watch::Watch;
