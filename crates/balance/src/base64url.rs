//! base64url without padding (RFC 4648 §5), for one length that needs none.

/// 36 bytes as 48 characters.
pub(crate) fn encode(bytes: &[u8; 36]) -> [u8; 48] {
    let mut text = [0; 48];
    for (three, four) in bytes.chunks_exact(3).zip(text.chunks_exact_mut(4)) {
        let word = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for (place, character) in four.iter_mut().enumerate() {
            *character = ALPHABET[(word >> (18 - 6 * place)) as usize & 0x3f];
        }
    }
    text
}

/// 48 characters as 36 bytes; `None` when one is not of the alphabet. No two texts mean the same bytes.
pub(crate) fn decode(text: &[u8; 48]) -> Option<[u8; 36]> {
    let mut bytes = [0; 36];
    for (four, three) in text.chunks_exact(4).zip(bytes.chunks_exact_mut(3)) {
        let mut word = 0;
        for &character in four {
            word = word << 6 | sextet(character)?;
        }
        three.copy_from_slice(&u32::to_be_bytes(word)[1..]);
    }
    Some(bytes)
}

fn sextet(character: u8) -> Option<u32> {
    let value = match character {
        b'A'..=b'Z' => character - b'A',
        b'a'..=b'z' => character - b'a' + 26,
        b'0'..=b'9' => character - b'0' + 52,
        b'-' => 62,
        b'_' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop, prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn follows_the_standard() {
        let check = |bytes: &[u8; 36], expected: &[u8; 48]| {
            assert_eq!(encode(bytes), *expected);
            assert_eq!(decode(expected), Some(*bytes));
        };
        check(b"Man is distinguished by his reason, ", b"TWFuIGlzIGRpc3Rpbmd1aXNoZWQgYnkgaGlzIHJlYXNvbiwg");
        check(&[0; 36], &[b'A'; 48]);
        check(&[0xff; 36], &[b'_'; 48]);
        check(&[0xfb, 0xef, 0xbe].repeat(12).try_into().expect("36"), &[b'-'; 48]);
    }

    #[test]
    fn each_value_has_one_character() {
        let decoded: Vec<_> = (0..=u8::MAX).filter(|&character| sextet(character).is_some()).collect();
        assert_eq!(decoded.len(), 64);
        for (value, &character) in ALPHABET.iter().enumerate() {
            assert_eq!(sextet(character), Some(value as u32));
        }
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(bytes in prop::collection::vec(0u8.., 36)) {
            let bytes: [u8; 36] = bytes.try_into().expect("36 were asked for");
            prop_assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }
    }
}
