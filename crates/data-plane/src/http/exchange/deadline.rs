//! Until when an attempt waits, and for whom: clocks run only for the peer that we wait for.

use std::task::Poll;

use super::{Exchange, Upload};
use crate::http::error::Reason;
use crate::timer::{Millis, NEVER};

impl Exchange<'_> {
    pub(super) fn head_deadline(&self) -> (Millis, Reason) {
        let upstream = match self.upload {
            // From the end of the request, or from when the upstream stopped taking it.
            Upload::Done | Upload::Broken => {
                let since = if self.uploaded_at == NEVER {
                    self.client.wire.read_wait
                } else {
                    Some(self.uploaded_at)
                };
                after(since, self.rules.response_header)
            }
            Upload::Body if self.is_held_back() => {
                after(self.client.wire.read_wait, self.rules.response_header)
            }
            Upload::Body | Upload::Flush => NEVER,
        };
        earliest((upstream, Reason::ResponseHeaderTimeout), self.upload_deadline())
    }

    pub(super) fn body_deadline(&self) -> (Millis, Reason) {
        let response =
            (after(self.client.wire.read_wait, self.rules.response_idle), Reason::ResponseIdleTimeout);
        let client = (after(self.server.wire.write_wait, self.rules.body_idle), Reason::ClientStalled);
        // With the client taking nothing, nothing is read from the upstream: it is not to blame.
        let download = if self.server.wire.write_wait.is_some() { client } else { response };
        earliest(download, self.upload_deadline())
    }

    fn upload_deadline(&self) -> (Millis, Reason) {
        match self.upload {
            Upload::Done | Upload::Broken => (NEVER, Reason::Ok),
            _ if self.client.wire.write_wait.is_some() => {
                (after(self.client.wire.write_wait, self.rules.response_idle), Reason::ResponseIdleTimeout)
            }
            Upload::Body if self.is_held_back() => (NEVER, Reason::Ok),
            Upload::Body => {
                let idle = after(self.server.wire.read_wait, self.rules.body_idle);
                // A stream may be silent for long.
                let slow =
                    if self.rules.is_stream { NEVER } else { self.slow.deadline(self.rules.body_idle) };
                (idle.min(slow), Reason::BodyTimeout)
            }
            Upload::Flush => (NEVER, Reason::Ok),
        }
    }

    /// Waits, unless the deadline has passed.
    pub(super) fn wait(&self, (deadline, reason): (Millis, Reason)) -> Poll<Result<(), Reason>> {
        if self.timer.now() >= deadline {
            return Poll::Ready(Err(reason));
        }
        self.timer.set(deadline);
        Poll::Pending
    }
}

fn after(since: Option<Millis>, limit: Millis) -> Millis {
    since.map_or(NEVER, |since| since.saturating_add(limit))
}

fn earliest(one: (Millis, Reason), other: (Millis, Reason)) -> (Millis, Reason) {
    if other.0 < one.0 { other } else { one }
}
