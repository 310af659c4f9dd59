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
    /// How often it is checked. What was seen three of them ago is forgotten: nobody knows what has been since.
    pub interval: Duration,
}

/// What is held of a target. Nothing is known of a new one: it is held for well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetHealth {
    good: u32,
    bad: u32,
    /// How long it has been suspect: the times between checks, for what nobody looks at does not get worse.
    suspect: Option<Duration>,
    is_down: bool,
    /// The last check's complaint.
    complaint: Option<String>,
    last_checked: Option<Duration>,
    /// What fails is taken for the own link of whoever looks.
    is_doubted: bool,
}

impl TargetHealth {
    /// Takes the outcome of a check.
    pub fn checked(&mut self, outcome: Result<(), String>, rules: &TargetRules, now: Duration) {
        let passed = self.last_checked.map_or(Duration::ZERO, |last| now.saturating_sub(last));
        if passed > rules.interval.saturating_mul(3) {
            (self.good, self.bad, self.suspect) = (0, 0, self.suspect.filter(|_| self.is_down));
        } else if let Some(suspect) = &mut self.suspect {
            let begins_anew = self.is_doubted && !self.is_down;
            *suspect = if begins_anew { Duration::ZERO } else { *suspect + passed };
        }
        self.is_doubted = false;
        self.last_checked = Some(now);
        match outcome {
            Ok(()) => {
                self.good = self.good.saturating_add(1);
                if self.good >= rules.rise {
                    let (good, last_checked) = (self.good, self.last_checked);
                    *self = TargetHealth { good, last_checked, ..TargetHealth::default() };
                }
            }
            Err(complaint) => {
                self.good = 0;
                self.bad = self.bad.saturating_add(1);
                self.complaint = Some(complaint);
                if self.bad >= rules.fall {
                    let suspect = *self.suspect.get_or_insert_default();
                    self.is_down |= suspect >= rules.hold;
                }
            }
        }
    }

    /// Whoever looks takes what fails for its own link: until the next check it is held against nobody.
    pub fn doubted(&mut self) {
        self.is_doubted = true;
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
        self.last_checked
            .map(|_| if self.good > 0 { Ok(()) } else { Err(self.complaint.as_deref().unwrap_or_default()) })
    }

    /// What the last bad check complained of; `None` once it is well.
    pub fn complaint(&self) -> Option<&str> {
        self.complaint.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: TargetRules =
        TargetRules { rise: 2, fall: 3, hold: Duration::from_secs(5), interval: Duration::from_secs(1) };

    /// Checks second by second: `+` good, `-` bad, `.` none; what is held after each: `u`p, `s`uspect, `d`own, `r`eturning.
    #[track_caller]
    fn check(checks: &str, expected: &str) {
        let mut health = TargetHealth::default();
        let held = checks.chars().enumerate().map(|(second, outcome)| {
            let now = Duration::from_secs(second as u64);
            match outcome {
                '+' => health.checked(Ok(()), &RULES, now),
                '-' => health.checked(Err("refused".to_owned()), &RULES, now),
                _ => {}
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
        check("--+--+", "uuusss");
        check("--------++", "uusssssdru");
        check("---++", "uussu");
        // Flapping is failing (gdnsd counts like this, too).
        check("-+-+-+-+-+-", "uuuussssssd");
    }

    #[test]
    fn what_nobody_looks_at_does_not_get_worse() {
        check("---..............", "uusssssssssssssss");
        // A pause begins the hold anew, and what is down stays down.
        check("---....-------", "uusssssuusssss");
        check("--------....-+-++", "uusssssddddddrdru");
    }

    #[test]
    fn what_is_doubted_is_held_against_nobody() {
        let mut health = TargetHealth::default();
        let mut fail = |second, is_doubted| {
            if is_doubted {
                health.doubted();
            }
            health.checked(Err("refused".to_owned()), &RULES, Duration::from_secs(second));
            health.is_down()
        };
        assert!((0..100).all(|second| !fail(second, true)));
        assert!((100..104).all(|second| !fail(second, false)));
        assert!(fail(104, false), "five seconds after the last doubt");
        assert!(fail(105, true), "what was decided stands");
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
