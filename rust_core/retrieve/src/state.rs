//! What is kept in memory of a space: everything but the texts.
//!
//! It is a view of the truth and can be made from it at any time.  A document's slot is used once: a document that goes
//! or is replaced leaves its slot dead until [`State::compacted`] closes the gaps.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use roaring::RoaringBitmap;
use serde_json::{Map, Value};

use crate::{
    Graph, Kept, Millis, Question,
    ages::Ages,
    blocks::Blocks,
    heads::{Head, Heads},
    postings::Postings,
};

/// Below this many dead slots nothing is gained.
const DEAD: u64 = 1_000;

/// A space in memory.
#[derive(Debug, Default)]
pub struct State {
    /// What is not dated is kept for this long.
    pub retention: Option<Millis>,
    /// Of its vectors, 0: it has none; none: nothing was stored yet.
    pub dimensions: Option<usize>,
    /// An index over the first rows.
    pub graph: Option<Graph>,
    blocks: Blocks,
    heads: Heads,
    ids: BTreeMap<Arc<str>, u32>,
    live: RoaringBitmap,
    ages: Ages,
    postings: Postings,
}

/// A document as it comes from the truth.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    pub row: i64,
    pub id: &'a str,
    /// As it was written.
    pub json: &'a str,
    pub metadata: &'a Map<String, Value>,
    pub vector: &'a [f32],
    pub stored: Millis,
    pub expires: Option<Millis>,
}

/// Which documents a question is about, and where they are.
#[derive(Debug)]
pub struct View {
    pub blocks: Blocks,
    pub passing: RoaringBitmap,
    /// As the space's.
    pub dimensions: Option<usize>,
    /// Whether that is every document there is.
    pub whole: bool,
}

impl State {
    /// An empty one.
    pub fn new(retention: Option<Millis>, dimensions: Option<usize>, graph: Option<Graph>) -> Self {
        Self { retention, dimensions, graph, ..Self::default() }
    }

    /// Takes in a document, in place of one with its id.
    pub fn add(&mut self, arrival: &Arrival<'_>) {
        self.remove(arrival.id);
        let slot = self.blocks.push(arrival.row, arrival.vector);
        let (id, Arrival { json, stored, expires, .. }) = (Arc::<str>::from(arrival.id), *arrival);
        self.heads.push(Head { id: id.clone(), metadata: json.into(), stored, expires });
        self.ids.insert(id, slot);
        self.live.insert(slot);
        self.ages.add(slot, stored, expires);
        self.postings.add(slot, arrival.metadata);
    }

    /// Lets go of a document.
    pub fn remove(&mut self, id: &str) {
        if let Some(slot) = self.ids.remove(id) {
            self.live.remove(slot);
            self.heads.clear(slot);
        }
    }

    /// The documents of rows that are there, in their order; without texts and vectors.
    pub fn kept(&self, rows: &[i64]) -> Vec<Kept> {
        let there = |row: &i64| Some((self.blocks.slot(*row).filter(|slot| self.live.contains(*slot))?, *row));
        rows.iter().filter_map(there).map(|(slot, row)| self.heads.kept(slot, row, self.retention)).collect()
    }

    /// The documents that live and pass.
    pub fn view(&self, Question { filter, now }: Question<'_>) -> View {
        let expired = self.ages.expired(self.retention, now) & &self.live;
        let mut passing = &self.live - &expired;
        if let Some(filter) = filter {
            passing = self.postings.passing(filter, &passing);
        }
        let whole = passing.len() == self.live.len();
        View { blocks: self.blocks.clone(), passing, dimensions: self.dimensions, whole }
    }

    /// Rows of the first documents in the order of ids that pass, after an id.
    pub fn page(&self, after: &str, limit: usize, passing: &RoaringBitmap) -> Vec<i64> {
        let rest = self.ids.range::<str, _>((Bound::Excluded(after), Bound::Unbounded));
        let found = rest.map(|(_, slot)| *slot).filter(|slot| passing.contains(*slot)).take(limit);
        found.map(|slot| self.blocks.row(slot)).collect()
    }

    /// Up to `limit` slots of rows after `row`, dead ones left out.
    pub fn slots_after(&self, row: i64, limit: usize) -> Vec<u32> {
        self.live.range(self.blocks.after(row)..).take(limit).collect()
    }

    /// Where rows and vectors are.
    pub fn blocks(&self) -> &Blocks {
        &self.blocks
    }

    /// Live documents of rows up to `row`, expired ones included.
    pub fn up_to(&self, row: i64) -> u64 {
        self.live.range_cardinality(..self.blocks.after(row))
    }

    /// Bytes in memory, about.
    pub fn memory(&self) -> usize {
        /// Of an id beside its bytes.
        const ENTRY: usize = 40;
        let ids: usize = self.ids.keys().map(|id| id.len() + ENTRY).sum();
        let rest = self.ages.memory() + self.postings.memory() + self.live.serialized_size();
        self.blocks.memory() + self.heads.memory() + ids + rest
    }

    /// The same without gaps, where a fifth of the slots is dead.
    pub fn compacted(&self) -> Option<Self> {
        let slots = u64::from(self.blocks.len());
        let dead = slots - self.live.len();
        (dead >= DEAD && dead * 5 > slots).then(|| self.renumbered())
    }

    fn renumbered(&self) -> Self {
        let new: BTreeMap<u32, u32> = self.live.iter().zip(0..).collect();
        let renumber = |slot: u32| new.get(&slot).copied();
        let mut blocks = Blocks::default();
        for slot in &self.live {
            blocks.push(self.blocks.row(slot), self.blocks.vector(slot));
        }
        Self {
            ids: self.ids.iter().filter_map(|(id, slot)| Some((id.clone(), renumber(*slot)?))).collect(),
            heads: self.heads.compacted(self.live.iter()),
            live: (0..blocks.len()).collect(),
            ages: self.ages.compacted(renumber),
            postings: self.postings.compacted(renumber),
            blocks,
            graph: self.graph.clone(),
            ..*self
        }
    }
}

impl View {
    /// Whether a row is of this view.
    pub fn has(&self, row: i64) -> bool {
        self.blocks.slot(row).is_some_and(|slot| self.passing.contains(slot))
    }
}
