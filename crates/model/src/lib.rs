//! The nouns that every plane of Fulcrum shares: names, addresses, weights, reports of load.
//!
//! ```text
//!   data-plane   control-plane   gslb
//!        └──── config, balance ────┘
//!                   └─► model
//! ```
//!
//! Plain values, and the way of a report of load between planes: no sockets, no clocks, no serialisation formats.

mod endpoint;
mod few;
mod host_port;
mod load;
mod names;
mod registration;
mod source;

pub use endpoint::{Address, ParseAddressError, Weight};
pub use few::Few;
pub use host_port::{HostPort, ParseHostPortError};
pub use load::{LoadListener, LoadReport, LoadReports, WeightSource};
pub use names::{EndpointId, InstanceId, ListenerName, NameError, RouteName, ServiceName};
pub use registration::{Reach, Registration};
pub use source::{DnsName, HttpUrl, ParseDnsNameError, ParseHttpUrlError, Pull, Server, Source};
