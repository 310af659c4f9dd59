//! A route as it is written.

use schemars::JsonSchema;

use crate::code::Code;
use crate::decode::{At, Decode, Named, OneOrMany, Whole};
use crate::field::{FieldName, FieldValue, Method};
use crate::fields::{Keys, fields};
use crate::host::HostText;
use crate::network::Network;
use crate::node::{Node, Value};
use crate::path::PathText;
use crate::pattern::Pattern;
use crate::report::Problems;
use crate::route::{PathPattern, ValueMatch};

fields! {
    /// A match on request attributes and exactly one action: to, redirect or respond.
    RawRoute {
        /// The name in metrics and logs. Default: host and path.
        name: At<String>,
        /// One or several hosts: a name, *.name or *. Default: every host.
        host: OneOrMany<HostText>,
        /// A prefix by whole segments, or { exact: /path } or { regex: pattern }. Default: every path.
        path: At<RawPath>,
        /// Conditions beyond host and path; all must hold.
        r#match: RawMatch,
        /// The service to forward to.
        to: At<String>,
        /// Answer with a redirect.
        redirect: RawRedirect,
        /// Answer with a fixed response.
        respond: RawRespond,
        /// Change the path on its way upstream.
        rewrite: RawRewrite,
        /// Change fields on their way.
        headers: RawHeaders,
    }

    /// A path in its long form: exactly one of exact and regex.
    RawPathLong {
        /// Exactly this path.
        exact: PathText,
        /// Found anywhere in the path unless anchored.
        regex: Pattern,
    }

    /// Conditions beyond host and path; all must hold.
    RawMatch {
        /// One or several methods.
        method: OneOrMany<Method>,
        /// Header fields by name.
        headers: Named<RawValueMatch>,
        /// Query parameters by name.
        query: Named<RawValueMatch>,
        /// Cookies by name.
        cookies: Named<RawValueMatch>,
        /// One or several networks that hold the client's address.
        source: OneOrMany<Network>,
    }

    /// A condition in its long form: exactly one of regex and present.
    RawValueMatchLong {
        /// Found anywhere in the value unless anchored.
        regex: Pattern,
        /// true: there at all; false: not there.
        present: bool,
    }

    /// A redirect in its long form.
    RawRedirectLong {
        /// https, an origin like https://example.com (path and query are appended), a whole URL, or an absolute path.
        to: At<String> = required,
        /// 301, 302, 303, 307 or 308. Default 308.
        status: At<Whole<301, 308>>,
    }

    /// A fixed response.
    RawRespond {
        /// From 200 to 599.
        status: At<Whole<200, 599>> = required,
        /// At most 64 KiB of text. Default empty.
        body: At<String>,
        /// Fields of the response.
        headers: Named<FieldValue>,
    }

    /// Changes to the path on its way upstream.
    RawRewrite {
        /// Removed from the front, by whole segments.
        strip_prefix: At<PathText>,
        /// Put in front afterwards.
        add_prefix: At<PathText>,
    }

    /// Changes to header fields.
    RawHeaders {
        /// Of requests to the upstream.
        request: RawHeaderEdits,
        /// Of responses to the downstream.
        response: RawHeaderEdits,
    }

    /// Changes to header fields, applied as remove, set, add.
    RawHeaderEdits {
        /// Replaces every field of this name.
        set: Named<FieldValue>,
        /// Adds a field.
        add: Named<FieldValue>,
        /// Removes every field of these names.
        remove: OneOrMany<FieldName>,
    }
}

/// A path as it is matched.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum RawPath {
    /// This path and everything below it.
    Prefix(PathText),
    /// Exactly this path, or a pattern.
    Long(#[schemars(with = "RawPathLong")] PathPattern),
}

impl Decode for RawPath {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        if !matches!(node.value, Value::Mapping(_)) {
            return PathText::decode(node, problems).map(RawPath::Prefix);
        }
        let long = RawPathLong::decode(node, problems)?;
        exactly_one(&long.given, &["exact", "regex"], problems)?;
        let exact = long.exact.map(|path| PathPattern::Exact(path.0));
        exact.or(long.regex.map(|pattern| PathPattern::Regex(pattern.0))).map(RawPath::Long)
    }
}

/// A condition on a value.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum RawValueMatch {
    /// The same text.
    Exact(String),
    /// A pattern, or presence.
    Long(#[schemars(with = "RawValueMatchLong")] ValueMatch),
}

impl Decode for RawValueMatch {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        if !matches!(node.value, Value::Mapping(_)) {
            return String::decode(node, problems).map(RawValueMatch::Exact);
        }
        let long = RawValueMatchLong::decode(node, problems)?;
        exactly_one(&long.given, &["regex", "present"], problems)?;
        let regex = long.regex.map(|pattern| ValueMatch::Regex(pattern.0));
        regex.or(long.present.map(ValueMatch::Present)).map(RawValueMatch::Long)
    }
}

/// A redirect.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum RawRedirect {
    /// The target, with status 308.
    Short(At<String>),
    /// Target and status.
    Long(RawRedirectLong),
}

impl Decode for RawRedirect {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        match &node.value {
            Value::Mapping(_) => RawRedirectLong::decode(node, problems).map(RawRedirect::Long),
            _ => At::decode(node, problems).map(RawRedirect::Short),
        }
    }
}

/// `None` after recording that not exactly one of the keys is given.
pub(crate) fn exactly_one(keys: &Keys, names: &[&str], problems: &mut Problems) -> Option<()> {
    let given: Vec<_> = names.iter().filter_map(|name| keys.place(name).map(|place| (name, place))).collect();
    let list = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match given.as_slice() {
        [_] => Some(()),
        [] if keys.unknown() => None,
        [] => {
            problems.add(Code::OneOf, keys.whole(), format!("exactly one of {list} is needed, found none"));
            None
        }
        [(first, _), (second, place), ..] => {
            let message = format!("exactly one of {list} is needed, found `{first}` and `{second}`");
            problems.add(Code::OneOf, *place, message);
            None
        }
    }
}
