//! The dependency law as data. Everything not listed is forbidden; the reasons are in ARCHITECTURE.md.

/// What one crate may use, of ours and of others.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) package: &'static str,
    pub(super) uses: Uses,
}

/// The workspace crates that a crate may use in a distribution build.
#[derive(Debug)]
pub(super) enum Uses {
    /// These, and those of [`INFRA`] when `infra` is set.
    Only { crates: &'static [&'static str], infra: bool },
    /// Everything: nothing may use this one.
    Anything,
}

/// Plumbing that knows no service.
pub(super) const INFRA: [&str; 5] =
    ["nsl-bus", "nsl-config", "nsl-event-store", "nsl-neo-rpc", "nsl-telemetry"];

/// Tools and tests: they use everything, nothing uses them, in tests neither.
pub(super) const LEAVES: [&str; 7] =
    ["nsl-dev", "nsl-tests", "nsl-load", "nsl-simulation", "nsl-fuzz", "nsl-kms", "nsl-hostile"];

/// Real services, and a site's keys and jobs, for tests: any crate may use them as dev-dependencies, only the leaves
/// otherwise.
pub(super) const TEST_SUPPORT: [&str; 2] = ["nsl-local-services", "nsl-test-site"];

/// A cargo feature that no distribution binary has.
#[derive(Debug)]
pub(super) struct KeptOut {
    pub(super) feature: &'static str,
    /// The crates that may have it; the leaves may switch it on.
    pub(super) crates: &'static [&'static str],
}

pub(super) const KEPT_OUT: [KeptOut; 2] = [
    // Software security module and development trust root.
    KeptOut {
        feature: "development",
        crates: &[
            "nsl-cli",
            "nsl-client",
            "nsl-commands",
            "nsl-enclave-host",
            "nsl-enclave-image",
            "nsl-enclave-init",
            "nsl-enclave-worker",
            "nsl-verify",
        ],
    },
    // Steps at which tests make a process die.
    KeptOut {
        feature: "failpoints",
        crates: &["nsl-chain-relay", "nsl-commands", "nsl-enclave-host", "nsl-projections", "nsl-telemetry"],
    },
];

/// The enclave reaches the world through its channel alone.
pub(super) const ENCLAVE_CRATES: [&str; 7] = [
    "nsl-enclave-worker",
    "nsl-enclave-init",
    "nsl-enclave-protocol",
    "nsl-policy",
    "nsl-neo",
    "nsl-schemas",
    "nsl-verify",
];
/// Databases, buses and HTTP, which therefore are none of its dependencies.
pub(super) const FORBIDDEN_IN_ENCLAVE: [&str; 8] =
    ["async-nats", "axum", "cqrs-es", "hyper", "postgres-es", "reqwest", "sqlx", "ureq"];

pub(super) const LAW: [Rule; 33] = [
    only("nsl-schemas", &[]),
    only("nsl-verify", &[]),
    only("nsl-policy", &["nsl-schemas", "nsl-neo"]),
    only("nsl-neo", &[]),
    only("nsl-domain", &["nsl-schemas", "nsl-policy", "nsl-neo", "nsl-verify"]),
    only("nsl-client", &["nsl-schemas", "nsl-verify"]),
    only("nsl-cli", &["nsl-client", "nsl-schemas", "nsl-verify", "nsl-neo"]),
    only("nsl-config", &[]),
    only("nsl-telemetry", &["nsl-config"]),
    only("nsl-bus", &["nsl-config", "nsl-schemas"]),
    only("nsl-neo-rpc", &["nsl-neo", "nsl-config"]),
    only("nsl-event-store", &["nsl-schemas", "nsl-config"]),
    only("nsl-event-log", &["nsl-event-store", "nsl-schemas"]),
    with_infra("nsl-commands", &["nsl-domain", "nsl-schemas", "nsl-verify", "nsl-client"]),
    with_infra("nsl-price-sources", &["nsl-domain", "nsl-schemas", "nsl-client"]),
    with_infra("nsl-chain-relay", &["nsl-domain", "nsl-policy", "nsl-neo", "nsl-schemas", "nsl-client"]),
    with_infra("nsl-projections", &["nsl-domain", "nsl-schemas", "nsl-verify"]),
    with_infra("nsl-audit-log", &["nsl-domain", "nsl-schemas", "nsl-verify"]),
    with_infra("nsl-gateway", &["nsl-projections", "nsl-schemas", "nsl-client"]),
    only("nsl-enclave-protocol", &["nsl-schemas"]),
    only(
        "nsl-enclave-worker",
        &["nsl-enclave-protocol", "nsl-policy", "nsl-neo", "nsl-schemas", "nsl-verify"],
    ),
    only("nsl-enclave-init", &[]),
    only("nsl-enclave-image", &["nsl-enclave-init", "nsl-enclave-protocol", "nsl-schemas"]),
    with_infra("nsl-enclave-host", &["nsl-enclave-protocol", "nsl-schemas", "nsl-verify", "nsl-client"]),
    only(TEST_SUPPORT[0], &[]),
    only(TEST_SUPPORT[1], &["nsl-schemas"]),
    Rule { package: LEAVES[0], uses: Uses::Anything },
    Rule { package: LEAVES[1], uses: Uses::Anything },
    Rule { package: LEAVES[2], uses: Uses::Anything },
    Rule { package: LEAVES[3], uses: Uses::Anything },
    Rule { package: LEAVES[4], uses: Uses::Anything },
    Rule { package: LEAVES[5], uses: Uses::Anything },
    Rule { package: LEAVES[6], uses: Uses::Anything },
];

const fn only(package: &'static str, crates: &'static [&'static str]) -> Rule {
    Rule { package, uses: Uses::Only { crates, infra: false } }
}

const fn with_infra(package: &'static str, crates: &'static [&'static str]) -> Rule {
    Rule { package, uses: Uses::Only { crates, infra: true } }
}
