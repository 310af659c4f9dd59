//! What a record of a database says of a place, in the layouts that are in use.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::geo::centroid::continent_of;
use crate::geo::place::{Country, Location, Place, Subdivision};

/// How records are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// As MaxMind does it: `country.iso_code`, `location.latitude`.
    Nested,
    /// All at the top: `country_code`, `latitude`.
    Flat,
    /// Nothing but the autonomous system, which both layouts write alike.
    Operator,
}

impl Schema {
    /// The layout of a file, given that of a record and of those before; both, if they do not go together.
    pub(super) fn join(self, before: Option<Schema>) -> Result<Schema, (Schema, Schema)> {
        match (self, before) {
            (Schema::Operator, Some(before)) => Ok(before),
            (found, Some(before)) if before != found && before != Schema::Operator => Err((found, before)),
            (found, _) => Ok(found),
        }
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Schema::Nested => "nested",
            Schema::Flat => "flat",
            Schema::Operator => "of an autonomous system only",
        })
    }
}

/// The fields that are known, of whatever layout. What has a name of ours and another type counts as not there.
#[derive(Default)]
pub(super) struct Record<'a> {
    continent: Field<'a>,
    country: Field<'a>,
    subdivisions: Field<'a>,
    location: Field<'a>,
    traits: Field<'a>,
    continent_code: Field<'a>,
    country_code: Field<'a>,
    region_code: Field<'a>,
    subdivision_code: Field<'a>,
    latitude: Field<'a>,
    longitude: Field<'a>,
    lat: Field<'a>,
    lng: Field<'a>,
    autonomous_system_number: Field<'a>,
    asn: Field<'a>,
}

impl Record<'_> {
    /// The layout, if any field shows one.
    pub(super) fn schema(&self) -> Option<Schema> {
        let nested = [&self.continent, &self.country, &self.subdivisions, &self.location];
        let flat = [
            &self.continent_code,
            &self.country_code,
            &self.region_code,
            &self.subdivision_code,
            &self.latitude,
            &self.lat,
        ];
        if nested.iter().any(|field| matches!(field, Field::Inner(_))) {
            return Some(Schema::Nested);
        }
        if flat.iter().any(|field| !matches!(field, Field::Nothing)) || self.country.text().is_some() {
            return Some(Schema::Flat);
        }
        self.asn().map(|_| Schema::Operator)
    }

    /// The place. Codes that do not exist, and points that are not on the globe, are left out.
    pub(super) fn place(&self) -> Place {
        let country: Option<Country> =
            [self.country.inner().code, self.country_code.text(), self.country.text()]
                .into_iter()
                .find_map(code);
        let codes = [self.subdivisions.inner().code, self.subdivision_code.text(), self.region_code.text()];
        let subdivision = codes.into_iter().flatten().find_map(|code| subdivision(country, code));
        let continents = [self.continent.inner().code, self.continent_code.text(), self.continent.text()];
        Place {
            continent: continents.into_iter().find_map(code).or_else(|| continent_of(country?)),
            country,
            subdivision,
            asn: self.asn(),
            location: self.location(),
        }
    }

    fn asn(&self) -> Option<u32> {
        let fields = [Some(&self.autonomous_system_number), Some(&self.asn)];
        let number = fields.into_iter().flatten().find_map(Field::asn);
        number.or(self.traits.inner().asn).filter(|&asn| asn != 0)
    }

    fn location(&self) -> Option<Location> {
        let flat = [(&self.latitude, &self.longitude), (&self.lat, &self.lng)];
        let nested = self.location.inner().point;
        let flat =
            flat.into_iter().find_map(|(latitude, longitude)| latitude.number().zip(longitude.number()));
        let (latitude, longitude) = nested.or(flat)?;
        Location::new(latitude as f32, longitude as f32)
    }
}

fn code<T: std::str::FromStr>(text: Option<&str>) -> Option<T> {
    text?.parse().ok()
}

