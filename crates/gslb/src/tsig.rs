//! Signatures of messages (RFC 8945). No keys are known here: whoever signs is told so, without a signature.

use crate::query::split_name;

/// What of a signature comes back to whoever sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tsig<'a> {
    /// The name of the key, in wire form.
    key: &'a [u8],
    /// The name of the algorithm, in wire form.
    algorithm: &'a [u8],
    /// When it was signed, and by how much that may be wrong.
    signed: [u8; 8],
    /// The id that the message had when it was signed.
    id: [u8; 2],
}

/// What cannot be a signature.
pub(crate) struct NoSignature;

impl<'a> Tsig<'a> {
    /// Reads the data of a record with this owner (RFC 8945 §4.2). `None`: the name of the key is compressed, which nobody
    /// does, and so cannot be told as it stands there.
    pub(crate) fn parse(key: &'a [u8], data: &'a [u8]) -> Result<Option<Self>, NoSignature> {
        let (algorithm, rest) = split_name(data).ok_or(NoSignature)?;
        let (&signed, rest) = rest.split_first_chunk().ok_or(NoSignature)?;
        let rest = skip_counted(rest).ok_or(NoSignature)?;
        let (&[i0, i1, _, _], rest) = rest.split_first_chunk().ok_or(NoSignature)?;
        if skip_counted(rest) != Some(&[]) {
            return Err(NoSignature);
        }
        let is_plain = split_name(key).is_some_and(|(_, rest)| rest.is_empty());
        Ok(is_plain.then_some(Tsig { key, algorithm, signed, id: [i0, i1] }))
    }

    /// The bytes of [`Tsig::write`]: less than came.
    pub(crate) fn length(&self) -> usize {
        self.key.len() + FIXED + self.algorithm.len() + DATA
    }

    /// Writes the record that says that nobody knows the key (RFC 8945 §5.2.1, §5.3.2): class ANY, no signature.
    pub(crate) fn write_unknown_key(&self, out: &mut [u8]) {
        let [l0, l1] = ((self.algorithm.len() + DATA) as u16).to_be_bytes();
        let [i0, i1] = self.id;
        let mut place = 0;
        for part in [
            self.key,
            &[0, TSIG as u8, 0, 255, 0, 0, 0, 0, l0, l1],
            self.algorithm,
            &self.signed,
            &[0, 0, i0, i1, 0, BADKEY, 0, 0],
        ] {
            out[place..place + part.len()].copy_from_slice(part);
            place += part.len();
        }
    }
}

/// What follows a length and as many bytes.
fn skip_counted(bytes: &[u8]) -> Option<&[u8]> {
    let (&[l0, l1], rest) = bytes.split_first_chunk()?;
    rest.get(usize::from(u16::from_be_bytes([l0, l1]))..)
}

/// The type.
pub(crate) const TSIG: u16 = 250;
/// Type, class, time-to-live and length.
const FIXED: usize = 10;
/// Time and fudge, no signature, the id, the error, and nothing else.
const DATA: usize = 8 + 2 + 2 + 2 + 2;
/// The key is not known.
const BADKEY: u8 = 17;

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"\x01k\0";
    const SIGNATURE: &[u8] = b"\x04hmac\0\0\0\x65\0\0\0\x01\x2c\0\x03abc\xab\xcd\0\0\0\0";

    #[test]
    fn what_is_told_comes_back_without_what_signs() {
        let tsig = Tsig::parse(KEY, SIGNATURE).ok().flatten().expect("it is one");
        let mut out = vec![0xee; tsig.length()];
        tsig.write_unknown_key(&mut out);
        let expected =
            b"\x01k\0\0\xfa\0\xff\0\0\0\0\0\x16\x04hmac\0\0\0\x65\0\0\0\x01\x2c\0\0\xab\xcd\0\x11\0\0";
        assert_eq!(out, expected);
        assert!(out.len() <= KEY.len() + FIXED + SIGNATURE.len());
    }

    #[test]
    fn what_is_cut_or_has_too_much_is_none() {
        for length in 0..SIGNATURE.len() {
            assert!(Tsig::parse(KEY, &SIGNATURE[..length]).is_err(), "{length}");
        }
        assert!(Tsig::parse(KEY, &[SIGNATURE, b"x"].concat()).is_err());
        assert!(
            Tsig::parse(KEY, &[b"\xc0\x0c", &SIGNATURE[6..]].concat()).is_err(),
            "it must not be compressed"
        );
        assert_eq!(Tsig::parse(b"\xc0\x0c", SIGNATURE).ok(), Some(None));
    }
}
