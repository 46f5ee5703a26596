//! Vectors of texts seen lately, by their tokens.
//!
//! One run of a text serves embed, classify and rerank alike, whichever asks first: a reranker that meets its documents
//! again pays for the query only.  Keys are 128-bit hashes of the token ids, so nothing of a text is kept.

use std::sync::Arc;

use quick_cache::sync::Cache;
use xxhash_rust::xxh3::xxh3_128;

/// A row of floats that several answers may share.
pub type Row = Arc<[f32]>;

/// Bounded by entries; the coldest leave first.
pub struct VectorCache(Option<Cache<u128, Row>>);

impl VectorCache {
    /// Keeps up to `entries` vectors; 0 keeps none.
    pub fn new(entries: usize) -> Self {
        Self((entries > 0).then(|| Cache::new(entries)))
    }

    /// Whether it keeps any.
    pub fn keeps(&self) -> bool {
        self.0.is_some()
    }

    /// The vector of these tokens, if it is still there.
    pub fn get(&self, ids: &[u32]) -> Option<Row> {
        self.0.as_ref()?.get(&key(ids))
    }

    /// Keeps a vector.
    pub fn put(&self, key: u128, row: Row) {
        if let Some(cache) = &self.0 {
            cache.insert(key, row);
        }
    }
}

/// What a text is known by.
pub fn key(ids: &[u32]) -> u128 {
    let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
    xxh3_128(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_is_found_by_its_tokens_and_no_others() {
        let cache = VectorCache::new(4);
        cache.put(key(&[1, 2]), Row::from([0.5_f32]));
        assert_eq!(cache.get(&[1, 2]).as_deref(), Some(&[0.5_f32][..]));
        assert!(cache.get(&[2, 1]).is_none());
    }

    #[test]
    fn a_cache_of_no_entries_keeps_nothing() {
        let cache = VectorCache::new(0);
        cache.put(key(&[1]), Row::from([1.0_f32]));
        assert!(cache.get(&[1]).is_none());
    }
}
