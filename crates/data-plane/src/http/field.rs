//! Header fields that a proxy treats in its own way, told apart once while parsing.

/// A field the proxy has a rule for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// Forwarded as it is.
    Other,
    Host,
    ContentLength,
    TransferEncoding,
    Connection,
    KeepAlive,
    ProxyConnection,
    ProxyAuthenticate,
    ProxyAuthorization,
    Te,
    Trailer,
    Upgrade,
    Expect,
    ContentType,
    Cookie,
    Authorization,
    Date,
    UserAgent,
    Referer,
    Forwarded,
    XForwardedFor,
    XForwardedHost,
    XForwardedPort,
    XForwardedProto,
    XRealIp,
    XRequestId,
}

impl Known {
    /// Looks a name up, in any case.
    pub(crate) fn of(name: &[u8]) -> Self {
        // By length first: most names then cost one comparison or none.
        let rows: &[(&[u8], Known)] = match name.len() {
            2 => &[(b"te", Known::Te)],
            4 => &[(b"host", Known::Host), (b"date", Known::Date)],
            6 => &[(b"cookie", Known::Cookie), (b"expect", Known::Expect)],
            7 => &[(b"upgrade", Known::Upgrade), (b"referer", Known::Referer), (b"trailer", Known::Trailer)],
            9 => &[(b"x-real-ip", Known::XRealIp), (b"forwarded", Known::Forwarded)],
            10 => &[
                (b"user-agent", Known::UserAgent),
                (b"connection", Known::Connection),
                (b"keep-alive", Known::KeepAlive),
            ],
            12 => &[(b"content-type", Known::ContentType), (b"x-request-id", Known::XRequestId)],
            13 => &[(b"authorization", Known::Authorization)],
            14 => &[(b"content-length", Known::ContentLength)],
            15 => &[(b"x-forwarded-for", Known::XForwardedFor)],
            16 => &[
                (b"x-forwarded-host", Known::XForwardedHost),
                (b"x-forwarded-port", Known::XForwardedPort),
                (b"proxy-connection", Known::ProxyConnection),
            ],
            17 => &[
                (b"transfer-encoding", Known::TransferEncoding),
                (b"x-forwarded-proto", Known::XForwardedProto),
            ],
            18 => &[(b"proxy-authenticate", Known::ProxyAuthenticate)],
            19 => &[(b"proxy-authorization", Known::ProxyAuthorization)],
            _ => &[],
        };
        rows.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map_or(Known::Other, |row| row.1)
    }

    /// Fields of one connection only (RFC 9110 §7.6.1), and framing, which is always our own.
    pub(crate) fn is_hop_by_hop(self) -> bool {
        matches!(
            self,
            Known::Connection
                | Known::KeepAlive
                | Known::ProxyConnection
                | Known::ProxyAuthenticate
                | Known::ProxyAuthorization
                | Known::Te
                | Known::Trailer
                | Known::TransferEncoding
                | Known::ContentLength
                | Known::Upgrade
        )
    }

    /// Fields that `Connection` can never remove: a client would use it to hide what others rely on. Without `Expect`
    /// the upstream would send no 100, for which we wait.
    pub(crate) fn is_protected(self) -> bool {
        matches!(
            self,
            Known::Host
                | Known::ContentLength
                | Known::Cookie
                | Known::Authorization
                | Known::Date
                | Known::Expect
                | Known::ContentType
                | Known::Forwarded
                | Known::XForwardedFor
                | Known::XForwardedHost
                | Known::XForwardedPort
                | Known::XForwardedProto
                | Known::XRealIp
                | Known::XRequestId
        )
    }
}

/// Security fields are protected too, though nothing else is known about them.
const SECURITY_FIELDS: &[&[u8]] = &[
    b"content-security-policy",
    b"strict-transport-security",
    b"x-frame-options",
    b"x-content-type-options",
    b"set-cookie",
    b"cache-control",
    b"origin",
    b"access-control-allow-origin",
];

/// Whether a `Connection` field can remove the field called `name`.
pub(crate) fn can_be_nominated(name: &[u8], known: Known) -> bool {
    !known.is_protected() && !SECURITY_FIELDS.iter().any(|field| field.eq_ignore_ascii_case(name))
}

/// The elements of a comma-separated list (RFC 9110 §5.6.1), without surrounding whitespace and empty ones.
pub(crate) fn list_elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}

/// Fields that a trailer section must not carry (RFC 9110 §6.5.1): framing, routing, authentication, content.
pub(crate) fn is_allowed_in_trailers(name: &[u8]) -> bool {
    let known = Known::of(name);
    let lower: Vec<u8> = name.to_ascii_lowercase();
    !known.is_hop_by_hop()
        && !known.is_protected()
        && !lower.starts_with(b"content-")
        && !matches!(
            lower.as_slice(),
            b"set-cookie"
                | b"www-authenticate"
                | b"authentication-info"
                | b"cache-control"
                | b"age"
                | b"expires"
                | b"location"
                | b"retry-after"
                | b"vary"
                | b"warning"
                | b"max-forwards"
                | b"pragma"
                | b"range"
                | b"if-match"
                | b"if-none-match"
                | b"if-modified-since"
                | b"if-unmodified-since"
                | b"if-range"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_case() {
        for (name, known) in [
            ("Host", Known::Host),
            ("TRANSFER-encoding", Known::TransferEncoding),
            ("te", Known::Te),
            ("X-Forwarded-For", Known::XForwardedFor),
            ("X-Forwarded-Fox", Known::Other),
            ("", Known::Other),
        ] {
            assert_eq!(Known::of(name.as_bytes()), known, "{name}");
        }
    }

    #[test]
    fn connection_cannot_remove_what_others_rely_on() {
        for (name, removable) in [
            ("Cookie", false),
            ("Host", false),
            ("X-Forwarded-For", false),
            ("Strict-Transport-Security", false),
            ("X-Hop", true),
        ] {
            assert_eq!(can_be_nominated(name.as_bytes(), Known::of(name.as_bytes())), removable, "{name}");
        }
    }

    #[test]
    fn trailers_carry_no_framing_or_identity() {
        for (name, allowed) in [
            ("grpc-status", true),
            ("x-checksum", true),
            ("Content-Length", false),
            ("Transfer-Encoding", false),
            ("Host", false),
            ("Authorization", false),
            ("Cookie", false),
            ("Content-Type", false),
            ("Content-MD5", false),
        ] {
            assert_eq!(is_allowed_in_trailers(name.as_bytes()), allowed, "{name}");
        }
    }
}
