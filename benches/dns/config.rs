//! How each name server is told to serve the same zones with so many workers.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use crate::peer::Kind;
use crate::zones::{
    CHOSEN, CHOSEN_NAMES, NETWORKS, REGIONS, STATIC, address, marker, network, regional, start, static_zone,
    weight,
};

/// What is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setup {
    /// Names of the static zone.
    pub(crate) names: u32,
    /// Threads that answer over UDP, and as many over TCP where that has threads of its own.
    pub(crate) workers: u32,
    /// Where the static zone stands.
    pub(crate) source: Source,
}

/// Where the static zone stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// In a zone file.
    File,
    /// In the configuration, which Fulcrum alone can.
    Inline,
    /// In a zone file that stays, while the other zone changes.
    Beside,
}

/// A server's folder and where it listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) listen: SocketAddr,
}

/// The static zone's file in a folder.
pub(crate) const ZONE_FILE: &str = "zones/example.com";

/// Writes all files of a server, and gives its arguments.
pub(crate) fn write(kind: Kind, setup: &Setup, place: Place<'_>) -> io::Result<Vec<String>> {
    let file = |name: &str, text: &str| {
        let path = place.folder.join(name);
        fs::create_dir_all(path.parent().unwrap_or(place.folder))?;
        fs::write(path, text)
    };
    if setup.source != Source::Inline {
        file(ZONE_FILE, &static_zone(setup.names, 0))?;
    }
    for kept in ["run", "state"] {
        fs::create_dir_all(place.folder.join(kept))?;
    }
    let folder = place.folder.display();
    let of = |template: &str| {
        template
            .replace("@DIR@", &folder.to_string())
            .replace("@ADDRESS@", &place.listen.ip().to_string())
            .replace("@PORT@", &place.listen.port().to_string())
            .replace("@WORKERS@", &setup.workers.to_string())
    };
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    match kind {
        Kind::Fulcrum => {
            file("nets.txt", &nets(" "))?;
            file("fulcrum.yaml", &fulcrum(setup, 0, place))?;
            Ok(words(&["run", "-c", &format!("{folder}/fulcrum.yaml")]))
        }
        Kind::Gdnsd => {
            file("nets", &nets(" => "))?;
            file(
                "zones/geo.example",
                &chosen_zone(|kind, name| match kind {
                    'g' => format!("g{name} 30 DYNA geoip!by_place\n"),
                    _ => format!("w{name} 30 DYNA weighted!by_weight\n"),
                }),
            )?;
            let config = include_str!("../peers/gdnsd.conf")
                .replace("@REGIONS@", &each_region(|region| format!("r{region}, ")))
                .replace("@ADDRESSES@", &each_region(|region| format!("r{region} => {}, ", regional(region))))
                .replace(
                    "@WEIGHTS@",
                    &each_region(|t| format!("t{t} => [ {}, {} ], ", regional(t), weight(t))),
                );
            file("config", &of(&config))?;
            Ok(words(&["-c", &folder.to_string(), "start"]))
        }
        Kind::Knot => {
            // The addresses of the zone are those of clients from elsewhere.
            file(
                "zones/geo.example",
                &chosen_zone(|kind, name| format!("{kind}{name} 30 A {}\n", regional(0))),
            )?;
            file("by_place.conf", &each_chosen(knot_places))?;
            file("by_weight.conf", &each_chosen(knot_weights))?;
            file("knot.conf", &of(include_str!("../peers/knot.conf")))?;
            Ok(words(&["-c", &format!("{folder}/knot.conf")]))
        }
        Kind::Powerdns => {
            file(
                "named.conf",
                &of("zone \"example.com\" { type master; file \"@DIR@/zones/example.com\"; };\n"),
            )?;
            file("geo.yaml", &powerdns_chosen())?;
            file("pdns.conf", &of(include_str!("../peers/pdns.conf")))?;
            Ok(words(&[&format!("--config-dir={folder}")]))
        }
    }
}

