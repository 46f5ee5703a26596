//! What is known of documents beside their texts and vectors: small, and asked for of everything that is found, so it is
//! in memory.

use std::sync::Arc;

use crate::{Kept, Millis};

/// By slot.
#[derive(Debug, Default)]
pub struct Heads(Vec<Head>);

/// Of one document; nothing where it went.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// Unique in its namespace.
    pub id: Arc<str>,
    /// A JSON object.
    pub metadata: Box<str>,
    /// When it came.
    pub stored: Millis,
    /// Its own time; none: the namespace's retention counts.
    pub expires: Option<Millis>,
}

impl Heads {
    /// Adds that of the next slot.
    pub fn push(&mut self, head: Head) {
        self.0.push(head);
    }

    /// Lets go of what a slot has.
    pub fn clear(&mut self, slot: u32) {
        self.0[slot as usize] = Head::default();
    }

    /// The document of a slot that has one, as its row.
    pub fn kept(&self, slot: u32, row: i64, retention: Option<Millis>) -> Kept {
        let Head { id, metadata, stored, expires } = &self.0[slot as usize];
        let expires = expires.or_else(|| Some(stored.saturating_add(retention?)));
        let (id, metadata) = (id.to_string(), metadata.to_string());
        Kept { row, id, metadata, expires, text: String::new(), vector: Vec::new() }
    }

    /// Those of these slots, in their order.
    pub fn compacted(&self, slots: impl Iterator<Item = u32>) -> Self {
        Self(slots.map(|slot| self.0[slot as usize].clone()).collect())
    }

    /// Bytes in memory, about.
    pub fn memory(&self) -> usize {
        self.0.capacity() * size_of::<Head>() + self.0.iter().map(|it| it.metadata.len()).sum::<usize>()
    }
}
