//! What is tried, a file for each thing that is attacked.

mod attestation;
mod authority;
mod channel;
mod jobs;
mod log_head;
mod outcomes;
mod sealed_state;
mod sealing_keys;

use nsl_schemas::authority::SealingProvider;

use crate::matrix::{Expected, Family, Mode, Verdict};

/// Everything.
pub const FAMILIES: [Family; 8] = [
    family("jobs", jobs::ATTACKS),
    family("sealed state", sealed_state::ATTACKS),
    family("authority", authority::ATTACKS),
    family("log head", log_head::ATTACKS),
    family("attestation", attestation::ATTACKS),
    family("outcomes", outcomes::ATTACKS),
    Family {
        name: "sealing keys",
        sealing_provider: SealingProvider::CustodianQuorum,
        attacks: sealing_keys::ATTACKS,
    },
    family("channel", channel::ATTACKS),
];

const fn family(name: &'static str, attacks: &'static [crate::Attack]) -> Family {
    Family { name, sealing_provider: SealingProvider::Development, attacks }
}

const STATELESS: &[Mode] = &[Mode::Stateless];
const WITHHELD: &[Mode] = &[Mode::Withheld];
const BOTH: &[Mode] = &[Mode::Stateless, Mode::Withheld];
const ANY: &[Mode] = &[Mode::Any];

const JUDGE: &str = "enclave-worker/src/judge.rs";
const SIGN: &str = "enclave-worker/src/sign_transfer.rs";
const SEAL: &str = "enclave-worker/src/seal.rs";
const OPERATORS: &str = "enclave-worker/src/operators.rs";

const fn refused(by: &'static str, place: &'static str) -> Expected {
    Expected { verdict: Verdict::Refused, by, place }
}

const fn detected(by: &'static str, place: &'static str) -> Expected {
    Expected { verdict: Verdict::Detected, by, place }
}

const fn same_transaction(place: &'static str) -> Expected {
    Expected { verdict: Verdict::SameTransaction, by: "one unsigned transaction a command", place }
}

const fn accepted(by: &'static str, place: &'static str) -> Expected {
    Expected { verdict: Verdict::Accepted, by, place }
}

/// One attack: `attack!(name, modes, expected, attempt)`, where `attempt` is an async function of parent and mode.
macro_rules! attack {
    ($name:literal, $modes:expr, $expected:expr, $attempt:expr) => {
        $crate::matrix::Attack {
            name: $name,
            modes: $modes,
            expected: $expected,
            is_control: false,
            attempt: |parent, mode| Box::pin($attempt(parent, mode)),
        }
    };
}

/// The path of attacks without a lie.
macro_rules! control {
    ($name:literal, $modes:expr, $by:literal, $place:expr, $attempt:expr) => {
        $crate::matrix::Attack {
            name: $name,
            modes: $modes,
            expected: $crate::attacks::accepted($by, $place),
            is_control: true,
            attempt: |parent, mode| Box::pin($attempt(parent, mode)),
        }
    };
}

pub(crate) use {attack, control};
