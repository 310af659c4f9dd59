//! `fulcrum explain dns`: why a running daemon answers a name as it does.

use hyper::{Method, StatusCode};

use crate::admin::{
    CandidateDocument, ChoosingDocument, ClientDocument, ExplainDocument, PartDocument, TargetDocument,
};
use crate::ask::{self, AskError};
use crate::cli::{ExplainCommand, ExplainDnsOptions, Format};
use crate::client::ANSWER_WITHIN;
use crate::exit::Exit;
use crate::instances::encoded;
use crate::output;
use crate::status::columns;

/// `fulcrum explain`
pub(crate) fn explain(command: &ExplainCommand) -> Exit {
    let ExplainCommand::Dns(options) = command;
    match dns(options) {
        Ok(text) => {
            output::text(&text);
            Exit::Done
        }
        Err(error) => error.tell(),
    }
}

fn dns(options: &ExplainDnsOptions) -> Result<String, AskError> {
    let ExplainDnsOptions { name, from, record_type, .. } = options;
    let target = format!(
        "/v1/explain/dns?name={}&type={}&from={}",
        encoded(name),
        encoded(record_type),
        encoded(from)
    );
    let reply = ask::ask(&options.daemon.admin, Method::GET, &target, ANSWER_WITHIN)?;
    if reply.status != StatusCode::OK {
        return Err(AskError::refused(&reply));
    }
    let document = serde_json::from_slice::<ExplainDocument>(&reply.body)?;
    Ok(match options.output.format() {
        Format::Text => text(&document),
        Format::Json => String::from_utf8_lossy(&reply.body).into_owned(),
    })
}

/// The document for people.
fn text(document: &ExplainDocument) -> String {
    let ExplainDocument { name, record_type, from, generation, answer, .. } = document;
    let truncated = if answer.truncated { ", truncated" } else { "" };
    let mut text = format!(
        "{name} {record_type} for {from}: {}{truncated}, {} bytes, generation {generation}\n",
        answer.code, answer.bytes
    );
    for record in answer.answers.iter().chain(&answer.authority) {
        text += &format!("    {record}\n");
    }
    text += &format!("found: {}\n", document.why);
    if let Some(scope) = answer.scope {
        let whom = if scope == 0 {
            "everybody".to_owned()
        } else {
            format!("the first {scope} bits of the address")
        };
        text += &format!("scope: {scope}, it is meant for {whom}\n");
    }
    if let Some(choice) = &document.choice {
        text += &choosing(choice);
    }
    text
}

fn choosing(choice: &ChoosingDocument) -> String {
    let mut text = format!("by: {} of {}\n", choice.by, choice.owner);
    if let Some(client) = &choice.client {
        text += &format!("client: {}{}\n", place(client), class(choice));
    }
    text += &format!("ttl: {} s, {}\n", choice.ttl.seconds, choice.ttl.why);
    if let Some(panic) = &choice.panic {
        text += &format!("panic: {}, so `panic: {}` answers\n", panic.why, panic.mode);
    }
    if choice.parts.len() > 1 {
        let part = |part: &PartDocument| {
            format!("{} {} %", part.region.as_deref().unwrap_or("all"), part.clients_percent)
        };
        let parts: Vec<String> = choice.parts.iter().map(part).collect();
        let own = choice.part.and_then(|part| choice.parts.get(part)?.region.clone());
        text +=
            &format!("parts: {}; this client is in that of {}\n", parts.join(", "), own.unwrap_or_default());
    }
    if choice.candidates.iter().any(|candidate| candidate.region.is_some()) {
        let titles = ["REGION", "CLIENTS", "OUTCOME", "STATE", "SHARE", "SINCE", "RANK", "VERDICT"];
        text = text + "\n" + &columns(titles, choice.candidates.iter().map(region));
    }
    let targets = choice
        .candidates
        .iter()
        .flat_map(|candidate| candidate.targets.iter().map(move |target| (candidate, target)));
    let rows = targets.map(|(candidate, target)| {
        [
            target.answer.clone(),
            candidate.region.clone().unwrap_or_else(|| "-".to_owned()),
            target.weight.to_string(),
            format!("{} %", target.first_percent),
            answered(target),
            target.health.clone(),
            target.last_check_failure.clone().unwrap_or_default(),
        ]
    });
    text + "\n"
        + &columns(["TARGET", "REGION", "WEIGHT", "FIRST", "ANSWERED", "HEALTH", "LAST FAILURE"], rows)
}

/// `61 (59.8 %)`: to be compared with what is to come first.
fn answered(target: &TargetDocument) -> String {
    match (target.answered, target.answered_percent) {
        (Some(answered), Some(percent)) => format!("{answered} ({percent} %)"),
        (Some(answered), None) => answered.to_string(),
        (None, _) => "-".to_owned(),
    }
}

fn class(choice: &ChoosingDocument) -> String {
    choice.class.map_or_else(String::new, |class| format!("; class {class}"))
}

/// `203.0.113.9, by the nets file: 203.0.113.0/24 of eu`.
fn place(client: &ClientDocument) -> String {
    let mut text = client.address.clone();
    if let Some(embedding) = &client.embedding {
        text += &format!(" ({embedding})");
    }
    let network = client.network.as_ref().map_or_else(String::new, |net| format!(" {net}"));
    let region = client.region.as_ref().map_or_else(String::new, |region| format!(" of {region}"));
    text += &match client.known_by.as_str() {
        "nets" => format!(", by the nets file:{network}{region}"),
        "default" => ", whose place no rule knows".to_owned(),
        source => format!(", by the {source}:{network}"),
    };
    let asn = client.asn.map(|asn| format!("AS{asn}"));
    let facts = [&client.continent, &client.country, &client.subdivision, &asn, &client.location];
    let facts: Vec<&str> = facts.into_iter().flatten().map(String::as_str).collect();
    if facts.is_empty() { text } else { format!("{text} ({})", facts.join(" ")) }
}

fn region(candidate: &CandidateDocument) -> [String; 8] {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    [
        or_dash(&candidate.region),
        format!("{} %", candidate.clients_percent),
        candidate.outcome.clone(),
        or_dash(&candidate.state),
        candidate.share_percent.map_or_else(|| "-".to_owned(), |share| format!("{share} %")),
        candidate.since.map_or_else(|| "-".to_owned(), |since| since.to_string()),
        or_dash(&candidate.rank),
        or_dash(&candidate.verdict),
    ]
}
