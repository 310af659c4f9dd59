//! When a request is tried on another endpoint.

/// How often, after what, and how many retries there may be among all requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Further attempts of one request, 0 to 3. Default 1.
    pub retries: u8,
    /// What is tried again.
    pub on: RetryOn,
    /// Retries in percent of the service's requests, 0 to 100. Default 20.
    pub budget: u8,
    /// Retries a second that are always allowed. Default 10.
    pub budget_min: u32,
}

/// Failures after which a request is tried again. Default the first two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryOn {
    /// The connection could not be made.
    pub connect: bool,
    /// The connection broke before a response, and the request may be repeated.
    pub reset: bool,
    /// No response has begun in time, and the request may be repeated.
    pub timeout: bool,
    /// The answer is 503, and the request may be repeated.
    pub unavailable: bool,
}
