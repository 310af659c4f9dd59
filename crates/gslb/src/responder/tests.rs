//! Answers that are built for what has changed are those that would be built of everything.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fulcrum_config::gslb::Gslb;
use fulcrum_model::{DnsName, ServiceName};

use super::checked::Target;
use super::services::Services;
use super::state::State;
use super::{EndpointView, Next, Outside, ServiceView};
use crate::choices::Choices;
use crate::verdict::{Forced, Now, Order};

mod counted;
mod incremental;
mod speed;
mod together;

/// The configuration of these names, below `example.com`; three regions and two services.
fn gslb(names: &str) -> Gslb {
    let text = format!(
        "version: 1\nstate_dir: /var/lib/fulcrum\nservices:\n  app: {{ endpoints: [\"192.0.2.1:80\"] }}\n  \
         other: {{ endpoints: [\"192.0.2.2:80\"] }}\ngslb:\n  bind: \"127.0.0.1:0\"\n  \
         verdict: {{ hold: 1s, failback: auto, failback_hold: 1s, brake: 1s }}\n  geo: {{ default: eu }}\n  regions:\n    \
         eu: {{ location: [50.1, 8.7], match: [\"continent:EU\"] }}\n    us: {{ location: [39.0, -77.5], match: [default] }}\n    \
         asia: {{ location: [35.7, 139.7], match: [\"continent:AS\"] }}\n  zones:\n    example.com:\n      \
         soa: {{ primary: ns1.example.com., contact: hostmaster.example.com. }}\n      ns: [ns1.example.com.]\n      names:\n        \
         ns1: {{ a: 192.0.2.53 }}\n{names}"
    );
    let loaded = fulcrum_config::load_text("test.yaml", &text, &|_| None);
    let loaded = loaded.unwrap_or_else(|report| panic!("{report}"));
    loaded.config.gslb.expect("it is there")
}

/// How targets are checked in all these names.
const HEALTH: &str = "{ tcp: \"tcp://:1\", interval: 1s, timeout: 500ms, rise: 1, fall: 1, hold: 1s }";

fn next(gslb: &Gslb) -> Next {
    let no_files = |_: &std::path::Path, _: &DnsName| unreachable!("all names are in the configuration");
    Next::prepare(gslb, &no_files, None).expect("nothing is wrong")
}

fn at(seconds: u64) -> Now {
    let clock = Duration::from_secs(seconds);
    Now { clock, wall: SystemTime::UNIX_EPOCH + clock }
}

fn outside(service: impl Fn(&ServiceName) -> Option<ServiceView> + Send + Sync + 'static) -> Outside {
    Outside { service: Arc::new(service), probe: Arc::new(|_, _| Box::pin(async { Ok(()) })) }
}

/// What there is of a service: each of these endpoints, well or not.
fn view(endpoints: &[(u8, bool)]) -> ServiceView {
    let endpoint = |(number, is_healthy): &(u8, bool)| EndpointView {
        address: IpAddr::from([192, 0, 2, *number]),
        port: 80,
        weight: 1,
        is_healthy: *is_healthy,
    };
    ServiceView {
        endpoints: endpoints.iter().map(endpoint).collect(),
        healthy: endpoints.iter().filter(|(_, is_healthy)| *is_healthy).count() as u32,
        ..ServiceView::default()
    }
}

impl State {
    /// Builds what has to be built, and for how many names that is.
    fn follow(&mut self, now: Now) -> usize {
        let Some(job) = self.job() else { return 0 };
        self.build(&job, now);
        job.names()
    }

    fn choices(&self) -> &Choices {
        &self.answered.as_ref().expect("something is answered").choices
    }

    /// What is answered, for people.
    fn told(&self) -> Vec<String> {
        self.choices().iter().map(crate::Choice::told).collect()
    }

    fn serve(&mut self, services: impl Fn(&ServiceName) -> Option<ServiceView> + Send + Sync + 'static) {
        self.services = Services::look(&outside(services), &self.asked);
    }
}
