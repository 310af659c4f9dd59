//! An endpoint as it is written.

use schemars::JsonSchema;

use crate::address::AddressText;
use crate::decode::{At, Decode, Whole, Word, Words};
use crate::endpoint::EndpointState;
use crate::fields::fields;
use crate::node::{Node, Value};
use crate::report::Problems;

fields! {
    /// An endpoint in its long form.
    RawEndpointLong {
        /// Its identity in metrics and logs. Default: the address.
        id: At<String>,
        /// IP:PORT, NAME:PORT or unix:/path.
        address: At<AddressText> = required,
        /// Its share of traffic, relative to the others. Default 1.
        weight: Whole<1, 65_535>,
        /// What it takes: everything (up), nothing new (drain) or nothing at all (maintenance). Default up.
        state: Word<EndpointState>,
    }
}

/// An endpoint.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum RawEndpoint {
    /// IP:PORT, NAME:PORT or unix:/path.
    Short(At<AddressText>),
    /// With id, weight or state.
    Long(RawEndpointLong),
}

impl Decode for RawEndpoint {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Mapping(_) => RawEndpointLong::decode(node, problems).map(RawEndpoint::Long),
            _ => At::decode(node, problems).map(RawEndpoint::Short),
        }
    }
}

impl Words for EndpointState {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("up", EndpointState::Up),
        ("drain", EndpointState::Drain),
        ("maintenance", EndpointState::Maintenance),
    ];
}
