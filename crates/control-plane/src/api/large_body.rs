//! Large bodies: few at a time, and no caller has all of the places. A body takes its place when more of it has come than
//! any connection may send, so that who announces one and sends nothing holds no place.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::lock;
use super::problem::{Code, Problem};
use super::server::{BODY_WITHIN, LARGEST_SMALL_BODY, broken};
use crate::state::Principal;

/// The places of all.
#[derive(Debug)]
pub(super) struct LargeBodies {
    places: Arc<Semaphore>,
    /// Of those who have or want one.
    by_caller: Mutex<HashMap<Principal, Arc<Semaphore>>>,
}

/// A body, and its place: to be kept for as long as the bytes are.
#[derive(Debug)]
pub(super) struct LargeBody {
    pub(super) bytes: Bytes,
    _place: Option<[OwnedSemaphorePermit; 2]>,
}

impl LargeBodies {
    pub(super) fn new() -> Self {
        LargeBodies { places: Arc::new(Semaphore::new(MOST)), by_caller: Mutex::default() }
    }

    /// Reads a body of at most eight MiB.
    pub(super) async fn read(&self, body: Incoming, caller: &Principal) -> Result<LargeBody, Problem> {
        let mut body = Limited::new(body, LARGEST_BODY);
        let mut bytes = BytesMut::new();
        if gather(&mut body, &mut bytes, LARGEST_SMALL_BODY).await? {
            return Ok(LargeBody { bytes: bytes.freeze(), _place: None });
        }
        let place = timeout(PLACE_WITHIN, self.place(caller)).await.ok().flatten();
        let place =
            place.ok_or_else(|| Problem::new(Code::Overload, "too many large bodies come at once"))?;
        gather(&mut body, &mut bytes, LARGEST_BODY).await?;
        Ok(LargeBody { bytes: bytes.freeze(), _place: Some(place) })
    }

    /// One of the caller's and one of all.
    async fn place(&self, caller: &Principal) -> Option<[OwnedSemaphorePermit; 2]> {
        let own = {
            let mut by_caller = lock(&self.by_caller);
            by_caller.retain(|_, own| Arc::strong_count(own) > 1);
            let own = by_caller.entry(Arc::clone(caller));
            Arc::clone(own.or_insert_with(|| Arc::new(Semaphore::new(MOST_OF_ONE))))
        };
        let own = own.acquire_owned().await.ok()?;
        Some([own, Arc::clone(&self.places).acquire_owned().await.ok()?])
    }

    #[cfg(test)]
    pub(super) fn free(&self) -> usize {
        self.places.available_permits()
    }
}

/// Reads until the end, or until there is more than this; whether it was the end.
async fn gather(body: &mut Limited<Incoming>, into: &mut BytesMut, most: usize) -> Result<bool, Problem> {
    let reads = async {
        while into.len() <= most {
            let Some(frame) = body.frame().await else { return Ok(true) };
            let frame = frame.map_err(|error| broken(&error, LARGEST_BODY))?;
            into.extend_from_slice(frame.data_ref().map_or(&[], |data| data));
        }
        Ok(false)
    };
    timeout(BODY_WITHIN, reads).await.unwrap_or_else(|_| Err(super::server::incomplete()))
}

/// That are read at a time: each may hold as much as the largest.
const MOST: usize = 16;

/// Of one caller: others have the rest.
const MOST_OF_ONE: usize = MOST / 2;

/// How long one of those waits for its turn.
const PLACE_WITHIN: std::time::Duration = std::time::Duration::from_secs(10);

/// Ten thousand heartbeats.
const LARGEST_BODY: usize = 8 << 20;
