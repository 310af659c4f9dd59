//! `fulcrum simulate`: what a running daemon would do.

use hyper::{Method, StatusCode};

use crate::admin::{NameDocument, ReceiverDocument, ShareDocument, SimulationDocument};
use crate::ask::{self, AskError};
use crate::cli::{Format, RegionDownOptions, SimulateCommand};
use crate::client::ANSWER_WITHIN;
use crate::exit::Exit;
use crate::instances::encoded;
use crate::output;
use crate::status::columns;

/// `fulcrum simulate`
pub(crate) fn simulate(command: &SimulateCommand) -> Exit {
    let SimulateCommand::RegionDown(options) = command;
    region_down(options).unwrap_or_else(|error| error.tell())
}

fn region_down(options: &RegionDownOptions) -> Result<Exit, AskError> {
    let target = format!("/v1/simulate/region-down?region={}", encoded(&options.region));
    let reply = ask::ask(&options.daemon.admin, Method::GET, &target, ANSWER_WITHIN)?;
    if reply.status != StatusCode::OK {
        return Err(AskError::refused(&reply));
    }
    let document = serde_json::from_slice::<SimulationDocument>(&reply.body)?;
    match options.output.format() {
        Format::Text => output::text(&text(&document)),
        Format::Json => output::text(&String::from_utf8_lossy(&reply.body)),
    }
    Ok(match document.fits {
        Some(true) => Exit::Done,
        Some(false) => Exit::NoRoom,
        None => Exit::Untold,
    })
}

/// The document for people.
fn text(document: &SimulationDocument) -> String {
    let SimulationDocument { region, state, names_in_panic, names_in_all, .. } = document;
    let mut text = format!("if {region} (now {state}) went down: {}\n", verdict(document));
    text += &format!("clients would follow within {} s\n", document.follows_seconds);
    if *names_in_panic > 0 {
        text += &format!("{names_in_panic} of {names_in_all} names would answer by their panic mode\n");
    }
    if !document.counted {
        text += "nothing was answered yet: all names and all kinds of clients count the same\n";
    }
    let titles = ["REGION", "CLIENTS", "THEN", "LOAD", "THEN", "CAPACITY", "FITS"];
    text = text + "\n" + &columns(titles, document.regions.iter().map(receiver));
    let rows = document.names.iter().flat_map(|name| name.shares.iter().map(move |of| share(name, of)));
    text + "\n" + &columns(["NAME", "ANSWERS", "REGION", "CLIENTS", "THEN", ""], rows)
}

fn verdict(document: &SimulationDocument) -> String {
    let of = |fits| document.regions.iter().filter(move |region| region.fits == fits);
    let list = |fits| of(fits).map(|region| region.region.clone()).collect::<Vec<_>>().join(", ");
    let is_over = of(Some(false)).next().is_some();
    match document.fits {
        Some(true) => "the others have room for its clients".to_owned(),
        Some(false) if is_over => format!("its clients do not fit, too much for {}", list(Some(false))),
        Some(false) => "its clients do not fit, some would have no region".to_owned(),
        None => {
            format!("whether its clients fit cannot be told: load or capacity of {} is not known", list(None))
        }
    }
}

fn receiver(receiver: &ReceiverDocument) -> [String; 7] {
    let number = |number: Option<f64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    let fits = match receiver.fits {
        Some(true) => "yes",
        Some(false) => "no",
        None => "not known",
    };
    [
        receiver.region.clone(),
        format!("{} %", receiver.before_percent),
        format!("{} %", receiver.after_percent),
        number(receiver.load),
        number(receiver.load_after),
        number(receiver.capacity),
        fits.to_owned(),
    ]
}

fn share(name: &NameDocument, share: &ShareDocument) -> [String; 6] {
    [
        name.name.clone(),
        format!("{} %", name.answers_percent),
        share.region.clone().unwrap_or_else(|| "-".to_owned()),
        format!("{} %", share.before_percent),
        format!("{} %", share.after_percent),
        if name.panic { "panic".to_owned() } else { String::new() },
    ]
}
