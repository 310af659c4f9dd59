//! A reader of messages that shares nothing with what answers: strict about what is ours, so that a mistake of one is not that of
//! both.

/// A message, as far as it is of interest.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message<'a> {
    pub(super) id: [u8; 2],
    pub(super) flags: u16,
    /// The questions as they stand there.
    pub(super) questions: &'a [u8],
    /// The size that each OPT record tells.
    pub(super) opts: Vec<u16>,
    /// Types of the records of the answer.
    pub(super) answers: Vec<u16>,
    /// Types of the additional records.
    pub(super) additional: Vec<u16>,
}

impl<'a> Message<'a> {
    /// Reads a message to its last byte; nothing when that cannot be done, or something is left.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let number = |place: usize| Some(u16::from_be_bytes([*bytes.get(place)?, *bytes.get(place + 1)?]));
        let mut message = Message {
            id: [*bytes.first()?, *bytes.get(1)?],
            flags: number(2)?,
            questions: &[],
            opts: Vec::new(),
            answers: Vec::new(),
            additional: Vec::new(),
        };
        let mut place = 12;
        for _ in 0..number(4)? {
            place = name_end(bytes, place)? + 4;
        }
        message.questions = bytes.get(12..place)?;
        for section in [6, 8, 10] {
            for _ in 0..number(section)? {
                let fixed = name_end(bytes, place)?;
                let record_type = number(fixed)?;
                match section {
                    6 => message.answers.push(record_type),
                    10 => message.additional.push(record_type),
                    _ => {}
                }
                if (section, record_type) == (10, OPT) {
                    message.opts.push(number(fixed + 2)?);
                }
                place = fixed + 10 + usize::from(number(fixed + 8)?);
                bytes.get(..place)?;
            }
        }
        (place == bytes.len()).then_some(message)
    }
}

/// Where a name ends that begins here. Its pointers lead to what stands before them, and to a name of at most 255 bytes.
fn name_end(bytes: &[u8], start: usize) -> Option<usize> {
    let (mut place, mut end, mut length, mut before) = (start, None, 0, start);
    loop {
        match *bytes.get(place)? {
            0 => return (length < 255).then_some(end.unwrap_or(place + 1)),
            label @ 1..=63 => {
                length += 1 + usize::from(label);
                place += 1 + usize::from(label);
            }
            high @ 0xc0.. => {
                end = end.or(Some(place + 2));
                let target = usize::from(high & 0x3f) << 8 | usize::from(*bytes.get(place + 1)?);
                if target >= before || target < 12 {
                    return None;
                }
                (place, before) = (target, target);
            }
            _ => return None,
        }
    }
}

const OPT: u16 = 41;
