//! The processes by table, and the transfer's among wallets, workers, relays and deadlines in any order.

use std::collections::BTreeMap;

use nsl_schemas::command::wallet::{
    ExpireRequest, RecordConfirmation, RecordExpiry, RecordOutcome, VmState, WalletCommand,
};
use nsl_schemas::envelope::CLOCK_SKEW_MS_MAX;
use nsl_schemas::event::wallet::WalletEvent;
use nsl_schemas::ids;
use nsl_schemas::number::{Datoshi, UnixMs};
use nsl_schemas::outcome::JobResult;
use nsl_schemas::subject::CommandSubject;
use nsl_schemas::{canonical, errors};
use proptest::prelude::*;
use uuid::Uuid;

use super::{Command, State, begins, on_deadline, react, request_id};
use crate::test_world::{
    CREATE, Life, NOW_MS, SIGNING_MS, TRANSFER, acme, id, neo_key, outcome_of, refused, sealed, sign,
    transfer,
};

fn signing() -> State {
    State::Signing { not_before_ms: None, sign_by_ms: Some(UnixMs(NOW_MS + SIGNING_MS)) }
}

fn reserving() -> State {
    State::Reserving { not_before_ms: None, sign_by_ms: Some(UnixMs(NOW_MS + SIGNING_MS)) }
}

fn confirm(request_id: Uuid, tx_hash: String) -> WalletCommand {
    WalletCommand::RecordConfirmation(RecordConfirmation {
        request_id,
        tx_hash,
        block_index: 1,
        block_hash: format!("0x{}", "1".repeat(64)),
        vm_state: VmState::Halt,
        exception: None,
        gas_consumed_datoshi: Datoshi(1),
    })
}

fn outlive(request_id: Uuid, tx_hash: String) -> WalletCommand {
    let block_index = transfer().valid_until_block + 1;
    WalletCommand::RecordExpiry(RecordExpiry { request_id, tx_hash, block_index, reason: None })
}

fn report(request_id: Uuid, result: JobResult) -> WalletCommand {
    let outcome = outcome_of(request_id, result, Some(&sealed(1)));
    WalletCommand::RecordOutcome(RecordOutcome { outcome })
}

fn tx_hash(request_id: Uuid) -> String {
    match sign(&neo_key(), request_id, &transfer()) {
        JobResult::TransferSigned { tx_hash, .. } => tx_hash,
        other => unreachable!("sign makes a signed transfer, not {other:?}"),
    }
}

/// Every event of a transfer, by name.
fn events() -> BTreeMap<&'static str, WalletEvent> {
    let mut expiring = Life::requested();
    let expire = WalletCommand::ExpireRequest(ExpireRequest { request_id: TRANSFER });
    let only = |mut events: Vec<WalletEvent>| events.remove(0);
    let after = |life: Life, body| only(life.ask(CREATE, body).unwrap());
    let requested = Life::open().ask(TRANSFER, WalletCommand::RequestTransfer(transfer())).unwrap();
    [
        ("requested", only(requested)),
        ("signed", after(Life::requested(), report(TRANSFER, sign(&neo_key(), TRANSFER, &transfer())))),
        ("refused", after(Life::requested(), report(TRANSFER, refused()))),
        ("confirmed", after(Life::signed(), confirm(TRANSFER, tx_hash(TRANSFER)))),
        ("expired", after(Life::signed(), outlive(TRANSFER, tx_hash(TRANSFER)))),
        ("request expired", only(expiring.step_at(NOW_MS + SIGNING_MS, CREATE, expire).unwrap())),
    ]
    .into()
}

