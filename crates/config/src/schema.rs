//! The JSON schema of a configuration file, out of the same structs that read it.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use crate::raw::RawConfig;

/// The JSON schema (draft 2020-12) for editors and validators.
pub fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = Value::from(generator.into_root_schema_for::<RawConfig>());
    forbid_null(&mut schema);
    allow_variables(&mut schema);
    if let Some(object) = schema.as_object_mut() {
        object.insert("title".into(), "Fulcrum configuration".into());
    }
    schema
}

/// Text that holds a variable, which may stand for a value of any type.
pub(crate) fn variable() -> Value {
    json!({ "type": "string", "pattern": r"\$\{" })
}

/// An absent key is left out, not null: nothing of what `Option` adds is allowed in a file.
fn forbid_null(value: &mut Value) {
    match value {
        Value::Object(object) => {
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|name| name != "null");
                if let [one] = types.as_mut_slice() {
                    let one = one.take();
                    object.insert("type".into(), one);
                }
            }
            if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
                choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
                if let [Value::Object(one)] = choices.as_mut_slice() {
                    let one = std::mem::take(one);
                    object.remove("anyOf");
                    for (key, value) in one {
                        object.entry(key).or_insert(value);
                    }
                }
            }
            object.values_mut().for_each(forbid_null);
        }
        Value::Array(items) => items.iter_mut().for_each(forbid_null),
        _ => {}
    }
}

/// Booleans have no type of ours that could say so itself.
fn allow_variables(value: &mut Value) {
    match value {
        Value::Object(object) => {
            if object.get("type").is_some_and(|name| name == "boolean") {
                object.remove("type");
                object.insert("anyOf".into(), json!([{ "type": "boolean" }, variable()]));
                return;
            }
            object.values_mut().for_each(allow_variables);
        }
        Value::Array(items) => items.iter_mut().for_each(allow_variables),
        _ => {}
    }
}
