//! The resolver against a name server that answers from a table, which changes while it is asked.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fulcrum_control_plane::discovery::dns::{Failure, NameStatus, Resolver};
use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{CNAME, SOA};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// What the server says to a question.
#[derive(Clone, Debug)]
enum Reply {
    /// These, for one second: addresses, or an alias. One longer than a UDP message is cut there.
    Records(Vec<RData>),
    /// Nothing of this kind, or no name at all, or no help.
    Code(ResponseCode),
    /// Never anything.
    Silence,
}

type Table = HashMap<(String, RecordType), Reply>;

/// A name server on a port of its own, over UDP and TCP.
struct Server {
    address: SocketAddr,
    table: Arc<Mutex<Table>>,
    tasks: [JoinHandle<()>; 2],
}

impl Server {
    async fn start() -> Server {
        let (udp, tcp) = Server::bind().await;
        let address = udp.local_addr().expect("it is bound");
        let table = Arc::new(Mutex::new(Table::new()));
        let tasks = [
            tokio::spawn(serve_udp(udp, Arc::clone(&table))),
            tokio::spawn(serve_tcp(tcp, Arc::clone(&table))),
        ];
        Server { address, table, tasks }
    }

    /// The same port of both protocols.
    async fn bind() -> (UdpSocket, TcpListener) {
        for _ in 0..100 {
            let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr().expect("it is bound")).await {
                return (udp, tcp);
            }
        }
        panic!("no port is free for both protocols");
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn says(&self, name: &str, kind: RecordType, reply: Reply) {
        self.table().insert((format!("{name}."), kind), reply);
    }

    /// The addresses of both kinds.
    fn has(&self, name: &str, texts: &[&str]) {
        let found = addresses(texts);
        let of = |is_wanted: fn(&IpAddr) -> bool| {
            Reply::Records(found.iter().copied().filter(is_wanted).map(RData::from).collect())
        };
        self.says(name, RecordType::A, of(IpAddr::is_ipv4));
        self.says(name, RecordType::AAAA, of(IpAddr::is_ipv6));
    }

    /// The same to both kinds of questions.
    fn says_to_both(&self, name: &str, reply: &Reply) {
        self.says(name, RecordType::A, reply.clone());
        self.says(name, RecordType::AAAA, reply.clone());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

async fn serve_udp(socket: UdpSocket, table: Arc<Mutex<Table>>) {
    let mut buffer = [0; 4096];
    while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
        let Some(mut reply) = reply(&buffer[..length], &table) else { continue };
        let mut bytes = reply.to_vec().expect("it can be encoded");
        if bytes.len() > 512 {
            reply.answers.clear();
            reply.metadata.truncation = true;
            bytes = reply.to_vec().expect("it can be encoded");
        }
        // A client that has gone does not care.
        let _ = socket.send_to(&bytes, client).await;
    }
}

async fn serve_tcp(listener: TcpListener, table: Arc<Mutex<Table>>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        while let Ok(question) = read_framed(&mut stream).await {
            let Some(reply) = reply(&question, &table) else { continue };
            let bytes = reply.to_vec().expect("it can be encoded");
            let length = u16::try_from(bytes.len()).expect("it fits");
            let framed = [&length.to_be_bytes()[..], &bytes].concat();
            if stream.write_all(&framed).await.is_err() {
                break;
            }
        }
    }
}

async fn read_framed(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}

/// What the table says; a name that it does not have does not exist.
fn reply(question: &[u8], table: &Mutex<Table>) -> Option<Message> {
    let question = Message::from_vec(question).expect("a question");
    let query = question.queries.first().expect("one query").clone();
    let key = (query.name().to_lowercase().to_ascii(), query.query_type());
    let said = table.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
    let mut reply = Message::response(question.metadata.id, question.metadata.op_code);
    reply.add_query(query.clone());
    reply.metadata.recursion_available = true;
    match said.unwrap_or(Reply::Code(ResponseCode::NXDomain)) {
        Reply::Silence => return None,
        Reply::Code(code) => {
            reply.metadata.response_code = code;
            reply.add_authority(no_such_thing_for_an_hour());
        }
        Reply::Records(records) => {
            let mut owner = query.name().clone();
            for data in records {
                let next = match &data {
                    RData::CNAME(CNAME(target)) => target.clone(),
                    _ => owner.clone(),
                };
                reply.add_answer(Record::from_rdata(owner, 1, data));
                owner = next;
            }
        }
    }
    Some(reply)
}

