//! Which targets answer: a pure function of the policy, the order of regions that suits a client, and what is known of them.
//!
//! Answers are compiled from the same plan that `explain` shows.

use fulcrum_config::gslb::{Choose, Panic, Policy, Target, TargetAnswer};

use crate::region::{Region, RegionSet};

/// What is known at the moment.
#[derive(Clone, Copy)]
pub struct Situation<'a> {
    /// The regions that clients may be sent to.
    pub eligible: RegionSet,
    /// Those that were eligible when any was.
    pub last_good: RegionSet,
    /// Those that no operator has taken out: who answers when nothing else is left.
    pub presentable: RegionSet,
    /// How much of its clients a region takes, in percent; by region. Those that are missing take all.
    pub shares: &'a [u8],
    /// The regions that may change soon.
    pub unsettled: RegionSet,
    /// The regions that a name may leave because all of its own targets there fail. Of the others its targets stay,
    /// whatever their checks say: for those the verdict on the region decides.
    pub dispensable: RegionSet,
    /// Whether a target is out of order, as far as that is looked at.
    pub is_down: &'a dyn Fn(&TargetAnswer) -> bool,
    /// Whether a target may be taken out, or come back, soon.
    pub is_unsettled: bool,
}

/// What is answered to the clients of a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Parts of the clients, one after the other; together all of them. Empty: nothing is answered.
    pub slices: Vec<Slice>,
    /// How long it may be remembered, in seconds.
    pub ttl: u32,
    /// Nothing is eligible: the policy's last resort answers.
    pub is_panic: bool,
    /// Nobody knows yet what there is: no slices do not mean that there is nothing.
    pub is_unknown: bool,
}

/// What a part of the clients gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// Where the part ends, in 2^-32 of all clients; 2^32 is the last one's.
    pub until: u64,
    /// The region; `None` where targets of several, or of none, are chosen from.
    pub region: Option<Region>,
    /// The targets, and their weights; a target with the weight 0 is there only if all have it.
    pub targets: Vec<(TargetAnswer, u64)>,
}

/// The targets of a policy with the regions that they are in, in the order that is tried.
pub type Candidates<'a> = Vec<(Option<Region>, &'a [Target])>;

/// What a policy answers. `together`: the targets of all regions are chosen from at once.
pub fn plan(policy: &Policy, candidates: &Candidates<'_>, together: bool, situation: &Situation<'_>) -> Plan {
    let eligible = |region: &Option<Region>| region.is_none_or(|region| situation.eligible.contains(region));
    let is_good = |target: &Target| !(situation.is_down)(&target.answer);
    let unsettled = candidates
        .iter()
        .any(|(region, _)| region.is_some_and(|region| situation.unsettled.contains(region)));
    let ttl = if unsettled || situation.is_unsettled { policy.ttl.min } else { policy.ttl.max };
    let of = |slices: Vec<Slice>, is_panic| Plan { slices, ttl, is_panic, is_unknown: false };
    let is_dispensable =
        |region: &Option<Region>| region.is_none_or(|region| situation.dispensable.contains(region));
    let chosen = slices(candidates, together, situation.shares, eligible, |region, targets| {
        let good: Vec<_> = targets.iter().filter(|target| is_good(target)).collect();
        if good.is_empty() && !is_dispensable(region) { targets.iter().collect() } else { good }
    });
    if !chosen.is_empty() {
        return of(chosen, false);
    }
    let among = |regions: RegionSet| {
        let is_among = |region: &Option<Region>| region.is_none_or(|region| regions.contains(region));
        slices(candidates, together, &[], is_among, |_, targets| targets.iter().collect())
    };
    let everyone = || {
        let presentable = among(situation.presentable);
        if presentable.is_empty() {
            slices(candidates, together, &[], |_| true, |_, targets| targets.iter().collect())
        } else {
            presentable
        }
    };
    let slices = match &policy.panic {
        Panic::All => everyone(),
        Panic::LastGood => {
            let last = among(situation.last_good);
            if last.is_empty() { everyone() } else { last }
        }
        Panic::Fallback(addresses) => {
            let targets = addresses.iter().map(|address| (TargetAnswer::Address(*address), 1)).collect();
            vec![Slice { until: ALL, region: None, targets }]
        }
        Panic::NoData => Vec::new(),
    };
    of(slices, true)
}

