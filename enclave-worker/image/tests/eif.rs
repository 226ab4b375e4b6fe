//! The image file: what is written is read again, what is damaged is refused, and the measurements are AWS' own.

use nsl_enclave_image::{BuildMetadata, Eif, EifError, Metadata};
use proptest::prelude::*;

fn image(kernel: &[u8], cmdline: &str, ramdisks: &[&[u8]]) -> Eif {
    let metadata = Metadata {
        image_name: "golden".into(),
        image_version: "1".into(),
        build_metadata: BuildMetadata {
            build_time: "2026-01-02T03:04:05Z".into(),
            build_tool: "tool".into(),
            build_tool_version: "1.2.3".into(),
            operating_system: "linux".into(),
            kernel_version: "6.12".into(),
        },
        docker_info: serde_json::Value::Null,
        custom_metadata: serde_json::Value::Null,
    };
    Eif {
        kernel: kernel.to_vec(),
        cmdline: cmdline.to_owned(),
        ramdisks: ramdisks.iter().map(|ramdisk| ramdisk.to_vec()).collect(),
        metadata,
    }
}

fn golden() -> Eif {
    image(b"kernel bytes", "console=ttyS0", &[b"boot ramdisk", b"application ramdisk"])
}

#[test]
fn a_file_has_its_fields_where_the_format_has_them() {
    let bytes = golden().to_bytes().unwrap();
    assert_eq!(bytes[..8], *b".eif\x00\x04\x00\x00");
    assert_eq!(bytes[26..28], [0, 5], "number of sections");
    let field = |offset: usize| u64::from_be_bytes(bytes[offset..offset + 8].try_into().unwrap());
    assert_eq!(field(28), 548, "the first section follows the header");
    assert_eq!(field(36), 548 + 12 + 12, "the second follows the first");
    assert_eq!(field(28 + 32 * 8), 12, "size of the first, without its header");
    assert_eq!(bytes[548..560], [0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 12]);
    assert_eq!(bytes[560..572], *b"kernel bytes");
}

#[test]
fn every_damaged_byte_is_noticed() {
    let bytes = golden().to_bytes().unwrap();
    for index in 0..bytes.len() {
        // The sizes that a launcher takes by default and the checksum are the only free fields, and both are checked.
        let mut damaged = bytes.clone();
        damaged[index] ^= 0x10;
        assert!(Eif::parse(&damaged).is_err(), "byte {index}");
    }
}

#[test]
fn a_file_cut_anywhere_is_refused_and_so_is_one_with_more() {
    let bytes = golden().to_bytes().unwrap();
    for end in 0..bytes.len() {
        assert!(Eif::parse(&bytes[..end]).is_err(), "{end}");
    }
    assert!(Eif::parse(&[bytes.as_slice(), b"x"].concat()).is_err());
}

/// The file with its checksum made good, after a change that no checksum may hide.
fn changed(change: impl Fn(&mut Vec<u8>)) -> Result<Eif, EifError> {
    let mut bytes = golden().to_bytes()?;
    change(&mut bytes);
    let mut crc = crc32fast::Hasher::new();
    crc.update(&bytes[..544]);
    crc.update(&bytes[548..]);
    bytes.splice(544..548, crc.finalize().to_be_bytes());
    Eif::parse(&bytes)
}

#[test]
fn a_well_summed_file_is_refused_by_what_is_wrong_with_it() {
    assert_eq!(changed(|_| {}), Ok(golden()));
    assert_eq!(changed(|bytes| bytes[0] = b'E'), Err(EifError::Magic));
    assert_eq!(changed(|bytes| bytes[5] = 3), Err(EifError::Version { version: 3 }));
    assert_eq!(changed(|bytes| bytes[7] = 1), Err(EifError::Field { field: "architecture", found: 1 }));
    assert_eq!(changed(|bytes| bytes[27] = 3), Err(EifError::Ramdisks { count: 0 }));
    assert_eq!(changed(|bytes| bytes[27] = 33), Err(EifError::Ramdisks { count: 30 }));
    assert_eq!(changed(|bytes| bytes[35] += 1), Err(EifError::Misplaced { index: 0 }));
    assert_eq!(changed(|bytes| bytes[28 + 32 * 8 + 7] += 1), Err(EifError::Misplaced { index: 0 }));
    // A signature (type 4) in the place of the first ramdisk: the metadata is in front of it.
    assert_eq!(changed(|bytes| bytes[549] = 4), Err(EifError::Unexpected { index: 0, found: 4 }));
    assert_eq!(
        changed(|bytes| bytes[550] = 1),
        Err(EifError::Field { field: "flags of a section", found: 256 })
    );
    assert_eq!(changed(|bytes| bytes[552] = 0xff), Err(EifError::Truncated { part: "a section" }));
    assert_eq!(changed(|bytes| bytes.push(0)), Err(EifError::Trailing { bytes: 1 }));
    assert_eq!(changed(|bytes| bytes[584] = 0xff), Err(EifError::Cmdline));
}

#[test]
fn an_image_needs_a_ramdisk_and_has_places_for_29() {
    assert_eq!(image(b"k", "c", &[]).to_bytes(), Err(EifError::Ramdisks { count: 0 }));
    let many = vec![b"r".as_slice(); 29];
    assert_eq!(Eif::parse(&image(b"k", "c", &many).to_bytes().unwrap()).unwrap().ramdisks.len(), 29);
    let more = vec![b"r".as_slice(); 30];
    assert_eq!(image(b"k", "c", &more).to_bytes(), Err(EifError::Ramdisks { count: 30 }));
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(
        kernel in proptest::collection::vec(any::<u8>(), 0..300),
        cmdline in "\\PC{0,60}",
        ramdisks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..6),
    ) {
        let ramdisks: Vec<&[u8]> = ramdisks.iter().map(Vec::as_slice).collect();
        let image = image(&kernel, &cmdline, &ramdisks);
        let bytes = image.to_bytes().unwrap();
        prop_assert_eq!(Eif::read(bytes.as_slice()).unwrap(), Ok(image));
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..1200)) {
        prop_assert!(Eif::parse(&bytes).is_err());
        let mut with_header = golden().to_bytes().unwrap();
        with_header.truncate(548);
        with_header.extend(&bytes);
        prop_assert!(Eif::parse(&with_header).is_err());
    }
}
