//! What is wrong with the section of the responder and with its policies.

use crate::check;

/// Checks a section on line 3 of a file.
fn refused(section: &str, expected: &str) {
    check(
        &format!(
            "version: 1\nservices: {{ web: {{ endpoints: [\"10.0.0.1:80\"] }} }}\n{section}\nlisteners: {{ web: {{ bind: \":8080\" }} }}\nroutes: [{{ to: web }}]\n"
        ),
        expected,
    );
}

/// Checks names from line 8 on.
fn refused_names(names: &str, expected: &str) {
    refused(
        &format!(
            r#"gslb:
  bind: ":53"
  regions: {{ eu: {{ location: [50.1, 8.7], match: default }}, us: {{}}, ap: {{}} }}
  zones:
    example.com:
      soa: {{ primary: ns1.example.net., contact: hostmaster }}
      ns: ns1.example.net.
      names:
{names}"#
        ),
        expected,
    );
}

#[test]
fn values_of_the_section() {
    refused(
        r#"gslb:
  workers: 0
  nsid: ""
  tcp: { idle_timeout: 1ms, max_connections: 0 }
  rate_limit: { slip: 11 }
  geo: { nets: nets.txt, database: /, default: uk }
  regions:
    eu: { location: [8.7], match: ["continent:XX", "country:tr"] }
    us: { location: [91, west], bias: 100, match: [default, default] }
    "a b": { match: default, service: wbe }
  verdict: { hold: 601s, failover: manual, failback: slow, ramp: [50%, 50%], brake: 2h }
  headroom: { low: 30%, high: 20% }
  cookie_keys: [short, "+00102030405060708090a0b0c0d0e0f"]
  overrides: { uk: { state: up }, us: { state: off, until: tomorrow, reason: " " } }
  zones: {}"#,
        r#"
E101 4:3 the key `bind` is missing
E107 4:12 `0` is not from 1 to 64
E116 5:9 an empty text
E107 6:24 `1ms` is not from 100ms to 1h
E107 6:46 `0` is not from 1 to 1000000
E101 7:15 the key `responses_per_second` is missing
E107 7:23 `11` is not from 0 to 10
E113 8:16 `nets.txt` is not the absolute path of a file
  = it begins with `/`, and ends with the name of the file
E113 8:36 `/` is not the absolute path of a file
  = it begins with `/`, and ends with the name of the file
E220 8:48 the region `uk` does not exist
  = regions: eu, us, a b (did you mean `us`?)
E133 10:21 a location has two numbers, found 1
  = latitude and longitude, like `[50.1, 8.7]`
E132 10:36 `continent:XX` is no rule about clients
  = rules: continent:EU (AF, AN, AS, EU, NA, OC, SA), country:TR, subdivision:US-CA, asn:64500, default
E132 10:52 `country:tr` is no rule about clients
  = did you mean `country:TR`?
  = rules: continent:EU (AF, AN, AS, EU, NA, OC, SA), country:TR, subdivision:US-CA, asn:64500, default
E133 11:22 `91` is not from -90 to 90 degrees
  = the latitude comes first: `[50.1, 8.7]`
E133 11:26 `west` is not a number of degrees
  = like `8.7` or `-77.5`
E107 11:39 `100` is not from -99 to 99
E211 11:61 this rule is given twice, and a client has one region
  = first in f.yaml:11:52
E110 12:5 `a b` is not a name: ' ' is not allowed in this name
E211 12:21 this rule is given twice, and a client has one region
  = first in f.yaml:11:52
E201 12:39 region `a b` sends to service `wbe`, which does not exist
  = services: web (did you mean `web`?)
E107 13:20 `601s` is not from 1s to 10m
E104 13:36 `manual` is not known here
  = allowed here: auto, confirm
E104 13:54 `slow` is not known here
  = allowed here: auto, ramp, manual
E211 13:72 `50%` is not more than the share before it
E107 13:85 `2h` is not from 0s to 1h
E211 14:15 `low` (30%) is not below `high` (20%)
E209 15:17 the key is not 32 hexadecimal digits, which are 128 bits (RFC 9018 §4.4)
E209 15:24 the key is not 32 hexadecimal digits, which are 128 bits (RFC 9018 §4.4)
E220 16:16 the region `uk` does not exist
  = regions: eu, us, a b (did you mean `us`?)
E101 16:20 the key `until` is missing
E101 16:20 the key `reason` is missing
E104 16:48 `off` is not known here
  = allowed here: up, down, drain
E134 16:60 `tomorrow` is not a point in time
  = like `2026-12-24T18:00:00Z` or `2026-12-24T18:00:00+01:00`
E116 16:78 an empty text
"#,
    );
}

