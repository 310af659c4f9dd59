//! What the responder says of an answer, as the admin writes it.

use fulcrum_control_plane::timestamp::Timestamp;
use fulcrum_gslb::explain::{
    Candidate, Choosing, Explanation, Found, Outcome, Question, TargetState, TargetView, Told, TtlReason,
};
use fulcrum_gslb::geo::{Candidate as Ranked, Embedding, Located, LocatedBy, Match, Ranking, Reason};
use fulcrum_gslb::responder::Responder;

use super::Answering;
use super::simulate::rounded;
use crate::admin::{
    CandidateDocument, ChoosingDocument, ClientDocument, ExplainDocument, PanicDocument, PartDocument,
    TargetDocument, ToldDocument, TtlDocument,
};
use crate::registry::random_seed;

impl Answering {
    /// Why a question is answered as it is; nothing where nothing is answered.
    pub(crate) fn explain(&self, question: &Question) -> Option<ExplainDocument> {
        let responder = self.responder()?;
        let explanation = responder.explain(question, random_seed())?;
        Some(document(responder, question, explanation))
    }
}

fn document(responder: &Responder, question: &Question, explanation: Explanation) -> ExplainDocument {
    let Explanation { generation, zone, found, told, choosing } = explanation;
    let zone = zone.map(|zone| zone.to_string());
    let why = why(responder, question, found, zone.as_deref());
    let regions = responder.config();
    let region = |region: fulcrum_gslb::Region| {
        regions.regions.get(region.index()).map(|region| region.name.to_string()).unwrap_or_default()
    };
    ExplainDocument {
        name: question.name.to_string(),
        record_type: question.record_type.to_string(),
        from: question.from.to_string(),
        generation,
        zone,
        found: word_of(found).to_owned(),
        why,
        answer: answer(told),
        choice: choosing.map(|choosing| choice(choosing, &region)),
    }
}

fn word_of(found: Found) -> &'static str {
    match found {
        Found::Records => "records",
        Found::Choice => "choice",
        Found::NoData => "no_data",
        Found::NoName => "no_name",
        Found::Nowhere => "nowhere",
    }
}

/// What there is of a name, in a sentence.
fn why(responder: &Responder, question: &Question, found: Found, zone: Option<&str>) -> String {
    let Question { name, record_type, .. } = question;
    let zone = zone.unwrap_or_default();
    match found {
        Found::Records => format!("zone {zone} has records for it, the same for everybody"),
        Found::Choice => format!("zone {zone} answers for it by who asks and what is well"),
        Found::NoData => format!("{name} is in zone {zone}, but has nothing of type {record_type}"),
        Found::NoName => format!("there is no name {name} in zone {zone}"),
        Found::Nowhere => {
            let snapshot = responder.snapshot();
            let zones: Vec<String> = snapshot.names.zones().map(ToString::to_string).collect();
            format!("{name} is in no zone of this daemon: {}", crate::admin::there_are(&zones))
        }
    }
}

fn answer(told: Told) -> ToldDocument {
    let Told { code, answers, authority, scope, is_truncated, bytes } = told;
    ToldDocument { code, answers, authority, scope, truncated: is_truncated, bytes }
}

fn choice(choosing: Choosing, region: &dyn Fn(fulcrum_gslb::Region) -> String) -> ChoosingDocument {
    let first = choosing.candidates.first().and_then(|candidate| candidate.rank);
    let part = |part: fulcrum_gslb::explain::Part| PartDocument {
        region: part.region,
        clients_percent: rounded(part.clients),
    };
    ChoosingDocument {
        owner: choosing.owner.to_string(),
        by: choosing.by,
        class: choosing.class,
        client: choosing.place.map(|place| client(place, first, region)),
        candidates: choosing.candidates.into_iter().map(candidate).collect(),
        parts: choosing.slices.into_iter().map(part).collect(),
        part: choosing.slice,
        panic: choosing
            .panic
            .map(|panic| PanicDocument { mode: panic.mode.to_owned(), why: panic.why.to_owned() }),
        ttl: TtlDocument { seconds: choosing.ttl.0, why: why_ttl(&choosing.ttl.1) },
    }
}

