//! What is wrong with zones, names and records.

use crate::check;

/// Checks zones from line 4 on.
fn refused(zones: &str, expected: &str) {
    check(&format!("version: 1\ngslb:\n  bind: \":53\"\n  zones:\n{zones}\n"), expected);
}

/// Checks names from line 8 on.
fn refused_names(names: &str, expected: &str) {
    refused(
        &format!(
            r#"    example.com:
      soa: {{ primary: ns1.example.net., contact: hostmaster }}
      ns: ns1.example.net.
      names:
{names}"#
        ),
        expected,
    );
}

#[test]
fn zones_without_a_beginning() {
    refused(
        r#"    example.com: {}
    example.net: { soa: { primary: a..b, contact: ops@example.net }, ns: [ns1.example.org., NS1.example.org.] }
    example.org: { file: /etc/zone, soa: {}, ns: a, ttl: 5s, names: {} }
    file.example: { file: zone }
    short.example: { soa: { primary: ns1.example.net., contact: a, serial: 4294967296, refresh: 9000h }, ns: [] }"#,
        r#"
E101 5:5 the key `soa` is missing: a zone without `file` needs it
  = like `soa: { primary: ns1.example.com., contact: hostmaster.example.com. }`
E101 5:5 the key `ns` is missing: a zone without `file` needs it
  = like `ns: [ns1.example.com., ns2.example.com.]`
E130 6:36 `a..b` is no name of the DNS: two dots in a row, or one at the beginning
E130 6:51 `ops@example.net` is a mail address, not a name
  = the DNS writes it with a dot: `ops.example.net.`
E221 6:93 the name server `ns1.example.org.` is given twice
  = first in f.yaml:6:75
E211 7:37 `soa` cannot stand beside `file`: the file says it
E101 7:42 the key `primary` is missing
E101 7:42 the key `contact` is missing
E211 7:46 `ns` cannot stand beside `file`: the file says it
E211 7:53 `ttl` cannot stand beside `file`: the file says it
E211 7:62 `names` cannot stand beside `file`: the file says it
E113 8:27 `zone` is not the absolute path of a file
  = it begins with `/`, and ends with the name of the file
E107 9:76 `4294967296` is not from 0 to 4294967295
E107 9:97 `9000h` is longer than a year, `8760h`
  = no limit is written `none`, where that is possible
E116 9:110 an empty list
"#,
    );
}

#[test]
fn zones_that_are_there_already() {
    refused(
        r#"    example.com: { file: /etc/a }
    Example.COM.: { file: /etc/b }
    "*.example.com": { file: /etc/c }
    a b: { file: /etc/d }"#,
        r#"
E221 6:5 the zone `example.com.` is given twice
  = first in f.yaml:5:5
E130 7:5 `*.example.com` is no zone: a `*` stands for names, not for zones
E130 8:5 `a b` is no name of the DNS: ' ' is not allowed in a name of the DNS
"#,
    );
}

#[test]
fn names_and_their_zone() {
    refused_names(
        r#"        www.example.org.: { a: 192.0.2.1 }
        www: { a: 192.0.2.1 }
        WWW.example.com.: { a: 192.0.2.2 }
        a..b: { a: 192.0.2.1 }
        empty: {}
        only.ttl: { ttl: 5s }
        misspelt: { aa: 192.0.2.1 }"#,
        r#"
E222 9:9 `www.example.org.` is not within `example.com.`
  = names without a dot at the end are relative to their zone
E221 11:9 the name `www.example.com.` is given twice
  = first in f.yaml:10:9
E130 12:9 `a..b` is no name of the DNS: two dots in a row, or one at the beginning
E116 13:16 there is nothing to answer for `empty.example.com.`
  = like `{ a: 192.0.2.1 }` or `{ policy: round_robin, endpoints: [192.0.2.1, 192.0.2.2] }`
E116 14:19 there is nothing to answer for `only.ttl.example.com.`
  = like `{ a: 192.0.2.1 }` or `{ policy: round_robin, endpoints: [192.0.2.1, 192.0.2.2] }`
E103 15:21 unknown field `aa`, did you mean `a`?
  = allowed here: a, aaaa, caa, cname, ds, endpoints, fallback, health, https, key, max_answers, mx, naptr, ns, panic, policy, ptr, regions, service, srv, sshfp, svcb, tlsa, ttl, txt
"#,
    );
}