/// Fulcrum's configuration; `version` is that of what changes in it.
pub(crate) fn fulcrum(setup: &Setup, version: u32, place: Place<'_>) -> String {
    let regions = each_region(|region| format!("    r{region}: {{}}\n"));
    let by_place = each_region(|region| format!("r{region}: [{}], ", regional(region)));
    let by_weight = each_region(|t| format!("{{ address: {}, weight: {} }}, ", regional(t), weight(t)));
    let names = each_chosen(|name| {
        format!(
            "        g{name}: {{ ttl: 30s, policy: geo, regions: {{ {by_place} }} }}\n        \
             w{name}: {{ ttl: 30s, policy: weighted, endpoints: [{by_weight}] }}\n"
        )
    });
    let names = format!("{names}        version: {{ a: {} }}\n", marker(version));
    let zone = match setup.source {
        Source::File | Source::Beside => format!("{{ file: {}/{ZONE_FILE} }}\n", place.folder.display()),
        Source::Inline => inline(setup.names, version),
    };
    include_str!("../peers/fulcrum-dns.yaml")
        .replace("@DIR@", &place.folder.display().to_string())
        .replace("@LISTEN@", &place.listen.to_string())
        .replace("@WORKERS@", &setup.workers.to_string())
        .replace("    @REGIONS@\n", &regions)
        .replace("        @NAMES@\n", &names)
        .replace("@ZONE@\n", &zone)
}

/// The static zone as a part of the configuration.
fn inline(names: u32, version: u32) -> String {
    let mut text = "\n      soa: { primary: ns1.example.com., contact: hostmaster.example.com. }\n      ns: [ns1.example.com.]\n      names:\n".to_owned();
    let _ = writeln!(text, "        ns1: {{ a: 192.0.2.53 }}\n        version: {{ a: {} }}", marker(version));
    for name in 0..names {
        let _ = writeln!(text, "        h{name}: {{ a: {} }}", address(name));
    }
    text
}

fn each_region(text: impl FnMut(u32) -> String) -> String {
    (0..REGIONS).map(text).collect()
}

fn each_chosen(text: impl FnMut(u32) -> String) -> String {
    (0..CHOSEN_NAMES).map(text).collect()
}

/// The file of the zone with the names that are chosen by place (`g`) and by weight (`w`).
fn chosen_zone(record: impl Fn(char, u32) -> String) -> String {
    start(0) + &each_chosen(|name| record('g', name) + &record('w', name))
}

fn nets(between: &str) -> String {
    let line = |number| {
        let (network, region) = network(number);
        format!("{network}/16{between}r{region}\n")
    };
    (0..NETWORKS).map(line).collect()
}

fn knot_places(name: u32) -> String {
    let net = |number| {
        let (network, region) = network(number);
        format!("  - net: {network}/16\n    A: {}\n", regional(region))
    };
    format!("g{name}.{CHOSEN}.:\n") + &(0..NETWORKS).map(net).collect::<String>()
}

fn knot_weights(name: u32) -> String {
    format!("w{name}.{CHOSEN}.:\n")
        + &each_region(|target| format!("  - weight: {}\n    A: {}\n", weight(target), regional(target)))
}

fn powerdns_chosen() -> String {
    let by_place =
        each_region(|region| format!("    r{region}.{CHOSEN}:\n      - a: {}\n", regional(region)));
    let target =
        |target| format!("      - a: {{ content: {}, weight: {} }}\n", regional(target), weight(target));
    let by_weight = each_chosen(|name| format!("    w{name}.{CHOSEN}:\n") + &each_region(target));
    let net = |number| {
        let (network, region) = network(number);
        format!("      {network}/16: r{region}.{CHOSEN}\n")
    };
    let nets: String = (0..NETWORKS).map(net).collect();
    let services = each_chosen(|name| format!("    g{name}.{CHOSEN}:\n      default: r0.{CHOSEN}\n{nets}"));
    format!(
        "domains:\n- domain: {CHOSEN}\n  ttl: 30\n  records:\n    {CHOSEN}:\n      \
         - soa: ns1.{STATIC} hostmaster.{STATIC} 1 3600 600 1209600 60\n      - ns: ns1.{STATIC}\n\
         {by_place}{by_weight}  services:\n{services}"
    )
}
