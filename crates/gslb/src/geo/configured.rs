//! From the `gslb` section of the configuration.

use fulcrum_config::gslb::{Geo, GeoMatch, Region as ConfiguredRegion};
use fulcrum_model::RegionName;

use super::atlas::{RegionPlace, Sources};
use super::distance::Bias;
use super::place::Location;
use super::rule::{Match, MatchError};
use crate::region::Region;

/// A region's match that speaks of nothing that exists.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("region {region}: {source}")]
pub struct ConfiguredError {
    /// The region.
    pub region: RegionName,
    /// What is wrong with the match.
    pub source: MatchError,
}

impl Sources {
    /// The regions and the default, without the files: these are read by who knows when.
    pub fn configured(geo: &Geo, regions: &[ConfiguredRegion]) -> Result<Sources, ConfiguredError> {
        let is_default = |region: &ConfiguredRegion| match &geo.default {
            Some(name) => region.name == *name,
            None => region.matches.contains(&GeoMatch::Default),
        };
        let default = Region::new(regions.iter().position(is_default).unwrap_or(0));
        Ok(Sources {
            default: default.filter(|region| region.index() < regions.len()),
            regions: regions.iter().map(place).collect::<Result<_, _>>()?,
            ..Sources::default()
        })
    }
}

fn place(region: &ConfiguredRegion) -> Result<RegionPlace, ConfiguredError> {
    let rules = region.matches.iter().map(|rule| text(rule).parse::<Match>());
    let matches = rules.collect::<Result<_, _>>();
    Ok(RegionPlace {
        location: region.location.and_then(|at| Location::new(at.latitude, at.longitude)),
        bias: Bias::new(region.bias.into()).unwrap_or_default(),
        matches: matches.map_err(|source| ConfiguredError { region: region.name.clone(), source })?,
    })
}

/// As it was written: what exists is asked in one place only.
fn text(rule: &GeoMatch) -> String {
    let letters = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned();
    match rule {
        GeoMatch::Continent(continent) => format!("continent:{}", continent.as_str()),
        GeoMatch::Country(country) => format!("country:{}", letters(country)),
        GeoMatch::Subdivision { country, code } => {
            format!("subdivision:{}-{}", letters(country), letters(code))
        }
        GeoMatch::Asn(asn) => format!("asn:{asn}"),
        GeoMatch::Default => "default".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fulcrum_config::gslb::Continent;

    fn region(name: &str, matches: &[GeoMatch]) -> ConfiguredRegion {
        ConfiguredRegion {
            name: name.parse().expect("a name"),
            location: Some(fulcrum_config::gslb::Location { latitude: 50.1, longitude: 8.7 }),
            bias: -20,
            matches: matches.to_vec(),
            service: None,
        }
    }

    #[test]
    fn matches_and_the_default_are_taken_over() {
        let subdivision = GeoMatch::Subdivision { country: *b"AT", code: *b"9\0\0" };
        let rules = [
            GeoMatch::Continent(Continent::Europe),
            GeoMatch::Country(*b"TR"),
            subdivision,
            GeoMatch::Asn(64500),
        ];
        let regions = [region("eu", &rules), region("us", &[GeoMatch::Default]), region("ap", &[])];
        let check = |default: Option<&str>, expected| {
            let geo = Geo { default: default.map(|name| name.parse().expect("a name")), ..Geo::default() };
            let sources = Sources::configured(&geo, &regions).expect("sources");
            assert_eq!(sources.default, Region::new(expected));
            sources
        };
        check(Some("ap"), 2);
        let sources = check(None, 1);
        let texts: Vec<String> = sources.regions[0].matches.iter().map(Match::to_string).collect();
        assert_eq!(texts, ["continent:EU", "country:TR", "subdivision:AT-9", "asn:64500"]);
        assert_eq!(
            (sources.regions[0].location, Some(sources.regions[0].bias)),
            (Location::new(50.1, 8.7), Bias::new(-20))
        );
        let first = Sources::configured(&Geo::default(), &regions[..1]).expect("sources").default;
        assert_eq!(first, Region::new(0));
        assert_eq!(Sources::configured(&Geo::default(), &[]).expect("sources").default, None);
    }

    #[test]
    fn countries_have_to_exist() {
        let error = Sources::configured(&Geo::default(), &[region("eu", &[GeoMatch::Country(*b"UK")])]);
        let error = error.expect_err("there is no such country").to_string();
        assert_eq!(error, "region eu: \"UK\" is not a country of ISO 3166-1, as DE or GB");
    }
}