/// What would be remembered for long, if answers were remembered (RFC 2308 §5).
fn no_such_thing_for_an_hour() -> Record {
    let root = Name::root();
    let soa = SOA::new(root.clone(), root.clone(), 1, 3600, 3600, 3600, 3600);
    Record::from_rdata(root, 3600, RData::SOA(soa))
}

fn addresses(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().expect("an address")).collect()
}

/// A resolver that asks these servers, and what it publishes.
struct Watched {
    resolver: Resolver,
    published: UnboundedReceiver<(String, Vec<IpAddr>)>,
}

impl Watched {
    fn new(servers: &[&Server], names: &[&str]) -> Watched {
        let (sender, published) = unbounded_channel();
        let servers = servers.iter().map(|server| server.address).collect();
        let resolver = Resolver::with_servers(servers, move |name: &str, found: &[IpAddr]| {
            // Nobody listens any more when the test ends.
            let _ = sender.send((name.to_owned(), found.to_vec()));
        });
        let watched = Watched { resolver, published };
        watched.follow(names);
        watched
    }

    fn follow(&self, names: &[&str]) {
        let names: BTreeSet<String> = names.iter().map(|name| (*name).to_owned()).collect();
        self.resolver.follow(&names);
    }

    /// The next that is published is this.
    async fn expect(&mut self, name: &str, texts: &[&str]) {
        let next = timeout(PATIENCE, self.published.recv()).await.expect("something is published in time");
        assert_eq!(next, Some((name.to_owned(), addresses(texts))));
    }

    fn status(&self, name: &str) -> NameStatus {
        let status = self.resolver.status();
        status.into_iter().find(|status| &*status.name == name).expect("it is followed")
    }

    /// Waits until a name has failed for this reason.
    async fn fails(&self, name: &str, failure: Failure) -> NameStatus {
        self.until(name, |status| status.last_failure == Some(failure)).await
    }

