//! Regions that die, daemons that are cut off, links that flap: what the judges of all daemons make of it.

mod invariants;
mod panics;
mod reload;
mod rows;
mod simulation;
mod stories;
mod uneven;
mod world;