/// `CA` of the US, or the whole `US-CA`.
fn subdivision(country: Option<Country>, code: &str) -> Option<Subdivision> {
    code.parse().ok().or_else(|| Subdivision::of(country?, code))
}

impl<'de: 'a, 'a> Deserialize<'de> for Record<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RecordVisitor)
    }
}

struct RecordVisitor;

impl<'de> Visitor<'de> for RecordVisitor {
    type Value = Record<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    /// Every value is read, also of fields that are not known: only so it is proved that they are sound.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut record = Record::default();
        while let Some((key, value)) = map.next_entry::<&str, Field<'_>>()? {
            match key {
                "continent" => record.continent = value,
                "country" => record.country = value,
                "subdivisions" => record.subdivisions = value,
                "location" => record.location = value,
                "traits" => record.traits = value,
                "continent_code" => record.continent_code = value,
                "country_code" => record.country_code = value,
                "region_code" => record.region_code = value,
                "subdivision_code" => record.subdivision_code = value,
                "latitude" => record.latitude = value,
                "longitude" => record.longitude = value,
                "lat" => record.lat = value,
                "lng" => record.lng = value,
                "autonomous_system_number" => record.autonomous_system_number = value,
                "asn" => record.asn = value,
                _ => {}
            }
        }
        Ok(record)
    }
}

#[derive(Clone, Copy, Default)]
enum Field<'a> {
    #[default]
    Nothing,
    Text(&'a str),
    Number(f64),
    Inner(Inner<'a>),
}

/// What is of interest in a map, or in the first map of an array.
#[derive(Clone, Copy, Default)]
struct Inner<'a> {
    code: Option<&'a str>,
    point: Option<(f64, f64)>,
    asn: Option<u32>,
}

impl<'a> Field<'a> {
    fn text(&self) -> Option<&'a str> {
        if let Field::Text(text) = self { Some(text) } else { None }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Field::Number(number) => Some(*number),
            Field::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    fn asn(&self) -> Option<u32> {
        match self {
            Field::Text(text) => text.strip_prefix("AS").unwrap_or(text).parse().ok(),
            Field::Number(number) if (0.0..=f64::from(u32::MAX)).contains(number) => Some(*number as u32),
            _ => None,
        }
    }

    fn inner(&self) -> Inner<'a> {
        if let Field::Inner(inner) = self { *inner } else { Inner::default() }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Field<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor)
    }
}

struct FieldVisitor;

impl<'de> Visitor<'de> for FieldVisitor {
    type Value = Field<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of the format")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        // An empty text is how some write that they do not know.
        Ok(if text.is_empty() { Field::Nothing } else { Field::Text(text) })
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Field::Number(number))
    }

    fn visit_f32<E>(self, number: f32) -> Result<Self::Value, E> {
        Ok(Field::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Field::Number(number as f64))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Field::Number(number as f64))
    }

    fn visit_u128<E>(self, _: u128) -> Result<Self::Value, E> {
        Ok(Field::Nothing)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Field::Nothing)
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<Self::Value, E> {
        Ok(Field::Nothing)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut inner = Inner::default();
        let (mut latitude, mut longitude) = (None, None);
        while let Some(key) = map.next_key::<&str>()? {
            match key {
                "iso_code" | "code" => inner.code = map.next_value::<Field<'_>>()?.text().or(inner.code),
                "latitude" => latitude = map.next_value::<Field<'_>>()?.number(),
                "longitude" => longitude = map.next_value::<Field<'_>>()?.number(),
                "autonomous_system_number" => inner.asn = map.next_value::<Field<'_>>()?.asn(),
                _ => {
                    map.next_value::<Field<'_>>()?;
                }
            }
        }
        inner.point = latitude.zip(longitude);
        Ok(Field::Inner(inner))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Self::Value, A::Error> {
        let first = values.next_element::<Field<'_>>()?.unwrap_or_default();
        while values.next_element::<Field<'_>>()?.is_some() {}
        Ok(first)
    }
}
