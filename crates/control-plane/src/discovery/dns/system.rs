//! The system's configuration of name resolution: read when it is needed, and again when it has changed.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hickory_resolver::Hosts;
use hickory_resolver::net::NetError;
use hickory_resolver::system_conf::parse_resolv_conf;

use super::lookup::{Client, Extended, Settings};

/// Where the name servers are named.
#[derive(Clone, Debug)]
pub(in crate::discovery) enum NameServers {
    /// In a file, usually `/etc/resolv.conf`.
    ResolvConf(PathBuf),
    /// Here.
    Fixed(Vec<SocketAddr>),
}

/// What the files said when they were last read.
pub(in crate::discovery) struct System {
    servers: NameServers,
    hosts: PathBuf,
    read: Option<Read>,
    /// Good for the files as they were.
    client: Option<Arc<Client>>,
    settings: Settings,
}

impl System {
    /// Reads nothing yet.
    pub(in crate::discovery) fn new(servers: NameServers, hosts: PathBuf) -> System {
        let fixed = match &servers {
            // resolv.conf(5): the name server of this machine, where none is named.
            NameServers::ResolvConf(_) => vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), DNS)],
            NameServers::Fixed(servers) => servers.clone(),
        };
        let settings = Settings { servers: fixed, search: Vec::new(), ndots: 1, extended: Extended::No };
        System { servers, hosts, read: None, client: None, settings }
    }

    /// A client for the files as they are now. What cannot be read is told and stays as it was.
    ///
    /// This looks at two local files and reads them if they have changed: no reason to leave the thread.
    pub(in crate::discovery) fn client(&mut self) -> Arc<Client> {
        let resolv_conf = match &self.servers {
            NameServers::ResolvConf(path) => Stamp::of(path),
            NameServers::Fixed(_) => None,
        };
        let now = Read { resolv_conf, hosts: Stamp::of(&self.hosts) };
        if let Some(client) = &self.client
            && self.read.as_ref() == Some(&now)
        {
            return Arc::clone(client);
        }
        self.read_settings();
        self.read = Some(now);
        let client = Arc::new(Client::new(&self.settings, self.read_hosts()));
        self.client = Some(Arc::clone(&client));
        client
    }

    fn read_settings(&mut self) {
        let NameServers::ResolvConf(path) = &self.servers else { return };
        match fs::read(path).map_err(NetError::from).and_then(|text| settings(&text)) {
            Ok(settings) => self.settings = settings,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, servers = ?self.settings.servers, "cannot be read");
            }
        }
    }

    fn read_hosts(&self) -> Hosts {
        let mut hosts = Hosts::default();
        let read = fs::read(&self.hosts).and_then(|text| hosts.read_hosts_conf(text.as_slice()));
        match read {
            Ok(()) => {}
            // A container may well have none.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!(path = %self.hosts.display(), %error, "cannot be read"),
        }
        hosts
    }
}

/// Tells whether the files are still those that were read.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Read {
    resolv_conf: Option<Stamp>,
    hosts: Option<Stamp>,
}

