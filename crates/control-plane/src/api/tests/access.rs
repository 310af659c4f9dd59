//! Who may do what, where instances may point, and what is written down of it.

use super::*;

async fn world() -> World {
    let token = |name, secret: &str, grants: &[&str]| {
        let grants = grants.iter().map(|grant| Grant::of(grant)).collect();
        Arc::new(Token::new(name, secret.as_bytes(), grants, vec!["10.7.0.0/16".parse().expect("a network")]))
    };
    let tokens = vec![
        token("web", "w", &["register:web"]),
        token("any", "y", &["register:*"]),
        token("reader", "r", &["read"]),
        token("operator", "o", &["drain"]),
        token("scaler", "s", &["scale"]),
        token("root", "a", &["admin"]),
    ];
    World::start(Settings { tokens, ..Settings::default() }, Limits::default()).await
}

#[tokio::test]
async fn tokens_open_what_they_grant() {
    let mut world = world().await;
    world.token = Some("w");
    world.register("a", json!({})).await.is(201, "");
    let lines = [
        format!("PUT {WEB}/new"),
        format!("PUT {WEB}/a/lease"),
        "PUT /v1/services/db/instances/d".to_owned(),
        format!("GET {WEB}/a"),
        format!("GET {WEB}"),
        "GET /v1/prometheus/sd".to_owned(),
        format!("PUT {WEB}/a/override"),
        "GET /v1/audit".to_owned(),
        "GET /healthz".to_owned(),
        "GET /v1/openapi.json".to_owned(),
    ];
    let check = async |world: &mut World, token: Option<&'static str>, expected: [u16; 10]| {
        world.token = token;
        let mut found = Vec::new();
        for line in &lines {
            let body = if line.ends_with("override") { r#"{"state":"drain"}"# } else { r#"{"port":80}"# };
            found.push(world.call(line, body).await.status);
        }
        assert_eq!(found, expected, "{token:?}");
    };
    check(&mut world, None, [401, 401, 401, 401, 401, 401, 401, 401, 200, 200]).await;
    check(&mut world, Some("x"), [401, 401, 401, 401, 401, 401, 401, 401, 200, 200]).await;
    check(&mut world, Some("w"), [201, 200, 403, 200, 403, 403, 403, 403, 200, 200]).await;
    check(&mut world, Some("r"), [403, 403, 403, 200, 200, 200, 403, 403, 200, 200]).await;
    check(&mut world, Some("o"), [403, 403, 403, 403, 403, 403, 200, 403, 200, 200]).await;
    check(&mut world, Some("s"), [403, 403, 403, 403, 403, 403, 403, 403, 200, 200]).await;
    // What another token has registered stays its own.
    check(&mut world, Some("y"), [403, 403, 201, 200, 403, 403, 403, 403, 200, 200]).await;
    check(&mut world, Some("a"), [403, 200, 403, 200, 200, 200, 200, 200, 200, 200]).await;
    world.end().await;
}

