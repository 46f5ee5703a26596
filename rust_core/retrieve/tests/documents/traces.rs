//! What is forgotten is in no file.

use std::fs;

use waypost_retrieve::{Entry, Which};

use crate::common::{NOW, Place, SPACE, at, entry, ids, upsert};

/// In every text that must go.
const SECRET: &str = "xylophone-secret";

fn is_on_disk(place: &Place) -> bool {
    let has = |bytes: Vec<u8>| bytes.windows(SECRET.len()).any(|it| it == SECRET.as_bytes());
    files(place).any(|it| has(fs::read(it.path()).expect("it can be read")))
}

fn files(place: &Place) -> impl Iterator<Item = fs::DirEntry> {
    fs::read_dir(place.folder.path()).expect("it can be listed").map(|it| it.expect("it is there"))
}

/// Texts of some pages, so that they are in pages of their own, and what stays is between.
fn fill(place: &Place, expires: Option<i64>) -> waypost_retrieve::Documents {
    let store = place.open();
    for group in 0..20 {
        let text = format!("{group} {} ", SECRET.repeat(600));
        let (gone, stays) = (format!("gone{group}"), format!("stays{group}"));
        let metadata = format!(r#"{{"note": "{SECRET}"}}"#);
        let secret = Entry { metadata: &metadata, expires, ..entry(&gone, &text) };
        upsert(&store, &[secret, entry(&stays, "harmless")]);
    }
    assert!(is_on_disk(place));
    store
}

#[test]
fn what_has_expired_is_in_no_file_after_a_sweep() {
    let place = Place::new();
    let store = fill(&place, Some(NOW + 1));
    assert_eq!(store.sweep(NOW + 1).expect("it sweeps"), 20);
    assert!(!is_on_disk(&place));
    assert_eq!(ids(&store, at(NOW + 1)).len(), 20);
}

#[test]
fn what_was_deleted_or_replaced_is_in_no_file_after_a_sweep() {
    let place = Place::new();
    let store = fill(&place, None);
    let names: Vec<_> = (0..20).map(|it| format!("gone{it}")).collect();
    let (deleted, replaced) = names.split_at(10);
    let deleted: Vec<_> = deleted.iter().map(String::as_str).collect();
    store.delete(SPACE, Which::Ids(&deleted), NOW).expect("it answers");
    upsert(&store, &replaced.iter().map(|id| entry(id, "harmless")).collect::<Vec<_>>());
    store.sweep(NOW).expect("it sweeps");
    assert!(!is_on_disk(&place));
}

#[test]
fn a_namespace_that_was_deleted_is_in_no_file_once_the_store_is_opened_again() {
    let place = Place::new();
    let store = fill(&place, None);
    store.delete(SPACE, Which::All, NOW).expect("it answers");
    drop(store);
    drop(place.open());
    assert!(!is_on_disk(&place));
}

#[test]
fn room_on_disk_is_given_back() {
    let place = Place::new();
    let store = fill(&place, Some(NOW + 1));
    let size = || files(&place).map(|it| it.metadata().expect("it is there").len()).sum::<u64>();
    let full = size();
    store.sweep(NOW + 1).expect("it sweeps");
    assert!(size() < full / 2, "{} of {full}", size());
}
