//! The JSON schema of a configuration file, out of the same structs that read it.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::raw::RawConfig;

/// The JSON schema (draft 2020-12) for editors and validators.
pub fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = Value::from(generator.into_root_schema_for::<RawConfig>());
    forbid_null(&mut schema);
    if let Some(object) = schema.as_object_mut() {
        object.insert("title".into(), "Fulcrum configuration".into());
    }
    schema
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
