//! Batches against a model of the log: whatever comes in, in whatever order, every caller hears the truth.

use std::sync::Arc;

use proptest::prelude::*;
use tokio::sync::{Semaphore, oneshot};
use uuid::Uuid;

use super::*;
use crate::command::NewEvent;

type Answer = oneshot::Receiver<Result<Appended, AppendError>>;

fn command(id: u128, stream: u8, expected_version: u64, events: u128) -> CommandAppend {
    let event = |number| NewEvent {
        event_id: Uuid::from_u128(number),
        event_type: "opened".into(),
        event_version: "1".into(),
        payload: "{}".into(),
        metadata: "{}".into(),
    };
    CommandAppend {
        command_id: Uuid::from_u128(id),
        issuer: "UISSUER".into(),
        request_hash: [1; 32],
        subject: "subject".into(),
        envelope: "{}".into(),
        payload: "{}".into(),
        answer: "{}".into(),
        aggregate_type: "account".into(),
        aggregate_id: format!("t.{stream}"),
        expected_version,
        events: (0..events).map(event).collect(),
        fence: Fence { partition: 3, epoch: 1 },
    }
}

fn hand_in(batches: &mut Batches, command: CommandAppend) -> Answer {
    let (sender, receiver) = oneshot::channel();
    let room = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    batches.push(Waiting::new(Checked::new(command).unwrap(), sender, room));
    receiver
}

fn ids(batch: &[Waiting]) -> Vec<u128> {
    batch.iter().map(|waiting| waiting.command().command_id.as_u128()).collect()
}

fn land(batches: &mut Batches, batch: &[Waiting]) {
    let streams: Vec<_> = batch.iter().map(|waiting| stream_key(waiting.command())).collect();
    batches.landed(streams.iter());
}

const APPENDED: Appended = Appended { first_position: 10, recorded_at_ms: 5 };

#[test]
fn of_two_that_expect_the_same_version_the_later_waits_and_is_stale() {
    let mut batches = Batches::default();
    let mut first = hand_in(&mut batches, command(1, 1, 0, 2));
    let _second = hand_in(&mut batches, command(2, 1, 0, 1));
    let mut chained = hand_in(&mut batches, command(3, 1, 2, 1));
    let _again = hand_in(&mut batches, command(3, 2, 0, 1));

    let batch = batches.next().batch;
    assert_eq!(ids(&batch), [1, 3]);
    let same_id = batches.next().batch;
    assert_eq!(ids(&same_id), [3], "the same id again is the log's to judge; stream 1 is under way");
    land(&mut batches, &batch);
    batches.recorded(batch, APPENDED);
    assert_eq!(first.try_recv().unwrap().unwrap(), APPENDED);
    assert_eq!(chained.try_recv().unwrap().unwrap(), Appended { first_position: 12, ..APPENDED });

    let next = batches.next();
    let superseded: Vec<_> = next
        .superseded
        .iter()
        .map(|(waiting, actual)| (waiting.command().command_id.as_u128(), *actual))
        .collect();
    assert_eq!(superseded, [(2, 3)]);
    assert!(next.batch.is_empty());
}

