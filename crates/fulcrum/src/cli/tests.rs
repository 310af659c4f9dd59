//! What command lines mean.

use clap::CommandFactory;

use super::*;

fn parse(line: &str) -> Result<Command, clap::Error> {
    Cli::try_parse_from(line.split(' ')).map(|cli| cli.command)
}

#[test]
fn the_definition_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn run_takes_a_file_or_the_default() {
    fn check(line: &str, expected: &str) {
        match parse(line) {
            Ok(Command::Run(options)) => assert_eq!(options.config, Path::new(expected), "{line}"),
            other => panic!("{line}: {other:?}"),
        }
    }
    check("fulcrum run", DEFAULT_CONFIG);
    check("fulcrum run -c a.yaml", "a.yaml");
    check("fulcrum run --config a.yaml", "a.yaml");
}

#[test]
fn check_takes_a_file_either_way() {
    fn check(line: &str, expected: (&str, Format)) {
        match parse(line) {
            Ok(Command::Check(options)) => {
                assert_eq!((options.file(), options.format), (Path::new(expected.0), expected.1), "{line}");
            }
            other => panic!("{line}: {other:?}"),
        }
    }
    check("fulcrum check", (DEFAULT_CONFIG, Format::Text));
    check("fulcrum check a.yaml", ("a.yaml", Format::Text));
    check("fulcrum check -c a.yaml --format json", ("a.yaml", Format::Json));
}

#[test]
fn wrong_usage_is_refused() {
    fn check(line: &str) {
        let error = parse(line).expect_err(line);
        assert!(error.use_stderr(), "{line}");
    }
    check("fulcrum");
    check("fulcrum walk");
    check("fulcrum run extra");
    check("fulcrum check a.yaml -c b.yaml");
    check("fulcrum check --format xml");
    check("fulcrum status --admin ftp://127.0.0.1:21");
    check("fulcrum reload --wait=maybe");
    check("fulcrum reload a.yaml");
    check("fulcrum drain");
    check("fulcrum drain shop");
    check("fulcrum drain shop/blue --deadline 5m");
    check("fulcrum drain shop/blue --watch --deadline soon");
    check("fulcrum undrain shop/blue --reason over");
    check("fulcrum weight shop/blue");
    check("fulcrum weight shop/blue 0");
    check("fulcrum weight shop/blue 65536");
    check("fulcrum instances");
    check("fulcrum instances no/name");
    check("fulcrum register web --port 80");
    check("fulcrum register web/a1");
    check("fulcrum register web/a1 --port 0");
    check("fulcrum register web/a1 --port 80 --meta version");
    check("fulcrum services --token the-secret-itself");
    check("fulcrum services --registry 127.0.0.1:8500");
    check("fulcrum deregister web/a1 --drain soon");
    check("fulcrum demo --for soon");
    check("fulcrum demo-backend --bind 127.0.0.1:0");
    check("fulcrum demo-backend --bind localhost --name blue");
    check("fulcrum demo-backend --bind 127.0.0.1:0 --name not_a/name");
}

#[test]
fn reload_waits_when_told_to() {
    fn check(line: &str, expected: (bool, Format)) {
        match parse(line) {
            Ok(Command::Reload(options)) => {
                assert_eq!((options.wait, options.format), expected, "{line}")
            }
            other => panic!("{line}: {other:?}"),
        }
    }
    check("fulcrum reload", (false, Format::Text));
    check("fulcrum reload --wait --format json", (true, Format::Json));
}

#[test]
fn orders_name_an_endpoint() {
    fn check(line: &str, expected: (&str, bool, Option<Duration>)) {
        match parse(line) {
            Ok(Command::Drain(options)) => {
                let target = match &options.order.target {
                    OrderTarget::Endpoint(endpoint) => endpoint.to_string(),
                    OrderTarget::Region(region) => region.to_string(),
                };
                let found = (target, options.watch, options.deadline);
                assert_eq!(found, (expected.0.to_owned(), expected.1, expected.2), "{line}");
            }
            other => panic!("{line}: {other:?}"),
        }
    }
    check("fulcrum drain shop/10.0.0.1:80", ("shop/10.0.0.1:80", false, None));
    check("fulcrum drain shop/unix:/a.sock --watch", ("shop/unix:/a.sock", true, None));
    let minute = Some(Duration::from_secs(60));
    check("fulcrum drain --deadline 1m --watch shop/blue", ("shop/blue", true, minute));
    check("fulcrum drain region/eu --reason a --for 1h", ("region/eu", false, None));
    match parse("fulcrum weight shop/blue 7") {
        Ok(Command::Weight(options)) => assert_eq!(options.weight.get(), 7),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_demo_takes_a_time() {
    match parse("fulcrum demo --for 20s") {
        Ok(Command::Demo(options)) => assert_eq!(options.duration, Some(Duration::from_secs(20))),
        other => panic!("{other:?}"),
    }
}
