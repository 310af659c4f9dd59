//! The tour: ten things to try.

use fulcrum_model::RecordType;

use super::stops::{Action, Chapter, Curl, Dig, End, Load, Stop};

/// The tour itself. Its order matters: later chapters look at what earlier ones did.
pub(super) fn chapters() -> [Chapter; 10] {
    [
        Chapter {
            title: "Load is spread: the backends take turns",
            stops: vec![Curl::get("/hello").times(9).shows(
                200,
                &["x-backend: blue", "x-backend: green", "x-backend: amber", "\"target\":\"/hello\""],
                "each line names the backend that answered",
            )],
        },
        Chapter {
            title: "Content decides: by path, by header field",
            stops: vec![
                Curl::get("/green/hello").shows(
                    200,
                    &["x-backend: green", "\"target\":\"/hello\"", "x-served-by: fulcrum-demo"],
                    "always green, which sees /hello; x-served-by was added on the way back",
                ),
                Curl::get("/hello").with("x-color", "amber").shows(
                    200,
                    &["x-backend: amber"],
                    "always amber",
                ),
            ],
        },
        Chapter {
            title: "Backends fail: one is sick, one is dead",
            stops: vec![
                Curl::post("/green/demo/sick?for=10s").shows(
                    200,
                    &["x-backend: green"],
                    "green answers 503 for ten seconds",
                ),
                Curl::get("/green/").shows(
                    503,
                    &["x-backend: green"],
                    "503: the balancer passes on what green says",
                ),
                Curl::post("/green/demo/well").shows(200, &["x-backend: green"], "green is well again"),
                Curl::get("/failover").times(9).shows(
                    200,
                    &["x-backend: blue"],
                    "always blue: the other endpoint refuses connections, and nobody notices",
                ),
            ],
        },
        Chapter {
            title: "A backend is killed under load, and nobody notices",
            stops: vec![
                Load {
                    target: "/hello?delay=10ms",
                    requests: 1000,
                    at_a_time: 20,
                    victim: "green",
                    end: End::Killed,
                }
                .shows_no_failure("1000 answers of 200: what green had not answered, another backend has"),
                Action::Metrics("fulcrum_upstream_errors_total{service=\"colors\",endpoint=\"green\"")
                    .shows(&["green"], "but it is counted"),
                Curl::get("/hello")
                    .times(9)
                    .shows(
                        200,
                        &["x-backend: blue", "x-backend: green", "x-backend: amber"],
                        "the demo starts green again after three seconds, and it has its share again",
                    )
                    .in_a_moment(),
            ],
        },
        Chapter {
            title: "Backends register themselves: one leaves, one is killed",
            stops: vec![
                Action::Registry(&["instances", "crew"])
                    .shows(
                        &["ruby", "teal", "up"],
                        "nobody has listed them; `watch crew` shows them come and go",
                    )
                    .in_a_moment(),
                both_of_the_crew("traffic follows the registry"),
                Load { target: CREW, requests: 1000, at_a_time: 20, victim: "teal", end: End::Stopped }
                    .shows_no_failure("teal is stopped: it leaves, finishes what it has, and ends"),
                gone("/v1/services/crew/instances/teal", "its drain is over"),
                both_of_the_crew("the demo starts it again after six seconds, and it registers again"),
                Load { target: CREW, requests: 1000, at_a_time: 20, victim: "ruby", end: End::Killed }
                    .shows_no_failure("ruby is killed and leaves nothing: its requests go to teal"),
                gone("/v1/services/crew/instances/ruby", "its lease of 3s is over, and nobody reaches it"),
                both_of_the_crew("and it is back"),
                Action::Registry(&["services"]).shows(&["crew"], "with how many instances each has"),
            ],
        },
        Chapter {
            title: "Nothing is lost: sticky clients, a drain, a reload",
            stops: vec![
                Curl::get("/sticky").shows(
                    200,
                    &["set-cookie: fulcrum_sticky=", "cache-control: private"],
                    "the cookie brings a client back to its backend: signed, without an address",
                ),
                Action::Fulcrum(&["drain", "sticky/green"])
                    .shows(&["draining"], "green takes no new clients; those with its cookie stay"),
                Action::Fulcrum(&["undrain", "sticky/green"]).shows(&["its order was cleared"], "and again"),
                Action::Fulcrum(&["reload", "--wait"])
                    .shows(&["generation"], "reads the configuration again; no connection notices"),
            ],
        },
        Chapter {
            title: "A bad file changes nothing",
            stops: vec![
                Action::Edit("balance:", "balanc:").shows(&[], "a wrong key, in two places"),
                Action::Failing(&["reload"]).shows(
                    &["did you mean `balance`", "^^^^^^", "2 errors", "nothing has changed", "exit code 1"],
                    "every mistake at once, with its place; the daemon has seen the file by itself, too",
                ),
                Curl::get("/hello").times(9).shows(
                    200,
                    &["x-backend: blue", "x-backend: green", "x-backend: amber"],
                    "traffic goes on as before",
                ),
                Action::Fulcrum(&["status"])
                    .shows(&["was refused", "did you mean"], "says so until it is put right"),
                Action::Edit("balanc:", "balance:").shows(&[], "put right"),
                Action::Fulcrum(&["reload", "--wait"]).shows(&["generation"], "in force on every worker"),
            ],
        },
        Chapter {
            title: "Names lead to the right continent, and to whoever is well",
            stops: vec![
                Dig::gslb("www.demo.example", RecordType::A)
                    .from("198.51.100.0/24")
                    .shows(&["192.0.2.10"], "a client in Europe is sent to Europe"),
                Dig::gslb("www.demo.example", RecordType::A).from("203.0.113.0/24").shows(
                    &["192.0.2.20"],
                    "one in America to America; so is everybody of whom nothing is known",
                ),
                Dig::gslb("colors.demo.example", RecordType::SRV)
                    .shows(
                        &["127-0-0-1-", ".colors.demo.example."],
                        "the healthy endpoints of a service, with their ports",
                    )
                    .in_a_moment(),
                Dig::registry("_http._tcp.crew.svc.demo.example", RecordType::SRV)
                    .shows(
                        &["ruby.crew.svc.demo.example.", "teal.crew.svc.demo.example."],
                        "whoever is registered, for balancers that follow names, like HAProxy",
                    )
                    .in_a_moment(),
            ],
        },
        Chapter {
            title: "The balancer answers by itself",
            stops: vec![
                Curl::get("/moved/a?b=c").shows(
                    301,
                    &["location: https://example.com/moved/a?b=c"],
                    "a redirect",
                ),
                Curl::get("/robots.txt").shows(200, &["User-agent: *"], "a fixed response"),
                Curl::get("/hello").with("user_id", "1").shows(
                    400,
                    &["reason: underscore_in_field_name"],
                    "refused: CGI programs cannot tell user_id from user-id",
                ),
            ],
        },
        Chapter {
            title: "Everything is counted and logged",
            stops: vec![
                Action::AccessLog.shows(
                    &["\"status\":", "\"reason\":", "\"duration\":"],
                    "one JSON object per request, with times and the reason of its end",
                ),
                Action::Metrics("fulcrum_upstream_requests_total{service=\"colors\"")
                    .shows(&["blue", "green", "amber"], "how the requests were spread"),
                Action::Metrics("fulcrum_upstream_errors_total").shows(
                    &["connect_refused", "dead"],
                    "the connections that the dead endpoint of /failover refused",
                ),
                Curl::admin("/readyz").shows(200, &["ready"], "for whatever balances over balancers"),
                Action::Fulcrum(&["status"]).shows(
                    &["half-dead", "127.0.0.1:1", "unreachable"],
                    "a table of listeners, services and endpoints",
                ),
            ],
        },
    ]
}

/// Both have their share; one of them may only just be back.
fn both_of_the_crew(remark: &'static str) -> Stop {
    Curl::get("/crew/").times(20).shows(200, &["x-backend: ruby", "x-backend: teal"], remark).in_a_moment()
}

/// An instance that the registry knows no more.
fn gone(target: &'static str, remark: &'static str) -> Stop {
    Curl::registry(target).shows(404, &["no such instance"], remark).in_a_moment()
}

const CREW: &str = "/crew/?delay=10ms";
