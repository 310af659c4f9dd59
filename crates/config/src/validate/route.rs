//! Routes: one action each, whose parts fit together.

use std::collections::HashSet;

use crate::code::Code;
use crate::decode::{At, Checked, OneOrMany};
use crate::field::Direction;
use crate::host::HostText;
use crate::node::quote;
use crate::path::PathText;
use crate::raw::{RawHeaderEdits, RawPath, RawRedirect, RawRespond, RawRewrite, RawRoute, exactly_one};
use crate::report::Problems;
use crate::route::{
    Action, FixedResponse, HeaderEdits, HostPattern, Matchers, PathPattern, Redirect, RedirectTarget,
    Rewrite, Route,
};
use crate::source::Place;

use super::header::{field_values, header_edits};
use super::matchers::matchers;
use super::route_name::Naming;
use super::{Context, Names, shadow};

/// A route that is well-formed by itself, before it has a name.
pub(crate) struct Candidate {
    pub(crate) place: Place,
    /// The name that was given.
    pub(crate) name: Option<At<String>>,
    pub(crate) hosts: Vec<HostPattern>,
    pub(crate) path: Option<PathPattern>,
    pub(crate) matchers: Matchers,
    action: Action,
    rewrite: Rewrite,
    request_headers: HeaderEdits,
    response_headers: HeaderEdits,
}

/// All routes, named, none of them shadowed.
pub(crate) fn all(raw: Vec<Checked<RawRoute>>, names: &Names, context: &mut Context<'_>) -> Vec<Route> {
    let mut candidates = Vec::with_capacity(raw.len());
    let (mut file, mut number) = (u32::MAX, 0);
    for route in raw {
        let here = route.value.given.whole().file;
        number = if here == file { number + 1 } else { 1 };
        file = here;
        candidates.extend(candidate(route, number, names, context));
    }
    let shadowed = shadow::check(&candidates, context);
    let mut naming = Naming::of(&candidates);
    let mut routes = Vec::with_capacity(candidates.len());
    for (candidate, shadowed) in candidates.into_iter().zip(shadowed) {
        // A duplicate would be told to take another name, which does not help it.
        if !shadowed && let Some(name) = naming.name(&candidate, context) {
            routes.push(candidate.named(name));
        }
    }
    routes
}

impl Candidate {
    fn named(self, name: fulcrum_model::RouteName) -> Route {
        let Candidate { hosts, path, matchers, action, rewrite, request_headers, response_headers, .. } =
            self;
        Route { name, hosts, path, matchers, action, rewrite, request_headers, response_headers }
    }
}

/// `number` counts the routes of a file from 1.
fn candidate(
    raw: Checked<RawRoute>,
    number: usize,
    names: &Names,
    context: &mut Context<'_>,
) -> Option<Candidate> {
    let Checked { value: raw, sound } = raw;
    let errors = context.problems.errors();
    let place = raw.given.whole();
    let action = action(&raw, number, names, context);
    let rewrite = rewrite(raw.rewrite.as_ref(), raw.path.as_ref(), context);
    let headers = raw.headers.as_ref();
    let mut edits = |raw: Option<&RawHeaderEdits>, direction| header_edits(raw, direction, context.problems);
    let request_headers = edits(headers.and_then(|headers| headers.request.as_ref()), Direction::Request);
    let response_headers = edits(headers.and_then(|headers| headers.response.as_ref()), Direction::Response);
    if raw.given.place("to").is_none() && raw.given.place("rewrite").is_some() {
        let place = raw.given.place_or_whole("rewrite");
        context.problems.add(Code::Conflict, place, "`rewrite` means something only together with `to`");
    }
    if raw.given.place("to").is_none() && !request_headers.is_empty() {
        let place = raw.given.place_or_whole("headers");
        context.problems.add(
            Code::Conflict,
            place,
            "`headers.request` means something only together with `to`",
        );
    }
    let matchers = raw.r#match.map(|raw| matchers(raw, context.problems)).unwrap_or_default();
    let hosts = hosts(raw.host, context.problems);
    let path = raw.path.map(|path| match path.value {
        RawPath::Prefix(path) => PathPattern::Prefix(path.into_prefix()),
        RawPath::Long(pattern) => pattern,
    });
    let action = action?;
    // With a part unread the route would look as if it matched more than it does.
    (sound && context.problems.errors() == errors).then_some(Candidate {
        place,
        name: raw.name,
        hosts,
        path,
        matchers,
        action,
        rewrite,
        request_headers,
        response_headers,
    })
}

fn hosts(raw: Option<OneOrMany<HostText>>, problems: &mut Problems) -> Vec<HostPattern> {
    let Some(raw) = raw else { return Vec::new() };
    let mut hosts = Vec::with_capacity(raw.0.len());
    let several = raw.0.len() > 1;
    let mut any = false;
    let mut seen = HashSet::new();
    for At { value, place } in raw.0 {
        match value {
            HostText::Any if several => {
                any = true;
                problems.add(Code::Conflict, place, "`*` matches every host, so the others say nothing");
            }
            HostText::Any => any = true,
            HostText::Pattern(host) if !seen.insert(host.clone()) => {
                problems.add(Code::DuplicateRoute, place, "this host is listed twice");
            }
            HostText::Pattern(host) => hosts.push(host),
        }
    }
    if any { Vec::new() } else { hosts }
}

