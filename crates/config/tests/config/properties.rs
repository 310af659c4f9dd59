//! No text makes the loader panic or hang.

use fulcrum_config::load_text;
use proptest::prelude::*;

use crate::env;
use crate::valid::FULL;

/// Loads and prints; what comes out does not matter.
fn exercise(text: &str) {
    match load_text("f.yaml", text, &env) {
        Ok(loaded) => drop(loaded.warnings.to_text()),
        Err(report) => {
            assert!(report.errors() > 0, "{text:?} is refused without an error");
            drop((report.to_text(), report.to_json()));
        }
    }
}

/// Pieces that mean something to YAML or to the loader.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("\n".to_owned()),
        Just("  ".to_owned()),
        Just(": ".to_owned()),
        Just("- ".to_owned()),
        prop::sample::select(vec![
            "{", "}", "[", "]", ",", "\"", "'", "#", "&a ", "*a", "<<: *a", "!!x ", "---\n", "|\n", "? ",
            "${BIND}", "${X:-", "none", "off", "5s", "64KiB", "\t", "\r\n", "\u{feff}", "ä", "\0", "%7e",
            "/..", "*.", "file:", "unix:/", ":80",
        ])
        .prop_map(str::to_owned),
        prop::sample::select(FULL.split_whitespace().collect::<Vec<_>>()).prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_loaded_or_refused(text in any::<String>()) {
        exercise(&text);
    }

    #[test]
    fn any_pieces_are_loaded_or_refused(pieces in prop::collection::vec(piece(), 0..60)) {
        exercise(&pieces.concat());
    }

    #[test]
    fn any_mutation_of_a_good_file_is_loaded_or_refused(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..12usize, piece()), 1..8)
    ) {
        let mut text: Vec<char> = FULL.chars().collect();
        for (index, length, piece) in edits {
            let start = index.index(text.len() + 1);
            let end = (start + length).min(text.len());
            text.splice(start..end, piece.chars());
        }
        exercise(&text.into_iter().collect::<String>());
    }

    #[test]
    fn any_value_of_a_variable_stays_a_value(value in any::<String>()) {
        let yaml = "version: 1\nlisteners: { web: { bind: \":80\" } }\n\
                    routes: [{ respond: { status: 200, body: \"${VALUE}\" } }]\n";
        let loaded = load_text("f.yaml", yaml, &|_| Some(value.clone()));
        let config = match loaded {
            Ok(loaded) => loaded.config,
            Err(report) => return Err(TestCaseError::fail(report.to_text())),
        };
        match &config.routes[0].action {
            fulcrum_config::Action::Respond(response) => prop_assert_eq!(&response.body, &value),
            other => return Err(TestCaseError::fail(format!("{other:?}"))),
        }
    }
}
