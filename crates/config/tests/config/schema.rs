//! The JSON schema: the checked-in copy, and that it says what the loader does.

use std::path::PathBuf;

use fulcrum_config::schema;
use serde_json::Value;

use crate::documentation::examples;
use crate::valid::FULL;

fn checked_in() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../config/fulcrum.schema.json")
}

#[test]
fn the_checked_in_schema_is_the_generated_one() {
    let mut generated = serde_json::to_string_pretty(&schema()).expect("a JSON value prints");
    generated.push('\n');
    let path = checked_in();
    if std::env::var_os("FULCRUM_UPDATE").is_some() {
        std::fs::write(&path, &generated).expect("the schema can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == generated, "{} is out of date: run this test with FULCRUM_UPDATE=1", path.display());
}

#[test]
fn every_mapping_is_closed_and_every_key_described() {
    fn walk(value: &Value, path: &str) {
        if let Some(properties) = value.get("properties").and_then(Value::as_object) {
            assert_eq!(value.get("additionalProperties"), Some(&Value::Bool(false)), "{path}");
            for (key, property) in properties {
                assert!(property.get("description").is_some(), "{path}.{key} has no description");
            }
        }
        match value {
            Value::Object(object) => {
                object.iter().for_each(|(key, value)| walk(value, &format!("{path}.{key}")))
            }
            Value::Array(items) => items.iter().for_each(|item| walk(item, path)),
            _ => {}
        }
    }
    walk(&schema(), "");
}

#[test]
fn the_schema_accepts_what_the_loader_accepts() {
    let schema = schema();
    let examples = examples();
    // Editors put aliases and merge keys in before they validate; the reader below does not.
    let plain = examples.iter().map(|example| example.yaml.as_str()).filter(|yaml| !yaml.contains("<<"));
    for yaml in plain.chain([FULL]) {
        let value = value_of(yaml);
        if let Err(error) = validate(&schema, &schema, &value) {
            panic!("{error}\n{yaml}");
        }
    }
}

#[test]
fn the_schema_refuses_unknown_keys_in_short_and_long_forms() {
    let schema = schema();
    let check = |yaml: &str| {
        let value = value_of(&format!("version: 1\n{yaml}"));
        assert!(validate(&schema, &schema, &value).is_err(), "{yaml}");
    };
    check("nonsense: 1\n");
    check("workers: null\n");
    check("listeners: { web: { bind: \":80\", nonsense: 1 } }\n");
    check("listeners: { web: {} }\n");
    check("services: { web: { endpoints: [{ address: \"10.0.0.1:80\", nonsense: 1 }] } }\n");
    check("services: { web: { endpoints: [], balance: ring } }\n");
    check("services: { web: { endpoints: [\"10.0.0.1:80\"], balance: { policy: ring, nonsense: 1 } } }\n");
    check("routes: [{ path: { nonsense: /a } }]\n");
    check("log: { access: { path: stdout, nonsense: 1 } }\n");
    check("shutdown: { deadline: 5 }\n");
    let service = |section: &str| {
        check(&format!("services: {{ web: {{ endpoints: [\"10.0.0.1:80\"], {section} }} }}\n"));
    };
    let gslb = |section: &str| check(&format!("gslb: {{ bind: \":53\", {section} }}\n"));
    gslb("quorum: 2/3");
    gslb("regions: { eu: { location: [1, 2, 3] } }");
    gslb("regions: { eu: { bias: 100 } }");
    gslb("regions: { eu: { match: europe } }");
    gslb("overrides: { eu: { state: down, until: tomorrow, reason: x } }");
    gslb("verdict: { failback: slow }");
    gslb("zones: { example.com: { transfer: {} } }");
    let name = |keys: &str| gslb(&format!("zones: {{ example.com: {{ names: {{ www: {{ {keys} }} }} }} }}"));
    name("alias: a");
    name("type: a");
    name("policy: slow");
    name("ttl: { max: 5 }");
    name("endpoints: { nonsense: 1 }");
    name("health: { http: /healthz }");
    service("health: { http: /, nonsense: 1 }");
    service("health: { tcp: { nonsense: 1 } }");
    service("health: { http: /, expect: { status: 700 } }");
    service("health: healthz");
    service("panic: { then: 502 }");
    service("retry: { budget: 20 }");
    service("retry: { budget_min: 10 }");
    service("outlier: off");
    service("sticky: { cookie: { nonsense: 1 } }");
    service("limits: { queue: { nonsense: 1 } }");
}

/// As much of JSON Schema as the generated one uses.
fn validate(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let refuse = |why: &str| Err(format!("{value} {why} {schema}"));
    let Some(rules) = schema.as_object() else { return Ok(()) };
    for (rule, wanted) in rules {
        match rule.as_str() {
            "$ref" => {
                let name = wanted
                    .as_str()
                    .and_then(|path| path.strip_prefix("#/$defs/"))
                    .expect("a local reference");
                validate(root, &root["$defs"][name], value)?;
            }
            "anyOf" => {
                let choices = wanted.as_array().expect("a list of schemas");
                let errors: Vec<_> =
                    choices.iter().filter_map(|one| validate(root, one, value).err()).collect();
                if errors.len() == choices.len() {
                    return Err(errors.join("\n"));
                }
            }
            "type" => {
                let fits = match wanted.as_str().expect("one type") {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "integer" => value.is_u64() || value.is_i64(),
                    "number" => value.is_number(),
                    "boolean" => value.is_boolean(),
                    other => panic!("unknown type {other}"),
                };
                if !fits {
                    return refuse("is not of the type of");
                }
            }
            "const" if value != wanted => return refuse("is not the constant of"),
            "enum" if !wanted.as_array().expect("a list").contains(value) => return refuse("is no word of"),
            "minimum" if value.as_i64() < wanted.as_i64() => return refuse("is less than"),
            "maximum" if value.as_i64() > wanted.as_i64() => return refuse("is more than"),
            "minLength" if value.as_str().is_some_and(str::is_empty) => return refuse("is too short for"),
            "minItems" if value.as_array().is_some_and(Vec::is_empty) => return refuse("is too short for"),
            "maxItems" if value.as_array().map(Vec::len) > wanted.as_u64().map(|most| most as usize) => {
                return refuse("is too long for");
            }
            "pattern" => {
                let pattern = regex::Regex::new(wanted.as_str().expect("text")).expect("a pattern");
                if value.as_str().is_some_and(|text| !pattern.is_match(text)) {
                    return refuse("does not fit");
                }
            }
            "items" => {
                value.as_array().into_iter().flatten().try_for_each(|item| validate(root, wanted, item))?
            }
            "required" => {
                let missing =
                    |key: &Value| value.is_object() && value.get(key.as_str().expect("a key")).is_none();
                if wanted.as_array().expect("a list").iter().any(missing) {
                    return refuse("lacks a key of");
                }
            }
            "properties" | "patternProperties" | "additionalProperties" => {}
            "const" | "enum" | "minimum" | "maximum" | "minLength" | "minItems" | "maxItems" => {}
            "description" | "title" | "$schema" | "$defs" => {}
            other => panic!("unknown rule {other}"),
        }
    }
    let properties = rules.get("properties").and_then(Value::as_object);
    let patterns = rules.get("patternProperties").and_then(Value::as_object);
    let of_pattern = |key: &str| {
        let fits = |pattern: &str| regex::Regex::new(pattern).expect("a pattern").is_match(key);
        patterns.into_iter().flatten().find(|(pattern, _)| fits(pattern)).map(|(_, schema)| schema)
    };
    for (key, value) in value.as_object().into_iter().flatten() {
        let property = properties.and_then(|properties| properties.get(key)).or_else(|| of_pattern(key));
        match (property, rules.get("additionalProperties")) {
            (Some(property), _) => validate(root, property, value)?,
            (None, Some(Value::Bool(false))) => return Err(format!("unknown key {key} in {schema}")),
            (None, Some(additional)) => validate(root, additional, value)?,
            (None, None) => {}
        }
    }
    Ok(())
}

/// YAML as an editor's validator sees it, out of parser events.
fn value_of(yaml: &str) -> Value {
    use granit_parser::{Event, Parser, ScalarStyle};

    enum Open {
        List(Vec<Value>),
        Mapping(serde_json::Map<String, Value>, Option<String>),
    }
    let mut open = vec![Open::List(Vec::new())];
    for event in Parser::new_from_str(yaml) {
        let done = match event.expect("YAML").0 {
            Event::SequenceStart(..) => {
                open.push(Open::List(Vec::new()));
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Open::Mapping(serde_json::Map::new(), None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => match open.pop().expect("it was opened") {
                Open::List(items) => Value::from(items),
                Open::Mapping(entries, _) => Value::from(entries),
            },
            Event::Scalar(text, ScalarStyle::Plain, ..) => match text.as_ref() {
                "" | "~" | "null" => Value::Null,
                text => serde_json::from_str(text).unwrap_or_else(|_| Value::from(text)),
            },
            Event::Scalar(text, ..) => Value::from(text.as_ref()),
            _ => continue,
        };
        match open.last_mut().expect("the root stays open") {
            Open::List(items) => items.push(done),
            Open::Mapping(_, key @ None) => *key = Some(done.as_str().expect("a text key").to_owned()),
            Open::Mapping(entries, key) => {
                entries.insert(key.take().expect("a key came before"), done);
            }
        }
    }
    match open.pop() {
        Some(Open::List(mut documents)) => documents.pop().expect("one document"),
        _ => panic!("unbalanced events"),
    }
}