#[test]
fn the_section_is_given_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("b.yaml"), "gslb: { bind: \":54\" }\n").expect("a file");
    let path = folder.path().join("a.yaml");
    std::fs::write(&path, "version: 1\ninclude: b.yaml\ngslb: { bind: \":53\" }\n").expect("a file");
    let report = fulcrum_config::load(&path, &|_| None).expect_err("it is given twice");
    let found = crate::compact(&report);
    assert!(found.starts_with("E202 1:1 `gslb` is given in two files\n"), "{found}");
}

#[test]
fn ramps_rise_to_all() {
    refused(
        "gslb: { bind: \":53\", verdict: { ramp: [5%, 50%] } }",
        r#"
E211 3:44 the last share is not `100%`
"#,
    );
    refused(
        "gslb: { bind: \":53\", headroom: { low: 40% } }",
        "E211 3:34 `low` (40%) is not below `high` (30%)\n",
    );
}

#[test]
fn addresses_of_questions() {
    refused(
        "gslb: { bind: [\":8080\", \"unix:/run/dns.sock\", \"[::]:53\", \":53\"] }",
        r#"
E203 3:16 `:8080` overlaps with `:8080`
  = the other one: f.yaml:4:27
E109 3:25 `unix:/run/dns.sock` is a unix socket, and questions come over UDP and TCP
E203 3:58 `:53` overlaps with `[::]:53`
  = the other one: f.yaml:3:47
  = `:PORT` takes IPv4 and IPv6; for one family: `0.0.0.0:PORT` or `[::]:PORT`
"#,
    );
}

#[test]
fn keys_that_do_not_exist() {
    refused(
        "gslb: { bind: \":53\", tls: {}, quorum: 2/3, zones: { example.com: { transfer: {} } } }",
        r#"
E103 3:22 unknown field `tls`
  = allowed here: bind, cookie_keys, geo, headroom, home, nsid, overrides, query_log, rate_limit, regions, tcp, verdict, workers, zones
E103 3:31 unknown field `quorum`
  = allowed here: bind, cookie_keys, geo, headroom, home, nsid, overrides, query_log, rate_limit, regions, tcp, verdict, workers, zones
E103 3:68 unknown field `transfer`
  = allowed here: file, names, ns, soa, ttl
"#,
    );
}

#[test]
fn services_of_regions_and_names_are_used() {
    check(
        r#"
version: 1
services: { a: { endpoints: ["10.0.0.1:80"] }, b: { endpoints: ["10.0.0.1:80"] }, c: { endpoints: ["10.0.0.1:80"] } }
gslb:
  bind: ":53"
  regions: { eu: { service: a } }
  zones:
    example.com:
      soa: { primary: ns1.example.net., contact: hostmaster }
      ns: ns1.example.net.
      names: { www: { service: b } }
"#,
        r#"
W302 2:83 nothing uses the service `c`
"#,
    );
}

#[test]
fn short_holds() {
    refused(
        "gslb: { bind: \":53\", verdict: { hold: 29s } }",
        r#"
W320 3:39 clients are sent away after a short break that would have passed
  = 30s or more are advised; caches keep answers longer than that anyway
"#,
    );
    refused_names(
        "        www: { policy: failover, endpoints: 192.0.2.1, health: { tcp: \"tcp://:80\", hold: 1s } }",
        r#"
W320 11:90 clients are sent away after a short break that would have passed
  = 30s or more are advised; caches keep answers longer than that anyway
"#,
    );
}

#[test]
fn many_regions() {
    let regions: Vec<String> = (0..65).map(|number| format!("r{number}: {{}}")).collect();
    refused(
        &format!("gslb: {{ bind: \":53\", regions: {{ {} }} }}", regions.join(", ")),
        r#"
E007 3:599 65 regions, and 64 are the most
"#,
    );
}

