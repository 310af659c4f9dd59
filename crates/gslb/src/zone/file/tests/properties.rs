//! Whatever a file holds, reading it ends.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::ISI;
use crate::fuzz::zone_file;

/// What real files are made of.
const PIECES: [&str; 30] = [
    "@",
    "a",
    "*.b",
    "c.example.com.",
    " ",
    "\t",
    "\n",
    "\r\n",
    "(",
    ")",
    "\"",
    ";",
    "\\",
    "\\#",
    "\\046",
    "$ORIGIN ",
    "$TTL ",
    "$INCLUDE ",
    "60",
    "1h",
    "IN",
    "CH",
    "A ",
    "192.0.2.1",
    "TXT ",
    "SOA",
    " a b 1 2 3 4 5\n",
    "TYPE666 ",
    "HTTPS 1 . alpn=\"h2\"\n",
    "\u{feff}",
];

proptest! {
    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..400)) {
        zone_file(&bytes);
    }

    #[test]
    fn any_pieces(pieces in vec(select(&PIECES[..]), 0..80)) {
        zone_file(pieces.concat().as_bytes());
    }

    /// A real file, cut, and with bytes replaced, left out and added.
    #[test]
    fn any_damage(
        changes in vec((any::<Index>(), any::<u8>(), 0..3u8), 0..8),
        end in any::<Index>(),
    ) {
        let mut bytes = ISI.as_bytes().to_vec();
        for (place, byte, manner) in changes {
            let place = place.index(bytes.len());
            match manner {
                0 => bytes[place] = byte,
                1 => drop(bytes.remove(place)),
                _ => bytes.insert(place, byte),
            }
        }
        bytes.truncate(end.index(bytes.len() * 2));
        zone_file(&bytes);
    }
}
