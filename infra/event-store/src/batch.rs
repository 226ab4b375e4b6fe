//! Lays a checked batch of commands out as the columns that `append_commands` takes. Nothing is sent before the whole
//! batch has passed.

use std::borrow::Borrow;
use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};

use uuid::Uuid;

use crate::command::{CommandAppend, Fence, NewEvent};
use crate::hash::{HashedEvent, command_hash, content_hash};
use crate::lease::PARTITIONS;
use crate::limits::{InvalidBatch, MAX_BATCH_BYTES, MAX_COMMANDS_PER_BATCH, check_command};

/// A checked batch in columns; the names are `append_commands`'s.
#[derive(Default)]
pub(crate) struct Batch<'a> {
    pub(crate) fences: FenceColumns,
    pub(crate) streams: StreamColumns<'a>,
    pub(crate) commands: CommandColumns<'a>,
    pub(crate) events: EventColumns<'a>,
}

/// Each distinct fence once.
#[derive(Default)]
pub(crate) struct FenceColumns {
    pub(crate) partition: Vec<i16>,
    pub(crate) epoch: Vec<i64>,
}

/// Each stream once, with the version before its first and after its last command.
#[derive(Default)]
pub(crate) struct StreamColumns<'a> {
    pub(crate) aggregate_type: Vec<&'a str>,
    pub(crate) aggregate_id: Vec<&'a str>,
    pub(crate) expected: Vec<i64>,
    pub(crate) version: Vec<i64>,
    index: HashMap<(&'a str, &'a str), usize>,
}

#[derive(Default)]
pub(crate) struct CommandColumns<'a> {
    pub(crate) id: Vec<Uuid>,
    pub(crate) issuer: Vec<&'a str>,
    pub(crate) request_hash: Vec<&'a [u8]>,
    pub(crate) answer: Vec<&'a str>,
    pub(crate) subject: Vec<&'a str>,
    pub(crate) envelope: Vec<&'a str>,
    pub(crate) payload: Vec<&'a str>,
    pub(crate) event_offset: Vec<i32>,
    pub(crate) event_count: Vec<i32>,
}

#[derive(Default)]
pub(crate) struct EventColumns<'a> {
    pub(crate) command_id: Vec<Uuid>,
    pub(crate) aggregate_type: Vec<&'a str>,
    pub(crate) aggregate_id: Vec<&'a str>,
    pub(crate) sequence: Vec<i64>,
    pub(crate) id: Vec<Uuid>,
    pub(crate) event_type: Vec<&'a str>,
    pub(crate) event_version: Vec<&'a str>,
    pub(crate) payload: Vec<&'a str>,
    pub(crate) metadata: Vec<&'a str>,
    pub(crate) content_hash: Vec<&'a [u8]>,
}

/// A command that has passed every check that needs no other command, with the hashes of its events. Whoever hands a
/// command in does this work, so that the one who commits batches does not.
#[derive(Debug)]
pub(crate) struct Checked<C> {
    pub(crate) command: C,
    /// Text bytes.
    pub(crate) bytes: usize,
    content_hashes: Vec<[u8; 32]>,
}

impl<C: Borrow<CommandAppend>> Checked<C> {
    pub(crate) fn new(command: C) -> Result<Self, InvalidBatch> {
        let checked: &CommandAppend = command.borrow();
        let bytes = check_command(checked)?;
        partition_column(checked)?;
        let content_hashes = content_hashes(checked)?;
        Ok(Self { command, bytes, content_hashes })
    }
}

/// Refuses sequences out of range, which no hash should cover.
fn content_hashes(command: &CommandAppend) -> Result<Vec<[u8; 32]>, InvalidBatch> {
    version_after(command)?;
    let origin = command_hash(&command.subject, &command.envelope, &command.payload);
    let mut origin = Some(&origin);
    let hash = |(event, sequence): (&NewEvent, u64)| {
        let hashed = HashedEvent {
            aggregate_type: &command.aggregate_type,
            aggregate_id: &command.aggregate_id,
            sequence,
            event_id: event.event_id,
            event_type: &event.event_type,
            event_version: &event.event_version,
            payload: &event.payload,
            metadata: &event.metadata,
        };
        content_hash(&hashed, origin.take())
    };
    Ok(command.events.iter().zip(command.expected_version + 1..).map(hash).collect())
}

/// The stream's version after the command, as the database counts.
fn version_after(command: &CommandAppend) -> Result<i64, InvalidBatch> {
    let CommandAppend { command_id, expected_version: expected, .. } = *command;
    i64::try_from(expected)
        .ok()
        .and_then(|version| version.checked_add(i64::from(count(command.events.len()))))
        .ok_or(InvalidBatch::VersionRange { command_id, expected })
}

