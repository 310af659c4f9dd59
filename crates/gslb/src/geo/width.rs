//! Addresses of both families as numbers of their own width.

use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// A family of addresses: `u32` for IPv4, `u128` for IPv6.
pub(super) trait Width: Copy + Ord + Hash + std::fmt::Debug {
    /// Bits of an address.
    const LENGTH: u8;
    /// The bits that every address of the crowded part of the family begins with, and how many they are: the root of
    /// a look-up divides that part only.
    const CROWD: (Self, u8);

    fn from_bits(bits: u128) -> Self;
    fn bits(self) -> u128;
    /// The leading bits, as many as are left after a shift to the right; they have to fit into 32.
    fn leading(self, shift: u32) -> u32;
    /// This address with all bits behind a prefix cleared.
    fn masked(self, length: u8) -> Self;
    /// This address with the first bit behind a prefix set: the middle of a masked prefix.
    fn middle(self, length: u8) -> Self;
    /// The length of the prefix that begins here and ends before `next`, where the end of the space wraps to zero.
    fn length_until(self, next: Self) -> u8;
    fn address(self) -> IpAddr;
}

macro_rules! width {
    ($number:ty, $address:ty, $family:path, $crowd:expr) => {
        impl Width for $number {
            const LENGTH: u8 = <$number>::BITS as u8;
            const CROWD: (Self, u8) = $crowd;

            fn from_bits(bits: u128) -> Self {
                bits as $number
            }

            fn bits(self) -> u128 {
                u128::from(self)
            }

            #[inline]
            fn leading(self, shift: u32) -> u32 {
                (self >> shift) as u32
            }

            #[inline]
            fn masked(self, length: u8) -> Self {
                self & !(<$number>::MAX.checked_shr(u32::from(length)).unwrap_or(0))
            }

            #[inline]
            fn middle(self, length: u8) -> Self {
                self | 1 << (Self::LENGTH - 1 - length)
            }

            #[inline]
            fn length_until(self, next: Self) -> u8 {
                Self::LENGTH - next.wrapping_sub(self).trailing_zeros() as u8
            }

            fn address(self) -> IpAddr {
                $family(<$address>::from_bits(self))
            }
        }
    };
}

width!(u32, Ipv4Addr, IpAddr::V4, (0, 0));
// 2000::/3 is all that is handed out.
width!(u128, Ipv6Addr, IpAddr::V6, (1 << 125, 3));

/// The last address of a prefix, as bits.
pub(super) fn last_of(first: u128, length: u8, width: u8) -> u128 {
    first | size_less_one(width - length)
}

/// 2^bits - 1, for up to 128 bits.
pub(super) fn size_less_one(bits: u8) -> u128 {
    u128::MAX.checked_shr(128 - u32::from(bits)).unwrap_or(0)
}

/// The length of the largest prefix around an address that stays within `first..=last`.
pub(super) fn largest_prefix<W: Width>(address: W, first: W, last: W) -> u8 {
    let shared = |other: u128| ((address.bits() ^ other) << (128 - W::LENGTH)).leading_zeros() as u8;
    let below = first.bits().checked_sub(1).map_or(0, |before| shared(before) + 1);
    let is_end = last.bits() == size_less_one(W::LENGTH);
    below.max(if is_end { 0 } else { shared(last.bits() + 1) + 1 })
}

/// A network by its first address and length.
pub(super) fn net<W: Width>(first: W, length: u8) -> Option<IpNet> {
    IpNet::new(first.masked(length).address(), length).ok()
}
