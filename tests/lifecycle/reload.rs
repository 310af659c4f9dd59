//! Another configuration comes into force, however it gets there.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use crate::harness::{Child, Client, Fulcrum, eventually, hold};

/// A configuration that answers everything with one word.
pub(super) fn saying(word: &str) -> String {
    format!(
        "listeners:\n  web: {{ bind: \"127.0.0.1:0\" }}\nroutes:\n  - {{ respond: {{ status: 200, body: {word} }} }}\n"
    )
}

#[track_caller]
pub(super) fn await_word(fulcrum: &Fulcrum, word: &str) {
    eventually(&format!("{word} is said"), || (fulcrum.get("/").text() == word).then_some(()));
}

#[test]
fn a_written_file_is_noticed() {
    let fulcrum = Fulcrum::start(&saying("one"));
    fulcrum.write_config(&saying("two"));
    await_word(&fulcrum, "two");
    assert_eq!(fulcrum.generation(), 2);
}

#[test]
fn a_replaced_file_is_noticed_every_time() {
    let fulcrum = Fulcrum::start(&saying("one"));
    for word in ["two", "three", "four"] {
        fulcrum.move_config(&saying(word));
        await_word(&fulcrum, word);
    }
    fs::remove_file(fulcrum.file()).expect("it is there");
    fulcrum.await_metric("fulcrum_config_last_reload_successful", &[], 0.0);
    assert_eq!(fulcrum.get("/").text(), "four", "a missing file changes nothing");
    fulcrum.write_config(&saying("five"));
    await_word(&fulcrum, "five");
}

#[test]
fn the_same_content_is_no_new_configuration() {
    let fulcrum = Fulcrum::start(&saying("one"));
    fulcrum.move_config(&saying("one"));
    fulcrum.await_metric("fulcrum_config_reloads_total", &[("result", "unchanged")], 1.0);
    assert_eq!(fulcrum.generation(), 1);
}

#[test]
fn sighup_insists() {
    let fulcrum = Fulcrum::start(&saying("one"));
    fulcrum.hang_up();
    fulcrum.await_generation(2);
    fulcrum.await_metric("fulcrum_config_reloads_total", &[("result", "committed")], 1.0);
    fulcrum.move_config(&saying("two"));
    fulcrum.hang_up();
    await_word(&fulcrum, "two");
    let stderr = fulcrum.child.stderr();
    assert!(stderr.contains("SIGHUP") && stderr.contains("routes ~1"), "{stderr}");
}

#[test]
fn reload_says_what_has_changed() {
    let fulcrum = Fulcrum::start(&saying("one"));
    let output = fulcrum.reload_with(&["--wait"]);
    assert_eq!((output.code, output.stdout.as_str()), (Some(0), "generation 2: nothing has changed\n"));
    let both = saying("one").replace("routes:", "  api: { bind: \"127.0.0.2:0\" }\nroutes:");
    // On a slow machine the change of the file may be noticed before the command is.
    let told = (0..5).any(|_| {
        fulcrum.change(&saying("one"));
        fulcrum.move_config(&both);
        let output = fulcrum.reload_with(&["--wait"]);
        assert_eq!(output.code, Some(0), "{}", output.stderr);
        output.stdout.ends_with(": listeners +1 (api)\n")
    });
    assert!(told, "{}", fulcrum.child.stderr());
    let output = fulcrum.reload_with(&["--format", "json"]);
    let reply: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!(reply["changes"]["listeners"]["added"]["count"], 0, "{reply}");
    assert_eq!(fulcrum.status()["config"]["generation"], reply["generation"]);
}

#[test]
fn a_file_that_joins_a_folder_of_includes_is_noticed() {
    let directory = tempfile::tempdir().expect("room for a directory");
    fs::create_dir(directory.path().join("conf.d")).expect("made");
    let fulcrum = Fulcrum::start_in(directory, &format!("include: conf.d/*.yaml\n{}", saying("one")));
    let route = |word| format!("routes: [{{ path: /new, respond: {{ status: 200, body: {word} }} }}]\n");
    for word in ["two", "three"] {
        fs::write(fulcrum.directory().join("conf.d/new.yaml"), route(word)).expect("written");
        eventually(word, || (fulcrum.get("/new").text() == word).then_some(()));
    }
    assert_eq!(fulcrum.get("/").text(), "one");
}

/// As the kubelet does it: a folder for each version, `..data` leads to one, every file leads through `..data`.
#[test]
fn a_swapped_link_is_noticed() {
    let directory = tempfile::tempdir().expect("room for a directory");
    let at = |path: &str| directory.path().join(path);
    let admin = format!("admin: {{ socket: {} }}\n", at("admin.sock").display());
    for (number, word) in ["one", "two", "three"].iter().enumerate() {
        fs::create_dir(at(&format!("..version{number}"))).expect("made");
        let text = format!("version: 1\nworkers: 1\n{admin}{}", saying(word));
        fs::write(at(&format!("..version{number}/fulcrum.yaml")), text).expect("written");
    }
    symlink("..version0", at("..data")).expect("linked");
    symlink("..data/fulcrum.yaml", at("fulcrum.yaml")).expect("linked");
    let child = Child::start(&["run", "-c", at("fulcrum.yaml").to_str().expect("ASCII")], at("stderr"));
    let ready: serde_json::Value = serde_json::from_str(&child.line()).expect("JSON");
    let address = ready["listeners"]["web"][0].as_str().expect("an address");
    for (number, word) in [(1, "two"), (2, "three")] {
        symlink(format!("..version{number}"), at("..data_tmp")).expect("linked");
        fs::rename(at("..data_tmp"), at("..data")).expect("swapped");
        fs::remove_dir_all(at(&format!("..version{}", number - 1))).expect("removed");
        eventually(word, || (Client::connect(address).get("/").text() == word).then_some(()));
    }
}

#[test]
fn fifty_reloads_in_a_second_end_at_the_last() {
    let fulcrum = Fulcrum::start(&saying("none"));
    for number in 1..=50 {
        fulcrum.move_config(&saying(&format!("word{number}")));
        if number % 3 == 0 {
            fulcrum.hang_up();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    await_word(&fulcrum, "word50");
    hold("the last one stays", Duration::from_secs(1), || fulcrum.get("/").text() == "word50");
    assert!(fulcrum.generation() <= 51, "{}", fulcrum.generation());
}
