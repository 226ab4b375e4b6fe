//! Rows as Postgres sends them, and rows that no Postgres sends.

use proptest::prelude::*;

use super::*;

fn field(bytes: &[u8]) -> Vec<u8> {
    let mut out = i32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    out.extend_from_slice(bytes);
    out
}

fn null() -> Vec<u8> {
    (-1_i32).to_be_bytes().to_vec()
}

fn header() -> Vec<u8> {
    let mut out = SIGNATURE.to_vec();
    out.extend_from_slice(&[0; 8]);
    out
}

/// The fields of event 3 without commands.
fn fields() -> Vec<Vec<u8>> {
    vec![
        field(&3_i64.to_be_bytes()),
        field(b"wallet"),
        field(b"acme.main"),
        field(&2_i64.to_be_bytes()),
        field(b"created"),
        field(b"1.0.0"),
        field(b"{}"),
        field("{\"a\":\"ä\"}".as_bytes()),
        field(&[5; 16]),
        field(&[6; 16]),
        field(&1_000_i64.to_be_bytes()),
        field(&[7; 32]),
    ]
}

fn row(fields: &[Vec<u8>]) -> Vec<u8> {
    let mut out = i16::try_from(fields.len()).unwrap().to_be_bytes().to_vec();
    out.extend(fields.concat());
    out
}

#[test]
fn rows_are_read_with_and_without_header_and_the_trailer_ends_them() {
    let mut page = EventPage::default();
    let mut rows = Rows::new(false);
    rows.push(&[header(), row(&fields())].concat(), &mut page).unwrap();
    rows.push(&row(&fields()), &mut page).unwrap();
    rows.push(&END.to_be_bytes(), &mut page).unwrap();
    assert_eq!(page.len(), 2);
    let event = page.get(1).unwrap();
    assert_eq!((event.position, event.sequence), (3, 2));
    assert_eq!((event.aggregate_id, event.metadata), ("acme.main", "{\"a\":\"ä\"}"));
    assert_eq!((event.event_id, event.command_id), (Uuid::from_bytes([5; 16]), Uuid::from_bytes([6; 16])));
    assert_eq!((event.recorded_at_us, event.content_hash), (946_684_800_001_000, [7; 32]));
    assert_eq!(event.command, None);
}

#[test]
fn commands_are_there_as_a_whole_or_not_at_all() {
    let read = |command: [Vec<u8>; 3]| {
        let mut page = EventPage::default();
        let message = [header(), row(&[fields(), command.to_vec()].concat())].concat();
        Rows::new(true).push(&message, &mut page).map(|()| page)
    };
    let page = read([field(b"s"), field(b"e"), field(b"p")]).unwrap();
    let command = CommandView { subject: "s", envelope: "e", payload: "p" };
    assert_eq!(page.get(0).unwrap().command, Some(command));
    assert_eq!(read([null(), null(), null()]).unwrap().get(0).unwrap().command, None);
    assert_eq!(read([field(b"s"), null(), field(b"p")]), Err(Error::Null { field: 15 }));
}

#[test]
fn what_no_server_sends_is_named() {
    let changed = |index: usize, bytes: Vec<u8>| {
        let mut fields = fields();
        fields[index] = bytes;
        [header(), row(&fields)].concat()
    };
    let table = [
        (b"PGCOPY".to_vec(), Error::Signature),
        ([header(), row(&fields()[..11])].concat(), Error::FieldCount { found: 11, expected: 12 }),
        (changed(0, null()), Error::Null { field: 1 }),
        (changed(0, field(&[1; 4])), Error::Width { field: 1, found: 4, expected: 8 }),
        (changed(0, field(&(-1_i64).to_be_bytes())), Error::Negative { field: 1 }),
        (changed(6, field(b"\xff")), Error::Text { field: 7 }),
        (changed(11, (-2_i32).to_be_bytes().to_vec()), Error::Truncated),
        (changed(11, i32::MAX.to_be_bytes().to_vec()), Error::Truncated),
    ];
    for (message, error) in table {
        assert_eq!(Rows::new(false).push(&message, &mut EventPage::default()), Err(error), "{message:?}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_an_answer_and_no_panic(message in prop::collection::vec(any::<u8>(), 0..200), flip in 0_usize..300) {
        let _ = Rows::new(true).push(&message, &mut EventPage::default());
        let mut damaged = [header(), row(&fields())].concat();
        let at = flip % damaged.len();
        damaged[at] ^= 1 << (flip % 8);
        let _ = Rows::new(false).push(&damaged, &mut EventPage::default());
        damaged.truncate(at);
        let _ = Rows::new(false).push(&damaged, &mut EventPage::default());
    }
}
