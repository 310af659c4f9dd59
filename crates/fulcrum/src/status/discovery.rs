//! Sources of endpoints in the table of `fulcrum status`.

use crate::admin::DiscoveryStatus;

use super::{columns, span};

/// A table of the sources, and a line for each that does not tell what it should.
pub(super) fn section(sources: &[DiscoveryStatus]) -> String {
    let titles = ["DISCOVERED", "SOURCE", "ENDPOINTS", "LAST SUCCESS", "FAILURES", "LAST FAILURE"];
    let mut text = columns(titles, sources.iter().map(row));
    for source in sources {
        if let Some(detail) = &source.detail {
            text += &format!("{}: {} {}: {detail}\n", source.service, source.kind, source.source);
        }
    }
    text
}

fn row(source: &DiscoveryStatus) -> [String; 6] {
    [
        source.service.clone(),
        format!("{} {}", source.kind, source.source),
        source.endpoints.to_string(),
        source.age_seconds.map_or_else(|| "never".to_owned(), |age| format!("{} ago", span(age))),
        source.failures.to_string(),
        source.last_failure.clone().unwrap_or_default(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_told() {
        let good = DiscoveryStatus {
            service: "web".to_owned(),
            kind: "file".to_owned(),
            source: "/etc/web.json".to_owned(),
            endpoints: 2,
            last_success: "2027-01-15T08:00:00Z".parse().ok(),
            age_seconds: Some(65.0),
            last_failure: None,
            detail: None,
            failures: 0,
        };
        let bad = DiscoveryStatus {
            service: "api".to_owned(),
            kind: "http".to_owned(),
            source: "http://sd/api".to_owned(),
            endpoints: 0,
            last_success: None,
            age_seconds: None,
            last_failure: Some("timeout".to_owned()),
            detail: Some("no whole answer in time".to_owned()),
            failures: 3,
        };
        assert_eq!(
            section(&[good, bad]),
            "\
DISCOVERED  SOURCE              ENDPOINTS  LAST SUCCESS  FAILURES  LAST FAILURE
web         file /etc/web.json  2          1m 5s ago     0
api         http http://sd/api  0          never         3         timeout
api: http http://sd/api: no whole answer in time
"
        );
    }
}
