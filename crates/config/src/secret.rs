//! Secrets as they are written: `file:` and a path, or the secret itself.

use schemars::JsonSchema;

use crate::code::Code;
use crate::decode::Decode;
use crate::node::{Node, Value};
use crate::report::Problems;

/// A secret, or `file:` and the path of one. Never printed.
#[derive(JsonSchema)]
#[schemars(transparent)]
pub(crate) struct SecretText(pub(crate) String);

impl std::fmt::Debug for SecretText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretText(…)")
    }
}

impl Decode for SecretText {
    fn decode(node: &Node, problems: &mut Problems) -> Option<Self> {
        match node.text() {
            Some(text) => Some(SecretText(text.to_owned())),
            None if node.is_broken() => None,
            None => {
                problems
                    .add(Code::WrongKind, node.place, "expected text")
                    .note("quote a secret that looks like a number");
                None
            }
        }
    }
}

/// The values of a file that may be secrets themselves, whether or not they are well-formed.
pub(crate) fn of(file: &Node) -> Vec<&Node> {
    let mut secrets: Vec<&Node> = find(file, &["admin", "token"]).into_iter().collect();
    if let Some(Value::Mapping(services)) = file.entry("services").map(|services| &services.node.value) {
        for service in services {
            secrets.extend(one_or_many(find(&service.node, &["sticky", "cookie", "keys"])));
        }
    }
    if let Some(Value::List(tokens)) = find(file, &["registry", "tokens"]).map(|tokens| &tokens.value) {
        secrets.extend(tokens.iter().filter_map(|token| find(token, &["secret"])));
    }
    secrets.extend(one_or_many(find(file, &["gslb", "cookie_keys"])));
    secrets.retain(|secret| !secret.text().is_some_and(|text| text.starts_with(FILE)));
    secrets
}

fn one_or_many(found: Option<&Node>) -> Vec<&Node> {
    match found {
        Some(Node { value: Value::List(items), .. }) => items.iter().map(|item| &**item).collect(),
        one => one.into_iter().collect(),
    }
}

/// The value at the end of a path of keys.
fn find<'a>(node: &'a Node, path: &[&str]) -> Option<&'a Node> {
    path.iter().try_fold(node, |node, key| node.entry(key).map(|entry| &*entry.node))
}

/// What stands before the path of a file that holds the secret.
pub(crate) const FILE: &str = "file:";