fn slices<'a>(
    candidates: &Candidates<'a>,
    together: bool,
    shares: &[u8],
    eligible: impl Fn(&Option<Region>) -> bool,
    in_order: impl Fn(&Option<Region>, &'a [Target]) -> Vec<&'a Target>,
) -> Vec<Slice> {
    let share = |region: Option<Region>| {
        region.and_then(|region| shares.get(region.index())).map_or(100, |share| u64::from(*share).min(100))
    };
    let good = candidates.iter().filter(|(region, _)| eligible(region)).map(|(region, targets)| {
        let weight = if together { share(*region) } else { 1 };
        let of = |target: &Target| (target.answer.clone(), u64::from(target.weight) * weight);
        (*region, in_order(region, targets).into_iter().map(of).collect::<Vec<_>>())
    });
    if together {
        let targets = weighty(good.flat_map(|(_, targets)| targets).collect());
        return if targets.is_empty() {
            Vec::new()
        } else {
            vec![Slice { until: ALL, region: None, targets }]
        };
    }
    let (mut slices, mut begun) = (Vec::new(), 0);
    for (region, targets) in good.filter(|(_, targets)| !targets.is_empty()) {
        begun += (ALL - begun) * share(region) / 100;
        slices.push(Slice { until: begun, region, targets: weighty(targets) });
        if begun == ALL {
            break;
        }
    }
    // Where all that there is takes only a part, the last one takes what is left over.
    if let Some(last) = slices.last_mut() {
        last.until = ALL;
    }
    slices
}

/// Who has no weight answers when nobody has any.
fn weighty(mut targets: Vec<(TargetAnswer, u64)>) -> Vec<(TargetAnswer, u64)> {
    if targets.iter().any(|(_, weight)| *weight > 0) {
        targets.retain(|(_, weight)| *weight > 0);
    }
    targets
}

/// Whether weights count.
pub(crate) fn is_weighted(choose: Choose) -> bool {
    matches!(choose, Choose::Weighted | Choose::Sticky { .. })
}

/// All clients.
pub const ALL: u64 = 1 << 32;

#[cfg(test)]
mod tests {
    use std::num::NonZeroU8;

    use fulcrum_config::gslb::{RegionOrder, Targets, Ttl};

    use super::*;

    fn policy(panic: Panic) -> Policy {
        Policy {
            targets: Targets::Regions { order: RegionOrder::Configured, regions: Vec::new() },
            choose: Choose::Weighted,
            max_answers: NonZeroU8::MIN,
            panic,
            health: None,
            ttl: Ttl { max: 60, min: 5 },
        }
    }

    fn target(text: &str, weight: u16) -> Target {
        Target { answer: TargetAnswer::Address(text.parse().expect("an address")), weight }
    }

    /// Slices as `region share: address×weight`.
    fn tell(plan: &Plan) -> String {
        let target = |(answer, weight): &(TargetAnswer, u64)| match answer {
            TargetAnswer::Address(address) => format!("{address}×{weight}"),
            TargetAnswer::Alias(name) => format!("{name}×{weight}"),
        };
        let slice = |slice: &Slice| {
            let region = slice.region.map_or("-".to_owned(), |region| region.index().to_string());
            let targets: Vec<String> = slice.targets.iter().map(target).collect();
            format!("{region} {}: {}", (slice.until * 100).div_ceil(ALL), targets.join(" "))
        };
        let slices: Vec<String> = plan.slices.iter().map(slice).collect();
        format!("{}{}", if plan.is_panic { "panic! " } else { "" }, slices.join(", "))
    }