#[test]
fn records_of_every_type() {
    refused_names(
        r#"        a: { a: "2001:db8::1", aaaa: 192.0.2.1, mx: mail, srv: 0 5 sip, caa: 0 issue }
        b: { ptr: [a, b c], https: alpn, tlsa: 3 1 1, naptr: 1, ds: x, sshfp: 1 1 xyz }
        c: { type666: '\# 4 010203', type39: b, type65536: '\# 0', type255: '\# 0', type46: '\# 0' }
        d: { a: 5, txt: [1, a], mx: {} }
        e: { a: [192.0.2.1, 192.0.2.1], type1: '\# 4 c0000201' }
        f: { type6: 'a b 1 2 3 4 5' }
        "@": { ns: ns2.example.net. }"#,
        r#"
E131 9:17 `2001:db8::1` is no A record: expected an IPv4 address, found "2001:db8::1"
E131 9:38 `192.0.2.1` is no AAAA record: expected an IPv6 address, found "192.0.2.1"
E131 9:53 `mail` is no MX record: expected a preference and a name, like `10 mail`
E131 9:64 `0 5 sip` is no SRV record: expected priority, weight, port and a name, like `0 5 5060 sip`
E131 9:78 `0 issue` is no CAA record: expected flags, a tag and a value, like `0 issue "ca.example"`
E131 10:23 `b c` is no PTR record: expected one name
E131 10:36 `alpn` is no HTTPS record: expected a priority, a name and parameters, like `1 . alpn=h2`
E131 10:48 `3 1 1` is no TLSA record: expected numbers, and a digest in hexadecimal
E102 10:62 expected text, found the number `1`
  = quote it to make it text: `"1"`
E131 10:69 `x` is no DS record: expected numbers, and a digest in hexadecimal
E131 10:79 `1 1 xyz` is no SSHFP record: expected pairs of hexadecimal digits
E131 11:23 `\# 4 010203` is no TYPE666 record: expected as many bytes as the length says
E131 11:46 DNAME cannot be served: aliases of whole trees are not served
E103 11:49 unknown field `type65536`
  = allowed here: a, aaaa, caa, cname, ds, endpoints, fallback, health, https, key, max_answers, mx, naptr, ns, panic, policy, ptr, regions, service, srv, sshfp, svcb, tlsa, ttl, txt
E131 11:77 ANY cannot be served: it is a type of questions
E131 11:93 RRSIG cannot be served: zones are not signed
E102 12:17 expected text, found the number `5`
  = quote it to make it text: `"5"`
E102 12:26 expected text, found the number `1`
  = quote it to make it text: `"1"`
E102 12:37 expected text, found a mapping
E221 13:29 the record is given twice
  = first in f.yaml:13:18
E221 13:48 the record is given twice
  = first in f.yaml:13:18
E211 14:14 a zone begins once
  = the key `soa` of the zone says how
E211 15:16 the name servers of `example.com.` are given by the zone
  = the key `ns` of the zone, beside `names`
"#,
    );
}

#[test]
fn sets_that_fit_into_no_message() {
    let text = "a".repeat(33_000);
    refused_names(
        &format!("        big: {{ txt: [{text}, b{text}] }}"),
        r#"
E007 9:16 the TXT records are 66285 bytes, and 64000 are the most
"#,
    );
}

#[test]
fn aliases_are_alone() {
    refused_names(
        r#"        a: { cname: b, txt: c }
        b: { cname: [c, d] }
        c: { cname: a, policy: round_robin, endpoints: 192.0.2.1 }
        d: { txt: a, policy: round_robin, endpoints: { cname: a } }
        e: { a: 192.0.2.1, aaaa: "2001:db8::1", policy: round_robin, endpoints: 192.0.2.1 }
        "@": { cname: a }"#,
        r#"
E223 9:14 `a.example.com.` has a CNAME and other records: `txt`
  = an alias has nothing beside itself (RFC 1034 §3.6.2)
E223 10:25 `b.example.com.` has two CNAME records
  = one of several aliases: `policy: round_robin` with `endpoints: [{ cname: NAME }]`
E223 11:14 `c.example.com.` has a CNAME and a `policy`
  = an alias has nothing beside itself (RFC 1034 §3.6.2)
E223 12:14 `d.example.com.` has aliases and other records
  = an alias has nothing beside itself (RFC 1034 §3.6.2)
E211 13:14 `a` cannot stand beside `policy`, which answers it
E211 13:28 `aaaa` cannot stand beside `policy`, which answers it
E223 14:16 `example.com.` cannot be an alias: it has SOA and NS records
  = an alias has nothing beside itself (RFC 1034 §3.6.2)
"#,
    );
}

