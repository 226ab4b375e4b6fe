//! Every limit and every inconsistency of a batch has its named error.

use super::*;
use crate::limits::{
    MAX_ANSWER_BYTES, MAX_ENVELOPE_BYTES, MAX_METADATA_BYTES, MAX_NAME_BYTES, MAX_PAYLOAD_BYTES,
    MAX_SUBJECT_BYTES,
};

fn event(number: u128) -> NewEvent {
    NewEvent {
        event_id: Uuid::from_u128(number),
        event_type: "opened".into(),
        event_version: "1".into(),
        payload: "{}".into(),
        metadata: "{}".into(),
    }
}

fn command(number: u128, aggregate_id: &str, expected_version: u64, events: u128) -> CommandAppend {
    CommandAppend {
        command_id: Uuid::from_u128(number),
        issuer: "UISSUER".into(),
        request_hash: [1; 32],
        subject: "subject".into(),
        envelope: "{}".into(),
        payload: "{}".into(),
        answer: "{}".into(),
        aggregate_type: "account".into(),
        aggregate_id: aggregate_id.into(),
        expected_version,
        events: (0..events).map(event).collect(),
        fence: Fence { partition: 3, epoch: 1 },
    }
}

fn checked(commands: &[CommandAppend]) -> Result<Vec<Checked<&CommandAppend>>, InvalidBatch> {
    commands.iter().map(Checked::new).collect()
}

/// What is wrong with the batch, in its commands or as a whole.
fn verdict(commands: &[CommandAppend]) -> Result<(), InvalidBatch> {
    Batch::new(&checked(commands)?).map(drop)
}

#[test]
fn chained_commands_of_one_stream_are_one_guard_and_contiguous_sequences() {
    let commands = [command(1, "t.a", 4, 2), command(2, "t.b", 0, 1), command(3, "t.a", 6, 1)];
    let commands = checked(&commands).unwrap();
    let batch = Batch::new(&commands).unwrap();
    assert_eq!(batch.streams.aggregate_id, ["t.a", "t.b"]);
    assert_eq!(batch.streams.expected, [4, 0]);
    assert_eq!(batch.streams.version, [7, 1]);
    assert_eq!(batch.events.sequence, [5, 6, 1, 7]);
    assert_eq!(batch.commands.event_offset, [0, 2, 3]);
    assert_eq!(batch.fences.partition, [3]);
}

#[test]
fn only_the_first_event_of_a_command_covers_its_envelope() {
    let mut other = [command(1, "t.a", 0, 2)];
    other[0].envelope = r#"{"changed":true}"#.into();
    let original = [command(1, "t.a", 0, 2)];
    let (original, other) = (checked(&original).unwrap(), checked(&other).unwrap());
    let (one, two) = (Batch::new(&original).unwrap(), Batch::new(&other).unwrap());
    assert_ne!(one.events.content_hash[0], two.events.content_hash[0]);
    assert_eq!(one.events.content_hash[1], two.events.content_hash[1]);
}

#[test]
fn every_broken_rule_is_named() {
    type Break = fn(&mut Vec<CommandAppend>);
    let table: [(&str, Break); 19] = [
        ("CommandCount", |batch| batch.clear()),
        ("CommandCount", |batch| {
            *batch = (0..=512).map(|number| command(number, "t.a", 0, 1)).collect();
        }),
        ("EventCount", |batch| batch[0].events.clear()),
        ("EventCount", |batch| batch[0].events = (0..65).map(event).collect()),
        ("FieldBytes", |batch| batch[0].payload = format!("\"{}\"", "x".repeat(MAX_PAYLOAD_BYTES))),
        ("FieldBytes", |batch| batch[0].envelope = format!("\"{}\"", "x".repeat(MAX_ENVELOPE_BYTES))),
        ("FieldBytes", |batch| batch[0].answer = format!("\"{}\"", "x".repeat(MAX_ANSWER_BYTES))),
        ("FieldBytes", |batch| {
            batch[0].events[0].metadata = format!("\"{}\"", "x".repeat(MAX_METADATA_BYTES));
        }),
        ("FieldBytes", |batch| batch[0].subject = "x".repeat(MAX_SUBJECT_BYTES + 1)),
        ("FieldBytes", |batch| batch[0].issuer = "x".repeat(MAX_NAME_BYTES + 1)),
        ("Name", |batch| batch[0].aggregate_type.clear()),
        ("Name", |batch| batch[0].events[0].event_type = "a\0b".into()),
        ("AggregateId", |batch| batch[0].aggregate_id = "no-tenant".into()),
        ("AggregateId", |batch| batch[0].aggregate_id = ".id".into()),
        ("Json", |batch| batch[0].events[0].payload = "{".into()),
        ("Partition", |batch| batch[0].fence.partition = PARTITIONS),
        ("DuplicateCommand", |batch| batch.push(command(1, "t.b", 0, 1))),
        ("BrokenChain", |batch| batch.push(command(2, "t.a", 7, 1))),
        ("VersionRange", |batch| batch[0].expected_version = u64::MAX),
    ];
    for (name, broken) in table {
        let mut batch = vec![command(1, "t.a", 0, 1)];
        assert!(verdict(&batch).is_ok());
        broken(&mut batch);
        let error = verdict(&batch).err().map(|error| format!("{error:?}")).unwrap_or_default();
        assert!(error.starts_with(name), "{name}: {error}");
    }
}

#[test]
fn a_batch_is_bounded_in_bytes_as_a_whole() {
    let mut commands: Vec<_> = (0..129).map(|number| command(number, &format!("t.{number}"), 0, 1)).collect();
    for command in &mut commands {
        command.events[0].payload = format!("\"{}\"", "x".repeat(MAX_PAYLOAD_BYTES - 2));
    }
    assert!(matches!(verdict(&commands), Err(InvalidBatch::BatchBytes { .. })));
    commands.truncate(127);
    assert!(verdict(&commands).is_ok());
}

#[test]
fn the_largest_command_fits_into_a_batch() {
    let document = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    let mut largest = command(1, "t.a", 0, 64);
    largest.envelope = document(MAX_ENVELOPE_BYTES);
    largest.payload = document(MAX_PAYLOAD_BYTES);
    largest.answer = document(MAX_ANSWER_BYTES);
    for event in &mut largest.events {
        event.payload = document(MAX_PAYLOAD_BYTES);
        event.metadata = document(MAX_METADATA_BYTES);
        event.event_type = "x".repeat(MAX_NAME_BYTES);
        event.event_version = "x".repeat(MAX_NAME_BYTES);
    }
    assert!(verdict(&[largest]).is_ok());
}