#[test]
fn policies_that_do_not_go_together() {
    refused_names(
        r#"        a: { policy: [weighted, geo], regions: { eu: 192.0.2.1 } }
        b: { policy: [geo, nearest], regions: { eu: 192.0.2.1 } }
        c: { policy: [geo, geo], regions: { eu: 192.0.2.1 } }
        d: { policy: geo, endpoints: 192.0.2.1 }
        e: { policy: [weighted, failover], endpoints: 192.0.2.1 }
        f: { policy: sticky, service: web }
        g: { policy: nearest, regions: { eu: 192.0.2.1, us: 192.0.2.2 } }
        h: { policy: geo, regions: { us: 192.0.2.1, ap: 192.0.2.1 } }
        i: { policy: wieghted, endpoints: [{ address: 192.0.2.1, weight: 1 }] }
        j: { endpoints: 192.0.2.1 }
        k: { policy: weighted }
        l: { policy: weighted, endpoints: 192.0.2.1, service: web }
        m: { policy: geo, regions: { ue: 192.0.2.1 } }
        n: { policy: geo, regions: {} }
        o: { service: wbe, health: { tcp: "tcp://:1" }, key: {} }"#,
        r#"
E211 11:33 `geo` goes before `weighted`
  = at most one of geo and nearest, then one of round_robin, weighted and sticky, then failover: `[geo, weighted, failover]`
E211 12:28 `geo` and `nearest` decide the same thing
  = at most one of geo and nearest, then one of round_robin, weighted and sticky, then failover: `[geo, weighted, failover]`
E211 13:28 `geo` is given twice
  = at most one of geo and nearest, then one of round_robin, weighted and sticky, then failover: `[geo, weighted, failover]`
E211 14:22 `geo` needs `regions`
  = `endpoints` are the same everywhere
E211 15:33 `failover` after a choice needs `regions`
  = alone it answers the first of the endpoints that is healthy
E211 16:22 `sticky` cannot stand beside `service`
  = allowed here: round_robin, weighted
E211 17:57 `nearest` needs to know where `us` is
  = like `location: [50.1, 8.7]` in `gslb.regions`
E211 18:22 `geo` cannot tell whose region is which
  = give a region rules, like `match: ["continent:EU"]`, or name a file in `geo.nets`
E104 19:22 `wieghted` is not known here, did you mean `weighted`?
  = allowed here: round_robin, weighted, nearest, geo, failover, sticky
E101 20:12 the key `policy` is missing
  = allowed here: round_robin, weighted, nearest, geo, failover, sticky
E117 21:12 exactly one of `regions`, `endpoints`, `service` is needed, found none
E117 22:54 exactly one of `regions`, `endpoints`, `service` is needed, found `endpoints` and `service`
E220 23:38 the region `ue` does not exist
  = regions: eu, us, ap (did you mean `eu`?)
E116 24:27 there are no regions
E201 25:23 name `o.example.com.` sends to service `wbe`, which does not exist
  = services: web (did you mean `web`?)
E211 25:28 `health` cannot stand beside `service`, which checks its endpoints itself
E211 25:57 `key` means something only to the policy `sticky`
"#,
    );
}

#[test]
fn keys_of_policies() {
    refused_names(
        r#"        a: { policy: weighted, endpoints: 192.0.2.1, key: { v4: 33 }, max_answers: 65, panic: every }
        b: { a: 192.0.2.1, max_answers: 1, ttl: { max: 5s, min: 1s } }
        c: { policy: failover, endpoints: 192.0.2.1, ttl: { max: 5s, min: 6s }, fallback: 192.0.2.1 }
        d: { policy: failover, endpoints: 192.0.2.1, panic: fallback }
        e: { policy: failover, endpoints: 192.0.2.1, panic: fallback, fallback: [192.0.2.1, 192.0.2.1] }
        f: { policy: failover, endpoints: 192.0.2.1, health: { http: /healthz } }
        g: { policy: failover, endpoints: 192.0.2.1, health: { http: "http://:80/", tcp: "tcp://:80", hold: 0s } }
        h: { policy: failover, endpoints: 192.0.2.1, ttl: 500ms }
        i: { policy: failover, endpoints: 192.0.2.1, health: {} }
        j: { policy: failover, endpoints: 192.0.2.1, ttl: { max: 5s } }"#,
        r#"
E211 11:54 `key` means something only to the policy `sticky`
E107 11:65 `33` is not from 1 to 32
E107 11:84 `65` is not from 1 to 64
E104 11:95 `every` is not known here
  = allowed here: all, last_good, fallback, nodata
E211 12:28 `max_answers` means something only beside `policy` or `service`
E211 12:49 `max` and `min` mean something only beside `policy` or `service`: nothing else changes
E211 13:70 `min` is more than `max`
E211 13:81 `fallback` means something only to `panic: fallback`
E101 14:54 the key `fallback` is missing
  = like `fallback: [192.0.2.1]`
E221 15:93 the address `192.0.2.1` is given twice
  = first in f.yaml:15:82
E135 16:70 `/healthz` names no port
  = did you mean `http://:80/healthz`?
  = like `http://:8080/healthz`; a host, as in `http://www.example.com:8080/`, is sent in the request
E117 17:85 exactly one of `http`, `tcp` is needed, found `http` and `tcp`
E107 17:109 `0s` is not from 1s to 10m
E105 18:59 `500ms` is not a number of whole seconds, as the DNS has them
E117 19:62 exactly one of `http`, `tcp` is needed, found none
E101 20:59 the key `min` is missing
"#,
    );
}