#[test]
fn a_transfer_goes_from_its_request_to_one_end() {
    let events = events();
    for (before, event, after) in [
        (None, "requested", Some(signing())),
        (Some(signing()), "signed", Some(State::Submitting)),
        // The policy was replaced by one that counts nothing.
        (Some(reserving()), "signed", Some(State::Submitting)),
        (Some(reserving()), "refused", Some(State::Over)),
        (Some(reserving()), "request expired", Some(State::Over)),
        (Some(signing()), "refused", Some(State::Over)),
        (Some(signing()), "request expired", Some(State::Over)),
        (Some(State::Submitting), "confirmed", Some(State::Over)),
        (Some(State::Submitting), "expired", Some(State::Over)),
        // Without a request nothing begins.
        (None, "signed", None),
        (None, "request expired", None),
        // What comes again or too late leads nowhere.
        (Some(signing()), "requested", Some(signing())),
        (Some(State::Submitting), "requested", Some(State::Submitting)),
        (Some(State::Submitting), "signed", Some(State::Submitting)),
        (Some(State::Over), "requested", Some(State::Over)),
        (Some(State::Over), "signed", Some(State::Over)),
        (Some(State::Over), "confirmed", Some(State::Over)),
    ] {
        assert_eq!(react(before, &events[event]), after, "{before:?}, {event}");
        assert_eq!(begins(&events[event]), event == "requested", "{event}");
        assert_eq!(request_id(&events[event]), TRANSFER, "{event}");
    }
}

#[test]
fn a_state_says_which_job_and_which_deadline_are_open() {
    let due_ms = NOW_MS + SIGNING_MS + CLOCK_SKEW_MS_MAX;
    for (state, job_kind, expected_due_ms) in [
        (State::CreatingKey, Some("create-key"), None),
        (State::ReplacingPolicy { not_before_ms: None }, Some("replace-policy"), None),
        (signing(), Some("sign-transfer"), Some(due_ms)),
        (State::Signing { not_before_ms: None, sign_by_ms: None }, Some("sign-transfer"), None),
        (
            State::Signing { not_before_ms: None, sign_by_ms: Some(UnixMs(u64::MAX)) },
            Some("sign-transfer"),
            Some(u64::MAX),
        ),
        (reserving(), Some("reserve-transfer"), Some(due_ms)),
        (State::Reserving { not_before_ms: None, sign_by_ms: None }, Some("reserve-transfer"), None),
        (State::Submitting, Some("submit-transaction"), None),
        (State::Over, None, None),
    ] {
        assert_eq!((state.job_kind(), state.due_ms()), (job_kind, expected_due_ms), "{state:?}");
        let command = on_deadline(state, TRANSFER, &acme(), &id("main")).unwrap();
        assert_eq!(command.is_some(), expected_due_ms.is_some(), "{state:?}");
        let text = canonical::to_string(&state);
        assert_eq!(serde_json::from_str::<State>(&text).unwrap(), state, "{text}");
    }
}

#[test]
fn a_lock_holds_back_the_job_and_missing_approvals_have_none() {
    let (lock, sign_by_ms) = (Some(UnixMs(NOW_MS)), Some(UnixMs(NOW_MS + SIGNING_MS)));
    for (state, has_job, job_from_ms) in [
        (State::ReplacingPolicy { not_before_ms: lock }, true, Some(NOW_MS + CLOCK_SKEW_MS_MAX)),
        (State::Signing { not_before_ms: lock, sign_by_ms }, true, Some(NOW_MS + CLOCK_SKEW_MS_MAX)),
        (State::Reserving { not_before_ms: lock, sign_by_ms }, true, Some(NOW_MS + CLOCK_SKEW_MS_MAX)),
        (signing(), true, None),
        (State::AwaitingApprovals { not_before_ms: lock, sign_by_ms }, false, None),
        (State::Submitting, true, None),
    ] {
        assert_eq!((state.job_kind().is_some(), state.job_from_ms()), (has_job, job_from_ms), "{state:?}");
        let text = canonical::to_string(&state);
        assert_eq!(serde_json::from_str::<State>(&text).unwrap(), state, "{text}");
    }
    let awaiting = State::AwaitingApprovals { not_before_ms: lock, sign_by_ms };
    assert_eq!(awaiting.due_ms(), signing().due_ms());
    assert_eq!(
        on_deadline(awaiting, TRANSFER, &acme(), &id("main")),
        on_deadline(signing(), TRANSFER, &acme(), &id("main"))
    );
    // What was remembered before there were locks.
    let text = r#"{"step":"replacing-policy"}"#;
    let expected = State::ReplacingPolicy { not_before_ms: None };
    assert_eq!(serde_json::from_str::<State>(text).unwrap(), expected);
}

