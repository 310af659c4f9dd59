//! The parts together, and against models of them.

mod database;
mod mmdb;
mod order;
mod prefix_table;
