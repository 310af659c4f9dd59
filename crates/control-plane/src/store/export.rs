//! What a store holds as one JSON document: to look at, to keep, and to make another file of.

use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::time::Duration;

use fulcrum_model::{InstanceId, ServiceName};
use serde::{Deserialize, Serialize};

use super::record::{self, DepartureRecord, InstanceRecord, RecordError};
use super::{Image, StoreEpoch};
use crate::state::{Epoch, Instance, Key, Sequence};

/// Why a document makes no file.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It is not what [`export`] writes.
    #[error("not an export of a registry: {0}")]
    Json(#[from] serde_json::Error),
    /// It was written by a later release.
    #[error("written by a later release (format {0}, this one knows {FORMAT})")]
    Later(u64),
    /// A text that is no name.
    #[error("`{service}/{id}` is no instance")]
    Name {
        /// Of the service.
        service: String,
        /// Of the instance.
        id: String,
    },
    /// An instance that cannot be.
    #[error("`{service}/{id}`: {source}")]
    Record {
        /// The service.
        service: String,
        /// The instance.
        id: String,
        /// What is wrong with it.
        source: RecordError,
    },
    /// The same name twice.
    #[error("`{service}/{id}` is there twice")]
    Twice {
        /// The service.
        service: ServiceName,
        /// The instance.
        id: InstanceId,
    },
    /// A number that no next one can be told of.
    #[error("`sequence` is out of range")]
    Range,
    /// A number beyond those that were given out.
    #[error("`sequence` is {sequence}, and that of `{service}/{id}` is beyond it")]
    Sequence {
        /// Of the document.
        sequence: u64,
        /// The service.
        service: ServiceName,
        /// The instance.
        id: InstanceId,
    },
}

#[derive(Serialize, Deserialize)]
struct Document {
    format: u64,
    /// As in the ids of events.
    store_epoch: String,
    sequence: u64,
    instances: Vec<Named<InstanceRecord>>,
    departed: Vec<Named<DepartureRecord>>,
}

#[derive(Serialize, Deserialize)]
struct Named<R> {
    service: String,
    id: String,
    #[serde(flatten)]
    record: R,
}

/// Writes everything that a store holds, an instance a line.
///
/// # Errors
/// The writer takes no more.
pub fn export(image: &Image, writer: &mut impl Write) -> io::Result<()> {
    let (epoch, sequence) = (image.epoch, image.sequence.0);
    writeln!(writer, "{{\"format\":{FORMAT},\"store_epoch\":\"{epoch}\",\"sequence\":{sequence},")?;
    write!(writer, "\"instances\":[")?;
    write_all(writer, &image.instances, |instance| {
        named(&instance.key.service, &instance.key.id, InstanceRecord::from(instance))
    })?;
    write!(writer, "],\n\"departed\":[")?;
    write_all(writer, &image.departed, |(service, departure)| {
        named(service, &departure.id, DepartureRecord::from(departure))
    })?;
    writeln!(writer, "]}}")
}

fn write_all<T, R: Serialize>(
    writer: &mut impl Write,
    all: &[T],
    record: impl Fn(&T) -> Named<R>,
) -> io::Result<()> {
    for (place, one) in all.iter().enumerate() {
        writer.write_all(if place == 0 { b"\n" } else { b",\n" })?;
        serde_json::to_writer(&mut *writer, &record(one))?;
    }
    Ok(())
}

fn named<R>(service: &ServiceName, id: &InstanceId, record: R) -> Named<R> {
    Named { service: service.to_string(), id: id.to_string(), record }
}

/// Reads what [`export`] has written. `seed` numbers the history that begins with it: the one of the document may have
/// gone on elsewhere, so that the same number could be given to two events.
///
/// # Errors
/// It is no such document, or one that cannot be.
pub fn import(reader: impl Read, seed: u64) -> Result<Image, ImportError> {
    let document: Document = serde_json::from_reader(reader)?;
    if document.format != FORMAT {
        return Err(ImportError::Later(document.format));
    }
    if document.sequence > MOST {
        return Err(ImportError::Range);
    }
    let mut image = Image {
        epoch: StoreEpoch(seed),
        sequence: Sequence(document.sequence),
        instances: Vec::with_capacity(document.instances.len()),
        departed: Vec::with_capacity(document.departed.len()),
    };
    let mut seen = HashSet::new();
    for Named { service, id, record } in document.instances {
        let key = key(&service, &id, &mut seen)?;
        let instance = record::instance(key, record).and_then(plausible);
        let instance = instance.map_err(|source| ImportError::Record { service, id, source })?;
        if instance.sequence > image.sequence {
            let Key { service, id } = instance.key;
            return Err(ImportError::Sequence { sequence: image.sequence.0, service, id });
        }
        image.instances.push(instance);
    }
    for Named { service, id, record } in document.departed {
        let key = key(&service, &id, &mut seen)?;
        let departure = record::departure(&key, record);
        let departure = departure.and_then(|departure| countable(departure.epoch).map(|()| departure));
        let departure = departure.map_err(|source| ImportError::Record { service, id, source })?;
        image.departed.push((key.service, departure));
    }
    Ok(image)
}

/// What only a document that was written by hand can have wrong: nobody could have registered it.
fn plausible(instance: Instance) -> Result<Instance, RecordError> {
    if !(SHORTEST_TTL..=LONGEST_TTL).contains(&instance.ttl()) {
        return Err(RecordError::Range("ttl_ms"));
    }
    if !is_host(instance.registration.address) {
        return Err(RecordError::Range("address"));
    }
    countable(instance.epoch).map(|()| instance)
}

/// Whether an instance may be there, whoever registers it: nobody is at an unspecified, multicast or broadcast address, and
/// at link-local ones are the metadata services of clouds.
fn is_host(address: IpAddr) -> bool {
    match address.to_canonical() {
        // 0.0.0.0/8 is this host, too (RFC 1122 §3.2.1.3).
        IpAddr::V4(v4) => {
            !(v4.octets()[0] == 0 || v4.is_multicast() || v4.is_broadcast() || v4.is_link_local())
        }
        IpAddr::V6(v6) => !(v6.is_unspecified() || v6.is_multicast() || v6.is_unicast_link_local()),
    }
}

fn countable(epoch: Epoch) -> Result<(), RecordError> {
    if epoch.0 <= MOST { Ok(()) } else { Err(RecordError::Range("epoch")) }
}

/// A name that has not been there yet.
fn key(service: &str, id: &str, seen: &mut HashSet<Key>) -> Result<Key, ImportError> {
    let (Ok(service_name), Ok(instance_id)) = (service.parse(), id.parse()) else {
        return Err(ImportError::Name { service: service.to_owned(), id: id.to_owned() });
    };
    let key = Key { service: service_name, id: instance_id };
    match seen.insert(key.clone()) {
        true => Ok(key),
        false => Err(ImportError::Twice { service: key.service, id: key.id }),
    }
}

/// Of the document.
const FORMAT: u64 = 1;

/// As the API bounds a time-to-live.
const SHORTEST_TTL: Duration = Duration::from_secs(3);
const LONGEST_TTL: Duration = Duration::from_secs(24 * 3600);

/// What every reader of JSON can tell from its neighbours, and far from where counting ends.
const MOST: u64 = 1 << 53;

#[cfg(test)]
mod tests;
