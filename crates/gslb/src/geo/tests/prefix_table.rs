//! The table against a model that is nothing but the definition: the longest prefix decides, address by address.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::geo::{Class, Embedding, PrefixTable, unwrapped};

/// Prefixes and their classes; of equal ones the last stands.
#[derive(Clone, Debug)]
struct Model {
    nets: BTreeMap<IpNet, u16>,
    default: u16,
}

impl Model {
    fn class_of(&self, address: IpAddr) -> u16 {
        let (address, _) = unwrapped(address);
        let matching = self.nets.iter().filter(|(net, _)| net.contains(&address));
        matching.max_by_key(|(net, _)| net.prefix_len()).map_or(self.default, |(_, &class)| class)
    }

    fn table(&self) -> PrefixTable {
        let nets = self.nets.iter().map(|(&net, &class)| (net, Class(class)));
        PrefixTable::new(nets, Class(self.default)).expect("few prefixes")
    }

    /// Where the class may change within a net: the first address of each part of it, in ascending order.
    fn parts(&self, net: IpNet) -> Vec<IpAddr> {
        let mut parts = vec![net.network()];
        let nets = self.nets.keys().copied().chain(Embedding::ALL.map(|embedding| embedding.net().into()));
        for other in nets {
            for embedded in embeddings(other, net) {
                parts.extend([Some(embedded.network()), after(embedded)].into_iter().flatten());
            }
        }
        parts.retain(|part| net.contains(part));
        parts.sort_unstable();
        parts.dedup();
        parts
    }

    fn is_constant(&self, net: IpNet) -> bool {
        let class = self.class_of(net.network());
        self.parts(net).into_iter().all(|part| self.class_of(part) == class)
    }

    /// The largest prefix around an address that is of one class, from the smallest one upwards.
    fn scope(&self, address: IpAddr) -> u8 {
        let longest = IpNet::from(address).prefix_len();
        let constant = |&length: &u8| self.is_constant(around(address, length));
        (0..=longest).rev().take_while(constant).last().expect("an address is constant")
    }

    fn majority(&self, net: IpNet) -> u16 {
        let sizes = self.sizes(net);
        let most = sizes.values().copied().max();
        sizes.into_iter().find(|&(_, size)| Some(size) == most).expect("there is a part").0
    }

    /// How many addresses of a net each class has.
    fn sizes(&self, net: IpNet) -> BTreeMap<u16, u128> {
        let teredo = IpNet::from(Embedding::Teredo.net());
        let copies = match (teredo.contains(&net), net.contains(&teredo)) {
            (true, _) if net.prefix_len() < 96 => 1 << (96 - net.prefix_len()),
            (false, true) => 1 << 64,
            _ => 0,
        };
        let mut sizes: BTreeMap<u16, u128> = BTreeMap::new();
        if copies > 0 {
            // All of IPv4 is there that many times.
            let whole = self.sizes(IpNet::from(Ipv4Net::default()));
            sizes.extend(whole.into_iter().map(|(class, size)| (class, size * copies)));
        }
        let parts = self.parts(net);
        for (index, &part) in
            parts.iter().enumerate().filter(|(_, part)| copies == 0 || !teredo.contains(*part))
        {
            let last = parts.get(index + 1).map_or(bits(net.broadcast()), |&next| bits(next) - 1);
            let size = (last - bits(part)).saturating_add(1);
            *sizes.entry(self.class_of(part)).or_default() += size;
        }
        sizes
    }
}

/// A net of IPv4 as it is written within a net of IPv6 (or the net itself).
fn embeddings(net: IpNet, within: IpNet) -> Vec<IpNet> {
    let (IpNet::V4(v4), IpNet::V6(v6)) = (net, within) else { return vec![net] };
    let copies = Embedding::ALL.into_iter().filter(|embedding| {
        // A Teredo prefix with room for several IPv4 addresses holds all of IPv4 many times: the copy at its start does.
        embedding.net().contains(&v6) || v6.contains(&embedding.net())
    });
    copies.map(|embedding| embed(v4, embedding, v6)).collect()
}

