//! The limit: the primitives of a signing job in a bare loop on one core, everything parsed beforehand, nothing sent.

use std::hint::black_box;
use std::time::{Duration, Instant};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::error::Unspecified;
use nix::time::{ClockId, clock_gettime};
use nsl_neo::{PrivateKey, private_key};
use nsl_policy::{Denied, TransferFacts, evaluate, transaction};
use nsl_schemas::command::wallet::RequestTransfer;
use nsl_schemas::nkey::SigningKey;
use nsl_schemas::policy::Policy;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::site;
use crate::closed_loop::per_second;

/// What it is called.
pub(super) const NAME: &str = "the same primitives in a bare loop on one core: Ed25519 verify, AES-256-GCM open, P-256 key \
     parse, policy, transaction, P-256 sign, Ed25519 sign";
/// Of one run.
const RUN_TIME: Duration = Duration::from_secs(1);
/// Between two looks at the clock.
const TURNS: u64 = 100;
/// Bytes that a client's signature covers, those that a sealed key is bound to, and those that the worker's covers.
const SIGNED_BYTES: usize = 190;
const BINDING_BYTES: usize = 220;
const OUTCOME_BYTES: usize = 330;
const NONCE: [u8; 12] = [3; 12];
const NO_RULE_LOOKS_AT_THE_TIME: u64 = 0;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cipher failed")]
    Cipher(#[from] Unspecified),
    #[error("key failed")]
    Key(#[from] private_key::Error),
    #[error("cannot read the processor's time")]
    Clock(#[from] nix::Error),
    #[error("policy denied")]
    Policy(#[from] Denied),
    #[error("no transaction")]
    Transaction(#[from] transaction::Error),
    #[error("signature does not hold")]
    Signature,
}

/// All that a job needs, parsed.
pub(super) struct Limit {
    issuer: SigningKey,
    command: [u8; SIGNED_BYTES],
    signature: [u8; 64],
    sealing_key: [u8; 32],
    sealed: Vec<u8>,
    policy: Policy,
    transfer: RequestTransfer,
}

impl Limit {
    pub(super) fn new() -> Result<Self, Error> {
        let issuer = SigningKey::from_seed(&[3; 32]);
        let (command, secret, sealing_key) = ([5; SIGNED_BYTES], [7; 32], [9; 32]);
        let mut sealed = secret.to_vec();
        cipher(&sealing_key)?.seal_in_place_append_tag(nonce(), binding(), &mut sealed)?;
        Ok(Self {
            signature: issuer.sign(&command),
            issuer,
            command,
            sealing_key,
            sealed,
            policy: site::policy(),
            transfer: site::transfer(),
        })
    }

    /// Jobs a second, and nanoseconds of this thread's processor time for each.
    pub(super) fn run(&self) -> Result<(u64, u64), Error> {
        let used = || clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from);
        let (started, used_before, mut jobs) = (Instant::now(), used()?, 0);
        while started.elapsed() < RUN_TIME {
            for turn in jobs..jobs + TURNS {
                self.job(turn)?;
            }
            jobs += TURNS;
        }
        let elapsed = started.elapsed();
        let used_ns = u64::try_from(used()?.saturating_sub(used_before).as_nanos()).unwrap_or(u64::MAX);
        Ok((per_second(jobs, elapsed), used_ns / jobs.max(1)))
    }

    fn job(&self, turn: u64) -> Result<(), Error> {
        if !self.issuer.public().verifies(black_box(&self.command), &self.signature) {
            return Err(Error::Signature);
        }
        let mut opened = Zeroizing::new(self.sealed.clone());
        cipher(&self.sealing_key)?.open_in_place(nonce(), binding(), &mut opened)?;
        let mut secret = Zeroizing::new([0; 32]);
        secret.iter_mut().zip(opened.iter()).for_each(|(to, from)| *to = *from);
        let key = PrivateKey::from_bytes(secret)?;
        evaluate(black_box(&self.policy), TransferFacts::new(&self.transfer, NO_RULE_LOOKS_AT_THE_TIME))?;
        let command_id = Uuid::from_u128(turn.into());
        let unsigned = transaction::transfer(command_id, &key.public_key(), &self.transfer)?;
        black_box(key.sign(&unsigned.sign_data(self.transfer.network_magic))?);
        black_box(self.issuer.sign(&[1; OUTCOME_BYTES]));
        Ok(())
    }
}

fn cipher(key: &[u8; 32]) -> Result<LessSafeKey, Unspecified> {
    UnboundKey::new(&AES_256_GCM, key).map(LessSafeKey::new)
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key(NONCE)
}

fn binding() -> Aad<[u8; BINDING_BYTES]> {
    Aad::from([1; BINDING_BYTES])
}
