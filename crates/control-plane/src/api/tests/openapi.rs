//! The document is about this API, and the API is as the document says.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::SystemTime;

use super::super::beat::parses;
use super::super::order::Order;
use super::super::register_body::{Defaults, RegisterBody};
use super::super::{json as body, *};
use super::*;

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(OPENAPI).expect("JSON"));

#[test]
fn every_route_is_described_and_nothing_else() {
    let mut described = BTreeSet::new();
    for (path, item) in DOCUMENT["paths"].as_object().expect("an object") {
        for method in item.as_object().expect("an object").keys().filter(|name| *name != "parameters") {
            described.insert(format!("{} {path}", method.to_uppercase()));
        }
    }
    let routes = Template::ALL.iter().filter(|(template, ..)| *template != Template::Other);
    let routes = routes.flat_map(|(_, path, methods)| {
        // Every path that takes GET takes HEAD, as the document says once.
        methods.split(", ").filter(|method| *method != "HEAD").map(move |method| format!("{method} {path}"))
    });
    assert_eq!(routes.collect::<BTreeSet<_>>(), described);
}

#[test]
fn examples_of_bodies_can_be_sent() {
    let mut seen = 0;
    for (path, item) in DOCUMENT["paths"].as_object().expect("an object") {
        for operation in item.as_object().expect("an object").values() {
            let content = &operation["requestBody"]["content"]["application/json"];
            let Some(example) = content.get("example") else { continue };
            check(example, &content["schema"], path);
            let text = example.to_string();
            let defaults = Defaults { address: IpAddr::from([127, 0, 0, 1]), ttl: Duration::from_secs(30) };
            let read = match path.rsplit('/').next().expect("a segment") {
                "{id}" => body::read::<RegisterBody>(text.as_bytes())
                    .and_then(|body| body.check(defaults))
                    .map(|_| ()),
                "override" => body::read::<Order>(text.as_bytes())
                    .and_then(|order| order.check("t".into(), SystemTime::now()))
                    .map(|_| ()),
                _ => parses(text.as_bytes()),
            };
            assert!(read.is_ok(), "{path}: {read:?}");
            seen += 1;
        }
    }
    assert_eq!(seen, 4);
}

#[test]
fn examples_of_answers_are_as_described() {
    let mut seen = 0;
    for (path, item) in DOCUMENT["paths"].as_object().expect("an object") {
        for operation in item.as_object().expect("an object").values() {
            let Some(responses) = operation["responses"].as_object() else { continue };
            for response in responses.values() {
                let content = &response["content"]["application/json"];
                if let Some(example) = content.get("example") {
                    check(example, &content["schema"], path);
                    seen += 1;
                }
            }
        }
    }
    assert_eq!(seen, 6);
}

/// Holds an answer against what the document says of it.
pub(super) fn check_answer(method: &str, target: &str, reply: &Reply) {
    let path = target.split('?').next().unwrap_or_default();
    let template = Route::find(path).map_or(Template::Other, |route| route.template());
    let operation = &DOCUMENT["paths"][template.path()][method.to_lowercase()];
    let response = &operation["responses"][reply.status.to_string()];
    let kind = reply.header("content-type");
    if reply.status >= 400 {
        assert_eq!(kind, "application/problem+json", "{method} {target}");
        check(&reply.json(), &json!({"$ref": "#/components/schemas/Problem"}), target);
        assert_eq!(reply.json()["status"], reply.status);
        // What any request can meet is not repeated with each.
        let is_general = [400, 404, 405, 408, 413, 503].contains(&reply.status);
        assert!(is_general || response.is_object(), "{method} {target}: {} is not described", reply.status);
        return;
    }
    assert!(method == "HEAD" || response.is_object(), "{method} {target}: {} is not described", reply.status);
    if kind == "application/json" && method != "HEAD" {
        check(&reply.json(), &response["content"][kind]["schema"], target);
    }
}

/// As much of JSON Schema as the document has.
fn check(value: &Value, schema: &Value, at: &str) {
    if let Some(reference) = schema["$ref"].as_str() {
        let schema = DOCUMENT.pointer(&reference[1..]).unwrap_or_else(|| panic!("{at}: no {reference}"));
        return check(value, schema, at);
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => panic!("{at}: nothing is said of {value}"),
    };
    assert!(types.iter().any(|kind| is_of(value, kind)), "{at}: {value} is not {types:?}");
    if let Some(words) = schema["enum"].as_array() {
        assert!(words.contains(value), "{at}: {value} is none of {words:?}");
    }
    if let (Some(number), least) = (value.as_f64(), &schema["minimum"]) {
        assert!(least.as_f64().is_none_or(|least| number >= least), "{at}: {number} is below {least}");
    }
    for (place, item) in value.as_array().into_iter().flatten().enumerate() {
        check(item, &schema["items"], &format!("{at}/{place}"));
    }
    let Some(members) = value.as_object() else { return };
    for name in schema["required"].as_array().into_iter().flatten() {
        assert!(members.contains_key(name.as_str().expect("a name")), "{at}: {name} is missing in {value}");
    }
    for (name, member) in members {
        let at = format!("{at}/{name}");
        match (schema["properties"].get(name), schema.get("additionalProperties")) {
            (Some(schema), _) => check(member, schema, &at),
            (None, Some(Value::Bool(false))) => panic!("{at} is not described"),
            (None, Some(schema)) => check(member, schema, &at),
            (None, None) => {}
        }
    }
}

fn is_of(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        _ => false,
    }
}
