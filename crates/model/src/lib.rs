//! The nouns that every plane of Fulcrum shares: names, addresses, weights.
//!
//! ```text
//!   data-plane   control-plane   gslb
//!        └──── config, balance ────┘
//!                   └─► model
//! ```
//!
//! Plain values only: no sockets, no clocks, no serialisation formats.

mod dns_name;
mod endpoint;
mod host_port;
mod names;
mod record;
mod registration;

pub use dns_name::{DnsName, DnsNameError};
pub use endpoint::{Address, ParseAddressError, Weight};
pub use host_port::{HostPort, ParseHostPortError};
pub use names::{EndpointId, InstanceId, ListenerName, NameError, RegionName, RouteName, ServiceName};
pub use record::{Field, RecordData, RecordError, RecordType, Soa, fields, parse_seconds};
pub use registration::{Reach, Registration};
