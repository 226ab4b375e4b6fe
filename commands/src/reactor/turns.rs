//! Whose turn it is to reserve. Each reservation of a wallet follows the last, so of several jobs that reserve at the same
//! time the log takes one outcome. So one transfer of a wallet has such a job at a time, and the next one gets it when the
//! wallet's reservations go on, or the first is over. What is lost with this memory is published when it is overdue.

use std::num::NonZeroUsize;

use lru::LruCache;
use nsl_domain::wallet::Wallet;
use nsl_schemas::event::wallet::WalletEvent;
use uuid::Uuid;

/// Wallets whose turns are remembered: as many as are kept in memory.
const WALLETS_MAX: NonZeroUsize = super::prepare::WALLETS_MAX;

/// Whose turn it was last, and after which of the wallet's reservations.
type Turn = Option<(Uuid, u32)>;

/// The turns that were given, by the wallets' streams.
pub(super) struct Turns {
    given: LruCache<String, Turn>,
}

impl Default for Turns {
    fn default() -> Self {
        Self { given: LruCache::new(WALLETS_MAX) }
    }
}

impl Turns {
    /// Whether `event` may make it another transfer's turn: it is about reservations, or of a wallet that had such events.
    pub(super) fn may_pass(&self, aggregate_id: &str, event: &WalletEvent) -> bool {
        let is_about_reservations = match event {
            WalletEvent::TransferRequested(event) => event.reserves,
            WalletEvent::TransferApproved(event) => event.reserves,
            WalletEvent::TransferReserved(_) => true,
            _ => false,
        };
        is_about_reservations || self.given.contains(aggregate_id)
    }

    /// The transfer whose turn has come at `now_ms`; none where that is the one that had it before.
    pub(super) fn next(&mut self, aggregate_id: &str, wallet: &Wallet, now_ms: u64) -> Option<Uuid> {
        let sequence = wallet.last_reservation().map_or(0, |last| last.reservation.sequence);
        let turn = wallet.reserves_next(now_ms).map(|request_id| (request_id, sequence));
        let before = self.given.put(aggregate_id.to_owned(), turn);
        turn.filter(|_| before != Some(turn)).map(|(request_id, _)| request_id)
    }
}

#[cfg(test)]
mod tests {
    use nsl_schemas::bytes::{Base64, Sha256};
    use nsl_schemas::event::wallet::TransferReserved;
    use nsl_schemas::policy::Counters;
    use nsl_schemas::reservation::{Reservation, SealedReservation};
    use serde_json::{Value, json};

    use super::*;

    const STREAM: &str = "acme.main";

    fn event(payload: Value) -> WalletEvent {
        serde_json::from_value(payload).unwrap()
    }

    fn sha256(byte: &str) -> String {
        byte.repeat(32)
    }

    /// A wallet whose policy counts signatures.
    fn wallet() -> Wallet {
        let policy = json!({
            "assets": [], "fee_max_datoshi": "1", "network_magic": 1, "owners": {"keys": [], "threshold": 1},
            "rules": {"counting": {"signatures_in_all_max": 9}},
        });
        let sealed_key = json!({"ciphertext": "", "nonce": "", "sealing_key_id": "k", "version": 1});
        let id = Uuid::nil();
        let key = nsl_schemas::nkey::SigningKey::from_seed(&[1; 32]).public();
        let statement = json!({
            "job_id": id, "post_state_sha256": sha256("00"), "request_sha256": sha256("00"),
            "result_sha256": sha256("00"),
        });
        let birth = json!({
            "command_id": id, "genesis_sha256": sha256("00"), "owners": {"keys": [], "threshold": 1},
            "policy_sha256": sha256("00"), "public_key": "", "tenant": "acme", "wallet": "main",
        });
        let mut wallet = Wallet::default();
        wallet.evolve(event(json!({
            "event": "creation-requested", "policy": policy, "request_id": id, "request_sha256": sha256("00"),
        })));
        wallet.evolve(event(json!({
            "address": "", "birth_certificate": {"document": "", "statement": birth}, "event": "key-created",
            "outcome": {"signature": "", "statement": statement, "worker": key}, "public_key": "",
            "request_id": id, "sealed_key": sealed_key,
        })));
        wallet
    }