fn client(
    (located, ranking): (Located, Ranking),
    first: Option<Ranked>,
    region: &dyn Fn(fulcrum_gslb::Region) -> String,
) -> ClientDocument {
    let Located { address, embedding, net, place, place_net, asn_net } = located;
    let (known_by, network) = match first.map(|first| first.reason) {
        Some(Reason::Net(net)) => ("nets", Some(net)),
        Some(Reason::Match(Match::Asn(_))) => ("asn", asn_net.or(place_net)),
        Some(Reason::Match(Match::Default) | Reason::Fallback | Reason::Order) | None => ("default", None),
        Some(Reason::Match(_) | Reason::Near { .. }) => ("database", place_net),
    };
    let location = match ranking {
        Ranking::Nearest => place.point().map(|(point, _)| point),
        Ranking::Geo => place.location,
    };
    ClientDocument {
        address: address.to_string(),
        embedding: embedding.map(|embedding| word_of_embedding(embedding).to_owned()),
        known_by: known_by.to_owned(),
        network: network.map(|net| net.to_string()),
        region: net.map(|(_, of)| region(of)),
        continent: place.continent.map(|continent| continent.to_string()),
        country: place.country.map(|country| country.to_string()),
        subdivision: place.subdivision.map(|subdivision| subdivision.to_string()),
        asn: place.asn,
        location: location.map(|point| point.to_string()),
    }
}

fn word_of_embedding(embedding: Embedding) -> &'static str {
    match embedding {
        Embedding::Mapped => "mapped",
        Embedding::Nat64 => "nat64",
        Embedding::SixToFour => "6to4",
        Embedding::Teredo => "teredo",
    }
}

fn candidate(candidate: Candidate) -> CandidateDocument {
    let standing = candidate.region.as_ref().and_then(|region| region.standing.as_ref());
    CandidateDocument {
        state: standing.map(|standing| standing.state.to_string()),
        since: standing.map(|standing| Timestamp(standing.since)),
        verdict: standing.map(|standing| standing.reason.to_string()),
        share_percent: candidate.region.as_ref().map(|region| region.share),
        clients_percent: rounded(candidate.clients),
        outcome: word_of_outcome(candidate.outcome).to_owned(),
        rank: candidate.rank.map(|ranked| rank(&ranked.reason)),
        targets: targets(candidate.targets),
        region: candidate.region.map(|region| region.name),
    }
}

fn word_of_outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Answers => "answers",
        Outcome::LastResort => "last_resort",
        Outcome::NotEligible => "not_eligible",
        Outcome::NoTarget => "no_target",
        Outcome::NotReached => "not_reached",
        Outcome::NoWeight => "no_weight",
        Outcome::NotForClient => "not_for_client",
    }
}

/// Why a region is at its place of the order.
fn rank(reason: &Reason) -> String {
    match reason {
        Reason::Net(net) => format!("net:{net}"),
        Reason::Match(matching) => matching.to_string(),
        Reason::Fallback => "geo.default".to_owned(),
        Reason::Order => "configured order".to_owned(),
        Reason::Near { distance, compared, by } => {
            let by = match by {
                LocatedBy::Database => "the point of the database",
                LocatedBy::Subdivision => "the middle of the subdivision",
                LocatedBy::Country => "the middle of the country",
            };
            let bent = match compared == distance {
                true => String::new(),
                false => format!(", compared as {} km", compared.kilometres()),
            };
            format!("{} km from {by}{bent}", distance.kilometres())
        }
    }
}

fn targets(targets: Vec<TargetView>) -> Vec<TargetDocument> {
    let total: u64 = targets.iter().filter_map(|target| target.answers).sum();
    targets.into_iter().map(|view| target(view, total)).collect()
}

fn target(target: TargetView, total: u64) -> TargetDocument {
    let health = match target.health {
        TargetState::Unchecked => "unchecked",
        TargetState::Up => "up",
        TargetState::Suspect => "suspect",
        TargetState::Down => "down",
        TargetState::Returning => "returning",
    };
    TargetDocument {
        answer: target.answer,
        weight: target.weight,
        health: health.to_owned(),
        last_check_failure: target.complaint,
        first_percent: rounded(target.first),
        answered: target.answers,
        answered_percent: target
            .answers
            .filter(|_| total > 0)
            .map(|answers| rounded(answers as f64 * 100.0 / total as f64)),
    }
}

fn why_ttl(reason: &TtlReason) -> String {
    match reason {
        TtlReason::Settled => "nothing is about to change".to_owned(),
        TtlReason::Regions(regions) => format!("{} may change soon", regions.join(", ")),
        TtlReason::Targets => "a target may be taken out, or come back, soon".to_owned(),
        TtlReason::Endpoints => "not every endpoint of the service is well".to_owned(),
    }
}
