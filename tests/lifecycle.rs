//! How a daemon begins, changes and ends: what is in progress finishes, what is new goes elsewhere, nothing is left
//! behind.

mod demo;
mod drain;
mod last_moment;
mod order_ends;
mod overrides;
mod processes;
mod reload;
mod reload_admin;
pub(crate) mod reload_load;
mod reload_refused;
mod reload_traffic;
mod upstream_death;
pub(crate) mod verified_load;
mod workers;
