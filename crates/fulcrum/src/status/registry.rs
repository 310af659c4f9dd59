//! The registry in the table of `fulcrum status`.

use crate::admin::{MoodStatus, RegistryStatus, SuspectStatus};

use super::{columns, span};

/// A line about the whole, and a table of those who are kept although their leases have run out.
pub(super) fn section(registry: &RegistryStatus) -> String {
    let mood = match registry.mood {
        MoodStatus::Normal => "",
        MoodStatus::Frozen => "; so many are silent that nobody is removed for it",
        MoodStatus::Releasing => "; silent instances are removed slowly",
    };
    let commit = match registry.last_commit_seconds {
        _ if !registry.writable => "CHANGES CANNOT BE KEPT".to_owned(),
        Some(seconds) => format!("last change kept {} ago", span(seconds)),
        None => "no change since the start".to_owned(),
    };
    let RegistryStatus { address, services, instances, suspects, watchers, sequence, .. } = registry;
    let mut text = format!(
        "registry {address}: {services} services, {instances} instances, {suspects} suspect, {watchers} watchers, \
         sequence {sequence}; {commit}{mood}\n"
    );
    if !registry.first_suspects.is_empty() {
        text += &columns(["SUSPECT", "KEPT FOR", "SINCE"], registry.first_suspects.iter().map(row));
        let more = suspects.saturating_sub(registry.first_suspects.len());
        if more > 0 {
            text += &format!("and {more} more\n");
        }
    }
    text
}

fn row(suspect: &SuspectStatus) -> [String; 3] {
    [format!("{}/{}", suspect.service, suspect.instance), suspect.hold.clone(), suspect.since.to_string()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(suspects: usize, mood: MoodStatus) -> RegistryStatus {
        let suspect = SuspectStatus {
            service: "web".to_owned(),
            instance: "a1".to_owned(),
            hold: "reachable".to_owned(),
            since: "2027-01-15T08:00:00Z".parse().expect("a time"),
        };
        RegistryStatus {
            address: "127.0.0.1:8500".to_owned(),
            services: 2,
            instances: 7,
            suspects,
            first_suspects: (0..suspects.min(1)).map(|_| suspect.clone()).collect(),
            mood,
            watchers: 1,
            sequence: 42,
            writable: true,
            last_commit_seconds: Some(65.0),
        }
    }

    #[test]
    fn what_is_unusual_is_told() {
        let check = |registry: &RegistryStatus, expected: &str| assert_eq!(section(registry), expected);
        let head = |suspects| {
            format!(
                "registry 127.0.0.1:8500: 2 services, 7 instances, {suspects} suspect, 1 watchers, sequence 42; "
            )
        };
        check(&registry(0, MoodStatus::Normal), &(head(0) + "last change kept 1m 5s ago\n"));
        let table = "SUSPECT  KEPT FOR   SINCE\nweb/a1   reachable  2027-01-15T08:00:00Z\n";
        let frozen = "last change kept 1m 5s ago; so many are silent that nobody is removed for it\n";
        check(&registry(1, MoodStatus::Frozen), &(head(1) + frozen + table));
        let slowly = "last change kept 1m 5s ago; silent instances are removed slowly\n";
        check(&registry(3, MoodStatus::Releasing), &(head(3) + slowly + table + "and 2 more\n"));
        let full = RegistryStatus { writable: false, ..registry(0, MoodStatus::Normal) };
        check(&full, &(head(0) + "CHANGES CANNOT BE KEPT\n"));
        let new = RegistryStatus { last_commit_seconds: None, ..registry(0, MoodStatus::Normal) };
        check(&new, &(head(0) + "no change since the start\n"));
    }
}