    async fn until(&self, name: &str, holds: impl Fn(&NameStatus) -> bool) -> NameStatus {
        let look = async {
            loop {
                let status = self.status(name);
                if holds(&status) {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, look).await.unwrap_or_else(|_| panic!("{:?}", self.status(name)))
    }
}

const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn changes_are_followed_and_nothing_else_is_told() {
    let server = Server::start().await;
    server.has("app.test", &["192.0.2.2", "192.0.2.1"]);
    let mut watched = Watched::new(&[&server], &["app.test"]);
    watched.expect("app.test", &["192.0.2.1", "192.0.2.2"]).await;
    // The same ones in another order are no change.
    server.has("app.test", &["192.0.2.1", "192.0.2.2"]);
    watched.until("app.test", |_| watched.resolver.counters().answers >= 2).await;
    server.has("app.test", &["192.0.2.3", "192.0.2.2"]);
    watched.expect("app.test", &["192.0.2.2", "192.0.2.3"]).await;
    let counters = watched.resolver.counters();
    assert_eq!((counters.changes, counters.failures), (2, [0; 7]));
    assert_eq!(*watched.resolver.addresses("app.test"), addresses(&["192.0.2.2", "192.0.2.3"]));
}

#[tokio::test]
async fn both_kinds_of_addresses_are_taken() {
    let server = Server::start().await;
    server.has("both.test", &["2001:db8::1", "192.0.2.1"]);
    let mut watched = Watched::new(&[&server], &["both.test"]);
    watched.expect("both.test", &["192.0.2.1", "2001:db8::1"]).await;
    server.has("six.test", &["2001:db8::6"]);
    server.says("six.test", RecordType::A, Reply::Code(ResponseCode::NXDomain));
    watched.follow(&["six.test"]);
    watched.expect("six.test", &["2001:db8::6"]).await;
    assert_eq!(watched.status("six.test").last_failure, None);
}

#[tokio::test]
async fn aliases_are_followed() {
    let server = Server::start().await;
    let alias = |text: &str| RData::CNAME(CNAME(Name::from_ascii(text).expect("a name")));
    let whole = vec![alias("real.test."), RData::from(IpAddr::from([192, 0, 2, 1]))];
    server.says("whole.test", RecordType::A, Reply::Records(whole));
    // Not every server adds what the alias leads to.
    server.says("bare.test", RecordType::A, Reply::Records(vec![alias("real.test.")]));
    server.has("real.test", &["192.0.2.2"]);
    let mut watched = Watched::new(&[&server], &["whole.test"]);
    watched.expect("whole.test", &["192.0.2.1"]).await;
    watched.follow(&["bare.test"]);
    watched.expect("bare.test", &["192.0.2.2"]).await;
}

#[tokio::test]
async fn answers_that_are_too_long_for_udp_come_by_tcp() {
    let server = Server::start().await;
    let many: Vec<String> = (1..=200).map(|number| format!("192.0.2.{number}")).collect();
    let mut many: Vec<&str> = many.iter().map(String::as_str).collect();
    server.has("many.test", &many);
    many.sort_unstable_by_key(|text| text.parse::<IpAddr>().expect("an address"));
    Watched::new(&[&server], &["many.test"]).expect("many.test", &many).await;
}

/// A name that was there keeps its addresses through a failure, and is told again only when it differs.
async fn keeps_the_last_good(reply: Reply, failure: Failure) {
    let server = Server::start().await;
    server.has("app.test", &["192.0.2.1", "2001:db8::1"]);
    let mut watched = Watched::new(&[&server], &["app.test"]);
    watched.expect("app.test", &["192.0.2.1", "2001:db8::1"]).await;
    server.says_to_both("app.test", &reply);
    let status = watched.fails("app.test", failure).await;
    assert_eq!(*status.addresses, addresses(&["192.0.2.1", "2001:db8::1"]));
    assert!(status.failures > 0 && status.last_answer.is_some(), "{status:?}");
    assert!(watched.resolver.counters().failures[failure as usize] > 0);
    server.has("app.test", &["192.0.2.9"]);
    watched.expect("app.test", &["192.0.2.9"]).await;
    assert_eq!(watched.status("app.test").last_failure, None);
}

#[tokio::test]
async fn a_name_that_is_gone_keeps_the_last_good() {
    keeps_the_last_good(Reply::Code(ResponseCode::NXDomain), Failure::NoSuchName).await;
}

#[tokio::test]
async fn an_empty_answer_keeps_the_last_good() {
    keeps_the_last_good(Reply::Code(ResponseCode::NoError), Failure::NoAddresses).await;
}

#[tokio::test]
async fn a_failing_server_keeps_the_last_good() {
    keeps_the_last_good(Reply::Code(ResponseCode::ServFail), Failure::ServerFailure).await;
}

#[tokio::test]
async fn a_silent_server_keeps_the_last_good() {
    keeps_the_last_good(Reply::Silence, Failure::Timeout).await;
}

#[tokio::test]
async fn a_kind_that_is_not_answered_keeps_the_last_good() {
    let server = Server::start().await;
    server.has("app.test", &["192.0.2.1", "2001:db8::1"]);
    let mut watched = Watched::new(&[&server], &["app.test"]);
    watched.expect("app.test", &["192.0.2.1", "2001:db8::1"]).await;
    server.has("app.test", &["192.0.2.2"]);
    server.says("app.test", RecordType::AAAA, Reply::Code(ResponseCode::ServFail));
    watched.expect("app.test", &["192.0.2.2", "2001:db8::1"]).await;
    let status = watched.status("app.test");
    assert_eq!((status.last_failure, status.failures), (Some(Failure::ServerFailure), 0));
}

#[tokio::test]
async fn the_first_server_that_knows_wins() {
    let (silent, failing, good) = (Server::start().await, Server::start().await, Server::start().await);
    silent.says_to_both("app.test", &Reply::Silence);
    failing.says_to_both("app.test", &Reply::Code(ResponseCode::Refused));
    good.has("app.test", &["192.0.2.1"]);
    let mut watched = Watched::new(&[&silent, &failing, &good], &["app.test"]);
    watched.expect("app.test", &["192.0.2.1"]).await;
    // What the first one denies, the next one is not asked for.
    good.has("gone.test", &["192.0.2.2"]);
    watched.follow(&["gone.test"]);
    assert!(watched.fails("gone.test", Failure::NoSuchName).await.addresses.is_empty());
}

#[tokio::test]
async fn names_of_this_machine_need_no_server() {
    let mut watched = Watched::new(&[], &["localhost"]);
    let (name, found) = timeout(PATIENCE, watched.published.recv()).await.expect("in time").expect("it runs");
    assert_eq!(name, "localhost");
    assert!(found.iter().all(IpAddr::is_loopback), "{found:?}");
    // The others cannot be asked for.
    watched.follow(&["app.test"]);
    watched.fails("app.test", Failure::Unreachable).await;
}

#[tokio::test]
async fn settled_waits_for_every_name_and_for_failures_too() {
    let server = Server::start().await;
    server.has("good.test", &["192.0.2.1"]);
    let watched = Watched::new(&[&server], &["good.test", "gone.test"]);
    timeout(PATIENCE, watched.resolver.settled()).await.expect("in time");
    assert_eq!(*watched.resolver.addresses("good.test"), addresses(&["192.0.2.1"]));
    assert_eq!(watched.status("gone.test").last_failure, Some(Failure::NoSuchName));
}

#[tokio::test]
async fn more_names_than_lookups_at_a_time_are_all_answered() {
    let server = Server::start().await;
    let names: Vec<String> = (0..500).map(|number| format!("name-{number}.test")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for name in &names {
        server.has(name, &["192.0.2.1"]);
    }
    let watched = Watched::new(&[&server], &names);
    timeout(PATIENCE, watched.resolver.settled()).await.expect("in time");
    assert!(watched.resolver.status().iter().all(|status| !status.addresses.is_empty()));
}

#[tokio::test]
async fn names_that_are_let_go_are_not_asked_for() {
    let server = Server::start().await;
    server.has("old.test", &["192.0.2.1"]);
    server.has("new.test", &["192.0.2.2"]);
    let mut watched = Watched::new(&[&server], &["old.test"]);
    watched.expect("old.test", &["192.0.2.1"]).await;
    watched.follow(&["new.test"]);
    server.has("old.test", &["192.0.2.3"]);
    watched.expect("new.test", &["192.0.2.2"]).await;
    let names: Vec<NameStatus> = watched.resolver.status();
    assert!(matches!(&names[..], [only] if &*only.name == "new.test"), "{names:?}");
    server.has("new.test", &["192.0.2.4"]);
    // The next that is told is of the name that is followed.
    watched.expect("new.test", &["192.0.2.4"]).await;
    assert!(watched.resolver.addresses("old.test").is_empty());
}

#[tokio::test]
async fn a_dropped_resolver_ends() {
    let server = Server::start().await;
    server.has("app.test", &["192.0.2.1"]);
    let Watched { resolver, mut published } = Watched::new(&[&server], &["app.test"]);
    drop(resolver);
    let drained = async { while published.recv().await.is_some() {} };
    timeout(PATIENCE, drained).await.expect("the task lets go of what it would tell");
}
