//! Bodies of requests as JSON.

use std::fmt;
use std::marker::PhantomData;

use fulcrum_model::Few;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::problem::{Code, Problem};

/// Reads an object; says where it is wrong.
pub(super) fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Problem> {
    // Serde takes a list of values for a structure, too.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Problem::new(Code::Json, "expected a JSON object").with("line", 1).with("column", 1));
    }
    serde_json::from_slice(body).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Problem::new(Code::Json, error.to_string()).with("line", line).with("column", column)
    })
}

/// Writes what is said of an instance as an object.
pub(super) fn few<V: Serialize, S: Serializer>(few: &Few<V>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(few.iter())
}

/// For a field: an object or nothing, where serde would take a list of values, too.
pub(super) fn object<'a, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'a>,
    T: Deserialize<'a>,
{
    Option::<Object<T>>::deserialize(deserializer).map(|object| object.map(|Object(value)| value))
}

/// The same for a list of them.
pub(super) fn objects<'a, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'a>,
    T: Deserialize<'a>,
{
    let objects = Vec::<Object<T>>::deserialize(deserializer)?;
    Ok(objects.into_iter().map(|Object(value)| value).collect())
}

/// What is written with names and values.
struct Object<T>(T);

impl<'a, T: Deserialize<'a>> Deserialize<'a> for Object<T> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members(PhantomData)).map(Object)
    }
}

struct Members<T>(PhantomData<T>);

impl<'a, T: Deserialize<'a>> Visitor<'a> for Members<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Outer {
        #[serde(default, deserialize_with = "object")]
        one: Option<Inner>,
        #[serde(default, deserialize_with = "objects")]
        many: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        number: Option<u64>,
    }

    /// Serde takes `[1]` for `{"number": 1}`.
    #[test]
    fn a_list_is_no_object() {
        let check = |text: &str, expected: Option<u64>| {
            let sum = read::<Outer>(text.as_bytes()).ok().map(|outer| {
                outer.one.iter().chain(&outer.many).filter_map(|inner| inner.number).sum::<u64>()
            });
            assert_eq!(sum, expected, "{text}");
        };
        check(r#"{"one":{"number":1},"many":[{"number":2},{}]}"#, Some(3));
        check(r#"{"one":null}"#, Some(0));
        check(r#"{"one":[1]}"#, None);
        check(r#"{"one":[]}"#, None);
        check(r#"{"many":[[2]]}"#, None);
        check(r#"{"many":[null]}"#, None);
        check(r#"[{"number":1},[]]"#, None);
    }
}
