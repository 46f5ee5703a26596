//! The store: the truth, and what of it is in use.

use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::Arc,
};

use ndarray::Array2;
use parking_lot::RwLock;
use rusqlite::Connection;
use serde_json::{Map, Value};

use crate::{
    Batch, Entry, Error, Figures, Graph, InputError, Kept, Millis, OpenError, Parts, Question, Selection, SpaceName,
    Stored, Which,
    space::Space,
    truth::{Change, Gone, SpaceRow, Truth, Writer, read},
};

/// A store of documents, for one process; shared between threads by reference.
#[derive(Debug)]
pub struct Documents {
    pub(crate) truth: Truth,
    used: RwLock<HashMap<(String, String), Arc<Space>>>,
    max_bytes: u64,
}

impl Documents {
    /// Opens the file, or makes it; nobody else may have it open.
    ///
    /// `max_bytes` is what all documents may take together, in memory and on disk each, by an estimate that does not
    /// depend on which are in use; what would go beyond is refused.
    pub fn open(path: impl AsRef<Path>, max_bytes: u64) -> Result<Self, OpenError> {
        Ok(Self { truth: Truth::open(path.as_ref())?, used: RwLock::default(), max_bytes })
    }

    /// Stores documents, all or none, in a namespace that is made where there is none; of several with one id the last
    /// counts.
    pub fn upsert(&self, name: SpaceName<'_>, entries: &[Entry<'_>], now: Millis) -> Result<Stored, Error> {
        self.upsert_each(&[Batch { name, entries }], now)?.remove(0)
    }

    /// Does so with several batches in one commit; one that is refused does not keep the others from being stored.
    pub fn upsert_each(&self, batches: &[Batch<'_>], now: Millis) -> Result<Vec<Result<Stored, Error>>, Error> {
        let metadata: Vec<_> = batches.iter().map(|it| check(it.entries)).collect();
        let sound: Vec<_> = batches.iter().zip(&metadata).filter(|(_, it)| it.is_ok()).map(|(it, _)| *it).collect();
        let mut writer = self.truth.writer();
        let mut changes = writer.upsert_each(&sound, self.max_bytes, now)?.into_iter();
        let mut made = HashSet::new();
        let mut took = |batch: &Batch<'_>, metadata: Result<Vec<Map<String, Value>>, InputError>| {
            let (metadata, change) = (metadata?, changes.next().expect("each sound one has its change")?);
            self.take(batch, &metadata, &change, now, &mut made, &writer)?;
            Ok(stored(&change))
        };
        Ok(batches.iter().zip(metadata).map(|(batch, metadata)| took(batch, metadata)).collect())
    }

    /// Removes documents, or the namespace; how many that had not expired.
    pub fn delete(&self, name: SpaceName<'_>, which: Which<'_>, now: Millis) -> Result<u64, Error> {
        // A filter needs what is in memory.
        let space = if let Which::Passing(_) = which { self.space(name)? } else { None };
        let mut writer = self.truth.writer();
        let Some(row) = self.truth.read(|it| find(it, name))? else { return Ok(0) };
        let gone = match (which, space) {
            (Which::All, _) => return self.delete_space(name, row.id, &mut writer, now),
            (Which::Ids(ids), _) => writer.delete(row.id, ids, now)?,
            (Which::Passing(filter), Some(space)) => writer.delete_rows(&space.passing(filter, now), now)?,
            (Which::Passing(_), None) => return Ok(0),
        };
        self.forget(&gone)?;
        Ok(gone.iter().filter(|it| it.live).count() as u64)
    }

    /// The documents that a question is about; none where there is no namespace.
    pub fn select(&self, name: SpaceName<'_>, question: Question<'_>) -> Result<Option<Selection>, Error> {
        Ok(self.space(name)?.map(|space| Selection::of(space, question)))
    }

    /// What is behind rows; those that went meanwhile are left out.
    pub fn fetch(&self, name: SpaceName<'_>, rows: &[i64], parts: Parts) -> Result<Vec<Kept>, Error> {
        if parts == Parts::default() {
            return Ok(self.space(name)?.map_or_else(Vec::new, |space| space.state.read().kept(rows)));
        }
        self.truth.read(|it| Ok(read::by_rows(it, name, rows, parts)?))
    }

    /// The documents of these ids that are there, in their order.
    pub fn get(&self, name: SpaceName<'_>, ids: &[&str], parts: Parts, now: Millis) -> Result<Vec<Kept>, Error> {
        self.truth.read(|it| Ok(read::by_ids(it, name, ids, parts, now)?))
    }

    /// The first documents in the order of ids (by bytes) after an id.
    pub fn page(
        &self,
        name: SpaceName<'_>,
        after: &str,
        limit: usize,
        question: Question<'_>,
    ) -> Result<Vec<Kept>, Error> {
        let Some(space) = self.space(name)? else { return Ok(Vec::new()) };
        let rows = space.page(after, limit, question);
        self.fetch(name, &rows, Parts { text: true, vector: false })
    }

    /// Makes a namespace, or changes how long it keeps documents without a time of their own; none: for good.
    pub fn set_retention(&self, name: SpaceName<'_>, retention: Option<Millis>) -> Result<(), Error> {
        let mut writer = self.truth.writer();
        writer.set_retention(name, retention)?;
        if let Some(space) = self.in_use(name) {
            space.state.write().retention = retention;
        }
        Ok(())
    }

    /// A tenant's namespaces in order.
    pub fn names(&self, tenant: &str) -> Result<Vec<String>, Error> {
        self.truth.read(|it| Ok(read::names(it, tenant)?))
    }

    /// All namespaces: whose, and their names.
    pub fn spaces(&self) -> Result<Vec<(String, String)>, Error> {
        self.truth.read(|it| Ok(read::spaces(it)?))
    }

    /// A namespace and what is in it; none where there is none.
    pub fn figures(&self, name: SpaceName<'_>, now: Millis) -> Result<Option<Figures>, Error> {
        let Some(space) = self.space(name)? else { return Ok(None) };
        let row = self.truth.read(|it| find(it, name))?.unwrap_or_default();
        let memory_bytes = space.memory() as u64;
        let state = space.state.read();
        Ok(Some(Figures {
            retention: state.retention,
            documents: state.view(Question { now, ..Question::default() }).passing.len(),
            dimensions: state.dimensions.unwrap_or(0),
            disk_bytes: row.bytes,
            memory_bytes,
            last_row: state.blocks().last_row(),
            indexed: state.graph.as_ref().map_or(0, |graph| state.up_to(graph.row)),
            graph: state.graph.clone(),
        }))
    }

    /// Up to `limit` rows after a row, ascending, and their vectors, to build a graph from; expired ones are among them.
    pub fn vectors(&self, name: SpaceName<'_>, after: i64, limit: usize) -> Result<(Vec<i64>, Array2<f32>), Error> {
        Ok(self.space(name)?.map_or_else(|| (Vec::new(), Array2::zeros((0, 0))), |space| space.vectors(after, limit)))
    }

    /// Notes which index covers which rows; nothing where the namespace is not there.
    pub fn set_graph(&self, name: SpaceName<'_>, graph: Option<Graph>) -> Result<(), Error> {
        let Some(space) = self.space(name)? else { return Ok(()) };
        let mut writer = self.truth.writer();
        writer.set_graph(space.id, graph.as_ref())?;
        space.state.write().graph = graph;
        Ok(())
    }

    /// The namespaces that are in memory.
    pub(crate) fn in_memory(&self) -> Vec<Arc<Space>> {
        self.used.read().values().cloned().collect()
    }

    /// The namespace, in memory; none where there is none.
    fn space(&self, name: SpaceName<'_>) -> Result<Option<Arc<Space>>, Error> {
        if let Some(space) = self.in_use(name) {
            return Ok(Some(space));
        }
        // Names that mean nothing do not wait for changes.
        if self.truth.read(|it| find(it, name))?.is_none() {
            return Ok(None);
        }
        let alone = self.truth.writer();
        self.load(name, &alone)
    }

    fn in_use(&self, name: SpaceName<'_>) -> Option<Arc<Space>> {
        self.used.read().get(&key(name)).cloned()
    }

    /// Loads it, while nobody changes the truth.
    fn load(&self, name: SpaceName<'_>, _alone: &Writer) -> Result<Option<Arc<Space>>, Error> {
        if let Some(space) = self.in_use(name) {
            return Ok(Some(space));
        }
        let load = |it: &_| find(it, name)?.map(|row| Space::load(it, row)).transpose();
        let space = self.truth.read(load)?.map(Arc::new);
        if let Some(space) = &space {
            self.used.write().insert(key(name), space.clone());
        }
        Ok(space)
    }

    /// Takes what was committed into memory.
    ///
    /// A namespace that was empty is loaded, with all that is in it by then: what later batches of the same commit have
    /// stored in it is there.
    fn take(
        &self,
        Batch { name, entries }: &Batch<'_>,
        metadata: &[Map<String, Value>],
        change: &Change,
        now: Millis,
        made: &mut HashSet<i64>,
        alone: &Writer,
    ) -> Result<(), Error> {
        let id = change.space.id;
        match self.in_use(*name) {
            Some(_) if made.contains(&id) => Ok(()),
            Some(space) => self.sure(*name, space.apply(entries, metadata, change, now)),
            None if change.space.bytes == 0 => {
                made.insert(id);
                self.load(*name, alone).map(drop)
            }
            None => Ok(()),
        }
    }

    fn delete_space(&self, name: SpaceName<'_>, id: i64, writer: &mut Writer, now: Millis) -> Result<u64, Error> {
        let live = writer.delete_space(id, now)?;
        self.used.write().remove(&key(name));
        Ok(live)
    }

    /// Takes what is no longer true out of memory.
    pub(crate) fn forget(&self, gone: &[Gone]) -> Result<(), Error> {
        let used: Vec<_> = self.used.read().iter().map(|(key, space)| (key.clone(), space.clone())).collect();
        for ((tenant, name), space) in used {
            let own: Vec<&Gone> = gone.iter().filter(|it| it.space == space.id).collect();
            if !own.is_empty() {
                self.sure(SpaceName { tenant: &tenant, name: &name }, space.forget(&own))?;
            }
        }
        Ok(())
    }

    /// What memory could not take in is read again from the truth when it is needed next.
    fn sure(&self, name: SpaceName<'_>, applied: Result<(), Error>) -> Result<(), Error> {
        if applied.is_err() {
            self.used.write().remove(&key(name));
        }
        applied
    }
}

fn find(connection: &Connection, name: SpaceName<'_>) -> Result<Option<SpaceRow>, Error> {
    Ok(SpaceRow::find(connection, name)?)
}

fn key(name: SpaceName<'_>) -> (String, String) {
    (name.tenant.into(), name.name.into())
}

/// The metadata of each, read.
fn check(entries: &[Entry<'_>]) -> Result<Vec<Map<String, Value>>, InputError> {
    if let Some(index) = entries.iter().position(|it| !it.vector.iter().all(|value| value.is_finite())) {
        return Err(InputError::NotFinite(index));
    }
    let object = |(index, entry): (usize, &Entry<'_>)| {
        serde_json::from_str(entry.metadata).map_err(|error| InputError::Metadata { index, why: error.to_string() })
    };
    entries.iter().enumerate().map(object).collect()
}

fn stored(change: &Change) -> Stored {
    let replaced = change.gone.iter().filter(|it| it.live).count();
    Stored { added: change.rows.iter().flatten().count() - replaced, replaced }
}
