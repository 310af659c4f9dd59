//! The nouns that every plane of Fulcrum shares: names, addresses, weights.
//!
//! ```text
//!   data-plane   control-plane   gslb
//!        └──── config, balance ────┘
//!                   └─► model
//! ```
//!
//! Plain values only: no sockets, no clocks, no serialisation formats.

mod endpoint;
mod host_port;
mod names;
mod registration;
mod source;

pub use endpoint::{Address, ParseAddressError, Weight};
pub use host_port::{HostPort, ParseHostPortError};
pub use names::{EndpointId, InstanceId, ListenerName, NameError, RouteName, ServiceName};
pub use registration::{Reach, Registration};
pub use source::{DnsName, HttpUrl, ParseDnsNameError, ParseHttpUrlError, Pull, Server, Source};