#[test]
fn names_that_another_zone_hides() {
    refused(
        r#"    example.com:
      soa: { primary: ns1.example.net., contact: hostmaster }
      ns: ns1.example.net.
      names:
        sub: { ns: ns.sub, ds: 1 8 9 d2abde24, txt: hidden }
        ns.sub: { a: 192.0.2.1 }
        www.sub: { txt: hidden }
        policy.sub: { policy: round_robin, endpoints: 192.0.2.1 }
        www.geo: { cname: www }
    geo.example.com: { file: /etc/geo }"#,
        r#"
E224 9:9 `sub.example.com.` has what is never answered: another zone begins there
  = name servers are given in f.yaml:9:9
  = here it may have name servers, `ds` and the addresses of name servers
E224 11:9 `www.sub.example.com.` is never answered: the zone `sub.example.com.` begins above it
  = name servers are given in f.yaml:9:9
  = here it may have name servers, `ds` and the addresses of name servers
E224 12:9 `policy.sub.example.com.` is never answered: the zone `sub.example.com.` begins above it
  = name servers are given in f.yaml:9:9
  = here it may have name servers, `ds` and the addresses of name servers
E224 13:9 `www.geo.example.com.` is never answered: the zone `geo.example.com.` begins above it
  = it belongs into the zone `geo.example.com.`
  = here it may have name servers, `ds` and the addresses of name servers
"#,
    );
}

/// Addresses are told with a delegation if they are those of name servers, of whichever zone; others never are.
#[test]
fn addresses_that_are_no_glue() {
    refused(
        r#"    example.com:
      soa: { primary: ns1.example.net., contact: hostmaster }
      ns: [ns1.example.net., main.sub]
      names:
        sub: { ns: [ns.sub, sub], a: 192.0.2.1 }
        ns.sub: { a: 192.0.2.2, aaaa: "2001:db8::2" }
        main.sub: { a: 192.0.2.3 }
        far.sub: { a: 192.0.2.4 }
        other: { ns: far.sub }
        www.sub: { a: 192.0.2.5 }
        third: { ns: ns1.example.net., aaaa: "2001:db8::3" }
        www.geo: { a: 192.0.2.6 }
    geo.example.com: { file: /etc/geo }"#,
        r#"
E224 14:9 `www.sub.example.com.` is never answered: the zone `sub.example.com.` begins above it
  = name servers are given in f.yaml:9:9
  = here it may have name servers, `ds` and the addresses of name servers
E224 15:9 `third.example.com.` has what is never answered: another zone begins there
  = name servers are given in f.yaml:15:9
  = here it may have name servers, `ds` and the addresses of name servers
E224 16:9 `www.geo.example.com.` is never answered: the zone `geo.example.com.` begins above it
  = it belongs into the zone `geo.example.com.`
  = here it may have name servers, `ds` and the addresses of name servers
"#,
    );
}

#[test]
fn name_servers_without_an_address() {
    refused(
        r#"    example.com:
      soa: { primary: ns1, contact: hostmaster }
      ns: [ns1, ns2, ns3, ns.wild, ns.example.net.]
      names:
        ns2: { a: 192.0.2.1 }
        ns3: { cname: ns2 }
        "*.wild": { aaaa: "2001:db8::1" }
        sub: { ns: [ns.sub, ns2] }"#,
        r#"
W321 7:12 the name server `ns1.example.com.` has no address in this zone
  = give it one in `names`, with `a` or `aaaa`
W321 7:22 the name server `ns3.example.com.` is an alias
  = a name server has addresses of its own (RFC 2181 §10.3)
W321 12:21 the name server `ns.sub.example.com.` has no address in this zone
  = give it one in `names`, with `a` or `aaaa`
"#,
    );
}

#[test]
fn names_that_are_hardly_meant() {
    refused(
        r#"    example.com:
      soa: { primary: ns1.example.com, contact: hostmaster.example.com }
      ns: ns1.example.net.
      names:
        www.example.com: { cname: web.example.com }
        x.*.y: { mx: 10 mail.example.com }"#,
        r#"
W323 6:23 `ns1.example.com` is `ns1.example.com.example.com.` here
  = a name that is not relative to its zone ends with a dot: `ns1.example.com.`
W323 6:49 `hostmaster.example.com` is `hostmaster.example.com.example.com.` here
  = a name that is not relative to its zone ends with a dot: `hostmaster.example.com.`
W323 9:9 `www.example.com` is `www.example.com.example.com.` here
  = a name that is not relative to its zone ends with a dot: `www.example.com.`
W323 9:35 `web.example.com` is `web.example.com.example.com.` here
  = a name that is not relative to its zone ends with a dot: `web.example.com.`
W322 10:9 the `*` within `x.*.y` stands for itself
  = only a `*` at the beginning stands for other names (RFC 4592 §2.1.1)
W323 10:22 `mail.example.com` is `mail.example.com.example.com.` here
  = a name that is not relative to its zone ends with a dot: `mail.example.com.`
"#,
    );
}
