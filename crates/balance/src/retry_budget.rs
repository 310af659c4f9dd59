//! How many retries a service may make: a part of its requests, and a few more each second. When everything fails, retries
//! would multiply the load by the number of attempts just when it is least wanted; a budget bounds them.

use std::time::Duration;

/// A bucket of retry tokens, of one service.
#[derive(Clone, Debug)]
pub struct RetryBudget {
    percent: u8,
    min_per_second: u32,
    /// In millionths: what a request leaves and a microsecond brings is then a whole number.
    tokens: u64,
    /// What the bucket held at most at the last withdrawal, in millionths.
    capacity: u64,
    /// The time up to which `min_per_second` has been paid in.
    paid: Duration,
}

impl RetryBudget {
    /// A full bucket of 100 tokens. `percent` of a token comes with each request, and `min_per_second` tokens each second.
    /// `now` is since any fixed moment.
    pub fn new(percent: u8, min_per_second: u32, now: Duration) -> Self {
        let full = LEAST_CAPACITY * TOKEN;
        Self { percent, min_per_second, tokens: full, capacity: full, paid: now }
    }

    /// Pays in for so many first attempts; a retry pays nothing.
    pub fn deposit(&mut self, requests: u64) {
        let paid = requests.saturating_mul(u64::from(self.percent) * (TOKEN / 100));
        self.tokens = self.tokens.saturating_add(paid);
    }

    /// Takes the token for one retry, if there is one.
    ///
    /// The bucket holds 100 tokens, or as many as there are requests in flight: when an endpoint dies, all that it had may
    /// have to go elsewhere at once. What was paid in beyond that is lost now and not at the deposit, because the requests
    /// that a burst has in flight are known only here.
    pub fn withdraw(&mut self, now: Duration, in_flight: u64) -> bool {
        self.pay_time(now);
        self.capacity = in_flight.max(LEAST_CAPACITY).saturating_mul(TOKEN);
        self.tokens = self.tokens.min(self.capacity);
        match self.tokens.checked_sub(TOKEN) {
            Some(left) => {
                self.tokens = left;
                true
            }
            None => false,
        }
    }

    /// The tokens now in the bucket, not counting those that time has brought since the last withdrawal.
    pub fn level(&self) -> f64 {
        self.tokens.min(self.capacity) as f64 / TOKEN as f64
    }

    /// A token per second is a millionth per microsecond. Parts of a microsecond are left for the next time.
    fn pay_time(&mut self, now: Duration) {
        let micros = u64::try_from(now.saturating_sub(self.paid).as_micros()).unwrap_or(u64::MAX);
        self.paid = self.paid.saturating_add(Duration::from_micros(micros));
        let brought = micros.saturating_mul(u64::from(self.min_per_second));
        self.tokens = self.tokens.saturating_add(brought);
    }
}

/// One token in millionths.
const TOKEN: u64 = 1_000_000;

