//! Bodies of requests as JSON.

use fulcrum_model::Few;
use serde::{Deserialize, Serialize, Serializer};

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