#[test]
fn a_refusal_reaches_whom_it_names_and_the_others_go_again_in_order() {
    let mut batches = Batches::default();
    let mut stale = hand_in(&mut batches, command(1, 1, 0, 1));
    let _chained = hand_in(&mut batches, command(2, 1, 1, 1));
    let mut known = hand_in(&mut batches, command(3, 2, 0, 1));
    let _other = hand_in(&mut batches, command(4, 3, 0, 1));
    let batch = batches.next().batch;
    land(&mut batches, &batch);
    let _late = hand_in(&mut batches, command(5, 4, 0, 1));
    let named = stale_stream(batch[0].command(), 1);
    let refusal = Refusal { known: vec![Uuid::from_u128(3)], stale: vec![named.clone()], lost: vec![] };
    batches.refused(batch, &refusal);

    let told = |answer: &mut Answer| match answer.try_recv().unwrap() {
        Err(AppendError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    };
    assert_eq!(told(&mut stale), Refusal { stale: vec![named], ..Refusal::default() });
    assert_eq!(told(&mut known), Refusal { known: vec![Uuid::from_u128(3)], ..Refusal::default() });
    assert_eq!(ids(&batches.next().batch), [2, 4, 5]);
}

#[test]
fn bad_data_is_found_in_few_batches_and_harms_nobody_else() {
    const BAD: u128 = 77;
    let mut batches = Batches::default();
    let mut answers: Vec<_> =
        (0..200).map(|id| hand_in(&mut batches, command(id, u8::try_from(id).unwrap(), 0, 1))).collect();
    let mut rounds = 0;
    while batches.len() > 0 {
        rounds += 1;
        let batch = batches.next().batch;
        land(&mut batches, &batch);
        if ids(&batch).contains(&BAD) {
            let source = Arc::new(sqlx::Error::RowNotFound);
            batches.failed(batch, AppendError::Rejected { source });
        } else {
            batches.recorded(batch, APPENDED);
        }
    }
    assert!(rounds < 40, "{rounds}");
    for (id, answer) in (0..).zip(&mut answers) {
        let outcome = answer.try_recv().unwrap();
        assert_eq!(outcome.is_err(), id == BAD, "{id}: {outcome:?}");
    }
    let _next = hand_in(&mut batches, command(500, 1, 1, 1));
    assert_eq!(batches.isolation.most(), MAX_COMMANDS_PER_BATCH);
}

#[test]
fn a_batch_ends_before_its_text_is_too_long() {
    let mut batches = Batches::default();
    for id in 0..200 {
        let mut large = command(id, u8::try_from(id).unwrap(), 0, 1);
        large.payload = format!("\"{}\"", "x".repeat(crate::limits::MAX_PAYLOAD_BYTES - 2));
        drop(hand_in(&mut batches, large));
    }
    let taken = batches.next().batch;
    let bytes: usize = taken.iter().map(|waiting| waiting.checked.bytes).sum();
    assert!(bytes <= MAX_BATCH_BYTES && bytes > MAX_BATCH_BYTES - 300 * 1024, "{bytes}");
}

/// The log as `append_commands` keeps it.
#[derive(Default)]
struct Log {
    versions: HashMap<StreamKey, u64>,
    recorded: HashMap<Uuid, u64>,
    head: u64,
}

impl Log {
    fn append(&mut self, batch: &[Waiting]) -> Result<Appended, Refusal> {
        let mut refusal = Refusal::default();
        let mut seen = HashSet::new();
        for waiting in batch {
            let command = waiting.command();
            let actual = self.versions.get(&stream_key(command)).copied().unwrap_or(0);
            if self.recorded.contains_key(&command.command_id) {
                refusal.known.push(command.command_id);
            }
            if seen.insert(stream_key(command)) && command.expected_version != actual {
                refusal.stale.push(stale_stream(command, actual));
            }
        }
        if refusal != Refusal::default() {
            return Err(refusal);
        }
        let appended = Appended { first_position: self.head + 1, recorded_at_ms: 0 };
        for waiting in batch {
            let command = waiting.command();
            let version = self.versions.entry(stream_key(command)).or_default();
            assert_eq!(*version, command.expected_version, "a broken chain");
            *version = version_after(command);
            assert!(self.recorded.insert(command.command_id, self.head + 1).is_none(), "twice in a batch");
            self.head += command.events.len() as u64;
        }
        Ok(appended)
    }
}

proptest! {
    /// Commands come in groups; batches overlap; others write to the log in between.
    #[test]
    fn every_caller_hears_the_truth(
        groups in prop::collection::vec(
            (prop::collection::vec((0_u128..60, 0_u8..5, 0_u64..6, 1_u128..3), 0..12), any::<bool>(), prop::option::of(0_u8..5)),
            1..12,
        ),
    ) {
        let (mut batches, mut log) = (Batches::default(), Log::default());
        let mut callers = Vec::new();
        let mut flying: VecDeque<Vec<Waiting>> = VecDeque::new();
        let settle = |batches: &mut Batches, log: &mut Log, batch: Vec<Waiting>| {
            land(batches, &batch);
            match log.append(&batch) {
                Ok(appended) => batches.recorded(batch, appended),
                Err(refusal) => batches.refused(batch, &refusal),
            }
        };
        for (group, second, foreign) in groups {
            for (id, stream, expected, events) in group {
                let handed_in = command(id, stream, expected, events);
                callers.push((handed_in.clone(), hand_in(&mut batches, handed_in)));
            }
            for _ in 0..=u8::from(second) {
                let next = batches.next();
                if !next.batch.is_empty() { flying.push_back(next.batch); }
                for (waiting, actual) in next.superseded {
                    let command = waiting.command();
                    let version = log.versions[&stream_key(command)];
                    prop_assert!(command.expected_version < actual && actual <= version);
                    let stale = vec![stale_stream(command, actual)];
                    waiting.answer(Err(AppendError::Refused(Refusal { stale, ..Refusal::default() })));
                }
            }
            if let Some(stream) = foreign {
                *log.versions.entry(("account".into(), format!("t.{stream}"))).or_default() += 1;
                log.head += 1;
            }
            while flying.len() > usize::from(second) {
                let batch = flying.pop_front().unwrap();
                settle(&mut batches, &mut log, batch);
            }
        }
        while batches.len() > 0 || !flying.is_empty() {
            if let Some(batch) = flying.pop_front() { settle(&mut batches, &mut log, batch); }
            let next = batches.next();
            if !next.batch.is_empty() { flying.push_back(next.batch); }
            for (waiting, actual) in next.superseded {
                let stale = vec![stale_stream(waiting.command(), actual)];
                waiting.answer(Err(AppendError::Refused(Refusal { stale, ..Refusal::default() })));
            }
        }
        for (handed_in, mut answer) in callers {
            match answer.try_recv().unwrap() {
                Ok(appended) => {
                    prop_assert_eq!(log.recorded.get(&handed_in.command_id), Some(&appended.first_position));
                }
                Err(AppendError::Refused(refusal)) => {
                    prop_assert!(refusal != Refusal::default());
                    for id in refusal.known { prop_assert!(log.recorded.contains_key(&id)); }
                    for stream in refusal.stale { prop_assert_ne!(stream.expected, stream.actual); }
                }
                Err(other) => return Err(TestCaseError::fail(format!("{other:?}"))),
            }
        }
    }
}
