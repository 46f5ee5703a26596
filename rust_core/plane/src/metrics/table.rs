//! Series by the values of their labels: a hash table that only grows, up to a limit.
//!
//! Each bucket is a linked list whose nodes are set once and never taken away, so looking up takes no lock and no
//! atomic write: a hash of a few short strings and one or two pointers.  That is what makes it cheaper than a
//! `RwLock<HashMap>`, whose readers all write to the lock's cache line.

use std::{
    array,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::SystemTime,
};

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Lists that series are spread over; a power of two.
const BUCKETS: usize = 128;
/// Value of all labels of the series that takes what is beyond the limit.
const OTHER: &str = "other";

/// The table.
pub struct Table<const N: usize, C> {
    buckets: Box<[Slot<N, C>]>,
    size: AtomicUsize,
    limit: usize,
}

type Slot<const N: usize, C> = OnceLock<Box<Node<N, C>>>;

struct Node<const N: usize, C> {
    hash: u64,
    series: Series<N, C>,
    next: Slot<N, C>,
}

/// One of its entries.
pub struct Series<const N: usize, C> {
    values: [Box<str>; N],
    /// What it has come to.
    pub cell: C,
    /// When it began.
    pub created: SystemTime,
}

impl<const N: usize, C> Series<N, C> {
    /// Of its labels.
    pub fn values(&self) -> [&str; N] {
        array::from_fn(|at| &*self.values[at])
    }
}

impl<const N: usize, C> Table<N, C> {
    /// Takes up to `limit` series, one of which is for the rest.
    pub fn new(limit: usize) -> Self {
        let buckets = (0..if N == 0 { 1 } else { BUCKETS }).map(|_| OnceLock::new()).collect();
        // The one for the rest always has a place.
        Self { buckets, size: AtomicUsize::new(0), limit: limit - 1 }
    }

    /// The series of these values, or the one that takes the rest.
    pub fn get(&self, values: [&str; N], new: impl Fn() -> C) -> &Series<N, C> {
        let hash = hash(values);
        match self.find(hash, values) {
            Ok(found) => found,
            Err(end) if self.take_place() => match insert(end, hash, values, new) {
                Ok(ours) => ours,
                Err(theirs) => {
                    self.size.fetch_sub(1, Relaxed);
                    theirs
                }
            },
            Err(_) => self.rest(new),
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Series<N, C>> {
        self.buckets.iter().flat_map(|first| {
            let nodes = std::iter::successors(first.get(), |node| node.next.get());
            nodes.map(|node| &node.series)
        })
    }

    /// The series, or the empty end of the list it belongs into.
    fn find(&self, hash: u64, values: [&str; N]) -> Result<&Series<N, C>, &Slot<N, C>> {
        search(&self.buckets[hash as usize & (self.buckets.len() - 1)], hash, values)
    }

    fn take_place(&self) -> bool {
        self.size.fetch_update(Relaxed, Relaxed, |size| (size < self.limit).then_some(size + 1)).is_ok()
    }

    fn rest(&self, new: impl Fn() -> C) -> &Series<N, C> {
        let values = [OTHER; N];
        let hash = hash(values);
        match self.find(hash, values) {
            Ok(found) => found,
            Err(end) => insert(end, hash, values, new).unwrap_or_else(|theirs| theirs),
        }
    }
}

/// A new series at the end of a list, or the one of these values that somebody else has put there meanwhile.
fn insert<'a, const N: usize, C>(
    mut end: &'a Slot<N, C>,
    hash: u64,
    values: [&str; N],
    new: impl Fn() -> C,
) -> Result<&'a Series<N, C>, &'a Series<N, C>> {
    let series = Series { values: values.map(Box::from), cell: new(), created: super::now() };
    let mut node = Some(Box::new(Node { hash, series, next: OnceLock::new() }));
    loop {
        // Runs only where nobody was first, and takes the node then.
        let there = end.get_or_init(|| node.take().expect("there is one until it is in place"));
        if node.is_none() {
            return Ok(&there.series);
        }
        match search(end, hash, values) {
            Ok(theirs) => return Err(theirs),
            Err(further) => end = further,
        }
    }
}

fn search<'a, const N: usize, C>(
    mut slot: &'a Slot<N, C>,
    hash: u64,
    values: [&str; N],
) -> Result<&'a Series<N, C>, &'a Slot<N, C>> {
    while let Some(node) = slot.get() {
        if node.hash == hash && node.series.values() == values {
            return Ok(&node.series);
        }
        slot = &node.next;
    }
    Err(slot)
}

/// The seed of each value is the hash of those before, so that ("a", "bc") is not ("ab", "c").
fn hash<const N: usize>(values: [&str; N]) -> u64 {
    values.iter().fold(0, |seed, value| xxh3_64_with_seed(value.as_bytes(), seed))
}
