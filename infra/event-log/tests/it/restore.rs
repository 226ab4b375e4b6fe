//! A log that was lost is restored from its archives, byte for byte; and from anything else than its archives, nothing.

use std::path::PathBuf;

use nsl_event_log::archive::{Archive, ArchiveWriter, LogId};
use nsl_event_store::{AppendError, EventPage, EventStore, EventView};
use nsl_schemas::authority::{GenesisManifest, Signed};
use nsl_schemas::canonical;
use serde_json::{Value, json};
use sqlx::Row as _;
use tempfile::TempDir;

use crate::support::{
    Database, Decision, Ran, beginning, command, fence, make_small_partitions, manifest, with_log,
};

/// Positions of a partition of the logs that are archived here.
const PARTITION: u64 = 40;
/// What the logs here end with.
const HEAD: u64 = 100;
const FIRST: &str = "events-0000000000000000001.nsla";
const SECOND: &str = "events-0000000000000000041.nsla";
const TAIL: &str = "tail-0000000000000000081.nsla";

/// A log of [`HEAD`] events in three partitions: its beginning, a wallet whose stream is in all of them, and rejections.
async fn fill(database: &Database, manifest: &Signed<GenesisManifest>) -> EventStore {
    make_small_partitions(database, PARTITION).await;
    let store = database.store().await;
    let fence = fence(&store).await;
    let mut commands = vec![beginning(fence, manifest)];
    for version in (0..66).step_by(2) {
        commands.push(command(fence, "main", Decision::Events { version, count: 2 }));
        commands.push(command(fence, "main", Decision::Rejection));
    }
    store.append(&commands).await.unwrap();
    assert_eq!(store.head().await.unwrap(), HEAD);
    store
}

/// The archives of a log, and its manifest beside them.
struct Archives {
    folder: TempDir,
    manifest: Signed<GenesisManifest>,
}

impl Archives {
    /// All of a log's archives.
    fn of(database: &Database, manifest: Signed<GenesisManifest>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let written = database.tool(&["archive", "--up-to-head", "--to", folder.path().to_str().unwrap()]);
        let outcomes: Vec<_> = written.lines.iter().map(|line| line["outcome"].as_str().unwrap()).collect();
        assert_eq!((written.code, &outcomes[..]), (0, &["archived", "archived", "tail"][..]), "{written:?}");
        std::fs::write(folder.path().join("genesis.json"), canonical::to_string(&manifest)).unwrap();
        Self { folder, manifest }
    }