fn embed(net: Ipv4Net, embedding: Embedding, within: Ipv6Net) -> IpNet {
    let start = embedding.net().network().to_bits().max(within.network().to_bits());
    let first = net.network().to_bits();
    let (bits, before) = match embedding {
        Embedding::Mapped | Embedding::Nat64 => (u128::from(first), 96),
        Embedding::SixToFour => (u128::from(first) << 80, 16),
        Embedding::Teredo => (u128::from(!net.broadcast().to_bits()), 96),
    };
    let start = if embedding == Embedding::SixToFour { embedding.net().network().to_bits() } else { start };
    let head = start & !(u128::MAX.checked_shr(before).unwrap_or(0));
    Ipv6Net::new((head | bits).into(), net.prefix_len() + before as u8).expect("a length").into()
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn after(net: IpNet) -> Option<IpAddr> {
    match net.broadcast() {
        IpAddr::V4(last) => Some(IpAddr::V4(last.to_bits().checked_add(1)?.into())),
        IpAddr::V6(last) => Some(IpAddr::V6(last.to_bits().checked_add(1)?.into())),
    }
}

fn around(address: IpAddr, length: u8) -> IpNet {
    IpNet::new(address, length).expect("a length").trunc()
}

/// Addresses that share many bits, so that prefixes nest and touch.
fn crowded_v4() -> impl Strategy<Value = u32> {
    prop_oneof![
        (0u32..64).prop_map(|low| 0xc000_0200 | low << 2),
        (0u32..16).prop_map(|high| high << 28),
        any::<u32>(),
        Just(0),
        Just(u32::MAX),
    ]
}

fn crowded_v6() -> impl Strategy<Value = u128> {
    let embedded = (0..4usize, crowded_v4(), any::<u8>()).prop_map(|(which, v4, other)| {
        let embedding = Embedding::ALL[which];
        let copy = embed(Ipv4Net::from(std::net::Ipv4Addr::from(v4)), embedding, embedding.net());
        // Bits beside the IPv4 address: the server of Teredo, the site of 6to4.
        bits(copy.network()) | if embedding.offset() == 16 { u128::from(other) << 64 } else { 0 }
    });
    prop_oneof![
        (0u128..64).prop_map(|low| 0x2001_0db8 << 96 | low << 90),
        (0u128..16).prop_map(|low| 0x2001_0db8 << 96 | low),
        (0u128..32).prop_map(|high| high << 123),
        embedded,
        any::<u128>(),
        Just(0),
        Just(u128::MAX),
    ]
}

fn address() -> impl Strategy<Value = IpAddr> {
    let v4 = crowded_v4().prop_map(|bits| IpAddr::V4(bits.into()));
    prop_oneof![v4, crowded_v6().prop_map(|bits| IpAddr::V6(bits.into()))]
}

fn net() -> impl Strategy<Value = IpNet> {
    (address(), 0..=128u8).prop_map(|(address, length)| {
        let longest = IpNet::from(address).prefix_len();
        around(address, length % (longest + 1))
    })
}

fn model() -> impl Strategy<Value = Model> {
    let nets = vec((net(), 0..5u16), 0..12);
    (nets, 0..5u16).prop_map(|(nets, default)| Model { nets: nets.into_iter().collect(), default })
}

fn length_of(address: IpAddr) -> u8 {
    IpNet::from(address).prefix_len()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// A whole address: its class is that of the longest prefix, and the scope is as large as it can be.
    #[test]
    fn whole_addresses_are_as_in_the_model(model in model(), addresses in vec(address(), 8)) {
        let table = model.table();
        for address in addresses {
            let (class, scope) = table.class_of(address, length_of(address));
            prop_assert_eq!(class.0, model.class_of(address), "{}", address);
            prop_assert_eq!(scope, model.scope(address), "{}", address);
        }
    }

    /// A part of an address: as the whole one if that is enough, otherwise what most of the part is, whatever the rest.
    #[test]
    fn parts_of_addresses_are_as_in_the_model(model in model(), asked in vec((address(), 0..=128u8, any::<u128>()), 8)) {
        let table = model.table();
        for (address, source, rest) in asked {
            let source = source % (length_of(address) + 1);
            let (class, scope) = table.class_of(address, source);
            let net = around(address, source);
            if model.is_constant(net) {
                prop_assert_eq!((class.0, scope), (model.class_of(address), model.scope(address)));
            } else {
                prop_assert_eq!((class.0, scope), (model.majority(net), source), "{}", net);
            }
            let other = match net.network() {
                IpAddr::V4(first) => IpAddr::V4((first.to_bits() | rest as u32 & u32::MAX.checked_shr(source.into()).unwrap_or(0)).into()),
                IpAddr::V6(first) => IpAddr::V6((first.to_bits() | rest & u128::MAX.checked_shr(source.into()).unwrap_or(0)).into()),
            };
            prop_assert_eq!(table.class_of(other, source), (class, scope), "{} and {}", address, other);
        }
    }

    /// For one source length all scopes are disjoint or the same, and then the class is too.
    #[test]
    fn scopes_do_not_overlap(model in model(), addresses in vec(address(), 12), source in 0..=128u8) {
        let table = model.table();
        let answers: Vec<_> = addresses.iter().map(|&address| {
            let (class, scope) = table.class_of(address, source);
            (around(address, scope), class)
        }).collect();
        for &(one, class) in &answers {
            for &(two, other) in &answers {
                let is_apart = !one.contains(&two) && !two.contains(&one);
                prop_assert!(is_apart || (one, class) == (two, other), "{one} {class:?} and {two} {other:?}");
            }
        }
        // Whole addresses: also across sources, as long as each is long enough.
        for &address in &addresses {
            let (class, scope) = table.class_of(address, 128);
            for longer in scope..=length_of(address) {
                prop_assert_eq!(table.class_of(address, longer), (class, scope));
            }
        }
    }
}

fn check(table: &PrefixTable, asked: &str, expected: (u16, u8)) {
    let net: IpNet = asked.parse().expect("a net");
    let (class, scope) = table.class_of(net.addr(), net.prefix_len());
    assert_eq!((class.0, scope), expected, "{asked}");
}

fn table(nets: &[(&str, u16)]) -> PrefixTable {
    let nets = nets.iter().map(|&(net, class)| (net.parse().expect("a net"), Class(class)));
    PrefixTable::new(nets, Class(0)).expect("few prefixes")
}

/// The example of RFC 7871 §7.2.1: 1.2.0/20 is A, but 1.2.3/24 is B.
#[test]
fn exceptions_divide_what_is_around_them() {
    let table = table(&[("1.2.0.0/20", 1), ("1.2.3.0/24", 2)]);
    check(&table, "1.2.0.1/32", (1, 23));
    check(&table, "1.2.2.0/24", (1, 24));
    check(&table, "1.2.3.0/24", (2, 24));
    check(&table, "1.2.4.0/24", (1, 22));
    check(&table, "1.2.8.0/24", (1, 21));
    check(&table, "1.2.0.0/20", (1, 20));
    check(&table, "1.2.2.0/23", (1, 23));
    check(&table, "1.2.3.0/23", (1, 23));
}

#[test]
fn neighbours_of_one_class_are_one() {
    let table = table(&[("192.0.2.0/25", 1), ("192.0.2.128/25", 1), ("192.0.3.0/24", 1)]);
    check(&table, "192.0.2.77/32", (1, 23));
    check(&table, "192.0.4.0/32", (0, 22));
    check(&table, "192.0.0.0/22", (0, 22));
}

#[test]
fn without_prefixes_all_is_one() {
    let table = table(&[]);
    for asked in ["192.0.2.0/24", "2001:db8::/56", "64:ff9b::c000:201/128", "2002:c000:201::/48", "::/0"] {
        check(&table, asked, (0, 0));
    }
    assert_eq!(table.sizes(), (1, 1));
}

#[test]
fn what_stands_for_ipv4_is_of_its_class() {
    let table = table(&[("192.0.2.0/24", 1), ("2000::/3", 2), ("128.0.0.0/1", 3)]);
    check(&table, "::ffff:192.0.2.1/128", (1, 120));
    check(&table, "64:ff9b::c000:201/128", (1, 120));
    check(&table, "64:ff9b::c000:200/116", (3, 116));
    check(&table, "64:ff9b::/96", (0, 96));
    check(&table, "2002:c000:201::/48", (1, 40));
    check(&table, "2002:c000::/20", (3, 20));
    check(&table, "2002:1234::1/128", (0, 17));
    // Teredo: server 198.51.100.1, client 192.0.2.1 inverted.
    check(&table, "2001:0:c633:6401::3fff:fdfe/128", (1, 120));
    check(&table, "2001:0:c633:6401::/64", (0, 64));
    check(&table, "2001:db8::1/128", (2, 21));
}

#[test]
fn classes_and_prefixes_have_a_limit() {
    let net: IpNet = "192.0.2.0/24".parse().expect("a net");
    let highest = u16::try_from(crate::geo::MAX_CLASSES).expect("classes are of 16 bits") - 1;
    assert!(PrefixTable::new([(net, Class(highest))], Class(0)).is_ok());
    assert_eq!(
        PrefixTable::new([(net, Class(highest + 1))], Class(0)).map(|_| ()),
        Err(crate::geo::TableError::Classes)
    );
}
