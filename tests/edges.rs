//! Slow, large and odd requests, one test per rule.

mod identity;
mod paths;
mod sizes;
mod time;
