//! How busy the process is, said by the application and carried by heartbeats.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering};

use fulcrum_model::Weight;

use crate::instance::Load;

/// Where the application says how busy it is. Clones are the same place. Nothing is sent before anything is said.
#[derive(Clone, Debug)]
pub struct LoadReport(Arc<Known>);

#[derive(Debug)]
struct Known {
    /// With [`IS_KNOWN`] when it was said.
    in_flight: AtomicU64,
    /// The bits of a float, not a number before it was said.
    cpu: AtomicU32,
    /// 0 before it was said.
    weight: AtomicU16,
}

/// A request that counts as in flight until it is dropped.
#[derive(Debug)]
pub struct RequestInFlight(LoadReport);

impl LoadReport {
    pub(crate) fn new() -> Self {
        let cpu = AtomicU32::new(f32::NAN.to_bits());
        LoadReport(Arc::new(Known { in_flight: AtomicU64::new(0), cpu, weight: AtomicU16::new(0) }))
    }

    /// How many requests are being worked on now. Not to be mixed with [`begin`](Self::begin), which counts by itself.
    pub fn set_in_flight(&self, count: u32) {
        self.0.in_flight.store(IS_KNOWN | u64::from(count), Ordering::Relaxed);
    }

    /// One more request, until what is returned is dropped.
    pub fn begin(&self) -> RequestInFlight {
        let one_more = |known: u64| Some(IS_KNOWN | u64::from(count(known).saturating_add(1)));
        let _ = self.0.in_flight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        RequestInFlight(self.clone())
    }

    /// The part of the processor time that is used: 1 is all of it, or one of several processors, up to 1024. What is
    /// not a number is not sent.
    pub fn set_cpu(&self, share: f32) {
        self.0.cpu.store(share.clamp(0.0, 1024.0).to_bits(), Ordering::Relaxed);
    }

    /// What the instance weighs from the next heartbeat on, in place of what it registered with. Orders of an operator go
    /// before it.
    pub fn set_weight(&self, weight: Weight) {
        self.0.weight.store(weight.get(), Ordering::Relaxed);
    }

    pub(crate) fn weight(&self) -> Option<Weight> {
        Weight::new(self.0.weight.load(Ordering::Relaxed))
    }

    pub(crate) fn load(&self) -> Load {
        let in_flight = self.0.in_flight.load(Ordering::Relaxed);
        let cpu = f32::from_bits(self.0.cpu.load(Ordering::Relaxed));
        Load {
            in_flight: (in_flight & IS_KNOWN != 0).then(|| count(in_flight)),
            cpu: (!cpu.is_nan()).then_some(cpu),
        }
    }
}

impl Drop for RequestInFlight {
    fn drop(&mut self) {
        let one_less = |known: u64| Some(IS_KNOWN | u64::from(count(known).saturating_sub(1)));
        let _ = self.0.0.in_flight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
    }
}

fn count(known: u64) -> u32 {
    (known & u64::from(u32::MAX)) as u32
}

const IS_KNOWN: u64 = 1 << 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_said_before_it_is_known() {
        let report = LoadReport::new();
        assert_eq!(report.load(), Load::default());
        report.set_in_flight(0);
        assert_eq!(report.load(), Load { in_flight: Some(0), cpu: None });
        let check = |share: f32, expected: Option<f32>| {
            report.set_cpu(share);
            assert_eq!(report.load().cpu, expected, "{share}");
        };
        check(0.4, Some(0.4));
        check(-1.0, Some(0.0));
        check(f32::INFINITY, Some(1024.0));
        check(f32::NAN, None);
    }

    #[test]
    fn a_weight_is_said_when_it_is_known() {
        let report = LoadReport::new();
        assert_eq!(report.weight(), None);
        report.set_weight(Weight::ONE);
        assert_eq!(report.clone().weight(), Some(Weight::ONE));
    }

    #[test]
    fn requests_count_until_they_are_dropped() {
        let report = LoadReport::new();
        let first = report.begin();
        let second = report.clone().begin();
        assert_eq!(report.load().in_flight, Some(2));
        drop(first);
        assert_eq!(report.load().in_flight, Some(1));
        report.set_in_flight(0);
        drop(second);
        assert_eq!(report.load().in_flight, Some(0));
        report.set_in_flight(u32::MAX);
        drop(report.begin());
        assert_eq!(report.load().in_flight, Some(u32::MAX - 1));
    }
}