#[tokio::test]
async fn who_scales_weighs_and_stops_nothing() {
    let mut world = world().await;
    world.token = Some("w");
    world.register("a", json!({})).await.is(201, "");
    let order = format!("PUT {WEB}/a/override");
    let check = async |world: &mut World, body: &str, status: u16, code: &str| {
        world.token = Some("s");
        let before = (world.sequence(), world.refused("forbidden"));
        world.call(&order, body).await.is(status, code);
        let changes = (world.sequence() > before.0, world.refused("forbidden") - before.1);
        assert_eq!(changes, (status == 200, u64::from(status == 403)), "{body}");
    };
    check(&mut world, r#"{"weight":7,"reason":"canary"}"#, 200, "").await;
    check(&mut world, r#"{"weight":0}"#, 403, "forbidden").await;
    check(&mut world, r#"{"state":"drain"}"#, 403, "forbidden").await;
    check(&mut world, r#"{"state":"maintenance","weight":3}"#, 403, "forbidden").await;
    check(&mut world, r#"{"weight":70000}"#, 422, "invalid").await;
    world.call(&format!("DELETE {WEB}/a/override"), "").await.is(403, "forbidden");
    world.token = Some("o");
    let shown = world.call(&order, r#"{"state":"drain"}"#).await;
    shown.is(200, "");
    check(&mut world, r#"{"weight":9}"#, 403, "forbidden").await;
    world.token = Some("o");
    world.call(&order, r#"{"weight":2}"#).await.is(200, "");
    check(&mut world, r#"{"weight":9}"#, 200, "").await;
    world.token = Some("a");
    assert_eq!(world.call(&format!("GET {WEB}/a"), "").await.json()["weight"], 9);
    let audit = world.call("GET /v1/audit", "").await.json();
    let entries = audit["entries"].as_array().expect("a list").iter();
    let of_it = |entry: &&Value| entry["principal"] == "scaler";
    let outcomes = entries.filter(of_it).map(|entry| entry["outcome"].as_str().expect("a text"));
    let (forbidden, done): (Vec<_>, Vec<_>) = outcomes.partition(|outcome| *outcome == "forbidden");
    assert_eq!((forbidden.len(), done), (5, vec!["done", "done"]));
    world.end().await;
}

#[tokio::test]
async fn only_the_owner_and_an_administrator_touch_an_instance() {
    let mut world = world().await;
    world.token = Some("w");
    world.register("a", json!({})).await.is(201, "");
    world.token = Some("y");
    world.register("a", json!({})).await.is(403, "not_yours");
    world.call(&format!("DELETE {WEB}/a"), "").await.is(403, "not_yours");
    world.call(&format!("PUT {WEB}/a/lease"), "").await.is(403, "not_yours");
    let beats = r#"{"beats":[{"s":"web","i":"a"}]}"#;
    let code = |reply: Reply| reply.json()["results"][0]["code"].clone();
    assert_eq!(code(world.call("POST /v1/heartbeats", beats).await), "not_yours");
    world.token = Some("o");
    assert_eq!(code(world.call("POST /v1/heartbeats", beats).await), "forbidden");
    world.token = Some("a");
    world.call(&format!("DELETE {WEB}/a"), "").await.is(204, "");
    let audit = world.call("GET /v1/audit", "").await.json();
    let entries = audit["entries"].as_array().expect("a list").iter();
    let entries: Vec<_> =
        entries.map(|entry| format!("{} {}", entry["principal"], entry["outcome"])).collect();
    let expected = [
        r#""web" "done""#,
        r#""any" "not_yours""#,
        r#""any" "not_yours""#,
        r#""any" "not_yours""#,
        r#""root" "done""#,
    ];
    assert_eq!(entries, expected);
    assert_eq!(audit["entries"][0]["sequence"], 1);
    assert_eq!(audit["entries"][4].get("sequence"), None, "not that of the change before it");
    assert_eq!(audit["entries"][2]["action"], "DELETE /v1/services/{service}/instances/{id}");
    assert_eq!(
        (&audit["entries"][2]["instance"], &audit["entries"][2]["peer"]),
        (&json!("a"), &json!("127.0.0.1"))
    );
    assert_eq!(world.refused("not_yours"), 3);
    world.end().await;
}

#[tokio::test]
async fn an_instance_points_to_its_registrant_and_where_its_token_may() {
    let mut world = world().await;
    let own = vec![world.address];
    world.api.set(Settings { own, ..(**world.api.settings.load()).clone() });
    world.token = Some("w");
    let check = async |fields: Value, expected: u16| {
        let reply = world.register("a", fields.clone()).await;
        assert_eq!(reply.status, expected, "{fields}: {}", reply.text);
    };
    check(json!({"address": "127.0.0.5"}), 201).await;
    check(json!({"address": "10.7.1.1"}), 201).await;
    check(json!({"address": "10.8.1.1"}), 403).await;
    check(json!({"address": "169.254.169.254"}), 403).await;
    check(json!({"address": "::ffff:169.254.169.254"}), 403).await;
    check(json!({"port": world.address.port()}), 403).await;
    check(json!({"ports": {"metrics": world.address.port()}}), 403).await;
    assert_eq!(world.refused("address"), 5);
    world.token = Some("a");
    let audit = world.call("GET /v1/audit", "").await.json();
    let refused = audit["entries"].as_array().expect("a list").iter();
    assert_eq!(refused.filter(|entry| entry["outcome"] == "address").count(), 5);
    world.end().await;
}

#[tokio::test]
async fn without_tokens_a_page_in_a_browser_is_refused() {
    let world = World::plain().await;
    let mut sender = world.connect().await;
    let request = Request::put(format!("{WEB}/a")).header(HOST, "evil.example").body(Full::default());
    let response = sender.send_request(request.expect("a request")).await.expect("an answer");
    assert_eq!(response.status(), 403);
    assert_eq!((world.refused("host"), world.sequence()), (1, 0));
    world.end().await;
}
