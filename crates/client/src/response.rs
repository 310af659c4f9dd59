//! The body of a response, which holds its place at the endpoint until it has ended.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::Response;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use crate::balancer::Picked;
use crate::condition::Outcome;
use crate::pool::Sender;

/// A body as it comes from the endpoint. When it has ended the connection waits for its next request; when it is dropped
/// before, the connection is closed.
#[derive(Debug)]
pub struct ResponseBody {
    body: Incoming,
    /// Until the end.
    place: Option<Place>,
}

#[derive(Debug)]
struct Place {
    picked: Picked,
    sender: Sender,
    /// What the status says of the endpoint.
    outcome: Outcome,
}

impl ResponseBody {
    pub(crate) fn wrap(response: Response<Incoming>, picked: Picked, sender: Sender) -> Response<Self> {
        let outcome = match response.status().as_u16() {
            500 | 502..=504 => Outcome::Failed,
            _ => Outcome::Answered,
        };
        response.map(|body| {
            let mut wrapped = ResponseBody { body, place: Some(Place { picked, sender, outcome }) };
            if wrapped.body.is_end_stream() {
                wrapped.end();
            }
            wrapped
        })
    }

    fn end(&mut self) {
        if let Some(Place { picked, sender, outcome }) = self.place.take() {
            picked.balancer().pools().put(picked.endpoint().address, sender);
            picked.report(outcome);
        }
    }

    fn broken(&mut self) {
        if let Some(place) = self.place.take() {
            place.picked.report(Outcome::Failed);
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        match &frame {
            Poll::Ready(None) => self.end(),
            Poll::Ready(Some(Err(_))) => self.broken(),
            Poll::Ready(Some(Ok(_))) if self.body.is_end_stream() => self.end(),
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
