//! The usual configuration: one listener `web`, one service `app`, and what a test changes about them.

use super::daemon::Fulcrum;
use super::upstream::Upstream;

/// An address that nothing listens on, in a part of the loopback network that nothing else uses.
pub(crate) const REFUSED: &str = "127.77.0.1:1";

/// A configuration in the making.
#[derive(Clone, Debug, Default)]
pub(crate) struct Setup {
    endpoints: Vec<String>,
    listener: String,
    service: String,
    routes: Vec<String>,
    top: String,
}

impl Setup {
    /// Everything goes to one upstream.
    pub(crate) fn new(upstream: &Upstream) -> Self {
        Setup::default().endpoint(upstream.address())
    }

    /// One more endpoint of the service: an address, or a mapping in one line.
    pub(crate) fn endpoint(mut self, endpoint: &str) -> Self {
        let quoted = if endpoint.starts_with('{') { endpoint.to_owned() } else { format!("\"{endpoint}\"") };
        self.endpoints.push(quoted);
        self
    }

    /// More keys of the listener, like `timeouts: { header: 1s }`.
    pub(crate) fn listener(mut self, keys: &str) -> Self {
        self.listener += &format!(", {keys}");
        self
    }

    /// More keys of the service.
    pub(crate) fn service(mut self, keys: &str) -> Self {
        self.service += &format!(", {keys}");
        self
    }

    /// A route, like `{ path: /x, to: app }`; without any, everything goes to the service.
    pub(crate) fn route(mut self, route: &str) -> Self {
        self.routes.push(route.to_owned());
        self
    }

    /// A whole line of the top level.
    pub(crate) fn top(mut self, line: &str) -> Self {
        self.top += &format!("{line}\n");
        self
    }

    pub(crate) fn yaml(&self) -> String {
        let everything = ["{ to: app }".to_owned()];
        let routes = if self.routes.is_empty() { &everything[..] } else { &self.routes[..] };
        let mut yaml = self.top.clone();
        yaml += &format!("listeners:\n  web: {{ bind: \"127.0.0.1:0\"{} }}\nroutes:\n", self.listener);
        for route in routes {
            yaml += &format!("  - {route}\n");
        }
        yaml +=
            &format!("services:\n  app: {{ endpoints: [{}]{} }}\n", self.endpoints.join(", "), self.service);
        yaml
    }

    #[track_caller]
    pub(crate) fn start(&self) -> Fulcrum {
        Fulcrum::start(&self.yaml())
    }
}
