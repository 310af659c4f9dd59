//! Server-sent events as they come, piece by piece (WHATWG HTML §9.2, as far as a registry uses it).

/// An event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) kind: String,
    pub(super) id: Option<String>,
    pub(super) data: String,
}

/// What has come and is no whole event yet.
#[derive(Debug, Default)]
pub(super) struct Events {
    line: Vec<u8>,
    event: Event,
    size: usize,
}

/// One event is too large to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event has more than {} MiB", LARGEST >> 20)]
pub(super) struct TooLarge;

impl Events {
    /// Takes what has come; the events that are whole now.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<Vec<Event>, TooLarge> {
        let mut whole = Vec::new();
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.size += piece.len();
            if self.size > LARGEST {
                return Err(TooLarge);
            }
            self.line.extend_from_slice(piece);
            if self.line.ends_with(b"\n") {
                let line = std::mem::take(&mut self.line);
                whole.extend(self.field(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r'])));
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

/// Five hundred instances, each as large as it may be, are less.
const LARGEST: usize = 128 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_any_pieces() {
        let text = ": hello\n\nevent: snapshot\ndata: {\"a\":1}\nid: 7.0.1\n\r\nevent: put\r\ndata: x\r\n\r\nevent: cut";
        let event = |kind: &str, id: Option<&str>, data: &str| Event {
            kind: kind.to_owned(),
            id: id.map(str::to_owned),
            data: data.to_owned(),
        };
        let expected = [event("snapshot", Some("7.0.1"), "{\"a\":1}"), event("put", None, "x")];
        for size in 1..text.len() {
            let mut events = Events::default();
            let pieces = text.as_bytes().chunks(size);
            let found: Vec<Event> = pieces.flat_map(|piece| events.take(piece).expect("small")).collect();
            assert_eq!(found, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn an_event_without_end_is_refused() {
        let mut events = Events::default();
        let piece = vec![b'x'; 1 << 20];
        assert!((0..=LARGEST >> 20).any(|_| events.take(&piece) == Err(TooLarge)));
    }
}
