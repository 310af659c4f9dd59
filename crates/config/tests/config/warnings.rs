//! What is used, but hardly as meant.

use crate::check;

#[test]
fn unused_service() {
    check(
        r#"
version: 1
listeners: { web: { bind: ":8080" } }
routes: [{ to: web }]
services: { web: { endpoints: [10.0.0.1:80] }, api: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
W302 4:48 nothing uses the service `api`
"#,
    );
}

#[test]
fn admin_without_token() {
    check(
        r#"
version: 1
admin: { bind: "0.0.0.0:9901" }
listeners: { web: { bind: ":8080" } }
routes: [{ to: web }]
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
W303 2:16 the admin address is public and has no token
  = metrics and health are served to everybody, everything else to nobody
  = add `token: file:/path`, or bind to a loopback address
"#,
    );
}

#[test]
fn trusts_everybody() {
    check(
        r#"
version: 1
trusted_proxies: ["0.0.0.0/0"]
listeners: { web: { bind: ":8080" } }
routes: [{ to: web }]
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
W305 2:19 every client can claim any address
  = name the networks of the proxies in front of this one
"#,
    );
}

#[test]
fn idle_rewrite() {
    check(
        r#"
version: 1
listeners: { web: { bind: ":8080" } }
routes: [{ to: web, path: /a, rewrite: { strip_prefix: /b } }]
services: { web: { endpoints: [10.0.0.1:80] } }
"#,
        r#"
W307 3:56 no path of this route begins with `/b`, so nothing is removed
"#,
    );
}

#[test]
fn no_routes() {
    check(
        r#"
version: 1
listeners: { web: { bind: ":8080" } }
"#,
        r#"
W308 2:1 there are no routes: every request is answered 404
"#,
    );
}
