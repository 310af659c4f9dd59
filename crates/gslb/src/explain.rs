//! Why a name is answered as it is: the answer itself, made by the function that answers everybody, and what it was made of.

mod reading;

use std::net::IpAddr;
use std::time::SystemTime;

use fulcrum_balance::Rng;
use fulcrum_model::{DnsName, RecordType};
use ipnet::IpNet;

use crate::answer::{Client, DATAGRAM_MAX, Transport, answer};
use crate::edns::{ClientSubnet, SUBNET_MAX};
use crate::geo::{Candidate as Ranked, Located, Ranking};
use crate::query::HEADER;
use crate::snapshot::Snapshot;
use crate::verdict::Standing;

pub use self::reading::Told;
pub(crate) use self::reading::code;

/// What is to be explained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The name.
    pub name: DnsName,
    /// The type.
    pub record_type: RecordType,
    /// The client, as a resolver tells its network (RFC 7871).
    pub from: IpNet,
}

/// Why a name is answered as it is.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The generation of the configuration.
    pub generation: u64,
    /// The zone that the name is in; `None`: in none of them.
    pub zone: Option<DnsName>,
    /// What there is of it.
    pub found: Found,
    /// What is answered: where chance decides, one of several answers.
    pub told: Told,
    /// Of what it was chosen, where that depends on who asks or on what is well.
    pub choosing: Option<Choosing>,
}

/// What there is of a name and a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// What is always the same.
    Records,
    /// What a policy or a service answers.
    Choice,
    /// The name, but nothing of the type.
    NoData,
    /// Not even the name.
    NoName,
    /// It is in no zone.
    Nowhere,
}

/// How an answer was chosen.
#[derive(Clone, Debug)]
pub struct Choosing {
    /// The name as it is configured, perhaps a wildcard.
    pub owner: DnsName,
    /// What it answers by, in the words of the configuration.
    pub by: String,
    /// The number of the class that clients with the same order of regions are in.
    pub class: Option<u16>,
    /// Where the client is, and by what regions are put in order for it; `None` where that does not matter.
    pub place: Option<(Located, Ranking)>,
    /// The regions, best first; or all targets as one, where there are none.
    pub candidates: Vec<Candidate>,
    /// Parts of the clients like this one, and whose they are.
    pub slices: Vec<Part>,
    /// The part that this client is in.
    pub slice: Option<usize>,
    /// That nothing is left, if so.
    pub panic: Option<Panicking>,
    /// How long it may be remembered, in seconds, and why.
    pub ttl: (u32, TtlReason),
}

/// A region that a client can be sent to, or targets without one.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its name and how it stands.
    pub region: Option<RegionView>,
    /// Why it stands at this place of the order, as far as that depends on the client.
    pub rank: Option<Ranked>,
    /// How many of the clients like this one get an answer of it, in percent.
    pub clients: f64,
    /// Why as many.
    pub outcome: Outcome,
    /// Its targets.
    pub targets: Vec<TargetView>,
}

/// How a region stands.
#[derive(Clone, Debug)]
pub struct RegionView {
    /// Its name.
    pub name: String,
    /// Its verdict; there is one wherever there are regions.
    pub standing: Option<Standing>,
    /// The part of its clients that its verdict and its headroom leave it, in percent.
    pub share: u8,
}

/// Why a candidate gets the clients that it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It answers.
    Answers,
    /// It answers because nothing else is left.
    LastResort,
    /// Its verdict leaves it no clients.
    NotEligible,
    /// All its targets are down.
    NoTarget,
    /// Those before it get all clients.
    NotReached,
    /// None of its targets has a weight, and others have.
    NoWeight,
    /// It is not for clients like this one.
    NotForClient,
}

/// A target of a candidate.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetView {
    /// The address or the alias.
    pub answer: String,
    /// Its weight as it is configured, or as the service has it.
    pub weight: u32,
    /// How well it is.
    pub health: TargetState,
    /// What its last bad check complained of.
    pub complaint: Option<String>,
    /// How many answers to the clients of its part begin with it, in percent, among those of its type.
    pub first: f64,
    /// How many answers began with it so far; `None` where that is not counted.
    pub answers: Option<u64>,
}

/// How well a target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetState {
    /// Nobody looks.
    Unchecked,
    /// Nothing is known against it.
    Up,
    /// It fails, and is answered until that is sure.
    Suspect,
    /// It is left out.
    Down,
    /// It is left out, and checks begin to pass.
    Returning,
}

/// A part of the clients.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Whose: a region's, or everybody's.
    pub region: Option<String>,
    /// How many, in percent.
    pub clients: f64,
}

/// That nothing is left, and what is done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panicking {
    /// `all`, `last_good`, `fallback`, `nodata`.
    pub mode: &'static str,
    /// What has come to pass.
    pub why: &'static str,
}

/// Why an answer may be remembered for as long as it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TtlReason {
    /// Nothing is about to change.
    Settled,
    /// These regions may change soon.
    Regions(Vec<String>),
    /// A target may be taken out, or come back, soon.
    Targets,
    /// Not every endpoint of the service is well.
    Endpoints,
}

/// A network, or an address, which is a network of one.
pub fn network(text: &str) -> Option<IpNet> {
    let alone = || text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse::<IpNet>().ok().or_else(alone).map(|net| net.trunc())
}

/// What everybody with this question would be told.
pub(crate) fn told(snapshot: &Snapshot, question: &Question, seed: u64) -> Option<Told> {
    let message = message(question);
    let mut rng = Rng::from_seed(seed);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.as_secs() as u32);
    let address: IpAddr = question.from.network();
    let mut client = Client { address, transport: Transport::Udp, now, rng: &mut rng };
    let mut out = vec![0; DATAGRAM_MAX];
    let answered = answer(snapshot, &message, &mut client, &mut out)?;
    out.truncate(answered.length);
    Told::read(&out, answered.code, answered.is_truncated)
}

/// The query that a resolver would send.
fn message(question: &Question) -> Vec<u8> {
    // One question, one OPT record; recursion is what most ask for.
    let mut message = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
    debug_assert_eq!(message.len(), HEADER);
    message.extend_from_slice(question.name.as_wire());
    message.extend_from_slice(&question.record_type.0.to_be_bytes());
    message.extend_from_slice(&[0, 1]);
    let subnet = ClientSubnet { address: question.from.network(), source: question.from.prefix_len() };
    let mut option = [0; SUBNET_MAX];
    let length = subnet.write(0, &mut option);
    let [s0, s1] = (DATAGRAM_MAX as u16).to_be_bytes();
    message.extend_from_slice(&[0, 0, 41, s0, s1, 0, 0, 0, 0, 0, length as u8]);
    message.extend_from_slice(&option[..length]);
    message
}
