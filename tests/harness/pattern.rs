//! Bodies whose every byte tells where it belongs.

/// `length` bytes without a period that a lost, doubled or swapped piece could hide in.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    // xorshift64 (Marsaglia 2003): the same bytes in every run.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// The body in chunks of these sizes, over and over, with the last chunk and no trailers.
pub(crate) fn chunked(body: &[u8], sizes: &[usize]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(body.len() + body.len() / 8 + 16);
    let mut rest = body;
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (chunk, behind) = rest.split_at((*size).min(rest.len()));
        encoded.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        encoded.extend_from_slice(chunk);
        encoded.extend_from_slice(b"\r\n");
        rest = behind;
    }
    encoded.extend_from_slice(b"0\r\n\r\n");
    encoded
}
