//! What goes in and what comes out.

use crate::Filter;

/// Milliseconds since 1970.
pub type Millis = i64;

/// A namespace and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpaceName<'a> {
    /// Nobody else sees it.
    pub tenant: &'a str,
    /// Unique among the tenant's.
    pub name: &'a str,
}

/// A document to be stored.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Unique in its namespace.
    pub id: &'a str,
    /// Found by its words.
    pub text: &'a str,
    /// A JSON object.
    pub metadata: &'a str,
    /// Of unit length; empty where the namespace has none.
    pub vector: &'a [f32],
    /// When it is forgotten; none: the namespace's retention counts.
    pub expires: Option<Millis>,
}

/// Documents that are stored together, or not at all.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Where; it is made where there is none.
    pub name: SpaceName<'a>,
    /// Of several with one id the last counts.
    pub entries: &'a [Entry<'a>],
}

/// A document that is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// Its number, until it is replaced.
    pub row: i64,
    /// Unique in its namespace.
    pub id: String,
    /// As it was stored; empty where it was not asked for.
    pub text: String,
    /// A JSON object.
    pub metadata: String,
    /// When it is forgotten, by its own time or the namespace's retention.
    pub expires: Option<Millis>,
    /// Empty where it has none or none was asked for.
    pub vector: Vec<f32>,
}

/// What is wanted of a document beside its id and metadata.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// What may be long.
    pub text: bool,
    /// What nobody reads but machines.
    pub vector: bool,
}

/// What became of an upsert.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Documents whose id was new.
    pub added: usize,
    /// Documents that took the place of others.
    pub replaced: usize,
}

/// Which documents to remove.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    /// Those with these ids.
    Ids(&'a [&'a str]),
    /// Those that pass.
    Passing(&'a Filter),
    /// All, and the namespace itself.
    All,
}

/// What a search found, best first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Of the documents.
    pub rows: Vec<i64>,
    /// Theirs, by the search's own measure.
    pub scores: Vec<f32>,
}

impl FromIterator<(i64, f32)> for Found {
    fn from_iter<I: IntoIterator<Item = (i64, f32)>>(found: I) -> Self {
        let (rows, scores) = found.into_iter().unzip();
        Self { rows, scores }
    }
}

/// An index that is kept elsewhere over the first rows of a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graph {
    /// Where it is.
    pub file: String,
    /// It has the rows up to this one.
    pub row: i64,
}

/// A namespace and what is in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// How long documents without a time of their own are kept; none: for good.
    pub retention: Option<Millis>,
    /// That have not expired.
    pub documents: u64,
    /// Of its vectors; 0: it has none.
    pub dimensions: usize,
    /// Of its documents on disk, about.
    pub disk_bytes: u64,
    /// Of what is searched, about.
    pub memory_bytes: u64,
    /// The largest row; 0 where there is none.
    pub last_row: i64,
    /// Documents that the graph has, expired ones included.
    pub indexed: u64,
    /// The index over the first rows.
    pub graph: Option<Graph>,
}

/// Which documents a search looks at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Question<'a> {
    /// Those that pass; none: all.
    pub filter: Option<&'a Filter>,
    /// Those that have not expired by then.
    pub now: Millis,
}
