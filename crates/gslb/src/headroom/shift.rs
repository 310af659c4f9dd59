//! Where load would go that leaves a region by choice, and whether it would fit.

use crate::region::Region;

/// What becomes of load that is to leave a region.
#[derive(Clone, Debug, PartialEq)]
pub struct Shift {
    /// What each receiver would take, in units of load.
    pub takes: Vec<(Region, f64)>,
    /// What nobody has room for: that part of the clients is to stay, or a drain has to wait.
    pub kept: f64,
}

impl Shift {
    /// Whether all of it fits.
    pub fn fits(&self) -> bool {
        self.kept <= 0.0
    }
}

/// Spreads `load` over `receivers` by what each has to spare, and never more than that. For drains and spill only: the
/// clients of a region that is confirmed down leave whether there is room or not, for where they are they get nothing.
///
/// `receivers` have their spare capacity in units of load; one that is not known to have any is to be left out.
pub fn shift(load: f64, receivers: &[(Region, f64)]) -> Shift {
    let load = if load.is_finite() { load.max(0.0) } else { 0.0 };
    let receivers = receivers.iter().filter(|(_, spare)| spare.is_finite() && *spare > 0.0);
    let spare: f64 = receivers.clone().map(|(_, spare)| spare).sum();
    let part = if spare > 0.0 { (load / spare).min(1.0) } else { 0.0 };
    let takes = receivers.map(|&(region, spare)| (region, spare * part)).collect();
    Shift { takes, kept: (load - spare).max(0.0) }
}