/// A file's identity and last change; a renamed and a rewritten file both differ.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    length: u64,
    changed: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> Option<Stamp> {
        let metadata = fs::metadata(path).ok()?;
        Some(Stamp {
            inode: metadata.ino(),
            length: metadata.len(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

/// What a resolv.conf says, as resolv.conf(5) means it.
fn settings(text: &[u8]) -> Result<Settings, NetError> {
    let (config, options) = parse_resolv_conf(text)?;
    let (domain, mut search, servers) = config.into_parts();
    if search.is_empty() {
        search.extend(domain);
    }
    Ok(Settings {
        servers: servers.iter().map(|server| SocketAddr::new(server.ip, DNS)).collect(),
        search,
        ndots: options.ndots,
        extended: if options.edns0 { Extended::Yes } else { Extended::No },
    })
}

const DNS: u16 = 53;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::failure::Failure;
    use super::*;

    #[test]
    fn resolv_conf_is_understood() {
        type Expected<'a> = Option<(&'a [&'a str], &'a [&'a str], usize, Extended)>;
        fn check(text: &str, expected: Expected<'_>) {
            let found = settings(text.as_bytes()).ok();
            let found = found.map(|found| {
                let servers: Vec<String> = found.servers.iter().map(SocketAddr::to_string).collect();
                let search: Vec<String> = found.search.iter().map(|name| name.to_ascii()).collect();
                (servers, search, found.ndots, found.extended)
            });
            let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
            let expected = expected
                .map(|(servers, search, ndots, extended)| (owned(servers), owned(search), ndots, extended));
            assert_eq!(found, expected, "{text:?}");
        }
        check("search lan\nnameserver 192.0.2.1\n", Some((&["192.0.2.1:53"], &["lan"], 1, Extended::No)));
        check(
            "nameserver 192.0.2.1\nnameserver 2001:db8::1\nsearch a.example b.example\noptions ndots:5 edns0\n",
            Some((&["192.0.2.1:53", "[2001:db8::1]:53"], &["a.example", "b.example"], 5, Extended::Yes)),
        );
        check("domain lan\nnameserver 192.0.2.1", Some((&["192.0.2.1:53"], &["lan"], 1, Extended::No)));
        check("search lan\n", None);
        check("", None);
    }

    /// A system of two files; the name server of the test answers nothing.
    fn system(folder: &Path) -> System {
        System::new(NameServers::ResolvConf(folder.join("resolv.conf")), folder.join("hosts"))
    }

    fn lookup(system: &mut System, name: &str) -> Result<Vec<String>, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let answer = runtime.block_on(async { system.client().lookup(name).await })?;
        assert!(answer.ttl > Duration::from_secs(60), "the hosts file holds until it is changed");
        Ok(answer.addresses.iter().map(IpAddr::to_string).collect())
    }

    #[test]
    fn the_hosts_file_answers_and_is_read_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut system = system(folder.path());
        let hosts = folder.path().join("hosts");
        let write = |text: &str| fs::write(&hosts, text).expect("it can be written");
        write("192.0.2.1 app App.Example # and more\n2001:db8::1 app\n");
        assert_eq!(lookup(&mut system, "app"), Ok(vec!["192.0.2.1".to_owned(), "2001:db8::1".to_owned()]));
        assert_eq!(lookup(&mut system, "app.example"), Ok(vec!["192.0.2.1".to_owned()]));
        write("192.0.2.2 app\n");
        assert_eq!(lookup(&mut system, "app"), Ok(vec!["192.0.2.2".to_owned()]));
        let renamed = folder.path().join("new");
        fs::write(&renamed, "192.0.2.3 app\n").expect("it can be written");
        fs::rename(&renamed, &hosts).expect("it can be renamed");
        assert_eq!(lookup(&mut system, "app"), Ok(vec!["192.0.2.3".to_owned()]));
    }

    #[test]
    fn localhost_needs_no_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let found = lookup(&mut system(folder.path()), "localhost");
        assert_eq!(found, Ok(vec!["127.0.0.1".to_owned(), "::1".to_owned()]));
    }

    #[test]
    fn what_is_no_name_is_not_asked_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut system = system(folder.path());
        assert_eq!(lookup(&mut system, "a..b"), Err(Failure::BadName));
        assert_eq!(lookup(&mut system, &"a".repeat(64)), Err(Failure::BadName));
    }

    #[test]
    fn without_a_readable_file_the_last_settings_stay() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut system = system(folder.path());
        let check = |system: &mut System, expected: &str| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let _inside = runtime.as_ref().expect("a runtime").enter();
            system.client();
            assert_eq!(system.settings.servers, [expected.parse().expect("an address")]);
        };
        let file = folder.path().join("resolv.conf");
        check(&mut system, "127.0.0.1:53");
        fs::write(&file, "nameserver 192.0.2.1\n").expect("it can be written");
        check(&mut system, "192.0.2.1:53");
        fs::write(&file, "").expect("it can be written");
        check(&mut system, "192.0.2.1:53");
        fs::remove_file(&file).expect("it can be removed");
        check(&mut system, "192.0.2.1:53");
        fs::write(&file, "nameserver 192.0.2.2\n").expect("it can be written");
        check(&mut system, "192.0.2.2:53");
    }

    #[test]
    fn files_that_stay_are_read_once() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("hosts"), "192.0.2.1 app\n").expect("it can be written");
        let mut system = system(folder.path());
        assert!(Arc::ptr_eq(&system.client(), &system.client()));
    }
}
