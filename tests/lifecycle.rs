//! How a daemon begins and ends: what is in progress finishes, what is new goes elsewhere, nothing is left behind.

mod demo;
mod drain;
mod last_moment;
mod processes;
mod upstream_death;
mod workers;
