//! One opener at a time, and helpful refusals.

use nsl_local_services::{Error, Hooks, Part, Site};

use crate::tools;

#[test]
fn second_opener_is_refused_until_the_first_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Site::open_with(folder.path(), tools(), Hooks::default());
    let first = open().unwrap();
    assert!(matches!(open(), Err(Error::InUse { .. })));
    assert!(matches!(Site::remove(folder.path()), Err(Error::InUse { .. })));
    drop(first);
    open().unwrap();
}

#[test]
fn unknown_process_is_named() {
    let site = Site::temporary(&[]).unwrap();
    let error = site.pause("moon").unwrap_err();
    assert_eq!(error.to_string(), "the site has no process called moon");
}

#[test]
fn cancelled_start_leaves_no_process() {
    let hooks = Hooks::default();
    hooks.cancelled.store(true, std::sync::atomic::Ordering::Relaxed);
    let mut site = Site::temporary_with(&[], tools(), hooks).unwrap();
    // The wait ends at its first question, before the node has bound its port.
    assert!(site.start(Part::Neo).is_err());
    assert!(site.processes().is_empty());
    assert!(!site.directory().process_record("neo").exists());
}