impl<'a> Batch<'a> {
    /// The checks that need all commands, and the columns.
    pub(crate) fn new<C: Borrow<CommandAppend>>(commands: &'a [Checked<C>]) -> Result<Self, InvalidBatch> {
        if !(1..=MAX_COMMANDS_PER_BATCH).contains(&commands.len()) {
            return Err(InvalidBatch::CommandCount { actual: commands.len() });
        }
        let bytes = commands.iter().map(|checked| checked.bytes).sum();
        if bytes > MAX_BATCH_BYTES {
            return Err(InvalidBatch::BatchBytes { actual: bytes });
        }
        let mut ids = HashSet::with_capacity(commands.len());
        let mut fences = BTreeSet::new();
        let mut batch = Batch::default();
        for checked in commands {
            let command = checked.command.borrow();
            if !ids.insert(command.command_id) {
                return Err(InvalidBatch::DuplicateCommand { command_id: command.command_id });
            }
            if fences.insert(command.fence) {
                batch.fences.partition.push(partition_column(command)?);
                batch.fences.epoch.push(command.fence.epoch);
            }
            batch.push(command, &checked.content_hashes)?;
        }
        Ok(batch)
    }

    /// Adds a checked command and its events.
    fn push(&mut self, command: &'a CommandAppend, hashes: &'a [[u8; 32]]) -> Result<(), InvalidBatch> {
        let first_sequence = self.streams.continue_stream(command)?;
        let before = self.events.id.len();
        let columns = &mut self.commands;
        columns.id.push(command.command_id);
        columns.issuer.push(&command.issuer);
        columns.request_hash.push(&command.request_hash);
        columns.answer.push(&command.answer);
        columns.subject.push(&command.subject);
        columns.envelope.push(&command.envelope);
        columns.payload.push(&command.payload);
        columns.event_offset.push(count(before));
        columns.event_count.push(count(command.events.len()));
        for ((event, hash), sequence) in command.events.iter().zip(hashes).zip(first_sequence..) {
            self.events.push(command, event, sequence, hash);
        }
        Ok(())
    }
}

/// At most `MAX_COMMANDS_PER_BATCH * MAX_EVENTS_PER_COMMAND`, which an `i32` holds.
fn count(events: usize) -> i32 {
    i32::try_from(events).unwrap_or(i32::MAX)
}

fn partition_column(command: &CommandAppend) -> Result<i16, InvalidBatch> {
    let CommandAppend { fence: Fence { partition, .. }, command_id, .. } = *command;
    let existing = i16::try_from(partition).ok().filter(|_| partition < PARTITIONS);
    existing.ok_or(InvalidBatch::Partition { command_id, partition })
}

impl<'a> StreamColumns<'a> {
    /// Moves the command's stream on by its events and answers the sequence of the first of them.
    fn continue_stream(&mut self, command: &'a CommandAppend) -> Result<u64, InvalidBatch> {
        let CommandAppend { command_id, expected_version: expected, .. } = *command;
        let out_of_range = || InvalidBatch::VersionRange { command_id, expected };
        let version = version_after(command)?;
        match self.index.entry((&command.aggregate_type, &command.aggregate_id)) {
            Entry::Occupied(known) => {
                let last = &mut self.version[*known.get()];
                let actual = u64::try_from(*last).map_err(|_| out_of_range())?;
                if actual != expected {
                    return Err(InvalidBatch::BrokenChain { command_id, expected, actual });
                }
                *last = version;
            }
            Entry::Vacant(new) => {
                new.insert(self.version.len());
                self.aggregate_type.push(&command.aggregate_type);
                self.aggregate_id.push(&command.aggregate_id);
                self.expected.push(i64::try_from(expected).map_err(|_| out_of_range())?);
                self.version.push(version);
            }
        }
        Ok(expected + 1)
    }
}

impl<'a> EventColumns<'a> {
    fn push(
        &mut self,
        command: &'a CommandAppend,
        event: &'a NewEvent,
        sequence: u64,
        content_hash: &'a [u8; 32],
    ) {
        self.command_id.push(command.command_id);
        self.aggregate_type.push(&command.aggregate_type);
        self.aggregate_id.push(&command.aggregate_id);
        // `version_after` has proven that the stream's last sequence is in range.
        self.sequence.push(i64::try_from(sequence).unwrap_or(i64::MAX));
        self.id.push(event.event_id);
        self.event_type.push(&event.event_type);
        self.event_version.push(&event.event_version);
        self.payload.push(&event.payload);
        self.metadata.push(&event.metadata);
        self.content_hash.push(content_hash);
    }
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
