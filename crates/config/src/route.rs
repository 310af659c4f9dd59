//! A match on request attributes and an action.

use fulcrum_model::{RouteName, ServiceName};
use ipnet::IpNet;
use regex::Regex;

/// A validated route. All parts that are given must match.
#[derive(Clone, Debug)]
pub struct Route {
    /// Unique among routes; by default host and path (and, where that is taken, the matchers).
    pub name: RouteName,
    /// Any of these; empty matches every host.
    pub hosts: Vec<HostPattern>,
    /// Matched on the normalised path; `None` matches every path.
    pub path: Option<PathPattern>,
    /// All of these.
    pub matchers: Matchers,
    /// What to do.
    pub action: Action,
    /// Changes to the target on its way upstream.
    pub rewrite: Rewrite,
    /// Changes to fields of requests to the upstream.
    pub request_headers: HeaderEdits,
    /// Changes to fields of responses to the downstream.
    pub response_headers: HeaderEdits,
}

impl Route {
    /// The service that requests go to, if they are forwarded.
    pub fn service(&self) -> Option<&ServiceName> {
        match &self.action {
            Action::To(service) => Some(service),
            Action::Redirect(_) | Action::Respond(_) => None,
        }
    }
}

/// A host without port, lower-case, without a final dot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This name or IP literal (IPv6 in brackets).
    Exact(String),
    /// Any name below this one, at any depth: `*.example.com` is held as `example.com`.
    Wildcard(String),
}

/// A pattern on the normalised path, without the query.
#[derive(Clone, Debug)]
pub enum PathPattern {
    /// Exactly this path.
    Exact(String),
    /// This path or anything below it, by whole segments: `/api` matches `/api/x`, not `/apix`.
    /// Held without a final slash, except `/` itself.
    Prefix(String),
    /// Found anywhere in the path unless anchored.
    Regex(Regex),
}

/// Conditions beyond host and path.
#[derive(Clone, Debug, Default)]
pub struct Matchers {
    /// Any of these, case-sensitive tokens; empty matches every method.
    pub methods: Vec<String>,
    /// Lower-case field names; any of a repeated field's values may match.
    pub headers: Vec<(String, ValueMatch)>,
    /// Parameter names as they stand in the query after percent-decoding.
    pub query: Vec<(String, ValueMatch)>,
    /// Cookie names.
    pub cookies: Vec<(String, ValueMatch)>,
    /// Any of these holds the client's address; empty matches every client.
    pub source: Vec<IpNet>,
}

impl Matchers {
    /// How many conditions there are, for precedence: each field, parameter and cookie counts, methods and sources
    /// count once.
    pub fn count(&self) -> usize {
        usize::from(!self.methods.is_empty())
            + usize::from(!self.source.is_empty())
            + self.headers.len()
            + self.query.len()
            + self.cookies.len()
    }
}

/// A condition on one value.
#[derive(Clone, Debug)]
pub enum ValueMatch {
    /// The same bytes.
    Exact(String),
    /// Found anywhere in the value unless anchored.
    Regex(Regex),
    /// There at all (`present: true`) or not (`present: false`).
    Present(bool),
}

/// What a route does.
#[derive(Clone, Debug)]
pub enum Action {
    /// Forwards to a service, which exists.
    To(ServiceName),
    /// Answers with a redirect.
    Redirect(Redirect),
    /// Answers by itself.
    Respond(FixedResponse),
}

/// A redirect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// Where to.
    pub target: RedirectTarget,
    /// 301, 302, 303, 307 or 308 (the default).
    pub status: u16,
}

/// Where a redirect leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedirectTarget {
    /// The same host and target over https.
    Https,
    /// `scheme://host[:port]` without a path: the request's path and query are appended.
    Origin(String),
    /// A whole location, or an absolute path.
    Location(String),
}

/// A response that the balancer gives by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedResponse {
    /// 200 to 599.
    pub status: u16,
    /// At most 64 KiB.
    pub body: String,
    /// Names are lower-case tokens, never framing or connection fields.
    pub headers: Vec<(String, String)>,
}

/// Changes to the path on its way upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rewrite {
    /// Removed from the front when the path has it as whole segments; what is left begins with `/`.
    pub strip_prefix: Option<String>,
    /// Put in front afterwards; begins with `/`, does not end with one.
    pub add_prefix: Option<String>,
}

/// Changes to header fields, applied as remove, set, add. Names are lower-case tokens, never framing or connection
/// fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderEdits {
    /// Removes every field of this name.
    pub remove: Vec<String>,
    /// Replaces every field of this name by one.
    pub set: Vec<(String, String)>,
    /// Adds one field.
    pub add: Vec<(String, String)>,
}

impl HeaderEdits {
    /// True when nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }
}
