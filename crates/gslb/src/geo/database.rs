//! The operator's database of places: an `.mmdb` file, read as a whole, proved as a whole, then forgotten.

mod record;
mod tree;

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use fulcrum_config::regular_file;
use ipnet::IpNet;
use maxminddb::{MaxMindDbError, Reader};

use super::place::Place;
use super::steps::Steps;
use super::width::{Width, net};
use record::Record;
pub use record::Schema;
use tree::{Networks, Tree};

/// The place of every address, as a database has it.
#[derive(Debug)]
pub struct Database {
    /// Indices of places. Number 0 is the unknown one.
    pub(super) v4: Steps<u32>,
    pub(super) v6: Steps<u128>,
    pub(super) places: Vec<Place>,
    about: About,
}

/// What a database says of itself, and what was found in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The kind of database, as `GeoLite2-City`.
    pub kind: String,
    /// When it was made, in seconds since 1970.
    pub built: u64,
    /// How its records are laid out.
    pub schema: Schema,
    /// Networks that it tells apart.
    pub networks: usize,
    /// Places that it tells apart.
    pub places: usize,
}

/// Why a file is no database of places.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The file cannot be read.
    #[error("it cannot be read: {0}")]
    Read(#[from] io::Error),
    /// Longer than can be taken.
    #[error("it is larger than 2 GiB")]
    Size,
    /// Not of the format, or damaged.
    #[error("it is damaged or not of the MaxMind DB format: {0}")]
    Format(#[from] MaxMindDbError),
    /// The search tree is none.
    #[error("it is damaged: its search tree is not one, or does not end where its records begin")]
    Tree,
    /// A record cannot be used.
    #[error("its record of {address} cannot be used: {source}")]
    Record {
        /// The first address of the first network that has the record.
        address: IpAddr,
        /// What is wrong.
        source: MaxMindDbError,
    },
    /// A record is laid out otherwise than the first one.
    #[error("its record of {address} is {found}, but those before are {expected}")]
    Mixed {
        /// The first address of the first network that has the record.
        address: IpAddr,
        /// The layout of the record.
        found: Schema,
        /// The layout of all before.
        expected: Schema,
    },
    /// No record has a field that tells a place.
    #[error("no record of it has a country, a continent, a location or an autonomous system")]
    Nothing,
}

impl Database {
    /// Reads and proves a file. It is not needed any more afterwards.
    pub fn open(path: &Path) -> Result<Database, DatabaseError> {
        let bytes = regular_file::read(path, MAX_SIZE + 1)?;
        if bytes.len() as u64 > MAX_SIZE {
            return Err(DatabaseError::Size);
        }
        Database::parse(&bytes)
    }

    /// Reads and proves a database: every node, every record, every field. The reader's own proof is not asked, since it
    /// wants a description, which free databases do not have.
    pub fn parse(bytes: &[u8]) -> Result<Database, DatabaseError> {
        let reader = Reader::from_source(bytes)?;
        let networks = Tree::new(bytes, reader.metadata()).networks().ok_or(DatabaseError::Tree)?;
        let read = read(&reader, &networks)?;
        let place = |pointer: u32| read.places.get(&pointer).copied().unwrap_or(UNKNOWN);
        let about = About {
            kind: reader.metadata().database_type.clone(),
            built: reader.metadata().build_epoch,
            schema: read.schema.ok_or(DatabaseError::Nothing)?,
            networks: networks.count,
            places: read.distinct.len() - 1,
        };
        Ok(Database { v4: networks.v4.map(place), v6: networks.v6.map(place), places: read.distinct, about })
    }

    /// What is known of the database itself.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// The place of an address, and the largest network around it that is all there. An address of IPv6 that stands for
    /// one of IPv4 has to be unwrapped before.
    pub fn find(&self, address: IpAddr) -> (Place, Option<IpNet>) {
        fn find<W: Width>(steps: &Steps<W>, address: W) -> (u32, Option<IpNet>) {
            let (place, length) = steps.at(address);
            (place, net(address, length))
        }
        let (place, net) = match address {
            IpAddr::V4(address) => find(&self.v4, address.to_bits()),
            IpAddr::V6(address) => find(&self.v6, address.to_bits()),
        };
        (self.places[place as usize], net.filter(|_| place != UNKNOWN))
    }
}

struct Records {
    /// The place by the pointer to its record.
    places: HashMap<u32, u32>,
    distinct: Vec<Place>,
    schema: Option<Schema>,
}

/// Every record once, however many networks have it.
fn read(reader: &Reader<&[u8]>, networks: &Networks) -> Result<Records, DatabaseError> {
    let mut read = Records { places: HashMap::new(), distinct: vec![Place::default()], schema: None };
    let mut numbers = HashMap::from([(Place::default(), UNKNOWN)]);
    let v4 = networks.v4.iter().map(|(first, _, pointer)| (first.address(), pointer));
    let v6 = networks.v6.iter().map(|(first, _, pointer)| (first.address(), pointer));
    for (address, pointer) in v4.chain(v6).filter(|&(_, pointer)| pointer != tree::NOTHING) {
        if read.places.contains_key(&pointer) {
            continue;
        }
        let record = reader.lookup(address).and_then(|found| found.decode::<Record<'_>>());
        let record = record.map_err(|source| DatabaseError::Record { address, source })?.unwrap_or_default();
        let schema = record.schema().map(|found| found.join(read.schema)).transpose();
        read.schema = schema
            .map_err(|(found, expected)| DatabaseError::Mixed { address, found, expected })?
            .or(read.schema);
        let place = record.place();
        let number = *numbers.entry(place).or_insert_with(|| {
            read.distinct.push(place);
            read.distinct.len() as u32 - 1
        });
        read.places.insert(pointer, number);
    }
    Ok(read)
}

/// The place of addresses that the database does not know.
const UNKNOWN: u32 = 0;

/// More than any database that is sold; it stays in memory only while it is read.
const MAX_SIZE: u64 = 2 << 30;