/// Tokens that the bucket holds however few requests are in flight.
const LEAST_CAPACITY: u64 = 100;

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop, prop_assert, proptest};

    use super::*;

    const START: Duration = Duration::from_secs(77);

    fn drain(budget: &mut RetryBudget, now: Duration, in_flight: u64) -> u64 {
        (0..).take_while(|_| budget.withdraw(now, in_flight)).count() as u64
    }

    #[test]
    fn starts_full_and_ends_empty() {
        let mut budget = RetryBudget::new(20, 10, START);
        assert_eq!(budget.level(), 100.0);
        assert_eq!(drain(&mut budget, START, 5_000), 100);
        assert_eq!(budget.level(), 0.0);
    }

    #[test]
    fn requests_and_time_pay_in() {
        let check = |percent, per_second, requests, millis, in_flight, expected| {
            let mut budget = RetryBudget::new(percent, per_second, START);
            drain(&mut budget, START, 0);
            budget.deposit(requests);
            let granted = drain(&mut budget, START + Duration::from_millis(millis), in_flight);
            assert_eq!(granted, expected, "{percent} %, {per_second}/s, {requests} requests, {millis} ms");
        };
        check(20, 10, 0, 0, 0, 0);
        check(20, 10, 4, 0, 0, 0);
        check(20, 10, 5, 0, 0, 1);
        check(20, 10, 400, 0, 0, 80);
        check(20, 10, 0, 99, 0, 0);
        check(20, 10, 0, 100, 0, 1);
        check(20, 10, 400, 2_000, 0, 100);
        check(20, 10, 400, 2_000, 150, 100);
        check(20, 10, 10_000, 0, 0, 100);
        check(20, 10, 10_000, 0, 700, 700);
        check(0, 0, 10_000, 60_000, 700, 0);
        check(100, 0, 64, 60_000, 0, 64);
        check(u8::MAX, u32::MAX, u64::MAX, u64::MAX / 2_000, 1_234, 1_234);
    }

    #[test]
    fn parts_of_microseconds_add_up() {
        let mut budget = RetryBudget::new(0, 1_000, START);
        drain(&mut budget, START, 0);
        let granted = (1..=1_000_000u64)
            .filter(|&step| budget.withdraw(START + Duration::from_nanos(step * 999), 0))
            .count();
        assert_eq!(granted, 999);
    }

    #[test]
    fn a_clock_that_stands_still_or_goes_back_pays_nothing() {
        let mut budget = RetryBudget::new(0, 10, START);
        drain(&mut budget, START, 0);
        assert!(!budget.withdraw(Duration::ZERO, 0));
        assert!(!budget.withdraw(START, 0));
        assert!(budget.withdraw(START + Duration::from_millis(100), 0));
    }

    #[test]
    fn the_death_of_one_endpoint_at_full_concurrency_is_covered() {
        // 4 endpoints with 500 requests each, for long enough that a fifth of the requests are 500.
        let mut budget = RetryBudget::new(20, 10, START);
        budget.deposit(2_500);
        assert!((0..500).all(|_| budget.withdraw(START + Duration::from_secs(1), 2_000)));
    }

    #[test]
    fn an_outage_adds_little_load() {
        // 10,000 requests a second for a minute, 1,000 in flight, every attempt fails.
        let mut budget = RetryBudget::new(20, 10, START);
        let mut retries = 0;
        for millisecond in 0..60_000 {
            budget.deposit(10);
            let now = START + Duration::from_millis(millisecond);
            retries += (0..10).filter(|_| budget.withdraw(now, 1_000)).count();
        }
        let (part, per_second, held) = (600_000 / 5, 10 * 60, 100);
        assert!(retries <= part + per_second + held, "{retries} retries");
        assert!(retries >= part, "{retries} retries");
    }

    proptest! {
        #[test]
        fn grants_no_more_than_was_paid_in(
            percent in 0u8..=100,
            per_second in 0u32..50,
            steps in prop::collection::vec((0u64..200, 0u64..400, 0u64..300, 0u64..2_000_000), 1..200),
        ) {
            let mut budget = RetryBudget::new(percent, per_second, START);
            let (mut now, mut requests, mut granted) = (START, 0, 0);
            for (arrived, wanted, in_flight, micros) in steps {
                now += Duration::from_micros(micros);
                requests += arrived;
                budget.deposit(arrived);
                let at_once = (0..wanted).filter(|_| budget.withdraw(now, in_flight)).count() as u64;
                prop_assert!(at_once <= in_flight.max(100));
                granted += at_once;
                let time = (now - START).as_micros() as u64 * u64::from(per_second);
                let paid = 100_000_000 + requests * u64::from(percent) * 10_000 + time;
                prop_assert!(granted * 1_000_000 <= paid, "{granted} granted of {paid} millionths");
                prop_assert!((0.0..=300.0).contains(&budget.level()));
            }
        }
    }
}
