//! A space in use: what is in memory of it, and the index of its words.

use std::sync::Arc;

use ndarray::{Array2, ArrayView1};
use parking_lot::RwLock;
use rusqlite::Connection;
use serde_json::{Map, Value};

use crate::{
    Entry, Error, Filter, Found, Millis, Question,
    state::{Arrival, State, View},
    truth::{Change, Gone, Loaded, SpaceRow, Writer, read},
    words::Words,
};

/// A space that was used.
#[derive(Debug)]
pub struct Space {
    pub id: i64,
    pub state: RwLock<State>,
    words: Words,
}

impl Space {
    /// Makes it from the truth.
    pub fn load(connection: &Connection, row: SpaceRow) -> Result<Self, Error> {
        let words = Words::new()?;
        let mut state = State::new(row.retention, row.dimensions, row.graph);
        read::each(connection, row.id, |document| {
            take(&mut state, &document);
            Ok(words.add([(document.row, document.text.as_str())])?)
        })?;
        Ok(Self { id: row.id, state: RwLock::new(state), words })
    }

    /// Takes in what was committed.
    pub fn apply(
        &self,
        entries: &[Entry<'_>],
        metadata: &[Map<String, Value>],
        change: &Change,
        now: Millis,
    ) -> Result<(), Error> {
        let stored = entries.iter().zip(&change.rows).filter_map(|(entry, row)| Some(((*row)?, entry.text)));
        self.words.remove(change.gone.iter().map(|it| it.row))?;
        self.words.add(stored)?;
        let mut state = self.state.write();
        state.dimensions = change.space.dimensions;
        for ((entry, row), metadata) in entries.iter().zip(&change.rows).zip(metadata) {
            if let Some(row) = *row {
                let Entry { id, metadata: json, vector, expires, .. } = *entry;
                state.add(&Arrival { row, id, json, metadata, vector, stored: now, expires });
            }
        }
        Ok(())
    }

    /// Lets go of what was removed.
    pub fn forget(&self, gone: &[&Gone]) -> Result<(), Error> {
        self.words.remove(gone.iter().map(|it| it.row))?;
        let mut state = self.state.write();
        gone.iter().for_each(|it| state.remove(&it.id));
        Ok(())
    }

    /// What a question is about.
    pub fn view(&self, question: Question<'_>) -> View {
        self.state.read().view(question)
    }

    /// The rows that pass.
    pub fn passing(&self, filter: &Filter, now: Millis) -> Vec<i64> {
        let view = self.view(Question { filter: Some(filter), now });
        view.passing.iter().map(|slot| view.blocks.row(slot)).collect()
    }

    /// Rows in the order of ids, after one.
    pub fn page(&self, after: &str, limit: usize, question: Question<'_>) -> Vec<i64> {
        let state = self.state.read();
        state.page(after, limit, &state.view(question).passing)
    }

    /// Rows after one, ascending, and their vectors.
    pub fn vectors(&self, after: i64, limit: usize) -> (Vec<i64>, Array2<f32>) {
        let state = self.state.read();
        let (slots, blocks) = (state.slots_after(after, limit), state.blocks());
        let mut vectors = Array2::zeros((slots.len(), state.dimensions.unwrap_or(0)));
        for (mut to, slot) in vectors.rows_mut().into_iter().zip(&slots) {
            to.assign(&ArrayView1::from(blocks.vector(*slot)));
        }
        (slots.iter().map(|slot| blocks.row(*slot)).collect(), vectors)
    }

    /// Documents by words, for each text.
    pub fn search(&self, texts: &[&str], limit: usize, view: &Arc<View>) -> Result<Vec<Found>, Error> {
        Ok(texts.iter().map(|text| self.words.search(text, limit, view)).collect::<Result<_, _>>()?)
    }

    /// Closes gaps, while nobody changes the truth; readers go on meanwhile.
    pub fn close_gaps(&self, _alone: &Writer) {
        let compacted = self.state.read().compacted();
        if let Some(compacted) = compacted {
            *self.state.write() = compacted;
        }
    }

    /// Lets idle threads go.
    pub fn rest(&self) -> Result<(), Error> {
        Ok(self.words.rest()?)
    }

    /// Bytes in memory, about.
    pub fn memory(&self) -> usize {
        self.state.read().memory() + self.words.memory()
    }
}

fn take(state: &mut State, document: &Loaded) {
    let Loaded { row, id, metadata: json, vector, stored, expires, .. } = document;
    // It was checked when it was stored.
    let metadata = serde_json::from_str(json).unwrap_or_default();
    state.add(&Arrival { row: *row, id, json, metadata: &metadata, vector, stored: *stored, expires: *expires });
}
