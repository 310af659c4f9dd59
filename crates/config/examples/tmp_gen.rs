//! tmp
#![allow(clippy::unwrap_used, clippy::print_stdout)]
fn main() {
    let text = std::fs::read_to_string("/tmp/cfg/cases.json").unwrap();
    let v: serde_json::Value = serde_json::from_str(&text).unwrap();
    let env = |n: &str| match n {
        "BIND" => Some("80".to_owned()),
        "WORD" => Some("hunter2".to_owned()),
        _ => None,
    };
    let mut out = serde_json::Map::new();
    for (g, cases) in v.as_object().unwrap() {
        for c in cases.as_array().unwrap() {
            let name = c[0].as_str().unwrap();
            let r = match fulcrum_config::load_text("f.yaml", c[1].as_str().unwrap(), &env) {
                Ok(l) => l.warnings,
                Err(r) => r,
            };
            println!("##### {g} {name}\n{}", r.to_text());
            out.insert(format!("{g}/{name}"), r.to_json());
        }
    }
    std::fs::write("/tmp/cfg/out.json", serde_json::to_string(&out).unwrap()).unwrap();
}
