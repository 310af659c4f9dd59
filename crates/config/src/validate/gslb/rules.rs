//! The words of a policy: which of them go together, and in which order.

use crate::code::Code;
use crate::decode::{At, OneOrMany, Word};
use crate::gslb::{Choose, RegionOrder, ServiceChoose};
use crate::raw::{DnsPolicy, RawStickyKey};
use crate::validate::Context;

/// What the words mean together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Of regions.
    pub(crate) order: RegionOrder,
    pub(crate) choose: Choose,
}

type Words = OneOrMany<Word<DnsPolicy>>;

/// What the words mean for targets by region, or without regions; `None` after recording that they do not go together.
pub(crate) fn of_targets(
    words: &Words,
    has_regions: bool,
    key: Option<&RawStickyKey>,
    context: &mut Context<'_>,
) -> Option<Rules> {
    refuse_order(words, context)?;
    let find = |stage| words.0.iter().find(|word| self::stage(word.value.0) == stage);
    let (locate, choice, failover) = (find(Stage::Locate), find(Stage::Choose), find(Stage::Failover));
    if !has_regions {
        if let Some(word) = locate {
            let message = format!("`{}` needs `regions`", word.value.0.as_str());
            context
                .problems
                .add(Code::Conflict, word.place, message)
                .note("`endpoints` are the same everywhere");
            return None;
        }
        if let (Some(_), Some(word)) = (choice, failover) {
            context
                .problems
                .add(Code::Conflict, word.place, "`failover` after a choice needs `regions`")
                .note("alone it answers the first of the endpoints that is healthy");
            return None;
        }
    }
    let order = match locate.map(|word| word.value.0) {
        Some(DnsPolicy::Geo) => RegionOrder::Geo,
        Some(_) => RegionOrder::Nearest,
        None if failover.is_some() => RegionOrder::Configured,
        None => RegionOrder::Together,
    };
    let choose = match choice.map(|word| word.value.0) {
        Some(DnsPolicy::Weighted) => Choose::Weighted,
        Some(DnsPolicy::Sticky) => sticky(key),
        None if failover.is_some() && !has_regions => Choose::First,
        _ => Choose::All,
    };
    Some(Rules { order, choose })
}

/// What the words mean for the endpoints of a service.
pub(crate) fn of_service(words: &Words, context: &mut Context<'_>) -> Option<ServiceChoose> {
    refuse_order(words, context)?;
    let other =
        |word: &&At<Word<DnsPolicy>>| !matches!(word.value.0, DnsPolicy::RoundRobin | DnsPolicy::Weighted);
    if let Some(word) = words.0.iter().find(other) {
        let message = format!("`{}` cannot stand beside `service`", word.value.0.as_str());
        context.problems.add(Code::Conflict, word.place, message).note("allowed here: round_robin, weighted");
        return None;
    }
    match words.0.first()?.value.0 {
        DnsPolicy::Weighted => Some(ServiceChoose::Weighted),
        _ => Some(ServiceChoose::All),
    }
}

/// What a word decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// Which region.
    Locate,
    /// Which of its targets.
    Choose,
    /// What else if there is none.
    Failover,
}

fn stage(word: DnsPolicy) -> Stage {
    match word {
        DnsPolicy::Geo | DnsPolicy::Nearest => Stage::Locate,
        DnsPolicy::RoundRobin | DnsPolicy::Weighted | DnsPolicy::Sticky => Stage::Choose,
        DnsPolicy::Failover => Stage::Failover,
    }
}

/// Words go from the region to its targets to what else there is; one of each.
fn refuse_order(words: &Words, context: &mut Context<'_>) -> Option<()> {
    for pair in words.0.windows(2) {
        let [before, word] = pair else { continue };
        let (first, second) = (before.value.0, word.value.0);
        let message = match stage(first).cmp(&stage(second)) {
            std::cmp::Ordering::Less => continue,
            _ if first == second => format!("`{}` is given twice", second.as_str()),
            std::cmp::Ordering::Equal => {
                format!("`{}` and `{}` decide the same thing", first.as_str(), second.as_str())
            }
            std::cmp::Ordering::Greater => format!("`{}` goes before `{}`", second.as_str(), first.as_str()),
        };
        context.problems.add(Code::Conflict, word.place, message).note(ORDER);
        return None;
    }
    Some(())
}

fn sticky(key: Option<&RawStickyKey>) -> Choose {
    let bits =
        |given: Option<u64>, default: u8| given.and_then(|bits| u8::try_from(bits).ok()).unwrap_or(default);
    Choose::Sticky {
        v4: bits(key.and_then(|key| key.v4).map(|bits| bits.0), 24),
        v6: bits(key.and_then(|key| key.v6).map(|bits| bits.0), 56),
    }
}

const ORDER: &str = "at most one of geo and nearest, then one of round_robin, weighted and sticky, then failover: \
                     `[geo, weighted, failover]`";
