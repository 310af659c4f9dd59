//! Where clients are: from an address to the regions in the order in which they suit it.
//!
//! ```text
//!   nets ──────┐
//!   databases ─┼─► Atlas ──► compile ──► Classes: PrefixTable (address → class), orders (class → regions)
//!   regions ───┘      └────► locate, rank: the same for one client, with the reasons
//! ```

mod atlas;
mod centroid;
mod compile;
mod configured;
mod database;
mod distance;
mod embedding;
mod leaves;
mod nets;
mod place;
mod prefix_table;
mod ranking;
mod rule;
mod steps;
mod width;

#[cfg(test)]
mod tests;

pub use atlas::{Atlas, AtlasError, Located, RegionPlace, Sources};
pub use centroid::{LocatedBy, continent_of};
pub use compile::Classes;
pub use configured::ConfiguredError;
pub use database::{About, Database, DatabaseError, Schema};
pub use distance::{Bias, Distance};
pub use embedding::{Embedding, unwrapped};
pub use nets::{MAX_NETS, MAX_SIZE as MAX_NETS_SIZE, Nets, NetsError, NetsFault};
pub use place::{Continent, Country, Location, NotACode, Place, Subdivision};
pub use prefix_table::{Class, MAX_CLASSES, PrefixTable, TableError};
pub use ranking::{Candidate, Ranking, Reason};
pub use rule::{Match, MatchError, NetError, Specificity};
