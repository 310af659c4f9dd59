//! The JSON schema of the types that are read from nodes.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{At, AtLeastOne, Checked, Limit, Named, OneOrMany, Switch, Whole, Word, Words};
use crate::schema::variable;

/// The schema of what is wrapped.
macro_rules! transparent {
    ($wrapper:ident) => {
        impl<T: JsonSchema> JsonSchema for $wrapper<T> {
            fn inline_schema() -> bool {
                T::inline_schema()
            }
            fn schema_name() -> Cow<'static, str> {
                T::schema_name()
            }
            fn schema_id() -> Cow<'static, str> {
                T::schema_id()
            }
            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                T::json_schema(generator)
            }
        }
    };
}

transparent!(At);
transparent!(Checked);

/// Implements the inlined schema of a generic type.
macro_rules! inline {
    ([$($generics:tt)*] $type:ty, |$generator:ident| $schema:expr) => {
        impl<$($generics)*> JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                Cow::Borrowed(std::any::type_name::<Self>())
            }
            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

inline!([const MIN: u64, const MAX: u64] Whole<MIN, MAX>, |_generator| {
    json_schema!({ "anyOf": [{ "type": "integer", "minimum": MIN, "maximum": MAX }, variable()] })
});
inline!([T: JsonSchema] AtLeastOne<T>, |generator| {
    json_schema!({ "type": "array", "items": generator.subschema_for::<T>(), "minItems": 1 })
});
inline!([T: JsonSchema] OneOrMany<T>, |generator| {
    let one = generator.subschema_for::<T>();
    json_schema!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
});
inline!([T: JsonSchema] Named<T>, |generator| {
    json_schema!({ "type": "object", "additionalProperties": generator.subschema_for::<T>() })
});
inline!([T: JsonSchema] Limit<T>, |generator| {
    json_schema!({ "anyOf": [{ "const": "none" }, generator.subschema_for::<T>()] })
});
inline!([T: JsonSchema] Switch<T>, |generator| {
    json_schema!({ "anyOf": [{ "const": "none" }, generator.subschema_for::<T>()] })
});
inline!([T: Words] Word<T>, |_generator| {
    let words: Vec<&str> = T::WORDS.iter().map(|&(word, _)| word).collect();
    json_schema!({ "anyOf": [{ "type": "string", "enum": words }, variable()] })
});