    struct Case<'a> {
        eligible: &'a [usize],
        presentable: &'a [usize],
        dispensable: &'a [usize],
        shares: &'a [u8],
        down: &'a [&'a str],
        panic: Panic,
        together: bool,
    }

    const CASE: Case<'static> = Case {
        eligible: &[0, 1, 2],
        presentable: &[0, 1, 2],
        dispensable: &[0, 1, 2],
        shares: &[],
        down: &[],
        panic: Panic::All,
        together: false,
    };

    #[track_caller]
    fn check(case: &Case<'_>, expected: &str) {
        let [eu, us, asia] = [
            vec![target("192.0.2.1", 60), target("192.0.2.2", 40)],
            vec![target("198.51.100.1", 1), target("198.51.100.2", 0)],
            vec![target("203.0.113.1", 0)],
        ];
        let region = |index| Region::new(index).expect("a region");
        let candidates: Candidates<'_> =
            vec![(Some(region(0)), &eu[..]), (Some(region(1)), &us[..]), (Some(region(2)), &asia[..])];
        let is_down = |answer: &TargetAnswer| match answer {
            TargetAnswer::Address(address) => case.down.contains(&address.to_string().as_str()),
            TargetAnswer::Alias(_) => false,
        };
        let situation = Situation {
            eligible: case.eligible.iter().map(|index| region(*index)).collect(),
            last_good: [region(1)].into_iter().collect(),
            presentable: case.presentable.iter().map(|index| region(*index)).collect(),
            shares: case.shares,
            unsettled: RegionSet::default(),
            dispensable: case.dispensable.iter().map(|index| region(*index)).collect(),
            is_down: &is_down,
            is_unsettled: false,
        };
        let plan = plan(&policy(case.panic.clone()), &candidates, case.together, &situation);
        assert_eq!(tell(&plan), expected);
    }

    #[test]
    fn the_first_eligible_region_answers() {
        check(&CASE, "0 100: 192.0.2.1×60 192.0.2.2×40");
        check(&Case { eligible: &[1, 2], ..CASE }, "1 100: 198.51.100.1×1");
        check(&Case { eligible: &[2], ..CASE }, "2 100: 203.0.113.1×0");
        check(&Case { down: &["192.0.2.1"], ..CASE }, "0 100: 192.0.2.2×40");
        check(&Case { down: &["192.0.2.1", "192.0.2.2"], ..CASE }, "1 100: 198.51.100.1×1");
        // Without weight is better than not at all.
        check(&Case { eligible: &[1], down: &["198.51.100.1"], ..CASE }, "1 100: 198.51.100.2×0");
    }

    #[test]
    fn a_region_that_may_be_unseen_keeps_all_of_its_targets() {
        let all_of_eu = &["192.0.2.1", "192.0.2.2"];
        let held = || Case { dispensable: &[1, 2], down: all_of_eu, ..CASE };
        check(&held(), "0 100: 192.0.2.1×60 192.0.2.2×40");
        check(&Case { down: &["192.0.2.1"], ..held() }, "0 100: 192.0.2.2×40");
        check(&Case { eligible: &[1, 2], ..held() }, "1 100: 198.51.100.1×1");
        check(&Case { together: true, ..held() }, "- 100: 192.0.2.1×6000 192.0.2.2×4000 198.51.100.1×100");
    }

    #[test]
    fn a_region_may_take_only_a_part() {
        check(&Case { shares: &[25], ..CASE }, "0 25: 192.0.2.1×60 192.0.2.2×40, 1 100: 198.51.100.1×1");
        check(
            &Case { shares: &[50, 50], ..CASE },
            "0 50: 192.0.2.1×60 192.0.2.2×40, 1 75: 198.51.100.1×1, 2 100: 203.0.113.1×0",
        );
        check(&Case { eligible: &[0], shares: &[5], ..CASE }, "0 100: 192.0.2.1×60 192.0.2.2×40");
    }

    #[test]
    fn together_shares_are_weights() {
        let together = || Case { together: true, ..CASE };
        check(&together(), "- 100: 192.0.2.1×6000 192.0.2.2×4000 198.51.100.1×100");
        check(
            &Case { shares: &[10, 100], ..together() },
            "- 100: 192.0.2.1×600 192.0.2.2×400 198.51.100.1×100",
        );
        check(&Case { eligible: &[2], ..together() }, "- 100: 203.0.113.1×0");
        check(&Case { eligible: &[], panic: Panic::NoData, ..together() }, "panic! ");
    }

    #[test]
    fn nothing_eligible_is_a_panic() {
        let none = |panic| Case { eligible: &[], panic, ..CASE };
        check(&none(Panic::All), "panic! 0 100: 192.0.2.1×60 192.0.2.2×40");
        check(&none(Panic::LastGood), "panic! 1 100: 198.51.100.1×1");
        check(&none(Panic::NoData), "panic! ");
        // Not those that an operator has taken out, as long as there are others.
        check(&Case { presentable: &[2], ..none(Panic::All) }, "panic! 2 100: 203.0.113.1×0");
        check(&Case { presentable: &[], ..none(Panic::All) }, "panic! 0 100: 192.0.2.1×60 192.0.2.2×40");
        let addresses = vec!["192.0.2.99".parse().expect("an address")];
        check(&none(Panic::Fallback(addresses)), "panic! - 100: 192.0.2.99×1");
    }

    #[test]
    fn what_may_change_soon_is_not_remembered_long() {
        let targets = [target("192.0.2.1", 1)];
        let check = |unsettled: &[usize], expected| {
            let region = |index: &usize| Region::new(*index).expect("a region");
            let candidates: Candidates<'_> = vec![(Some(region(&0)), &targets)];
            let situation = Situation {
                eligible: [region(&0)].into_iter().collect(),
                last_good: RegionSet::default(),
                shares: &[],
                presentable: RegionSet::default(),
                unsettled: unsettled.iter().map(region).collect(),
                dispensable: RegionSet::default(),
                is_down: &|_| false,
                is_unsettled: false,
            };
            assert_eq!(plan(&policy(Panic::All), &candidates, false, &situation).ttl, expected);
        };
        check(&[], 60);
        check(&[0], 5);
        check(&[1], 60);
    }
}
