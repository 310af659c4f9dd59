//! Where things are and whose clients they are: `[50.1, 8.7]`, `country:TR`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::code::Code;
use crate::decode::{Complaint, Decode, Leaf, wrong_kind};
use crate::gslb::{GeoMatch, Location};
use crate::node::{Node, Resolved, Value};
use crate::report::Problems;
use crate::schema::variable;

/// A rule about clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GeoMatchText(pub(crate) GeoMatch);

/// Latitude and longitude.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LocationList(pub(crate) Location);

/// From -99 to 99.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bias(pub(crate) i8);

impl Leaf for GeoMatchText {
    const WANTED: &'static str = "a rule like `country:TR`";

    fn parse(text: &str) -> Result<Self, Complaint> {
        if text == "default" {
            return Ok(GeoMatchText(GeoMatch::Default));
        }
        let rule = text.split_once(':').and_then(|(kind, value)| rule(kind, value));
        rule.map(GeoMatchText).ok_or_else(|| refuse(text))
    }
}

fn rule(kind: &str, value: &str) -> Option<GeoMatch> {
    match kind {
        "continent" => value.parse().ok().map(GeoMatch::Continent),
        "country" => country(value).map(GeoMatch::Country),
        "subdivision" => {
            let (of, code) = value.split_once('-')?;
            Some(GeoMatch::Subdivision { country: country(of)?, code: subdivision(code)? })
        }
        "asn" if value.bytes().all(|byte| byte.is_ascii_digit()) => value.parse().ok().map(GeoMatch::Asn),
        _ => None,
    }
}

fn country(text: &str) -> Option<[u8; 2]> {
    let letters: [u8; 2] = text.as_bytes().try_into().ok()?;
    letters.iter().all(u8::is_ascii_uppercase).then_some(letters)
}

fn subdivision(text: &str) -> Option<[u8; 3]> {
    let is_code = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit();
    let bytes =
        Some(text.as_bytes()).filter(|bytes| (1..=3).contains(&bytes.len()) && bytes.iter().all(is_code))?;
    let mut code = [0; 3];
    code[..bytes.len()].copy_from_slice(bytes);
    Some(code)
}

/// Says what is nearest to the text.
fn refuse(text: &str) -> Complaint {
    let complaint = Complaint::new(Code::GeoMatch, "is no rule about clients").note(
        "rules: continent:EU (AF, AN, AS, EU, NA, OC, SA), country:TR, subdivision:US-CA, asn:64500, default",
    );
    let Some((kind, value)) = text.split_once(':') else { return complaint };
    let (kind, value) = (kind.trim().to_ascii_lowercase(), value.trim().to_ascii_uppercase());
    let value = if kind == "asn" { value.trim_start_matches("AS").to_owned() } else { value };
    match rule(&kind, &value) {
        Some(_) => complaint.hint(format!("did you mean `{kind}:{value}`?")),
        None => complaint,
    }
}

impl Decode for LocationList {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        let Value::List(items) = &node.value else {
            wrong_kind(node, "latitude and longitude like `[50.1, 8.7]`", problems);
            return None;
        };
        let [latitude, longitude] = items.as_slice() else {
            let message = format!("a location has two numbers, found {}", items.len());
            problems
                .add(Code::Location, node.place, message)
                .note("latitude and longitude, like `[50.1, 8.7]`");
            return None;
        };
        let latitude = Degrees::<90>::decode(latitude, problems);
        let longitude = Degrees::<180>::decode(longitude, problems);
        Some(LocationList(Location { latitude: latitude?.0, longitude: longitude?.0 }))
    }
}

/// Degrees up to `MOST` to both sides of zero.
struct Degrees<const MOST: i16>(f32);

impl<const MOST: i16> Leaf for Degrees<MOST> {
    const WANTED: &'static str = "a number of degrees";
    const TAKES_NUMBERS: bool = true;

