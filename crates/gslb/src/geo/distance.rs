//! Great-circle distances, and how a region's bias bends them.

use std::fmt;

use super::place::Location;

/// How far a region reaches: above zero it draws clients from its neighbours, below it leaves them to others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bias(i8);

impl Bias {
    /// A bias from -99 to 99.
    pub fn new(percent: i64) -> Option<Bias> {
        i8::try_from(percent).ok().filter(|percent| percent.abs() <= 99).map(Bias)
    }

    /// The distance that is compared. As Route 53 has it: for a bias b above zero the distance times 1 - b/100, below
    /// zero the distance divided by 1 + b/100; +50 makes it half as far, -50 twice as far.
    pub fn bend(self, distance: Distance) -> Distance {
        let metres = u64::from(distance.0);
        let percent = i64::from(self.0);
        let bent = match percent {
            0.. => metres * percent.abs_diff(100) / 100,
            _ => metres * 100 / percent.abs_diff(-100),
        };
        // At most 20,000 km times 100.
        Distance(bent.try_into().unwrap_or(u32::MAX))
    }
}

impl fmt::Display for Bias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:+}", self.0)
    }
}

/// A distance in whole metres, so that what is equally far does not depend on the last bit of a sine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Distance(u32);

impl Distance {
    /// Whole kilometres.
    pub fn kilometres(self) -> u32 {
        self.0 / 1000
    }
}

/// A point of the globe as a vector of length one, which knows nothing of an antimeridian or of poles.
#[derive(Clone, Copy, Debug)]
pub(super) struct Direction([f64; 3]);

impl Direction {
    pub(super) fn of(location: Location) -> Direction {
        let latitude = f64::from(location.latitude()).to_radians();
        let longitude = f64::from(location.longitude()).to_radians();
        Direction([latitude.cos() * longitude.cos(), latitude.cos() * longitude.sin(), latitude.sin()])
    }

    pub(super) fn distance(self, other: Direction) -> Distance {
        let chord_squared: f64 = self.0.iter().zip(other.0).map(|(here, there)| (here - there).powi(2)).sum();
        let half = (chord_squared.sqrt() / 2.0).min(1.0);
        Distance((2.0 * half.asin() * EARTH_RADIUS).round() as u32)
    }
}

/// The mean radius, in metres.
const EARTH_RADIUS: f64 = 6_371_008.8;

#[cfg(test)]
mod tests {
    use super::*;

    fn between(one: (f32, f32), two: (f32, f32)) -> Distance {
        let direction =
            |(latitude, longitude)| Direction::of(Location::new(latitude, longitude).expect("a point"));
        direction(one).distance(direction(two))
    }

    #[test]
    fn distances_are_those_of_the_globe() {
        fn check(one: (f32, f32), two: (f32, f32), kilometres: u32) {
            let distance = between(one, two).kilometres();
            assert!(distance.abs_diff(kilometres) <= 1 + kilometres / 200, "{one:?} {two:?}: {distance}");
            assert_eq!(between(one, two), between(two, one));
        }
        let (frankfurt, ashburn, tokyo) = ((50.1, 8.7), (39.0, -77.5), (35.7, 139.7));
        check(frankfurt, ashburn, 6_540);
        check(frankfurt, tokyo, 9_360);
        check(frankfurt, frankfurt, 0);
        // Across the antimeridian: Fiji and Samoa are neighbours.
        check((-18.1, 178.4), (-13.8, -171.8), 1_149);
        check((0.0, 180.0), (0.0, -180.0), 0);
        check((0.0, 0.0), (0.0, 180.0), 20_015);
        check((90.0, 0.0), (90.0, 135.0), 0);
        check((90.0, 0.0), (-90.0, 77.0), 20_015);
    }

    #[test]
    fn a_bias_shrinks_and_stretches() {
        fn check(bias: i64, expected: u32) {
            assert_eq!(
                Bias::new(bias).expect("a bias").bend(Distance(1_000_000)),
                Distance(expected),
                "{bias}"
            );
        }
        check(0, 1_000_000);
        check(25, 750_000);
        check(50, 500_000);
        check(99, 10_000);
        check(-50, 2_000_000);
        check(-99, 100_000_000);
        assert_eq!((Bias::new(100), Bias::new(-100), Bias::new(300)), (None, None, None));
    }
}
