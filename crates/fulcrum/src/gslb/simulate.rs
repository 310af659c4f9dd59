//! What would happen if a region went down, as the admin writes it.

use fulcrum_gslb::responder::{NameShares, Receiver};
use fulcrum_model::RegionName;

use super::Answering;
use super::order::{RegionError, find};
use crate::admin::{NameDocument, ReceiverDocument, ShareDocument, SimulationDocument};

impl Answering {
    /// What would happen if a region went down.
    pub(crate) fn simulate_down(&self, region: &str) -> Result<SimulationDocument, RegionError> {
        let responder = self.responder().ok_or(RegionError::NoDns)?;
        let name = find(responder, region)?;
        let none = || RegionError::NoRegion { region: region.to_owned(), known: Vec::new() };
        let simulation = responder.simulate_down(&name).ok_or_else(none)?;
        let all = simulation.names.len();
        Ok(SimulationDocument {
            region: name.to_string(),
            state: simulation.standing.state.to_string(),
            fits: simulation.fits(),
            counted: simulation.is_counted,
            follows_seconds: simulation.follows.as_secs(),
            names_in_panic: simulation.panics,
            names_in_all: all,
            regions: simulation.regions.iter().map(receiver).collect(),
            names: simulation.names.into_iter().take(MOST).map(of_name).collect(),
        })
    }
}

fn receiver(receiver: &Receiver) -> ReceiverDocument {
    ReceiverDocument {
        region: receiver.region.to_string(),
        before_percent: rounded(receiver.shares.0),
        after_percent: rounded(receiver.shares.1),
        load: receiver.load.map(|load| rounded(load.load)),
        load_after: receiver.load_after.map(rounded),
        capacity: receiver.load.and_then(|load| load.capacity),
        fits: receiver.fits(),
    }
}

fn of_name(name: NameShares) -> NameDocument {
    let share = |(region, before, after): (Option<RegionName>, f64, f64)| ShareDocument {
        region: region.map(|region| region.to_string()),
        before_percent: rounded(before),
        after_percent: rounded(after),
    };
    NameDocument {
        name: name.owner.to_string(),
        answers_percent: rounded(name.weight),
        panic: name.panics,
        shares: name.shares.into_iter().map(share).collect(),
    }
}

/// To hundredths: more is noise.
pub(super) fn rounded(number: f64) -> f64 {
    // Adding zero makes -0 to 0.
    (number * 100.0).round() / 100.0 + 0.0
}

/// Names that are shown.
const MOST: usize = 1000;
