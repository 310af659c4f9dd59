//! What must hold for any bytes from the network, as functions that panic when it does not. Fuzz targets and property
//! tests call the same ones. The first bytes of an input choose limits and how the rest is split into reads: see
//! [`plan`].

mod invariants;
mod plan;
mod reading;
mod reference;

use crate::http::message::Framing;
use crate::http::path as paths;

use plan::{Plan, Sizes};
use reading::{Requests, Responses, read};

/// Requests on a downstream connection: any split into reads gives the same events, and what is accepted is forwarded
/// as nobody could read it differently.
pub fn requests(bytes: &[u8]) {
    let Some((plan, stream)) = Plan::take(bytes) else { return };
    let whole = read(&mut Requests::new(&plan), &plan, stream, Sizes::whole(), Sizes::whole());
    let split = read(&mut Requests::new(&plan), &plan, stream, plan.reads(), plan.takes());
    assert_eq!(whole, split, "requests depend on how they arrive");
}

/// Responses on an upstream connection: any split into reads gives the same events, and what is accepted reaches the
/// client with the same framing and status.
pub fn responses(bytes: &[u8]) {
    let Some((plan, stream)) = Plan::take(bytes) else { return };
    let whole = read(&mut Responses::new(&plan), &plan, stream, Sizes::whole(), Sizes::whole());
    let split = read(&mut Responses::new(&plan), &plan, stream, plan.reads(), plan.takes());
    assert_eq!(whole, split, "responses depend on how they arrive");
    invariants::relayed_responses(&plan, stream);
}

/// Requests that are accepted, as an upstream sees them: read again by our own parser and by a naive one, each is the
/// same single request, with the same method, path, host and body.
pub fn forwarded(bytes: &[u8]) {
    if let Some((plan, stream)) = Plan::take(bytes) {
        invariants::forwarded_requests(&plan, stream);
    }
}

/// Paths: what is normal stays as it is, never leads out of its root, and is never longer than what it was made of.
pub fn path(bytes: &[u8]) {
    let mut scratch = Vec::new();
    let forms = [paths::normalize(bytes, &mut scratch).map(<[u8]>::to_vec), paths::decode_slashes(bytes)];
    for form in forms.into_iter().flatten() {
        assert_eq!(form.first(), Some(&b'/'));
        assert!(form.len() <= bytes.len());
        assert!(!form.starts_with(b"//"), "another host for a browser");
        let mut scratch = Vec::new();
        assert_eq!(paths::normalize(&form, &mut scratch), Ok(form.as_slice()), "normal stays normal");
        let mut segments = form[1..].split(|&byte| byte == b'/').peekable();
        while let Some(segment) = segments.next() {
            assert!(segment != b"." && segment != b"..");
            assert!(!segment.is_empty() || segments.peek().is_none());
        }
    }
}

/// Whether a body follows a head with this framing.
fn has_body(framing: Framing) -> bool {
    !matches!(framing, Framing::None | Framing::Length(0))
}

#[cfg(test)]
mod tests;
