//! A store in a folder of its own, and short ways to say things.

use std::path::PathBuf;

use ndarray::ArrayView2;
use tempfile::TempDir;
use waypost_retrieve::{
    Documents, Entry, Error, Filter, Found, Kept, Millis, Parts, Question, Selection, SpaceName, Stored, Which,
};

pub const SPACE: SpaceName<'static> = SpaceName { tenant: "acme", name: "notes" };
pub const ROOM: u64 = 100_000_000;
/// A time at which nothing has expired yet.
pub const NOW: Millis = 1_000_000;
pub const TEXT: Parts = Parts { text: true, vector: false };

/// A store that can be opened again.
pub struct Place {
    pub folder: TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder can be made") }
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("documents.db")
    }

    pub fn open(&self) -> Documents {
        Documents::open(self.path(), ROOM).expect("it opens")
    }
}

/// Without metadata and vector, for good.
pub fn entry<'a>(id: &'a str, text: &'a str) -> Entry<'a> {
    Entry { id, text, metadata: "{}", vector: &[], expires: None }
}

pub fn upsert(store: &Documents, entries: &[Entry<'_>]) -> Stored {
    store.upsert(SPACE, entries, NOW).expect("it is stored")
}

pub fn at(now: Millis) -> Question<'static> {
    Question { now, filter: None }
}

pub fn passing(filter: &Filter) -> Question<'_> {
    Question { filter: Some(filter), ..at(NOW) }
}

pub fn filter(json: &str) -> Filter {
    Filter::parse(json).expect("it is a filter")
}

/// The ids that a question is about.
pub fn ids(store: &Documents, question: Question<'_>) -> Vec<String> {
    store.page(SPACE, "", usize::MAX, question).expect("it answers").into_iter().map(|it| it.id).collect()
}

/// The ids behind what was found, in its order.
pub fn ids_of(store: &Documents, found: &Found) -> Vec<String> {
    kept(store, found).into_iter().map(|it| it.id).collect()
}

pub fn kept(store: &Documents, found: &Found) -> Vec<Kept> {
    store.fetch(SPACE, &found.rows, TEXT).expect("it answers")
}

/// The documents that a question is about.
pub fn select(store: &Documents, question: Question<'_>) -> Selection {
    store.select(SPACE, question).expect("it answers").expect("there is a namespace")
}

pub fn dense(store: &Documents, query: &[f32], limit: usize, question: Question<'_>) -> Result<Found, Error> {
    let query = ArrayView2::from_shape((1, query.len()), query).expect("it is a row");
    Ok(select(store, question).dense(query, limit, 0)?.remove(0))
}

pub fn words(store: &Documents, text: &str, question: Question<'_>) -> Vec<String> {
    match store.select(SPACE, question).expect("it answers") {
        Some(selection) => ids_of(store, &selection.words(&[text], 100).expect("it answers")[0]),
        None => Vec::new(),
    }
}

pub fn delete_all(store: &Documents) -> u64 {
    store.delete(SPACE, Which::All, NOW).expect("it answers")
}
