//! What a registry says, for people. A field that is not there, or of another kind, is shown as `-`: a registry of
//! another version is no reason to fail.

use serde_json::Value;

use crate::cli::InstancePath;
use crate::status::columns;

/// The answer to `GET /v1/services`.
pub(super) fn services(answer: &Value) -> String {
    let rows = list(answer, "services").iter();
    let fields = ["name", "instances", "up", "draining", "maintenance", "suspect", "index"];
    columns(
        ["SERVICE", "INSTANCES", "UP", "DRAINING", "MAINTENANCE", "SUSPECT", "INDEX"],
        rows.map(|service| fields.map(|field| word(&service[field]))),
    )
}

/// The answer to `GET /v1/services/SERVICE/instances`.
pub(super) fn instances(answer: &Value) -> String {
    let row = |instance: &Value| {
        [
            word(&instance["id"]),
            address(instance),
            word(&instance["state"]),
            health(instance),
            word(&instance["weight"]),
            word(&instance["epoch"]),
            or_dash(words(&instance["tags"]).join(",")),
            or_dash(pairs(&instance["meta"]).join(",")),
        ]
    };
    columns(
        ["ID", "ADDRESS", "STATE", "HEALTH", "WEIGHT", "EPOCH", "TAGS", "META"],
        list(answer, "instances").iter().map(row),
    )
}

/// The answer to a registration.
pub(super) fn registered(InstancePath { service, id }: &InstancePath, answer: &Value) -> String {
    let seconds = |field: &str| answer[field].as_f64().map_or(f64::NAN, |millis| millis / 1000.0);
    format!(
        "{service}/{id}: {}, epoch {}; a heartbeat is due in {:.1} s, it is gone after {:.1} s without one\n",
        word(&answer["state"]),
        word(&answer["epoch"]),
        seconds("next_ms"),
        seconds("ttl_ms"),
    )
}

/// The answer to a departure, if there is one.
pub(super) fn left(InstancePath { service, id }: &InstancePath, answer: &Value) -> String {
    match &answer["drain_until"] {
        Value::Null => format!("{service}/{id}: gone\n"),
        until => format!("{service}/{id}: {} until {}\n", word(&answer["state"]), word(until)),
    }
}

/// An event in a line; nothing where it only says that the registry lives.
pub(super) fn event(kind: &str, data: &Value) -> String {
    let name = |of: &Value| format!("{}/{}", word(&of["service"]), word(&of["id"]));
    let line = |instance: &Value| {
        let weight = word(&instance["weight"]);
        let (name, address, state) = (name(instance), address(instance), word(&instance["state"]));
        format!("{name} {address} {state}, {}, weight {weight}", health(instance))
    };
    match kind {
        "snapshot" => {
            list(data, "instances").iter().map(|instance| format!("is      {}\n", line(instance))).collect()
        }
        "put" => format!("put     {} ({})\n", line(&data["instance"]), word(&data["cause"])),
        "delete" => format!("delete  {} ({})\n", name(data), word(&data["cause"])),
        "health" => format!("health  {} {}\n", name(data), health(data)),
        "reset" => "reset   what came before is void, and everything follows anew\n".to_owned(),
        _ => String::new(),
    }
}

fn health(instance: &Value) -> String {
    match &instance["suspect"] {
        Value::String(hold) => format!("suspect: {}", printable(hold)),
        _ => word(&instance["health"]),
    }
}

fn address(instance: &Value) -> String {
    let (ip, port) = (word(&instance["address"]), word(&instance["port"]));
    if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
}

fn list<'a>(answer: &'a Value, field: &str) -> &'a [Value] {
    answer[field].as_array().map_or(&[], Vec::as_slice)
}

fn words(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(word).collect()
}

fn pairs(value: &Value) -> Vec<String> {
    let pairs = value.as_object().into_iter().flatten();
    pairs.map(|(key, value)| format!("{}={}", printable(key), word(value))).collect()
}

fn word(value: &Value) -> String {
    match value {
        Value::String(text) => printable(text),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

fn or_dash(text: String) -> String {
    if text.is_empty() { "-".to_owned() } else { text }
}

/// Instances say of themselves what they like: nothing of it commands a terminal.
fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|character| match character.is_control() {
            true => character.escape_default().collect::<Vec<_>>(),
            false => vec![character],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_are_lines() {
        let check = |kind: &str, data: Value, expected: &str| assert_eq!(event(kind, &data), expected);
        let instance = json!({
            "service": "web", "id": "a1", "address": "::1", "port": 80, "state": "up", "health": "ok", "weight": 3
        });
        let line = "web/a1 [::1]:80 up, ok, weight 3";
        let twice = format!("is      {line}\nis      {line}\n");
        check("snapshot", json!({ "instances": [instance, instance], "done": true }), &twice);
        let put = format!("put     {line} (registered)\n");
        check("put", json!({ "cause": "registered", "instance": instance }), &put);
        let gone = json!({ "service": "web", "id": "a1", "epoch": 1, "cause": "left" });
        check("delete", gone, "delete  web/a1 (left)\n");
        let suspect = json!({ "service": "web", "id": "a1", "health": "suspect", "suspect": "reachable" });
        check("health", suspect, "health  web/a1 suspect: reachable\n");
        check("bookmark", json!({}), "");
        check("something new", json!(null), "");
    }

    #[test]
    fn nothing_that_is_registered_commands_a_terminal() {
        let answer = json!({ "instances": [{ "id": "a", "tags": ["\u{1b}[2J"], "meta": { "k\n": "v\r" } }] });
        let text = instances(&answer);
        assert!(!text.contains('\u{1b}') && text.lines().count() == 2, "{text:?}");
        assert!(text.contains("\\u{1b}[2J") && text.contains("k\\n=v\\r"), "{text}");
    }
}