    fn requested(number: u128, sign_by_ms: u64) -> WalletEvent {
        event(json!({
            "event": "transfer-requested", "request_id": Uuid::from_u128(number), "request_sha256": sha256("00"),
            "reserves": true, "sign_by_ms": sign_by_ms.to_string(), "tx_hash": "0x",
            "transfer": {"amount": "1", "asset": "a", "network_fee_datoshi": "1", "network_magic": 1,
                "system_fee_datoshi": "1", "to": "t", "valid_until_block": 9},
        }))
    }

    fn reserved(wallet: &Wallet, number: u128, sequence: u32) -> WalletEvent {
        let (_, policy) = wallet.signing_state().unwrap();
        let reservation = Reservation {
            counters: Counters::default(),
            genesis_sha256: Sha256([0; 32]),
            key_version: 1,
            policy_sha256: policy.sha256(),
            previous_sha256: Sha256([0; 32]),
            request_id: Uuid::from_u128(number),
            request_sha256: Sha256([0; 32]),
            reserved_at_ms: 1,
            sequence,
            tenant: nsl_schemas::token::Tenant::parse("acme").unwrap(),
            tx_hash: "0x".to_owned(),
            wallet: nsl_schemas::token::AggregateId::parse("main").unwrap(),
        };
        let sealed = SealedReservation { reservation, seal: Base64(vec![]) };
        let proof = json!({
            "event": "transfer-refused", "request_id": Uuid::nil(), "refusal": {"code": "c", "message": "m",
                "outcome": {"signature": "", "worker": nsl_schemas::nkey::SigningKey::from_seed(&[1; 32]).public(),
                    "statement": {"job_id": Uuid::nil(), "post_state_sha256": sha256("00"),
                        "request_sha256": sha256("00"), "result_sha256": sha256("00")}}},
        });
        let WalletEvent::TransferRefused(refused) = event(proof) else { panic!() };
        TransferReserved {
            outcome: refused.refusal.outcome,
            request_id: Uuid::from_u128(number),
            reservation: sealed,
        }
        .into()
    }

    #[test]
    fn a_turn_is_given_once_to_the_transfer_that_is_due_first_and_passes_with_each_reservation() {
        let (mut turns, mut wallet) = (Turns::default(), wallet());
        let [first, second] = [1, 2].map(Uuid::from_u128);
        assert_eq!(turns.next(STREAM, &wallet, 5), None);
        wallet.evolve(requested(2, 100));
        assert_eq!(turns.next(STREAM, &wallet, 5), Some(second));
        // Another event of the wallet gives it no second job.
        assert_eq!(turns.next(STREAM, &wallet, 5), None);
        // One that is due earlier comes first, and then the other gets its job anew: it is the last no more.
        wallet.evolve(requested(1, 50));
        assert_eq!(turns.next(STREAM, &wallet, 5), Some(first));
        let event = reserved(&wallet, 1, 1);
        wallet.evolve(event);
        assert_eq!(turns.next(STREAM, &wallet, 5), Some(second));
        let event = reserved(&wallet, 2, 2);
        wallet.evolve(event);
        assert_eq!(turns.next(STREAM, &wallet, 5), None);
    }

    #[test]
    fn wallets_that_never_reserved_are_not_looked_at() {
        let (mut turns, wallet) = (Turns::default(), wallet());
        let WalletEvent::TransferRequested(mut plain) = requested(1, 1) else { panic!() };
        plain.reserves = false;
        let plain = WalletEvent::from(plain);
        assert!(!turns.may_pass(STREAM, &plain));
        assert!(turns.may_pass(STREAM, &requested(1, 1)));
        assert!(turns.may_pass(STREAM, &reserved(&wallet, 1, 1)));
        turns.next(STREAM, &wallet, 5);
        assert!(turns.may_pass(STREAM, &plain));
        assert!(!turns.may_pass("acme.other", &plain));
    }
}
