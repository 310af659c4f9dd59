//! Retries as they are written.

use crate::decode::{OneOrMany, Whole, Word, Words};
use crate::fields::fields;
use crate::percent::Percent;
use crate::rate::Rate;

fields! {
    /// When a request is tried on another endpoint.
    RawRetry {
        /// Further attempts of one request, 0 to 3. Default 1.
        retries: Whole<0, 3>,
        /// What is tried again: connect (the connection could not be made), reset (it broke before a response, and the
        /// request may be repeated), timeout (no response has begun in time, and the request may be repeated),
        /// unavailable (the answer is 503, and the request may be repeated). Default connect and reset.
        on: OneOrMany<Word<RetryCause>>,
        /// Retries in percent of the service's requests. Default 20%.
        budget: Percent<0, 100>,
        /// Retries a second that are always allowed. Default 10/s.
        budget_min: Rate,
    }
}

/// Why an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryCause {
    Connect,
    Reset,
    Timeout,
    Unavailable,
}

impl Words for RetryCause {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("connect", RetryCause::Connect),
        ("reset", RetryCause::Reset),
        ("timeout", RetryCause::Timeout),
        ("unavailable", RetryCause::Unavailable),
    ];
}
