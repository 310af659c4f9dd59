//! The nets file: which networks of clients belong to which region.

use std::collections::HashMap;
use std::fmt;

use ipnet::IpNet;

use super::rule::{NetError, parse_net};
use crate::region::Region;

/// Networks and their regions, each network once.
#[derive(Clone, Debug, Default)]
pub struct Nets(Vec<(IpNet, Region)>);

impl Nets {
    /// Reads `CIDR region` per line; `#` begins a comment. All faults are told, up to a number.
    pub fn parse(text: &str, region: impl Fn(&str) -> Option<Region>) -> Result<Nets, NetsError> {
        if text.len() > MAX_SIZE {
            return Err(NetsError { faults: vec![(0, NetsFault::Size)], more: 0 });
        }
        let mut reading = Reading { nets: Vec::new(), lines: HashMap::new(), faults: Vec::new(), more: 0 };
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.split('#').next().unwrap_or_default().trim();
            if text.is_empty() {
                continue;
            }
            if reading.nets.len() == MAX_NETS {
                reading.fault(line, NetsFault::Number);
                break;
            }
            if let Err(fault) = reading.read(line, text, &region) {
                reading.fault(line, fault);
            }
        }
        reading.finish()
    }

    /// The networks with their regions.
    pub fn iter(&self) -> impl Iterator<Item = (IpNet, Region)> {
        self.0.iter().copied()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What is wrong with a nets file: every fault with its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetsError {
    /// Lines, counted from one, and what is wrong there.
    pub faults: Vec<(usize, NetsFault)>,
    /// Faults that are not told one by one.
    pub more: usize,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetsFault {
    /// The file is too large.
    #[error("the file is larger than 16 MiB")]
    Size,
    /// Too many networks.
    #[error("there are more than {MAX_NETS} networks")]
    Number,
    /// Not two words.
    #[error("{0:?} is not a network and a region")]
    Form(String),
    /// The first word is not a network.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The second word is not a region.
    #[error("{0:?} is not one of the regions")]
    Region(String),
    /// The network was there before.
    #[error("{net} stands on line {line} already")]
    Again {
        /// The network.
        net: IpNet,
        /// Where it stands first.
        line: usize,
    },
    /// The network was there before, for another region.
    #[error("{net} belongs to another region on line {line}")]
    Contradiction {
        /// The network.
        net: IpNet,
        /// Where it stands first.
        line: usize,
    },
}

impl fmt::Display for NetsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (line, fault)) in self.faults.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            match line {
                0 => write!(f, "{separator}{fault}")?,
                _ => write!(f, "{separator}line {line}: {fault}")?,
            }
        }
        if self.more > 0 {
            write!(f, "; and {} more", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for NetsError {}

struct Reading {
    nets: Vec<(IpNet, Region)>,
    /// Where each network stands, and its region.
    lines: HashMap<IpNet, (usize, Region)>,
    faults: Vec<(usize, NetsFault)>,
    more: usize,
}

impl Reading {
    fn read(
        &mut self,
        line: usize,
        text: &str,
        region: impl Fn(&str) -> Option<Region>,
    ) -> Result<(), NetsFault> {
        let mut words = text.split_whitespace();
        let (Some(net), Some(name), None) = (words.next(), words.next(), words.next()) else {
            return Err(NetsFault::Form(text.chars().take(100).collect()));
        };
        let net = parse_net(net)?;
        let region = region(name).ok_or_else(|| NetsFault::Region(name.chars().take(100).collect()))?;
        match self.lines.get(&net) {
            Some(&(line, other)) if other == region => Err(NetsFault::Again { net, line }),
            Some(&(line, _)) => Err(NetsFault::Contradiction { net, line }),
            None => {
                self.lines.insert(net, (line, region));
                self.nets.push((net, region));
                Ok(())
            }
        }
    }

    fn fault(&mut self, line: usize, fault: NetsFault) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push((line, fault));
        } else {
            self.more += 1;
        }
    }

    fn finish(self) -> Result<Nets, NetsError> {
        match self.faults.is_empty() {
            true => Ok(Nets(self.nets)),
            false => Err(NetsError { faults: self.faults, more: self.more }),
        }
    }
}

/// The largest nets file, in bytes.
pub const MAX_SIZE: usize = 16 << 20;

/// The most networks of a nets file.
pub const MAX_NETS: usize = 250_000;

/// As many faults as somebody reads.
const MAX_FAULTS: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Nets, String> {
        let region = |name: &str| ["eu", "us"].iter().position(|known| *known == name).and_then(Region::new);
        Nets::parse(text, region).map_err(|error| error.to_string())
    }

    #[test]
    fn networks_and_comments_are_read() {
        let nets = parse("# ours\n\n192.0.2.0/24 eu # office\n\t2001:db8::/32\tus\r\n198.51.100.7 eu\n");
        let nets: Vec<_> = nets
            .expect("a nets file")
            .iter()
            .map(|(net, region)| (net.to_string(), region.index()))
            .collect();
        let expected = [("192.0.2.0/24", 0), ("2001:db8::/32", 1), ("198.51.100.7/32", 0)];
        assert_eq!(nets, expected.map(|(net, region)| (net.to_owned(), region)));
        assert!(parse("").is_ok_and(|nets| nets.is_empty()));
    }

    #[test]
    fn every_fault_is_told_with_its_line() {
        let text = "192.0.2.0/24 eu\n192.0.2.0/24 eu\n\n192.0.2.0/24 us\n192.0.2.1/24 eu\nfoo eu\n\
                    198.51.100.0/24\n198.51.100.0/24 eu us\n203.0.113.0/24 asia\n2002::/17 eu\n";
        let expected = "line 2: 192.0.2.0/24 stands on line 1 already; \
            line 4: 192.0.2.0/24 belongs to another region on line 1; \
            line 5: 192.0.2.1/24 has bits behind its length: the network is 192.0.2.0/24; \
            line 6: \"foo\" is not a network, as 192.0.2.0/24 or 2001:db8::/32; \
            line 7: \"198.51.100.0/24\" is not a network and a region; \
            line 8: \"198.51.100.0/24 eu us\" is not a network and a region; \
            line 9: \"asia\" is not one of the regions; \
            line 10: 2002::/17 is within 2002::/16, whose addresses are looked up by the IPv4 address in them: give that";
        assert_eq!(parse(text).expect_err("faults"), expected);
    }

    #[test]
    fn everything_has_a_limit() {
        let faults = parse(&"foo eu\n".repeat(1000)).expect_err("faults");
        assert!(
            faults.ends_with(
                "line 50: \"foo\" is not a network, as 192.0.2.0/24 or 2001:db8::/32; and 950 more"
            )
        );
        assert_eq!(parse(&" ".repeat(MAX_SIZE + 1)).expect_err("a limit"), "the file is larger than 16 MiB");
        let many: String =
            (0..=MAX_NETS as u32).map(|net| format!("{} eu\n", std::net::Ipv4Addr::from(net << 8))).collect();
        assert_eq!(parse(&many).expect_err("a limit"), "line 250001: there are more than 250000 networks");
    }
}