    /// The same files again.
    fn copied(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(self.folder.path()).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
        }
        Self { folder, manifest: self.manifest.clone() }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.file(name)).unwrap()
    }

    /// Puts another file in an archive's place, with its right checksum beside it.
    fn replace(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.file(name), bytes).unwrap();
        let sha256 = hex(&Archive::file_sha256(&self.file(name)).unwrap());
        std::fs::write(self.file(&format!("{name}.sha256")), format!("{sha256}  {name}\n")).unwrap();
    }

    fn restore(&self, into: &Database, further: &[&str]) -> Ran {
        let (folder, genesis) = (self.folder.path().to_str().unwrap(), self.file("genesis.json"));
        let own = ["restore", "--from", folder, "--genesis", genesis.to_str().unwrap()];
        into.tool(&[&own[..], further].concat())
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// Every row of the log's tables, as text.
async fn rows(database: &Database) -> Vec<String> {
    let mut session = database.session().await;
    let mut rows = Vec::new();
    for (table, order) in [
        ("events", "position"),
        ("envelopes", "position"),
        ("receipts", "first_position"),
        ("streams", "aggregate_id, aggregate_type"),
    ] {
        let all =
            format!("SELECT coalesce(string_agg(r::text, E'\\n' ORDER BY {order}), '') FROM {table} AS r");
        rows.push(sqlx::query(&all).fetch_one(&mut session).await.unwrap().get(0));
    }
    rows
}

#[tokio::test]
async fn a_log_is_restored_row_for_row_and_goes_on_under_leases_of_its_own() {
    with_log(async |lost| {
        let store = fill(lost, &manifest("ours")).await;
        let held = fence(&store).await;
        let archives = Archives::of(lost, manifest("ours"));
        with_log(async |fresh| {
            let restored = archives.restore(fresh, &["--head", "100"]);
            assert_eq!(restored.code, 0, "{restored:?}");
            let told = &restored.lines[0];
            let expected = json!(["restored", 1, 100, 100, 67, 35]);
            let names = ["outcome", "first_position", "last_position", "events", "commands", "streams"];
            assert_eq!(json!(names.map(|name| &told[name])), expected, "{told}");
            assert!(rows(lost).await == rows(fresh).await);
            for check in [&["receipts", "--check"][..], &["verify", "--database", &fresh.url()]] {
                let checked = fresh.tool(check);
                assert_eq!(checked.code, 0, "{checked:?}");
            }

            let store = fresh.store().await;
            let late = command(held, "main", Decision::Events { version: 66, count: 1 });
            let refused = store.append(std::slice::from_ref(&late)).await.unwrap_err();
            assert!(matches!(refused, AppendError::Refused(_)), "{refused}");
            let own = fence(&store).await;
            assert!(own.epoch > 1_700_000_000_000, "{own:?}");
            let next = command(own, "main", Decision::Events { version: 66, count: 1 });
            store.append(&[next]).await.unwrap();
            assert_eq!(store.head().await.unwrap(), 101);
            let again = archives.restore(fresh, &[]);
            assert_refused(&again, 1, "not empty");
        })
        .await;
    })
    .await;
}

fn assert_refused(ran: &Ran, code: i32, reason: &str) {
    let told = ran.lines.last().map(|line| line["reason"].as_str().unwrap_or_default().to_owned());
    let told = told.unwrap_or_default();
    assert!(told.contains(reason), "expected {reason:?}: {ran:?}");
    assert_eq!(ran.code, code, "{ran:?}");
}

#[tokio::test]
async fn of_other_files_than_the_log_s_own_nothing_is_restored() {
    with_log(async |lost| {
        fill(lost, &manifest("ours")).await;
        let archives = Archives::of(lost, manifest("ours"));
        with_log(async |other| {
            fill(other, &manifest("theirs")).await;
            let foreign = Archives::of(other, manifest("theirs"));
            with_log(async |fresh| {
                for (reason, code, damage) in damages() {
                    let damaged = archives.copied();
                    damage(&damaged, &foreign);
                    assert_refused(&damaged.restore(fresh, &[]), code, reason);
                    assert_empty(fresh, reason).await;
                }
                assert_refused(&archives.restore(fresh, &["--head", "140"]), 1, "end at position 100");
                let apart = foreign.file("apart");
                std::fs::write(&apart, "").unwrap();
                let apart = ["--checksums", apart.to_str().unwrap()];
                assert_refused(&archives.restore(fresh, &apart), 1, "has no checksum");
                assert_empty(fresh, "no checksums").await;
                let restored = archives.restore(fresh, &[]);
                assert_eq!(restored.code, 0, "none of these left anything behind: {restored:?}");
            })
            .await;
        })
        .await;
    })
    .await;
}

async fn assert_empty(database: &Database, after: &str) {
    let rows = "SELECT (SELECT position FROM log_head) + (SELECT count(*) FROM events)
        + (SELECT count(*) FROM receipts) + (SELECT count(*) FROM streams) + (SELECT max(epoch) FROM partition_lease)";
    assert_eq!(database.number(rows).await, 0, "{after}");
}

type Damage = fn(&Archives, &Archives);

/// Why nothing is restored, the exit code, and what was done to the archives (beside those of another log).
fn damages() -> Vec<(&'static str, i32, Damage)> {
    vec![
        ("begins at position 81 where 41 belongs", 3, |ours, _| remove(ours, SECOND)),
        ("begin at position 41, a log at position 1", 1, |ours, _| remove(ours, FIRST)),
        ("no archive in the folder", 1, |ours, _| {
            for name in [FIRST, SECOND, TAIL] {
                remove(ours, name);
            }
        }),
        ("has no checksum", 1, |ours, _| remove(ours, &format!("{SECOND}.sha256"))),
        ("is not the file that its checksum was made of", 3, |ours, _| {
            let first = ours.bytes(FIRST);
            std::fs::write(ours.file(FIRST), ours.bytes(SECOND)).unwrap();
            std::fs::write(ours.file(SECOND), first).unwrap();
        }),
        ("no whole archive", 3, |ours, _| {
            let bytes = ours.bytes(SECOND);
            ours.replace(SECOND, &bytes[..bytes.len() - 30]);
        }),
        ("block 0 of the archive was changed", 3, |ours, _| {
            let mut bytes = ours.bytes(SECOND);
            bytes[200] ^= 1;
            ours.replace(SECOND, &bytes);
        }),
        ("is of another log", 3, |ours, theirs| ours.replace(SECOND, &theirs.bytes(SECOND))),
        ("began with genesis", 1, |ours, theirs| {
            for name in [FIRST, SECOND, TAIL] {
                ours.replace(name, &theirs.bytes(name));
            }
        }),
        ("no genesis manifest signed by its own quorum", 1, |ours, _| {
            std::fs::write(ours.file("genesis.json"), "{}").unwrap();
        }),
        // Files that say to be of this log, made by somebody who computes the files' own hashes anew.
        ("does not continue its stream", 3, |ours, _| {
            let page = page(ours, SECOND);
            let mut events: Vec<_> = page.iter().collect();
            let first = events.iter().position(|event| event.command.is_some() && is_wallet(event)).unwrap();
            // Two whole commands of the wallet change places: each has two events and a rejection after it.
            events[first..first + 6].rotate_left(3);
            ours.replace(SECOND, &written(ours, 41, events));
        }),
        ("is in the archives twice", 3, |ours, _| {
            let (second, tail) = (page(ours, SECOND), page(ours, TAIL));
            let first = second.iter().position(|event| event.command.is_some()).unwrap();
            let repeated = second.iter().skip(first).take(3);
            ours.replace(TAIL, &written(ours, 81, tail.iter().chain(repeated).collect()));
        }),
        ("is of no command that is in the log before it", 3, |ours, _| {
            let page = page(ours, TAIL);
            let mut events: Vec<_> = page.iter().collect();
            let last = events.iter_mut().rfind(|event| event.command.is_none()).unwrap();
            last.command_id = uuid::Uuid::nil();
            ours.replace(TAIL, &written(ours, 81, events));
        }),
    ]
}

fn remove(archives: &Archives, name: &str) {
    std::fs::remove_file(archives.file(name)).unwrap();
}

fn is_wallet(event: &EventView<'_>) -> bool {
    event.aggregate_type == "wallet"
}

/// The one page of an archive.
fn page(archives: &Archives, name: &str) -> EventPage {
    Archive::open(&archives.file(name)).unwrap().block(0).unwrap()
}

/// An archive of the log with these events at the positions from `first` on.
fn written(archives: &Archives, first: u64, events: Vec<EventView<'_>>) -> Vec<u8> {
    let log: LogId = Archive::open(&archives.file(FIRST)).unwrap().log();
    let mut writer = ArchiveWriter::new(Vec::new(), log, first).unwrap();
    let mut page = EventPage::default();
    for (position, event) in (first..).zip(events) {
        page.push(&EventView { position, ..event });
    }
    writer.append(&page).unwrap();
    writer.finish().unwrap().0
}

#[tokio::test]
async fn a_tail_is_passed_over_once_its_partition_has_an_archive() {
    with_log(async |lost| {
        let store = fill(lost, &manifest("ours")).await;
        let archives = Archives::of(lost, manifest("ours"));
        let stale = archives.bytes(TAIL);
        let fence = fence(&store).await;
        let more: Vec<_> = (33..53)
            .map(|round| command(fence, "main", Decision::Events { version: 2 * round, count: 2 }))
            .collect();
        store.append(&more).await.unwrap();
        let folder = archives.folder.path().to_str().unwrap();
        let written = lost.tool(&["archive", "--up-to-head", "--to", folder]);
        let files: Vec<&Value> = written.lines.iter().map(|line| &line["file"]).collect();
        let third = "events-0000000000000000081.nsla";
        assert_eq!(files, [third, "tail-0000000000000000121.nsla"], "{written:?}");
        assert!(!archives.file(TAIL).exists());
        // A copy of the folder elsewhere still has it.
        archives.replace(TAIL, &stale);
        with_log(async |fresh| {
            let restored = archives.restore(fresh, &[]);
            assert_eq!(
                (restored.code, &restored.lines[0]["last_position"]),
                (0, &json!(140)),
                "{restored:?}"
            );
            assert!(rows(lost).await == rows(fresh).await);
        })
        .await;
    })
    .await;
}
