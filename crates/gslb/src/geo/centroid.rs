//! The continents and middles of countries, and of the parts of very wide ones.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::place::{Continent, Country, Location, NotACode, Place, Subdivision};

/// By what a client's place became a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocatedBy {
    /// The database tells a point.
    Database,
    /// The middle of the subdivision.
    Subdivision,
    /// The middle of the country.
    Country,
}

/// The continent of a country; nothing, if there is no such country.
pub fn continent_of(country: Country) -> Option<Continent> {
    TABLE.countries.get(&country).map(|&(continent, _)| continent)
}

impl Place {
    /// The point where a client is taken to be, as exactly as it is known.
    pub fn point(&self) -> Option<(Location, LocatedBy)> {
        let by_database = self.location.map(|point| (point, LocatedBy::Database));
        by_database
            .or_else(|| {
                let point = TABLE.subdivisions.get(&self.subdivision?)?;
                Some((*point, LocatedBy::Subdivision))
            })
            .or_else(|| {
                let (_, point) = TABLE.countries.get(&self.country?)?;
                Some((*point, LocatedBy::Country))
            })
    }
}

#[derive(Default)]
struct Table {
    countries: HashMap<Country, (Continent, Location)>,
    subdivisions: HashMap<Subdivision, Location>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let rows = include_str!("centroids.txt").lines().filter(|line| !line.starts_with('#'));
    let mut table = Table::default();
    for row in rows {
        table.insert(row).expect("a test has read every row");
    }
    table
});

impl Table {
    fn insert(&mut self, row: &str) -> Result<(), NotACode> {
        let mut words = row.split(' ');
        let code = words.next().unwrap_or_default();
        if let Ok(subdivision) = code.parse() {
            self.subdivisions.insert(subdivision, point(words)?);
        } else {
            let continent = words.next().unwrap_or_default().parse().map_err(|_| NotACode)?;
            self.countries.insert(code.parse()?, (continent, point(words)?));
        }
        Ok(())
    }
}

fn point<'a>(words: impl Iterator<Item = &'a str>) -> Result<Location, NotACode> {
    let degrees: Vec<f32> = words.map(str::parse).collect::<Result<_, _>>().map_err(|_| NotACode)?;
    let &[latitude, longitude] = degrees.as_slice() else { return Err(NotACode) };
    Location::new(latitude, longitude).ok_or(NotACode)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geo::distance::Direction;

    #[test]
    fn every_row_is_read_once() {
        let rows = include_str!("centroids.txt").lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(TABLE.countries.len() + TABLE.subdivisions.len(), rows);
        assert_eq!(TABLE.countries.len(), 250, "the 249 of ISO 3166-1 and XK");
        let parts = |code: &str| {
            let country = code.parse().expect("a country");
            TABLE.subdivisions.keys().filter(|part| part.country() == country).count()
        };
        // The 50 states and the district; 10 provinces and 3 territories; and so on.
        assert_eq!(["US", "CA", "AU", "BR", "RU", "CN"].map(parts), [51, 13, 8, 27, 83, 34]);
    }

    #[test]
    fn parts_lie_near_their_country() {
        for (part, &point) in &TABLE.subdivisions {
            let (_, country) = TABLE.countries[&part.country()];
            let distance = Direction::of(point).distance(Direction::of(country)).kilometres();
            assert!(distance < 6_000, "{part} is {distance} km from the middle of its country");
        }
    }

    #[test]
    fn the_most_exact_point_is_taken() {
        let mut place = Place { country: "US".parse().ok(), ..Place::default() };
        assert_eq!(place.point().map(|(_, by)| by), Some(LocatedBy::Country));
        place.subdivision = "US-CA".parse().ok();
        assert_eq!(place.point(), Location::new(37.2, -119.5).map(|point| (point, LocatedBy::Subdivision)));
        place.subdivision = "US-GU".parse().ok();
        assert_eq!(place.point().map(|(_, by)| by), Some(LocatedBy::Country));
        place.location = Location::new(13.4, 144.8);
        assert_eq!(place.point().map(|(_, by)| by), Some(LocatedBy::Database));
        assert_eq!(Place::default().point(), None);
    }
}
