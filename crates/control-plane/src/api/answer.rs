//! Forms of answers.

use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue};
use hyper::{Response, StatusCode};
use serde::Serialize;

use super::body::Body;

/// A document.
pub(super) fn json(document: &impl Serialize) -> Response<Body> {
    let mut text = serde_json::to_vec(document).expect("what is shown has texts for keys");
    text.push(b'\n');
    typed(Body::whole(text), "application/json")
}

pub(super) fn typed(body: Body, content_type: &'static str) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Nothing more to say.
pub(super) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// With the mark that tells this state from others.
pub(super) fn tagged(mut response: Response<Body>, tag: &str) -> Response<Body> {
    response.headers_mut().insert(ETAG, HeaderValue::from_str(tag).expect("it has digits and quotes"));
    response
}

/// As [`tagged`], and it may be kept by whoever asks each time whether it is still so.
pub(super) fn kept(response: Response<Body>, tag: &str) -> Response<Body> {
    let mut response = tagged(response, tag);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
