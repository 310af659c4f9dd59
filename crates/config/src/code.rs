//! The stable codes of everything that can be wrong with a configuration.

use std::fmt;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// The configuration is used, but hardly as meant.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        })
    }
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal,)*) => {
        /// What is wrong. A code keeps its meaning for ever: `E0xx` files and syntax, `E1xx` the shape of a
        /// value, `E2xx` what it means together with others, `W3xx` warnings.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $($(#[doc = $doc])+ $name,)*
        }

        impl Code {
            /// Every code, in order.
            pub const ALL: &[Code] = &[$(Code::$name),*];

            /// The code as it is printed.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Code::$name => $text,)*
                }
            }
        }
    };
}

codes! {
    /// A file cannot be read: missing, not permitted, a directory, too large.
    Unreadable = "E001",
    /// A file is not UTF-8.
    NotUtf8 = "E002",
    /// A file holds no configuration.
    Empty = "E003",
    /// The text is not YAML.
    Syntax = "E004",
    /// A YAML feature that configurations do not use: several documents, tags, keys that are not text.
    Unsupported = "E005",
    /// A key is given twice.
    DuplicateKey = "E006",
    /// Too much nesting, too many values, or aliases that multiply into too many.
    TooMuch = "E007",
    /// A `${VARIABLE}` is not set or not well-formed.
    Variable = "E008",
    /// An include that cannot be followed.
    Include = "E009",

    /// A required key is missing.
    Missing = "E101",
    /// A value of the wrong kind.
    WrongKind = "E102",
    /// A key that does not exist here.
    UnknownField = "E103",
    /// A word that is none of those allowed.
    UnknownWord = "E104",
    /// Not a duration.
    Duration = "E105",
    /// Not a size.
    Size = "E106",
    /// A number, duration or size out of range.
    Range = "E107",
    /// A configuration version that this release does not read.
    Version = "E108",
    /// Not an address to listen on or to connect to.
    Address = "E109",
    /// Not a name.
    Name = "E110",
    /// Not a network.
    Network = "E111",
    /// Not a host pattern.
    Host = "E112",
    /// Not a path.
    Path = "E113",
    /// Not a regular expression, or too large a one.
    Regex = "E114",
    /// Not the name or value of a header field, cookie, method or query parameter.
    Field = "E115",
    /// Nothing where something is needed.
    Nothing = "E116",
    /// Alternatives of which exactly one must be given.
    OneOf = "E117",
    /// Not a redirect target.
    RedirectTarget = "E118",
    /// Not a key to hash by.
    HashKey = "E119",
    /// Not an access log format.
    LogFormat = "E120",
    /// Not a percentage.
    Percent = "E121",
    /// Not a rate.
    Rate = "E122",
    /// Not a status or a range of statuses.
    Status = "E123",
    /// Not what a token can allow.
    Grant = "E124",
    /// Not a URL that can be asked.
    Url = "E125",
    /// Not a name of the DNS.
    DnsName = "E130",
    /// Not a record of its type, or of a type that is not served.
    Record = "E131",
    /// Not a rule about clients.
    GeoMatch = "E132",
    /// Not a point of the earth.
    Location = "E133",
    /// Not a point in time.
    Moment = "E134",
    /// Not the URL of a check.
    ProbeUrl = "E135",

    /// A service that does not exist.
    NoSuchService = "E201",
    /// A section or name that another file has already.
    DuplicateName = "E202",
    /// Two addresses to listen on that exclude each other.
    Overlap = "E203",
    /// A route that matches what another one matches.
    DuplicateRoute = "E204",
    /// A route that can never be chosen.
    Shadowed = "E205",
    /// A path that no request has after normalisation.
    NeverMatches = "E206",
    /// A header field that the balancer alone may write.
    ReservedField = "E207",
    /// An endpoint that the service has already.
    DuplicateEndpoint = "E208",
    /// A secret that cannot be read or used.
    Secret = "E209",
    /// Nothing to do.
    NoListener = "E210",
    /// Settings that do not go together.
    Conflict = "E211",
    /// Two routes of one name.
    DuplicateRouteName = "E212",
    /// A service that is discovered in a registry that there is not.
    NoRegistry = "E213",
    /// A region that does not exist.
    NoSuchRegion = "E220",
    /// A zone, a name, a record or a target that is there already.
    DuplicateRecord = "E221",
    /// A name that is not within its zone.
    OutsideZone = "E222",
    /// A CNAME with other records beside it.
    CnameAndOther = "E223",
    /// A name that a delegation or another zone hides.
    Hidden = "E224",

    /// A service that nothing uses.
    UnusedService = "W302",
    /// The admin address is public and has no token.
    AdminWithoutToken = "W303",
    /// Everybody is trusted to name the client's address.
    TrustsEverybody = "W305",
    /// A word that other YAML readers take for a boolean.
    BooleanWord = "W306",
    /// A prefix that the route's path never has.
    IdleRewrite = "W307",
    /// No routes: every request is answered 404.
    NoRoutes = "W308",
    /// The registry's address is public and nobody may use it.
    RegistryWithoutTokens = "W309",
    /// Regions that count as down so soon that clients are sent away for nothing.
    ShortHold = "W320",
    /// A name server without an address.
    NameServerAddress = "W321",
    /// A `*` that stands for nothing but itself.
    InnerWildcard = "W322",
    /// A name that repeats its zone: the dot at its end is missing.
    MissingDot = "W323",
    /// More targets of a region than can have a vote on it.
    MuteTargets = "W324",
}

impl Code {
    /// Errors refuse the configuration, warnings do not.
    pub fn severity(self) -> Severity {
        if self.as_str().starts_with('W') { Severity::Warning } else { Severity::Error }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_in_order() {
        let texts: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert!(texts.windows(2).all(|pair| pair[0] < pair[1]), "{texts:?}");
    }
}