#[test]
fn what_a_deadline_sends_follows_from_the_request_alone() {
    let command = on_deadline(signing(), TRANSFER, &acme(), &id("main")).unwrap().unwrap();
    let expected = Command {
        id: ids::process_command_id(TRANSFER, "transfer", "expire"),
        subject: CommandSubject::parse("nsl.v1.cmd.acme.wallet.main.expire-request").unwrap(),
        payload: format!(r#"{{"request_id":"{TRANSFER}"}}"#),
    };
    assert_eq!(command, expected);
}

/// What happens next to one of a few transfers.
#[derive(Debug, Clone)]
enum Happening {
    Asked(u8),
    Signed(u8),
    Refused(u8),
    Confirmed(u8),
    OutOfBlocks(u8),
    /// The process' command arrives, due or not.
    DeadlineFires(u8),
    /// Time goes on.
    Waits(u64),
    /// Time goes on to the very moment at which a deadline is due.
    BecomesDue(u8),
    /// An event of the past is heard again.
    HeardAgain(prop::sample::Index),
}

fn happening() -> impl Strategy<Value = Happening> {
    let transfer = 0..3_u8;
    prop_oneof![
        3 => transfer.clone().prop_map(Happening::Asked),
        2 => transfer.clone().prop_map(Happening::Signed),
        1 => transfer.clone().prop_map(Happening::Refused),
        1 => transfer.clone().prop_map(Happening::Confirmed),
        1 => transfer.clone().prop_map(Happening::OutOfBlocks),
        3 => transfer.clone().prop_map(Happening::DeadlineFires),
        3 => transfer.prop_map(Happening::BecomesDue),
        2 => (0..SIGNING_MS).prop_map(Happening::Waits),
        2 => any::<prop::sample::Index>().prop_map(Happening::HeardAgain),
    ]
}

/// A wallet, its log, and the processes that follow it.
struct World {
    wallet: Life,
    now_ms: u64,
    log: Vec<WalletEvent>,
    states: BTreeMap<Uuid, State>,
    sent: BTreeMap<Uuid, Command>,
}

fn request(number: u8) -> Uuid {
    Uuid::from_u128(500 + u128::from(number))
}

impl World {
    fn new() -> Self {
        let (log, states, sent) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        Self { wallet: Life::open(), now_ms: NOW_MS, log, states, sent }
    }

    fn decide(&mut self, command_id: Uuid, body: WalletCommand) -> Result<(), errors::ErrorCode> {
        let events = self.wallet.step_at(self.now_ms, command_id, body).map_err(|no| no.code)?;
        for event in events {
            self.log.push(event.clone());
            self.hear(&event);
        }
        Ok(())
    }

    fn hear(&mut self, event: &WalletEvent) {
        let request_id = request_id(event);
        let before = self.states.get(&request_id).copied();
        self.states.extend(react(before, event).map(|state| (request_id, state)));
    }

    /// Sends the deadline's command; how it was decided, or nothing where none is due.
    fn fire(&mut self, request_id: Uuid) -> Option<Result<(), errors::ErrorCode>> {
        let state = *self.states.get(&request_id)?;
        if state.due_ms()? > self.now_ms {
            return None;
        }
        let command = on_deadline(state, request_id, &acme(), &id("main")).unwrap()?;
        let earlier = self.sent.insert(request_id, command.clone());
        assert!(earlier.is_none_or(|earlier| earlier == command), "two commands for one step");
        let body = WalletCommand::parse("expire-request", command.payload.as_bytes()).unwrap().unwrap();
        Some(self.decide(command.id, body))
    }

    fn happen(&mut self, what: &Happening) {
        // Reports that the wallet does not await are rejected, and change nothing.
        let _ = match what {
            Happening::Asked(number) if self.states.contains_key(&request(*number)) => Ok(()),
            Happening::Asked(number) => {
                self.decide(request(*number), WalletCommand::RequestTransfer(transfer()))
            }
            Happening::Signed(number) => {
                let signed = sign(&neo_key(), request(*number), &transfer());
                self.decide(CREATE, report(request(*number), signed))
            }
            Happening::Refused(number) => self.decide(CREATE, report(request(*number), refused())),
            Happening::Confirmed(number) => {
                self.decide(CREATE, confirm(request(*number), tx_hash(request(*number))))
            }
            Happening::OutOfBlocks(number) => {
                self.decide(CREATE, outlive(request(*number), tx_hash(request(*number))))
            }
            Happening::DeadlineFires(number) => {
                let fired = self.fire(request(*number));
                assert!(fired.is_none_or(|decided| decided.is_ok()), "a due command is not rejected");
                Ok(())
            }
            Happening::BecomesDue(number) => {
                let due_ms = self.states.get(&request(*number)).and_then(|state| state.due_ms());
                self.now_ms = self.now_ms.max(due_ms.unwrap_or_default());
                Ok(())
            }
            Happening::Waits(ms) => {
                self.now_ms += ms;
                Ok(())
            }
            Happening::HeardAgain(index) => {
                if !self.log.is_empty() {
                    let event = self.log[index.index(self.log.len())].clone();
                    self.hear(&event);
                }
                Ok(())
            }
        };
    }

    fn names_of(&self, request: Uuid) -> Vec<&'static str> {
        use nsl_schemas::event::WireEvent as _;
        self.log.iter().filter(|event| request_id(event) == request).map(WalletEvent::event_name).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// No job outlives an end, no step has two commands, a request given up has no signature, and everything ends.
    #[test]
    fn transfers_end_once_whatever_happens_in_whatever_order(
        happenings in prop::collection::vec(happening(), 1..60),
    ) {
        let mut world = World::new();
        for what in &happenings {
            let over: Vec<Uuid> =
                world.states.iter().filter(|(_, state)| **state == State::Over).map(|(id, _)| *id).collect();
            world.happen(what);
            for request_id in over {
                let state = world.states[&request_id];
                prop_assert_eq!((state.job_kind(), state.due_ms()), (None, None), "{:?}", what);
            }
            for (request_id, state) in &world.states {
                let names = world.names_of(*request_id);
                let is_given_up = names.contains(&"transfer-request-expired");
                prop_assert!(!(is_given_up && names.contains(&"transfer-signed")), "{:?}", names);
                prop_assert!(!is_given_up || state.job_kind().is_none(), "a job after {:?}", names);
            }
        }
        // Time and the chain go on, and everything comes to its end; a fold of the log finds the same.
        world.now_ms = NOW_MS + 100 * SIGNING_MS;
        let open: Vec<Uuid> = world.states.keys().copied().collect();
        for request_id in open {
            if let Some(decided) = world.fire(request_id) {
                prop_assert_eq!(decided, Ok(()));
            } else if world.states[&request_id] == State::Submitting {
                prop_assert_eq!(world.decide(CREATE, outlive(request_id, tx_hash(request_id))), Ok(()));
            }
            prop_assert_eq!(world.states[&request_id], State::Over);
        }
        prop_assert!(world.wallet.wallet() == Life::open().wallet(), "places are still taken");
        let mut again = World::new();
        for event in &world.log {
            again.hear(event);
        }
        prop_assert_eq!(again.states, world.states);
    }
}
