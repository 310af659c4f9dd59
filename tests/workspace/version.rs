//! Versions and requirements, as far as `deny.toml` uses them.

/// Major, minor, patch; what follows a dash or a plus does not matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version([u64; 3]);

impl Version {
    #[track_caller]
    pub(super) fn parse(text: &str) -> Version {
        let plain = text.split(['-', '+']).next().unwrap_or_default();
        let mut numbers =
            plain.split('.').map(|number| number.parse().unwrap_or_else(|_| panic!("{text:?}")));
        Version(std::array::from_fn(|_| numbers.next().unwrap_or(0)))
    }
}

/// A crate, and which versions of it: `name`, `name:<1.2.3`, `name:>=1.0.0, <1.2.3`.
#[derive(Debug)]
pub(super) struct Requirement<'a> {
    pub(super) name: &'a str,
    bounds: Vec<Bound>,
}

#[derive(Debug)]
enum Bound {
    Below(Version),
    From(Version),
}

impl<'a> Requirement<'a> {
    pub(super) fn parse(text: &'a str) -> Requirement<'a> {
        let Some((name, bounds)) = text.split_once(':') else {
            return Requirement { name: text, bounds: Vec::new() };
        };
        let bound = |bound: &str| match bound.trim().split_at(2) {
            (">=", version) => Bound::From(Version::parse(version)),
            _ => Bound::Below(Version::parse(bound.trim().trim_start_matches('<'))),
        };
        Requirement { name, bounds: bounds.split(',').map(bound).collect() }
    }

    pub(super) fn holds(&self, version: &Version) -> bool {
        self.bounds.iter().all(|bound| match bound {
            Bound::Below(limit) => version < limit,
            Bound::From(limit) => version >= limit,
        })
    }
}

#[test]
fn requirements_hold_as_cargo_means_them() {
    fn check(requirement: &str, version: &str, expected: bool) {
        let holds = Requirement::parse(requirement).holds(&Version::parse(version));
        assert_eq!(holds, expected, "{requirement} {version}");
    }
    check("ring", "0.17.9", true);
    check("h2:<0.4.16", "0.4.15", true);
    check("h2:<0.4.16", "0.4.16", false);
    check("h2:<0.4.16", "0.10.0", false);
    check("rand:>=0.9.0, <0.9.3", "0.9.2", true);
    check("rand:>=0.9.0, <0.9.3", "0.8.5", false);
    check("rand:>=0.9.0, <0.9.3", "0.9.3", false);
    check("tokio:>=1.54.0", "1.54.1+build", true);
}
