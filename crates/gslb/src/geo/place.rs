//! Where something is: continent, country, subdivision, network operator, point on the globe.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

pub use fulcrum_config::gslb::Continent;

/// The text is not a code of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotACode;

/// A country by its two letters in ISO 3166-1.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Country([u8; 2]);

impl FromStr for Country {
    type Err = NotACode;

    fn from_str(text: &str) -> Result<Self, NotACode> {
        let letters: [u8; 2] = text.as_bytes().try_into().map_err(|_| NotACode)?;
        letters.iter().all(u8::is_ascii_uppercase).then_some(Country(letters)).ok_or(NotACode)
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|&letter| write!(f, "{}", char::from(letter)))
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A state, province or the like by its code in ISO 3166-2: `US-CA`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subdivision {
    country: Country,
    /// One to three letters or digits, then zeros.
    code: [u8; 3],
}

impl Subdivision {
    /// The country that it is in.
    pub fn country(self) -> Country {
        self.country
    }

    /// From the part behind the hyphen.
    pub fn of(country: Country, code: &str) -> Option<Subdivision> {
        let is_code = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
        let mut padded = [0; 3];
        padded.get_mut(..code.len()).filter(|room| !room.is_empty())?.copy_from_slice(code.as_bytes());
        code.bytes().all(is_code).then_some(Subdivision { country, code: padded })
    }
}

impl FromStr for Subdivision {
    type Err = NotACode;

    fn from_str(text: &str) -> Result<Self, NotACode> {
        let (country, code) = text.split_once('-').ok_or(NotACode)?;
        Subdivision::of(country.parse()?, code).ok_or(NotACode)
    }
}

impl fmt::Display for Subdivision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-", self.country)?;
        self.code.iter().filter(|&&byte| byte != 0).try_for_each(|&byte| write!(f, "{}", char::from(byte)))
    }
}

impl fmt::Debug for Subdivision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A point on the globe.
#[derive(Clone, Copy, Debug)]
pub struct Location {
    latitude: f32,
    longitude: f32,
}

impl Location {
    /// Degrees to the north and to the east, if there is such a point.
    pub fn new(latitude: f32, longitude: f32) -> Option<Location> {
        let is_there = latitude.abs() <= 90.0 && longitude.abs() <= 180.0;
        // Adding zero makes -0 to 0, so that equal points have equal bits.
        is_there.then_some(Location { latitude: latitude + 0.0, longitude: longitude + 0.0 })
    }

    /// Degrees to the north.
    pub fn latitude(self) -> f32 {
        self.latitude
    }

    /// Degrees to the east.
    pub fn longitude(self) -> f32 {
        self.longitude
    }

    fn as_bits(self) -> (u32, u32) {
        (self.latitude.to_bits(), self.longitude.to_bits())
    }
}

impl PartialEq for Location {
    fn eq(&self, other: &Location) -> bool {
        self.as_bits() == other.as_bits()
    }
}

impl Eq for Location {}

impl Hash for Location {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bits().hash(state);
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1},{:.1}", self.latitude, self.longitude)
    }
}

/// What is known about where a client is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Place {
    /// The continent, from the database or by the country.
    pub continent: Option<Continent>,
    /// The country.
    pub country: Option<Country>,
    /// The largest subdivision of the country.
    pub subdivision: Option<Subdivision>,
    /// The number of the autonomous system.
    pub asn: Option<u32>,
    /// The point that the database tells. Centroids are not put in here.
    pub location: Option<Location>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_strictly_and_written_back() {
        for text in ["US-CA", "AT-9", "GB-ENG", "BR-SP"] {
            assert_eq!(text.parse::<Subdivision>().map(|code| code.to_string()), Ok(text.to_owned()));
        }
        for text in ["US", "US-", "US-ABCD", "us-CA", "US-ca", "USA-CA", "US-Ä"] {
            assert_eq!(text.parse::<Subdivision>(), Err(NotACode), "{text}");
        }
        for text in ["", "D", "DEU", "de", "D1", "Ä"] {
            assert_eq!(text.parse::<Country>(), Err(NotACode), "{text}");
        }
        for (continent, letters) in Continent::ALL {
            assert_eq!((letters.parse(), continent.to_string()), (Ok(continent), letters.to_owned()));
        }
        assert!("XX".parse::<Continent>().is_err());
    }

    #[test]
    fn points_are_on_the_globe() {
        for (latitude, longitude) in [(90.1, 0.0), (0.0, -180.1), (f32::NAN, 0.0), (0.0, f32::INFINITY)] {
            assert_eq!(Location::new(latitude, longitude), None);
        }
        assert_eq!(Location::new(-0.0, 0.0), Location::new(0.0, -0.0));
        assert_eq!(Location::new(-90.0, 180.0).map(|pole| pole.to_string()), Some("-90.0,180.0".to_owned()));
    }
}
