//! Whether one target of a policy is in order, as its check sees it: slowly down, and up again when it has been well for a while.

use std::time::Duration;

/// How many checks it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TargetRules {
    /// Good checks in a row that make it well.
    pub rise: u32,
    /// Bad checks that make it suspect; good ones between them do not count, unless they are `rise` in a row.
    pub fall: u32,
    /// How long it is suspect before it is left out.
    pub hold: Duration,
}

/// What is held of a target. Nothing is known of a new one: it is held for well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetHealth {
    good: u32,
    bad: u32,
    /// Since when it is suspect.
    suspect: Option<Duration>,
    is_down: bool,
    /// The last check's complaint.
    complaint: Option<String>,
    is_checked: bool,
}

impl TargetHealth {
    /// Takes the outcome of a check.
    pub fn checked(&mut self, outcome: Result<(), String>, rules: &TargetRules, now: Duration) {
        self.is_checked = true;
        match outcome {
            Ok(()) => {
                self.good = self.good.saturating_add(1);
                if self.good >= rules.rise {
                    *self = TargetHealth { good: self.good, is_checked: true, ..TargetHealth::default() };
                }
            }
            Err(complaint) => {
                self.good = 0;
                self.bad = self.bad.saturating_add(1);
                self.complaint = Some(complaint);
                if self.bad >= rules.fall {
                    self.suspect.get_or_insert(now);
                }
            }
        }
        self.tick(rules, now);
    }

    /// Whoever looks takes what fails for its own link: what was suspected is suspected from now on only.
    pub fn doubted(&mut self, now: Duration) {
        self.suspect = self.suspect.map(|since| if self.is_down { since } else { now });
    }

    /// Lets time pass.
    pub fn tick(&mut self, rules: &TargetRules, now: Duration) {
        if self.suspect.is_some_and(|since| now.saturating_sub(since) >= rules.hold) {
            self.is_down = true;
        }
    }

    /// Whether it is left out.
    pub fn is_down(&self) -> bool {
        self.is_down
    }

    /// Whether it may be left out, or come back, soon.
    pub fn is_unsettled(&self) -> bool {
        self.is_down != self.suspect.is_some() || (self.is_down && self.good > 0)
    }

    /// How its last check went: `None` before the first one.
    pub fn last(&self) -> Option<Result<(), &str>> {
        self.is_checked
            .then(|| if self.good > 0 { Ok(()) } else { Err(self.complaint.as_deref().unwrap_or_default()) })
    }

    /// What the last bad check complained of; `None` once it is well.
    pub fn complaint(&self) -> Option<&str> {
        self.complaint.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: TargetRules = TargetRules { rise: 2, fall: 3, hold: Duration::from_secs(10) };

    /// Checks second by second: `+` good, `-` bad, `.` none; what is held after each: `u`p, `s`uspect, `d`own.
    #[track_caller]
    fn check(checks: &str, expected: &str) {
        let mut health = TargetHealth::default();
        let held = checks.chars().enumerate().map(|(second, outcome)| {
            let now = Duration::from_secs(second as u64);
            match outcome {
                '+' => health.checked(Ok(()), &RULES, now),
                '-' => health.checked(Err("refused".to_owned()), &RULES, now),
                _ => health.tick(&RULES, now),
            }
            match (health.is_down(), health.is_unsettled()) {
                (true, false) => 'd',
                (true, true) => 'r',
                (false, true) => 's',
                (false, false) => 'u',
            }
        });
        assert_eq!(held.collect::<String>(), expected, "{checks}");
    }

    #[test]
    fn a_target_goes_slowly_and_comes_back_when_it_is_well() {
        check("++++", "uuuu");
        check("--+--+", "uuusss".get(..6).expect("six"));
        check("---.......", "uussssssss");
        check("---..........++", "uussssssssssdrd".replace("drd", "dru").as_str());
        check("---++", "uussu");
        // Flapping is failing (gdnsd counts like this, too).
        check("-+-+-", "uuuus");
    }

    #[test]
    fn what_is_doubted_is_held_against_nobody() {
        let mut health = TargetHealth::default();
        let mut fail = |second, is_doubted| {
            let now = Duration::from_secs(second);
            if is_doubted {
                health.doubted(now);
            }
            health.checked(Err("refused".to_owned()), &RULES, now);
            health.is_down()
        };
        for second in 0..100 {
            assert!(!fail(second, true), "{second}");
        }
        assert!(!fail(108, false));
        assert!(fail(109, false), "ten seconds after the last doubt");
        assert!(fail(110, true), "what was decided stands");
    }

    #[test]
    fn what_was_complained_of_is_told_until_it_is_well() {
        let mut health = TargetHealth::default();
        assert_eq!(health.last(), None);
        health.checked(Err("refused".to_owned()), &RULES, Duration::ZERO);
        assert_eq!((health.last(), health.complaint()), (Some(Err("refused")), Some("refused")));
        health.checked(Ok(()), &RULES, Duration::ZERO);
        assert_eq!((health.last(), health.complaint()), (Some(Ok(())), Some("refused")));
        health.checked(Ok(()), &RULES, Duration::ZERO);
        assert_eq!(health.complaint(), None);
    }
}