#[test]
fn targets() {
    refused_names(
        r#"        a: { policy: weighted, endpoints: ["192.0.2.1:80", www.example.net, { cname: a }, { address: 192.0.2.1, cname: b }, {}] }
        b: { policy: weighted, endpoints: [192.0.2.1, { cname: a }] }
        c: { policy: round_robin, endpoints: [{ address: 192.0.2.1, weight: 5 }, 192.0.2.1] }
        d: { policy: round_robin, regions: { eu: 192.0.2.1, us: 192.0.2.1 } }
        e: { policy: failover, regions: { eu: [192.0.2.1, 192.0.2.1], us: { cname: a } } }
        f: { policy: failover, endpoints: { cname: a }, max_answers: 1, health: { tcp: "tcp://:80" }, panic: fallback, fallback: 192.0.2.1 }
        "@": { policy: failover, endpoints: { cname: a } }
        g: { policy: weighted, endpoints: [{ address: 192.0.2.1, weight: 65536 }, { cname: "a b" }] }
        h: { policy: weighted, endpoints: [] }"#,
        r#"
E109 11:44 `192.0.2.1:80` is not an IP address
  = answers have no port: did you mean `192.0.2.1`?
E109 11:60 `www.example.net` is not an IP address
  = a name is answered as an alias: `{ cname: www.example.net. }`
E117 11:113 exactly one of `address`, `cname` is needed, found `address` and `cname`
E117 11:125 exactly one of `address`, `cname` is needed, found none
E223 12:55 a policy has addresses or aliases, not both
  = the other kind: f.yaml:12:44
E211 13:69 `weight` means something only to `weighted` and `sticky`
E221 13:82 the target `192.0.2.1` is given twice
  = first in f.yaml:13:47
E221 14:65 the target `192.0.2.1` is given twice
  = first in f.yaml:14:50
E221 15:59 the target `192.0.2.1` is given twice
  = first in f.yaml:15:48
E223 15:75 a policy has addresses or aliases, not both
  = the other kind: f.yaml:15:48
E211 16:57 `max_answers` cannot stand beside aliases, of which one is answered
E211 16:73 `health` cannot stand beside aliases, which are not probed
E211 16:120 `fallback` has addresses, and the policy has aliases
E223 17:14 `example.com.` cannot be an alias: it has SOA and NS records
  = an alias has nothing beside itself (RFC 1034 §3.6.2)
E107 18:74 `65536` is not from 0 to 65535
E130 18:92 `a b` is no name of the DNS: ' ' is not allowed in a name of the DNS
E116 19:43 an empty list
"#,
    );
    let many: Vec<String> = (0..65).map(|number| format!("192.0.2.{number}")).collect();
    refused_names(
        &format!("        a: {{ policy: weighted, endpoints: [{}] }}", many.join(", ")),
        "E007 11:32 65 targets, and 64 are the most\n",
    );
}

#[test]
fn regions_with_more_targets_than_can_have_a_vote() {
    let names = |count: usize| {
        let name = |number: usize| {
            let targets: Vec<String> = (0..64).map(|last| format!("10.0.{number}.{last}")).collect();
            let health = "health: { tcp: 'tcp://:80' }";
            format!(
                "        n{number}: {{ policy: failover, regions: {{ us: [{}] }}, {health} }}\n",
                targets.join(", ")
            )
        };
        // Equal checks of equal targets are one, and what is not checked has no vote.
        let same = name(0).replace("n0:", "same:");
        let unchecked = name(200).replace(", health: { tcp: 'tcp://:80' }", "");
        (0..count).map(name).chain([same, unchecked]).collect::<String>()
    };
    refused_names(&names(64), "\n");
    refused_names(
        &names(65),
        r#"
W324 5:61 `us` has 4160 targets that are checked, and 4096 can have a vote
  = each is left out when it is down; the verdict on the region is that of the first
"#,
    );
}
