//! A listener as it is written.

use crate::bind::BindText;
use crate::decode::{At, Limit, OneOrMany, Whole, Word, Words};
use crate::duration::Timeout;
use crate::fields::fields;
use crate::listener::{EncodedSlash, ListenerAction, Underscores};
use crate::size::Size;

fields! {
    /// A bound address and what is spoken on it.
    RawListener {
        /// One or several addresses: :80, 0.0.0.0:80, [::]:80, unix:/path.
        bind: OneOrMany<BindText> = required,
        /// What is spoken. Default http.
        protocol: Word<SpokenProtocol>,
        /// The service that every connection goes to. For tcp alone, where it is required.
        to: At<String>,
        /// https answers every request with a redirect to the same host and path over https.
        redirect: Word<ListenerAction>,
        /// Limits of this listener.
        limits: RawListenerLimits,
        /// How long to wait for the downstream.
        timeouts: RawDownstreamTimeouts,
        /// What a request may look like.
        http: RawHttp,
    }

    /// Limits of a listener.
    RawListenerLimits {
        /// Downstream connections at a time, or none. Default none, which leaves the cap of the process.
        connections: Limit<Whole<1, 4_294_967_295>>,
        /// Downstream connections at a time from one source address, or none. Default none.
        connections_per_source: Limit<Whole<1, 4_294_967_295>>,
    }

    /// How long to wait for the downstream.
    RawDownstreamTimeouts {
        /// Total time for a request head. Default 10s.
        header: Limit<Timeout>,
        /// Time without progress on a body, either way. Default 60s.
        body_idle: Limit<Timeout>,
        /// Time between requests. Default 75s.
        keep_alive: Limit<Timeout>,
    }

    /// What a request may look like.
    RawHttp {
        /// Longest request line, 414 beyond. Default 8KiB; from 256B to 64KiB.
        request_line: Size<256, 65_536>,
        /// Longest field line, 431 beyond. Default 16KiB; from 256B to 64KiB.
        header_field: Size<256, 65_536>,
        /// Longest header block, 431 beyond. Default 64KiB; from 1KiB to 1MiB.
        headers: Size<1024, 1_048_576>,
        /// Most fields of a header block, 431 beyond. Default 100; from 8 to 1000.
        header_count: Whole<8, 1000>,
        /// Longest body, 413 beyond, or none. Default none.
        body: Limit<Size<0, 9_223_372_036_854_775_807>>,
        /// Field names with an underscore: reject (400), drop or allow. Default reject.
        underscores: Word<Underscores>,
        /// Encoded slashes in the path: keep, reject (400) or redirect (307). Default keep.
        encoded_slash: Word<EncodedSlash>,
    }
}

/// What a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SpokenProtocol {
    /// HTTP/1.1 and 1.0.
    Http,
    /// Any stream of bytes.
    Tcp,
}

impl Words for SpokenProtocol {
    const WORDS: &'static [(&'static str, Self)] =
        &[("http", SpokenProtocol::Http), ("tcp", SpokenProtocol::Tcp)];
}

impl Words for ListenerAction {
    const WORDS: &'static [(&'static str, Self)] = &[("https", ListenerAction::RedirectToHttps)];
}

impl Words for Underscores {
    const WORDS: &'static [(&'static str, Self)] =
        &[("reject", Underscores::Reject), ("drop", Underscores::Drop), ("allow", Underscores::Allow)];
}

impl Words for EncodedSlash {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("keep", EncodedSlash::Keep),
        ("reject", EncodedSlash::Reject),
        ("redirect", EncodedSlash::Redirect),
    ];
}
