//! The registry as it is written.

use crate::bind::{DnsBindText, RegistryBind};
use crate::decode::{At, Limit, OneOrMany};
use crate::directory::FilePath;
use crate::duration::{Seconds, Span, Timeout};
use crate::fields::fields;
use crate::grant::GrantText;
use crate::network::AllowedAddress;
use crate::percent::Percent;
use crate::rate::Rate;
use crate::secret::SecretText;

fields! {
    /// Where instances register.
    RawRegistry {
        /// The address of its API: IP:PORT.
        bind: At<RegistryBind> = required,
        /// Where it is kept. Default: registry.redb in state_dir.
        store: RawStore,
        /// How long an instance that says nothing else stays without a heartbeat, 3s to 1d. Default 30s.
        ttl: Span<3_000, 86_400_000>,
        /// How much of a service may go within one time-to-live without evidence, at least one. Default 15%.
        evict_max: Percent<1, 100>,
        /// How long the silence of many is held for a failure of our own network. Default 10m.
        hold_max: Timeout,
        /// Whether the last instance of a service stays until there is evidence that it is gone. Default true.
        empty_protect: bool,
        /// Registrations a second at most, or none for no limit. Default 1000/s.
        register_rate: Limit<Rate>,
        /// Where an instance may point: registrant (the address that it registers from) and networks. Default
        /// registrant.
        allow_addresses: OneOrMany<AllowedAddress>,
        /// Who may do what. Without tokens everything is allowed, but only from this machine.
        tokens: Vec<RawToken>,
        /// How else it is spoken to than by its API.
        compat: RawCompat,
    }

    /// How else the registry is spoken to.
    RawCompat {
        /// Services as names of the DNS.
        dns: RawRegistryDns,
    }

    /// Services as names of the DNS.
    RawRegistryDns {
        /// One or several addresses for questions over UDP and TCP. Whoever reaches them may ask.
        bind: OneOrMany<DnsBindText> = required,
        /// The domain that they are below, as SERVICE.svc.DOMAIN.
        domain: At<String> = required,
        /// How long an answer may be remembered. Default 1s.
        ttl: Seconds,
    }

    /// Where the registry is kept.
    RawStore {
        /// A file of this machine: an absolute path.
        embedded: At<FilePath> = required,
    }

    /// A bearer token of the registry.
    RawToken {
        /// Who comes with it: 1 to 63 of A-Z a-z 0-9 . _ -
        name: At<String> = required,
        /// The token: file:/path, or the token itself.
        secret: At<SecretText> = required,
        /// What it allows: register:SERVICE (or register:PREFIX*), read, drain, scale, admin.
        grants: OneOrMany<GrantText> = required,
    }
}
