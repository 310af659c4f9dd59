//! Errors of files and syntax: what the text is before it means anything.

use crate::check;

#[test]
fn empty() {
    check(
        "",
        r#"
E003 the file holds no configuration
  = the least one: `version: 1`, a listener, a route, a service
"#,
    );
}

#[test]
fn only_comments() {
    check(
        r#"
# nothing
---
"#,
        r#"
E003 1:1 the file holds no configuration
  = the least one: `version: 1`, a listener, a route, a service
"#,
    );
}

#[test]
fn null_document() {
    check(
        r#"
~
"#,
        r#"
E003 1:1 the file holds no configuration
  = the least one: `version: 1`, a listener, a route, a service
"#,
    );
}

#[test]
fn scalar_document() {
    check(
        r#"
hello
"#,
        r#"
E102 1:1 expected a mapping, found the text `hello`
"#,
    );
}

#[test]
fn list_document() {
    check(
        r#"
- a
"#,
        r#"
E102 1:1 expected a mapping, found a list
"#,
    );
}

#[test]
fn bad_yaml() {
    check(
        r#"
version: 1
listeners: { web: { bind: ":80" }
routes: []
"#,
        r#"
E004 3:1 not valid YAML: while parsing a flow mapping, did not find expected ',' or '}'
"#,
    );
}

#[test]
fn unquoted_wildcard() {
    check(
        r#"
version: 1
listeners: { web: { bind: ":8080" } }
routes:
  - { host: *.example.com, to: web }
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
E004 4:13 not valid YAML: while parsing node, found unknown anchor
  = text that begins with `*` must be quoted: `"*.example.com"`
"#,
    );
}

#[test]
fn unquoted_variable_in_flow() {
    check(
        r#"
version: 1
listeners: { web: { bind: ${BIND} } }
routes: [{ to: web }]
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
E004 2:28 not valid YAML: while parsing a flow mapping, did not find expected ',' or '}'
  = within `{ }` and `[ ]` a variable must be quoted: `"${NAME}"`
"#,
    );
}

#[test]
fn tab() {
    check(
        r#"
version: 1
listeners:
	web: { bind: ":80" }
"#,
        r#"
E004 3:2 not valid YAML: tabs disallowed within this context (block indentation)
  = YAML is indented with spaces, not with tabs
"#,
    );
}

#[test]
fn second_document() {
    check(
        r#"
version: 1
listeners: { web: { bind: ":8080" } }
routes: [{ to: web }]
services: { web: { endpoints: [10.0.0.1:80] } }
---
version: 1
"#,
        r#"
E005 5:1 a second document in one file
"#,
    );
}

#[test]
fn tag() {
    check(
        r#"
version: 1
workers: !!int "2"
listeners: { web: { bind: ":8080" } }
routes: [{ to: web }]
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
E005 2:16 YAML tags have no meaning here
E102 2:16 expected a whole number, found the text `2`
"#,
    );
}

#[test]
fn key_is_a_list() {
    check(
        r#"
version: 1
? [a]
: b
listeners: { web: { bind: ":8080" } }
routes: [{ to: web }]
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
E005 2:3 a key must be text
"#,
    );
}

#[test]
fn key_is_an_alias() {
    check(
        r#"
version: 1
workers: &two 2
*two : 3
listeners: { web: { bind: ":8080" } }
routes: [{ to: web }]
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
E005 3:1 an alias cannot be a key
"#,
    );
}

#[test]
fn duplicate_keys() {
    check(
        r#"
version: 1
listeners: { web: { bind: ":8080" } }
routes: [{ to: web }]
services:
  web: { endpoints: [10.0.0.1:80], balance: random, balance: ring }
  web: { endpoints: [10.0.0.1:80] }
"#,
        r#"
E006 5:53 `balance` is given twice
  = first in f.yaml:5:36
E006 6:3 `web` is given twice
  = first in f.yaml:5:3
"#,
    );
}

#[test]
fn merge_of_text() {
    check(
        r#"
version: 1
listeners: { web: { bind: ":8080" } }
routes: [{ to: web }]
services:
  web: { <<: base, endpoints: [10.0.0.1:80] }
"#,
        r#"
E005 5:10 `<<` merges mappings, found the text `base`
  = like `<<: *base`, where `&base` marks a mapping
"#,
    );
}

#[test]
fn unknown_anchor() {
    check(
        r#"
version: 1
listeners: { web: { bind: ":8080" } }
routes: [{ to: web }]
services:
  web: { <<: *base, endpoints: [10.0.0.1:80] }
"#,
        r#"
E004 5:14 not valid YAML: while parsing node, found unknown anchor
  = an alias `*name` needs an anchor `&name` before it, in the same file
"#,
    );
}

#[test]
fn alias_in_itself() {
    check(
        r#"
version: 1
services: &a
  web: *a
"#,
        r#"
E007 3:8 this alias stands inside of what it stands for
"#,
    );
}

#[test]
fn deep() {
    check(
        r#"
version: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]
"#,
        r#"
E007 1:74 more than 64 levels of nesting
"#,
    );
}

#[test]
fn variable_unset() {
    check(
        r#"
version: 1
workers: ${WORKERS}
listeners: { web: { bind: ":8080" } }
routes: [{ to: web }]
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
E008 2:10 the variable `WORKERS` is not set
  = set it, or give a default: `${WORKERS:-default}`
"#,
    );
}

#[test]
fn variable_unclosed() {
    check(
        r#"
version: 1
workers: ${WORKERS
listeners: { web: { bind: ":8080" } }
routes: [{ to: web }]
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
E008 2:10 `${` without `}`
  = a literal `${` is written `$${`
"#,
    );
}

#[test]
fn variable_malformed() {
    check(
        r#"
version: 1
workers: ${A B}
admin: { token: "${A:-${B}}" }
listeners: { web: { bind: ":8080" } }
routes: [{ to: web }]
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
E008 2:10 `${A B}` is not a variable
  = variables look like `${NAME}` or `${NAME:-default}`; a literal `${` is written `$${`
E008 3:17 `${A:-${B}` is not a variable
  = variables look like `${NAME}` or `${NAME:-default}`; a literal `${` is written `$${`
"#,
    );
}

#[test]
fn variable_value_wrong() {
    check(
        r#"
version: 1
listeners: { web: { bind: "${BIND}" } }
routes: [{ to: web }]
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
E109 2:27 the value of `${BIND}` is not an address to listen on
  = addresses look like `:80`, `127.0.0.1:80`, `[::1]:80` or `unix:/run/fulcrum/http.sock`
"#,
    );
}

#[test]
fn variable_number_wrong() {
    check(
        r#"
version: 1
workers: ${WORD}
listeners: { web: { bind: ":8080" } }
routes: [{ to: web }]
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
E102 2:10 expected a whole number, found the value of `${WORD}`
"#,
    );
}

#[test]
fn an_error_behind_an_alias_is_told_once() {
    check(
        "
version: 1
listeners: { web: { bind: \":80\" } }
routes: [{ path: /a, to: a }, { path: /b, to: b }]
services: { a: &a { endpoints: [nowhere], pol: 1 }, b: *a }
",
        "
E109 4:33 `nowhere` has no port
  = did you mean `nowhere:80`?
  = addresses look like `10.0.0.1:8080`, `[2001:db8::1]:8080`, `app.internal:8080` or `unix:/run/app.sock`
E103 4:43 unknown field `pol`, did you mean `pool`?
  = allowed here: balance, discovery, drain, endpoints, health, limits, outlier, panic, pool, retry, slow_start, sticky, timeouts
",
    );
}
