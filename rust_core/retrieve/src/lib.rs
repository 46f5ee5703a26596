//! The embedded store of documents: found by vector, by words, by metadata, each within a namespace of a tenant.
//!
//! [`Documents`] keeps the truth in one SQLite file and everything that is searched in memory: vectors in blocks that
//! are met by all queries at once ([exact](Selection::dense)), an index of words ([BM25](Selection::words)), ids and
//! metadata, and which documents have which values in it ([`Filter`]).  Only texts are read from the file.  Memory is
//! made from the truth when a namespace is first used, so there is one thing to keep safe, and nothing on disk that
//! outlives a document.
//!
//! A document that is stored or replaced gets a row number that is never used again.  Searches return rows; whoever
//! asks for what is behind them gets nothing for a row that went meanwhile, and never another document.
//!
//! Changes come one after the other, since SQLite has one writer; what is answered is on disk.  Readers work on a view
//! and wait for nobody but the first load.  Exact search is linear in the number of documents: some hundred thousand is
//! what a core answers in tens of milliseconds.  Beyond, put a graph over [`Documents::vectors`], note which rows it has
//! ([`Documents::set_graph`]), and have what it finds [completed](Selection::completed).
//!
//! Time is passed in, as milliseconds since 1970.
#![warn(missing_docs)]

mod ages;
mod analyze;
mod blocks;
mod document;
mod documents;
mod error;
mod filter;
mod heads;
mod postings;
mod scan;
mod selection;
mod space;
mod state;
mod sweep;
mod truth;
mod words;

pub use document::{Batch, Entry, Figures, Found, Graph, Kept, Millis, Parts, Question, SpaceName, Stored, Which};
pub use documents::Documents;
pub use error::{Error, InputError, OpenError};
pub use filter::{Filter, Range, Scalar};
pub use selection::Selection;
