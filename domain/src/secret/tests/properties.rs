//! Whatever is asked in whatever order: what holds of every secret.

use proptest::prelude::*;

use super::*;
use crate::process::{ProcessEvent, State};
use crate::test_world::{SIGNING_MS, refused};

/// One thing that happens.
#[derive(Debug, Clone)]
enum What {
    Store,
    SetReaders,
    Reveal,
    Destroy,
    /// A worker answers the request of this number, well or with a refusal.
    Outcome(usize, bool),
    /// The reactor gives the request of this number up.
    Expire(usize),
}

fn what() -> impl Strategy<Value = What> {
    prop_oneof![
        3 => Just(What::Store),
        2 => Just(What::SetReaders),
        4 => Just(What::Reveal),
        1 => Just(What::Destroy),
        8 => (0..40_usize, any::<bool>()).prop_map(|(number, is_good)| What::Outcome(number, is_good)),
        2 => (0..40_usize).prop_map(What::Expire),
    ]
}

/// The command that does it, on the state as it is.
fn command(life: &Life, number: usize, what: &What) -> SecretCommand {
    let present = life.state.present();
    let version = present.map_or(0, |present| present.sealed_secret.version);
    let policy = present.map_or_else(policy, |present| present.policy.clone());
    match what {
        What::Store => SecretCommand::Store(store(version + 1, policy)),
        What::SetReaders => {
            let keys = [crate::test_world::key(11), crate::test_world::key(12)];
            let other = if policy == super::policy() { next_policy() } else { super::policy() };
            let change = ReadersChange {
                policy: other,
                previous_sha256: policy.sha256(),
                version: version + 1,
                ..change()
            };
            let change = Signed::sign(change, &keys.iter().collect::<Vec<_>>());
            SecretCommand::SetReaders(SetReaders { change })
        }
        What::Reveal => {
            let reading =
                SecretReading { policy_sha256: policy.sha256(), version, ..reading(request(number)) };
            let readers: &[u8] = if policy == super::policy() { &[21] } else { &[23, 24] };
            reveal_as(reading, readers)
        }
        What::Destroy => destroy(),
        What::Outcome(asked, is_good) => {
            let sealed_now = present.map(|present| present.sealed_secret.clone());
            let asked = request(*asked);
            let rests_on_none = life.log.iter().any(
                |event| matches!(event, SecretEvent::StoreRequested(event) if event.request_id == asked),
            );
            let is_reading = life.log.iter().any(
                |event| matches!(event, SecretEvent::RevealRequested(event) if event.request_id == asked),
            );
            match (is_good, is_reading) {
                (true, true) => outcome_of(asked, secret_revealed(), sealed_now.as_ref()),
                (true, false) => outcome_of(asked, secret_sealed(version + 1), Some(&sealed(version + 1))),
                (false, _) => outcome_of(asked, refused(), sealed_now.as_ref().filter(|_| !rests_on_none)),
            }
        }
        What::Expire(asked) => SecretCommand::ExpireRequest(nsl_schemas::command::secret::ExpireRequest {
            request_id: request(*asked),
        }),
    }
}

fn request(number: usize) -> Uuid {
    Uuid::from_u128(1000 + number as u128)
}

proptest! {
    #[test]
    fn every_life_is_its_events_and_every_request_ends_once(whats in prop::collection::vec(what(), 1..40)) {
        let mut life = Life::default();
        let mut processes = std::collections::HashMap::new();
        let mut version = 0;
        for (number, what) in whats.iter().enumerate() {
            let now_ms = if matches!(what, What::Expire(_)) { NOW_MS + SIGNING_MS } else { NOW_MS };
            let body = command(&life, number, what);
            let before = life.state.clone();
            let Ok(events) = life.step_at(now_ms, request(number), body) else {
                prop_assert_eq!(&life.state, &before);
                continue;
            };
            for event in events {
                if let SecretEvent::Sealed(sealed) = &event {
                    prop_assert_eq!(sealed.sealed_secret.version, version + 1, "versions follow one another");
                    version += 1;
                }
                let event = ProcessEvent::from(event);
                let id = event.request_id();
                let state = processes.get(&id).copied();
                prop_assert_ne!(state, Some(State::Over), "a request ends once");
                if let Some(state) = event.react(state) {
                    processes.insert(id, state);
                }
            }
        }
        prop_assert_eq!(&life.replayed(), &life.state);
        // What a process waits for, the state still has open, and the other way round.
        let open = processes.values().filter(|state| **state != State::Over).count();
        let kept = match &life.state.phase {
            crate::secret::Phase::Live(live) => live.readings.len() + usize::from(live.sealing.is_some()),
            crate::secret::Phase::Absent | crate::secret::Phase::Destroyed => 0,
        };
        prop_assert_eq!(open, kept);
        for state in processes.values().filter(|state| **state != State::Over) {
            prop_assert!(state.job_kind().is_some() && state.due_ms().is_some());
        }
    }
}
