//! Server-sent events as they come, piece by piece (WHATWG HTML §9.2, as far as a registry uses it).

use std::time::Duration;

/// What has come and is no whole event yet.
#[derive(Debug, Default)]
pub struct Events {
    line: Vec<u8>,
    event: Event,
    /// Of everything since the last event.
    size: usize,
    /// How long to wait before coming back, where the registry has said so.
    pub(crate) retry: Option<Duration>,
}

/// An event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Like `put` or `snapshot`; never empty.
    pub kind: String,
    /// Where to go on from.
    pub id: Option<String>,
    /// All of its data, without line breaks.
    pub data: String,
}

/// Something that is no event of a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event has more than {} MiB", LARGEST >> 20)]
pub struct TooLarge;

impl Events {
    /// Takes what has come; the events that are whole now.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Vec<Event>, TooLarge> {
        let mut whole = Vec::new();
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.size += piece.len();
            if self.size > LARGEST {
                return Err(TooLarge);
            }
            self.line.extend_from_slice(piece);
            if self.line.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                let line = String::from_utf8_lossy(&line);
                whole.extend(self.field(line.trim_end_matches(['\n', '\r'])));
            }
        }
        Ok(whole)
    }

    fn field(&mut self, line: &str) -> Option<Event> {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => value.clone_into(&mut self.event.kind),
            "id" => self.event.id = Some(value.to_owned()),
            "data" => self.event.data += value,
            "retry" => self.retry = value.parse().ok().map(Duration::from_millis),
            // An empty line ends an event; one without anything is a sign of life.
            _ if line.is_empty() => {
                self.size = 0;
                return Some(std::mem::take(&mut self.event)).filter(|event| !event.kind.is_empty());
            }
            _ => {}
        }
        None
    }
}

/// A chunk of a snapshot ends soon after 32 KiB; the largest instance, with every character escaped, has less than 1 MiB.
const LARGEST: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop, prop_assert_eq, proptest};

    use super::*;

    const TEXT: &str = ": hello\n\nretry: 1500\n\nevent: snapshot\ndata: {\"a\":1}\nid: 7.0.1\n\r\n\
        event: put\r\ndata:ä\ndata: x\r\n\r\nid: 9\n\nevent: cut";

    fn event(kind: &str, id: Option<&str>, data: &str) -> Event {
        Event { kind: kind.to_owned(), id: id.map(str::to_owned), data: data.to_owned() }
    }

    proptest! {
        #[test]
        fn events_come_in_any_pieces(mut cuts in prop::collection::vec(0..=TEXT.len(), 0..20)) {
            cuts.extend([0, TEXT.len()]);
            cuts.sort_unstable();
            let mut events = Events::default();
            let pieces = cuts.windows(2).map(|cut| &TEXT.as_bytes()[cut[0]..cut[1]]);
            let found: Vec<Event> = pieces.flat_map(|piece| events.take(piece).expect("small")).collect();
            let expected = [event("snapshot", Some("7.0.1"), "{\"a\":1}"), event("put", None, "äx")];
            prop_assert_eq!(found, expected);
            prop_assert_eq!(events.retry, Some(Duration::from_millis(1500)));
        }

        #[test]
        fn any_bytes_are_taken(bytes: Vec<u8>) {
            let _ = Events::default().take(&bytes);
        }
    }

    #[test]
    fn an_event_without_end_is_refused() {
        for piece in [vec![b'x'; 1 << 16], b"data: x\n".repeat(1 << 13)] {
            let mut events = Events::default();
            let refused = (0..).find(|_| events.take(&piece) == Err(TooLarge)).expect("it is");
            assert!(refused as usize * piece.len() <= LARGEST, "{refused} pieces");
        }
    }
}
