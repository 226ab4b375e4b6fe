//! What is written is read back; what was changed, anywhere, is not.

use std::sync::atomic::{AtomicU64, Ordering};

use nsl_event_store::{CommandView, EventPage, EventView, HashedEvent, command_hash, content_hash};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

/// Mutated archives of which not one may be taken for an archive.
const MUTATIONS: u64 = 10_000;
const LOG: LogId = LogId([0x4c; 32]);

/// A page of commands with one to three events.
fn page(first_position: u64, events: u64) -> EventPage {
    let mut page = EventPage::default();
    for position in first_position..first_position + events {
        let (sequence, payload) = (position / 2 + 1, format!(r#"{{"amount":"{position}","note":"ä€"}}"#));
        let envelope = format!(r#"{{"id":"{position}"}}"#);
        let command = (position % 3 != 2).then_some(CommandView {
            subject: "nsl.v1.cmd.acme.account.one.deposit",
            envelope: &envelope,
            payload: "{}",
        });
        let event_id = Uuid::from_u128(u128::from(position));
        let hashed = HashedEvent {
            aggregate_type: "account",
            aggregate_id: "acme.one",
            sequence,
            event_id,
            event_type: "deposited",
            event_version: "1.0.0",
            payload: &payload,
            metadata: "{}",
        };
        let hash = command.map(|command| command_hash(command.subject, command.envelope, command.payload));
        page.push(&EventView {
            position,
            aggregate_type: hashed.aggregate_type,
            aggregate_id: hashed.aggregate_id,
            sequence,
            event_id,
            command_id: Uuid::from_u128(u128::from(position - position % 3)),
            event_type: hashed.event_type,
            event_version: hashed.event_version,
            payload: &payload,
            metadata: hashed.metadata,
            recorded_at_us: -1_234_567,
            content_hash: content_hash(&hashed, hash.as_ref()),
            command,
        });
    }
    page
}

fn archive(pages: &[EventPage]) -> Vec<u8> {
    let mut writer = ArchiveWriter::new(Vec::new(), LOG, pages[0].get(0).unwrap().position).unwrap();
    for page in pages {
        writer.append(page).unwrap();
    }
    writer.finish().unwrap().0
}

fn three_blocks() -> Vec<u8> {
    archive(&[page(1_000_001, 20), page(1_000_021, 1), page(1_000_022, 30)])
}

/// Reads an archive as an auditor does.
fn accept(bytes: Vec<u8>) -> Result<Summary, Error> {
    let archive = Archive::new(bytes)?;
    archive.verify(1, |_| {})?;
    Ok(archive.summary())
}

#[test]
fn blocks_give_back_the_pages_and_the_summary_counts_them() {
    let pages = [page(1_000_001, 20), page(1_000_021, 1), page(1_000_022, 30)];
    let archive = Archive::new(archive(&pages)).unwrap();
    assert_eq!((archive.blocks(), archive.log()), (3, LOG));
    for (index, page) in pages.iter().enumerate() {
        assert!(archive.block(index).unwrap() == *page, "block {index}");
    }
    assert!(matches!(archive.block(3), Err(Error::Limit { .. })));
    let commands = pages.iter().flat_map(EventPage::iter).filter(|event| event.command.is_some()).count();
    let expected = Summary {
        first_position: 1_000_001,
        last_position: 1_000_051,
        events: 51,
        commands: commands as u64,
    };
    assert_eq!(archive.summary(), expected);
    for threads in [1, 2, 5] {
        let read = AtomicU64::new(0);
        archive
            .verify(threads, |events| {
                read.fetch_add(events, Ordering::Relaxed);
            })
            .unwrap();
        assert_eq!(read.into_inner(), 51);
    }
}

#[test]
fn a_writer_takes_only_the_next_events_as_they_were_appended() {
    let mut writer = ArchiveWriter::new(Vec::new(), LOG, 5).unwrap();
    assert!(matches!(writer.append(&page(6, 1)), Err(Error::Gap { expected: 5, found: 6 })));
    writer.append(&page(5, 4)).unwrap();
    assert!(matches!(writer.append(&page(8, 1)), Err(Error::Gap { expected: 9, found: 8 })));
    let mut altered = EventPage::default();
    let original = page(9, 1);
    altered.push(&EventView { payload: "{}", ..original.get(0).unwrap() });
    assert!(matches!(writer.append(&altered), Err(Error::Altered { position: 9 })));
}

#[test]
fn of_ten_thousand_mutated_archives_none_is_accepted() {
    let original = three_blocks();
    assert!(accept(original.clone()).is_ok());
    let mut random = fastrand::Rng::with_seed(7);
    let mut accepted = 0;
    for number in 0..MUTATIONS {
        let mut mutated = original.clone();
        let at = random.usize(..mutated.len());
        match number % 6 {
            0 => mutated[at] ^= 1 << random.u8(..8),
            1 => mutated[at] = mutated[at].wrapping_add(random.u8(1..)),
            2 => mutated.truncate(at),
            3 => mutated.insert(at, random.u8(..)),
            4 => drop(mutated.remove(at)),
            _ => {
                // Some bytes from elsewhere in the file.
                let length = random.usize(1..=64).min(mutated.len() - at);
                let from = random.usize(..mutated.len() - length);
                mutated.copy_within(from..from + length, at);
            }
        }
        if mutated != original && accept(mutated).is_ok() {
            accepted += 1;
        }
    }
    assert_eq!(accepted, 0);
}

/// Every single byte counts, the footer's too.
#[test]
fn no_byte_of_an_archive_can_be_changed() {
    let original = three_blocks();
    for at in 0..original.len() {
        let mut mutated = original.clone();
        mutated[at] ^= 0x10;
        assert!(accept(mutated).is_err(), "byte {at}");
    }
}

/// What somebody can do who computes the hashes anew: the events' own hashes name the position.
#[test]
fn an_event_altered_before_it_was_archived_is_named() {
    let mut writer = ArchiveWriter::new(Vec::new(), LOG, 1).unwrap();
    writer.append(&page(1, 7)).unwrap();
    let mut bytes = block::encode(&page(8, 4)).unwrap();
    let at = bytes.windows(6).rposition(|window| window == b"\"9\",\"n").unwrap();
    bytes[at + 1] = b'8';
    let altered = block::decode(&bytes, 8).unwrap();
    assert!(matches!(writer.append(&altered), Err(Error::Altered { position: 9 })));
}

#[test]
fn what_is_no_archive_is_named() {
    let original = three_blocks();
    let with = |range: std::ops::Range<usize>, bytes: &[u8]| {
        let mut changed = original.clone();
        changed[range].copy_from_slice(bytes);
        changed
    };
    assert!(matches!(accept(Vec::new()), Err(Error::NotAnArchive { .. })));
    assert!(matches!(accept(with(0..3, b"xyz")), Err(Error::NotAnArchive { .. })));
    assert!(matches!(accept(with(16..20, &[0, 0, 0, 9])), Err(Error::Version { found: 9 })));
    assert!(matches!(accept(with(20..22, &[0, 0])), Err(Error::Block { block: 0 })));
    let footer = original.len() - TRAILER_BYTES;
    assert!(matches!(accept(with(footer..footer + 4, &[0xff; 4])), Err(Error::Footer)));
    let end = original.len();
    assert!(matches!(accept(with(end - 3..end, b"xyz")), Err(Error::NotAnArchive { .. })));
}

proptest! {
    /// Blocks whose hash was computed anew after a change: an error or a page, never a panic, and never text beyond
    /// its event.
    #[test]
    fn any_bytes_are_a_page_or_an_error(at in 0_usize..4_000, to in any::<u8>(), cut in 0_usize..4_000) {
        let mut bytes = block::encode(&page(1, 12)).unwrap();
        let length = bytes.len();
        bytes[at % length] = to;
        let _ = block::decode(&bytes, 1);
        bytes.truncate(cut % length);
        prop_assert!(block::decode(&bytes, 1).is_err());
    }

    #[test]
    fn text_beyond_the_events_is_malformed(extra in ".{1,9}") {
        let mut bytes = block::encode(&page(1, 3)).unwrap();
        bytes.extend_from_slice(extra.as_bytes());
        prop_assert!(block::decode(&bytes, 1).is_err());
    }

    #[test]
    fn any_page_survives_its_block(
        texts in prop::array::uniform6(".{0,20}"), command in prop::option::of(prop::array::uniform3(".{0,20}")),
    ) {
        let [aggregate_type, aggregate_id, event_type, event_version, payload, metadata] = &texts;
        let command = command
            .as_ref()
            .map(|[subject, envelope, payload]| CommandView { subject, envelope, payload });
        let mut page = EventPage::default();
        page.push(&EventView {
            position: 3, aggregate_type, aggregate_id, sequence: u64::MAX, event_id: Uuid::max(),
            command_id: Uuid::nil(), event_type, event_version, payload, metadata, recorded_at_us: i64::MIN,
            content_hash: [9; 32], command,
        });
        prop_assert_eq!(block::decode(&block::encode(&page).unwrap(), 3).unwrap(), page);
    }
}
