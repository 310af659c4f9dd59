//! Files that include others, and those that must not.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::*;
use crate::zone::file::folder::{BYTES_MAX, FILES_MAX};

/// Files in a folder of a folder; the zone is `zones/zone`. `FOLDER` in what is expected is that of the zone.
#[track_caller]
fn check(files: &[(&str, &str)], prepare: impl Fn(&Path), expected: Result<&[&str], &[&str]>) {
    let outside = tempfile::tempdir().expect("a folder");
    let outside = outside.path().canonicalize().expect("it is there");
    let folder = outside.join("zones");
    for (path, text) in files {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().expect("it has one")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    fs::write(outside.join("secret"), "secret 1 TXT hidden").expect("a file");
    prepare(&folder);
    let found = told(read(&folder.join("zone"), &origin()));
    let full = |of: &[&str]| {
        texts(of).iter().map(|text| text.replace("FOLDER", &folder.display().to_string())).collect()
    };
    assert_eq!(found, expected.map(full).map_err(full), "{files:?}");
}

fn nothing(_: &Path) {}

#[test]
fn files_include_others() {
    check(
        &[
            ("zone", "$TTL 5\na TXT 1\n$INCLUDE sub/b\n TXT 4\nb TXT 5\n$INCLUDE \"c d\" x ; there\n TXT 7"),
            ("sub/b", " TXT 2\n$ORIGIN y\nc TXT 3\n$INCLUDE ./sub/e\n"),
            ("sub/e", "$TTL 6\n@ TXT e"),
            ("c d", "@ TXT 6"),
        ],
        nothing,
        Ok(&[
            "a.example.com. 5 Txt([[49]])",
            "a.example.com. 5 Txt([[50]])",
            "c.y.example.com. 5 Txt([[51]])",
            "y.example.com. 6 Txt([[101]])",
            "a.example.com. 6 Txt([[52]])",
            "b.example.com. 6 Txt([[53]])",
            "x.example.com. 6 Txt([[54]])",
            "b.example.com. 6 Txt([[55]])",
        ]),
    );
}

#[test]
fn mistakes_name_their_file() {
    check(
        &[("zone", "a 1 A b\n$INCLUDE c\na 1 A d"), ("c", "\na 1 A c\na 1 A (\n")],
        nothing,
        Err(&[
            "FOLDER/zone: line 1: expected an IPv4 address, found \"b\"",
            "FOLDER/c: line 2: expected an IPv4 address, found \"c\"",
            "FOLDER/c: line 3: this parenthesis is never closed",
            "FOLDER/zone: line 3: expected an IPv4 address, found \"d\"",
        ]),
    );
    check(
        &[("other", "")],
        nothing,
        Err(&["FOLDER/zone: cannot be read: No such file or directory (os error 2)"]),
    );
    check(&[("zone/other", "")], nothing, Err(&["FOLDER/zone: cannot be read: it is a directory"]));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("zone");
    fs::write(&path, "$TTL 1\n@ SOA a b 1 2 3 4 5\n$INCLUDE names").expect("a file");
    fs::write(folder.path().join("names"), "@ NS a\na.org. A 192.0.2.1").expect("a file");
    let records = read(&path, &origin()).expect("nothing is wrong");
    let errors = crate::zone::Zone::new(origin(), records, Default::default()).expect_err("it is wrong");
    let names = folder.path().canonicalize().expect("it is there").join("names");
    let expected = format!("{}: line 2: a.org. is not in the zone example.com.", names.display());
    assert_eq!(errors.iter().map(ToString::to_string).collect::<Vec<_>>(), [expected]);
}

#[test]
fn nothing_is_read_from_elsewhere() {
    let refused = |name: &str, why: &str| {
        let expected = format!("FOLDER/zone: line 1: $INCLUDE {name}: {why}");
        check(
            &[("zone", &format!("$INCLUDE {name}\n")), ("sub/file", "")],
            |folder| {
                symlink("../secret", folder.join("link")).expect("a link");
                symlink("..", folder.join("up")).expect("a link");
                symlink("sub", folder.join("here")).expect("a link");
            },
            Err(&[&expected]),
        );
    };
    let relative = "the path has to be relative to the folder of the zone file, without `..`";
    refused("../secret", relative);
    refused("sub/../sub/file", relative);
    refused("/etc/hostname", relative);
    refused("link", "it leads out of the folder of the zone file");
    refused("up/secret", "it leads out of the folder of the zone file");
    refused("missing", "No such file or directory (os error 2)");
    refused("sub", "it is a directory");
    refused("here/file/x", "Not a directory (os error 20)");
    check(
        &[("zone", "$INCLUDE here/file\n"), ("sub/file", "a 1 A 192.0.2.1")],
        |folder| symlink("sub", folder.join("here")).expect("a link"),
        Ok(&["a.example.com. 1 A(192.0.2.1)"]),
    );
}

/// As Kubernetes mounts it: every file is a link into a folder of the generation.
#[test]
fn a_zone_behind_links_includes_files_behind_links() {
    check(
        &[("..1/zone", "$INCLUDE names"), ("..1/names", "a 1 A 192.0.2.1")],
        |folder| {
            symlink("..1", folder.join("..data")).expect("a link");
            symlink("..data/zone", folder.join("zone")).expect("a link");
            symlink("..data/names", folder.join("names")).expect("a link");
        },
        Ok(&["a.example.com. 1 A(192.0.2.1)"]),
    );
}

#[test]
fn includes_end() {
    check(
        &[("zone", "$INCLUDE zone")],
        nothing,
        Err(&["FOLDER/zone: line 1: $INCLUDE zone: it includes itself"]),
    );
    check(
        &[("zone", "$INCLUDE a\n$INCLUDE a"), ("a", "$INCLUDE b"), ("b", "\n$INCLUDE a")],
        nothing,
        Err(&[
            "FOLDER/b: line 2: $INCLUDE a: it includes itself",
            "FOLDER/b: line 2: $INCLUDE a: it includes itself",
        ]),
    );
    let chain = |length: usize| {
        let mut files = vec![("zone".to_owned(), "$INCLUDE 1".to_owned())];
        files.extend((1..length).map(|place| (place.to_string(), format!("$INCLUDE {}", place + 1))));
        files.push((length.to_string(), "a 1 A 192.0.2.1".to_owned()));
        files
    };
    let check_chain = |length, expected| {
        let files = chain(length);
        let files: Vec<_> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        check(&files, nothing, expected);
    };
    check_chain(8, Ok(&["a.example.com. 1 A(192.0.2.1)"]));
    check_chain(9, Err(&["FOLDER/8: line 1: $INCLUDE 9: included files include others at most 8 deep"]));
}

#[test]
fn files_are_bounded() {
    let line = FILES_MAX;
    let too_many = format!("FOLDER/zone: line {line}: $INCLUDE a: a zone has at most 1000 files");
    check(&[("zone", &"$INCLUDE a\n".repeat(line as usize)), ("a", "")], nothing, Err(&[&too_many]));
    check(
        &[("zone", "$INCLUDE a\n$INCLUDE a"), ("a", "")],
        |folder| {
            let file = fs::File::options().write(true).open(folder.join("a")).expect("it is there");
            file.set_len(BYTES_MAX + 1).expect("a long file");
        },
        Err(&[
            "FOLDER/zone: line 1: $INCLUDE a: the files of a zone have at most 64 MiB",
            "FOLDER/zone: line 2: $INCLUDE a: the files of a zone have at most 64 MiB",
        ]),
    );
}