fn action(raw: &RawRoute, number: usize, names: &Names, context: &mut Context<'_>) -> Option<Action> {
    exactly_one(&raw.given, &["to", "redirect", "respond"], context.problems)?;
    if let Some(to) = &raw.to {
        return names.service(to, &format!("route #{number}"), context).map(Action::To);
    }
    if let Some(raw) = &raw.redirect {
        return redirect(raw, context.problems).map(Action::Redirect);
    }
    raw.respond.as_ref().and_then(|raw| respond(raw, context.problems)).map(Action::Respond)
}

fn redirect(raw: &RawRedirect, problems: &mut Problems) -> Option<Redirect> {
    let (to, status) = match raw {
        RawRedirect::Short(to) => (to, None),
        RawRedirect::Long(long) => (long.to.as_ref()?, long.status.as_ref()),
    };
    if let Some(status) = status.filter(|status| matches!(status.value.0, 304..=306)) {
        problems
            .add(Code::Range, status.place, format!("`{}` is not the status of a redirect", status.value.0))
            .note("allowed here: 301, 302, 303, 307, 308");
    }
    let target = redirect_target(to, problems)?;
    Some(Redirect { target, status: status.map_or(308, |status| status.value.0 as u16) })
}

fn redirect_target(to: &At<String>, problems: &mut Problems) -> Option<RedirectTarget> {
    let text = to.value.as_str();
    let authority =
        |scheme: &str| text.strip_prefix(scheme).filter(|rest| !rest.is_empty() && !rest.starts_with('/'));
    // The target becomes a field value.
    let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
    match authority("https://").or_else(|| authority("http://")) {
        _ if text == "https" => Some(RedirectTarget::Https),
        Some(rest) if printable && rest.contains(['/', '?', '#']) => {
            Some(RedirectTarget::Location(text.to_owned()))
        }
        Some(_) if printable => Some(RedirectTarget::Origin(text.to_owned())),
        None if printable && text.starts_with('/') => Some(RedirectTarget::Location(text.to_owned())),
        _ => {
            problems
                .add(Code::RedirectTarget, to.place, format!("{} is no target of a redirect", quote(text)))
                .note("allowed here: `https`, an origin like `https://example.com`, a URL, a path that begins with `/`");
            None
        }
    }
}

fn respond(raw: &RawRespond, problems: &mut Problems) -> Option<FixedResponse> {
    let headers = raw.headers.as_ref().map(|headers| field_values(headers, Direction::Response, problems));
    let status = raw.status.as_ref()?;
    let body = raw.body.as_ref();
    if let Some(body) = body.filter(|body| body.value.len() > LARGEST_BODY) {
        problems.add(Code::Range, body.place, "the body is larger than 64KiB");
    }
    // RFC 9110 §15.3.5, §15.3.6 and §15.4.5: these have no content.
    if let Some(body) =
        body.filter(|body| matches!(status.value.0, 204 | 205 | 304) && !body.value.is_empty())
    {
        problems.add(
            Code::Conflict,
            body.place,
            format!("a response with status {} has no body", status.value.0),
        );
    }
    Some(FixedResponse {
        status: status.value.0 as u16,
        body: body.map(|body| body.value.clone()).unwrap_or_default(),
        headers: headers.unwrap_or_default(),
    })
}

fn rewrite(raw: Option<&RawRewrite>, path: Option<&At<RawPath>>, context: &mut Context<'_>) -> Rewrite {
    let Some(raw) = raw else { return Rewrite::default() };
    let mut prefix = |raw: &Option<At<PathText>>| {
        let At { value, place } = raw.as_ref()?;
        let prefix = value.clone().into_prefix();
        if prefix == "/" {
            context.problems.add(Code::Nothing, *place, "`/` changes nothing");
        }
        Some(prefix)
    };
    let (strip_prefix, add_prefix) = (prefix(&raw.strip_prefix), prefix(&raw.add_prefix));
    let matched = path.and_then(|path| match &path.value {
        RawPath::Prefix(path) => Some(path.clone().into_prefix()),
        RawPath::Long(PathPattern::Exact(path)) => Some(path.clone()),
        RawPath::Long(_) => None,
    });
    if let (Some(strip), Some(matched), Some(At { place, .. })) = (&strip_prefix, matched, &raw.strip_prefix)
        && !is_below(&matched, strip)
        && !is_below(strip, &matched)
    {
        let message = format!("no path of this route begins with `{strip}`, so nothing is removed");
        context.problems.add(Code::IdleRewrite, *place, message);
    }
    Rewrite { strip_prefix, add_prefix }
}

/// True when a path has a prefix by whole segments.
fn is_below(path: &str, prefix: &str) -> bool {
    match path.strip_prefix(prefix.trim_end_matches('/')) {
        Some(rest) => rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}

/// Largest fixed response in bytes: it is held in memory and written at once.
const LARGEST_BODY: usize = 64 << 10;