    fn parse(text: &str) -> Result<Self, Complaint> {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'+'));
        let Some(degrees) = text.parse::<f32>().ok().filter(|_| is_number) else {
            return Err(
                Complaint::new(Code::Location, "is not a number of degrees").note("like `8.7` or `-77.5`")
            );
        };
        if degrees.abs() <= f32::from(MOST) {
            return Ok(Degrees(degrees));
        }
        Err(Complaint::new(Code::Location, format!("is not from -{MOST} to {MOST} degrees"))
            .note("the latitude comes first: `[50.1, 8.7]`"))
    }
}

impl Decode for Bias {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        match node.scalar().map(|scalar| scalar.resolved()) {
            Some(Resolved::Integer(number)) => match i8::try_from(number) {
                Ok(bias @ -99..=99) => Some(Bias(bias)),
                _ => {
                    crate::decode::complain(
                        node,
                        Complaint::new(Code::Range, "is not from -99 to 99"),
                        problems,
                    );
                    None
                }
            },
            _ => {
                wrong_kind(node, "a whole number", problems);
                None
            }
        }
    }
}

impl JsonSchema for GeoMatchText {
    fn schema_name() -> Cow<'static, str> {
        "GeoMatch".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A rule about clients: continent:EU, country:TR, subdivision:US-CA, asn:64500 or default.",
            "type": "string",
            "pattern": r"^(continent:[A-Z]{2}|country:[A-Z]{2}|subdivision:[A-Z]{2}-[A-Z0-9]{1,3}|asn:[0-9]+|default|.*\$\{.*)$"
        })
    }
}

impl JsonSchema for LocationList {
    fn schema_name() -> Cow<'static, str> {
        "Location".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Latitude and longitude in degrees: [50.1, 8.7].",
            "type": "array",
            "items": { "anyOf": [{ "type": "number" }, variable()] },
            "minItems": 2,
            "maxItems": 2
        })
    }
}

impl JsonSchema for Bias {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Bias".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "integer", "minimum": -99, "maximum": 99 }, variable()] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gslb::Continent;

    #[test]
    fn rules_parse_or_say_why_not() {
        fn check(text: &str, expected: Result<GeoMatch, Option<&str>>) {
            let parsed = GeoMatchText::parse(text).map(|rule| rule.0);
            assert_eq!(
                parsed.as_ref().map_err(|c| c.hint.as_deref()),
                expected.as_ref().map_err(|h| *h),
                "{text}"
            );
        }
        check("continent:EU", Ok(GeoMatch::Continent(Continent::Europe)));
        check("continent:NA", Ok(GeoMatch::Continent(Continent::NorthAmerica)));
        check("country:TR", Ok(GeoMatch::Country(*b"TR")));
        check("subdivision:US-CA", Ok(GeoMatch::Subdivision { country: *b"US", code: *b"CA\0" }));
        check("subdivision:GB-ENG", Ok(GeoMatch::Subdivision { country: *b"GB", code: *b"ENG" }));
        check("asn:64500", Ok(GeoMatch::Asn(64500)));
        check("asn:4294967295", Ok(GeoMatch::Asn(u32::MAX)));
        check("default", Ok(GeoMatch::Default));
        check("country:tr", Err(Some("did you mean `country:TR`?")));
        check("Continent:eu", Err(Some("did you mean `continent:EU`?")));
        check("asn:AS64500", Err(Some("did you mean `asn:64500`?")));
        check("continent:XX", Err(None));
        check("country:TUR", Err(None));
        check("subdivision:US", Err(None));
        check("subdivision:US-CALI", Err(None));
        check("asn:4294967296", Err(None));
        check("net:10.0.0.0/8", Err(None));
        check("EU", Err(None));
        check("", Err(None));
    }

    #[test]
    fn continents_are_called_by_their_letters() {
        for (continent, letters) in Continent::ALL {
            assert_eq!(continent.as_str(), letters);
        }
    }
}
