//! The nouns that every plane of Fulcrum shares: names, addresses, weights, reports of load.
//!
//! ```text
//!   data-plane   control-plane   gslb
//!        └──── config, balance ────┘
//!                   └─► model
//! ```
//!
//! Plain values, and the way of a report of load between planes: no sockets, no clocks, no serialisation formats.

mod dns_name;
mod endpoint;
mod few;
mod host_port;
mod load;
mod names;
mod record;
mod registration;
mod source;

pub use dns_name::{DnsName, DnsNameError};
pub use endpoint::{Address, ParseAddressError, Weight};
pub use few::Few;
pub use host_port::{HostPort, ParseHostPortError};
pub use load::{LoadListener, LoadReport, LoadReports, WeightSource};
pub use names::{EndpointId, InstanceId, ListenerName, NameError, RegionName, RouteName, ServiceName};
pub use record::{Field, RecordData, RecordError, RecordType, Soa, fields, parse_seconds};
pub use registration::{Reach, Registration, TEXT, Traits};
pub use source::{HttpUrl, ParseHttpUrlError, ParseSrvNameError, Pull, Server, Source, SrvName};
