//! What can go wrong, by who must act.

use std::{io, path::PathBuf};

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("{0} is in use by another process: a store of documents belongs to one")]
    InUse(PathBuf),
    /// It was written by a later version.
    #[error("the file has schema {found}, of a newer version of Waypost; this one knows {known}")]
    Newer {
        /// Its schema.
        found: u32,
        /// The latest that is known.
        known: u32,
    },
    /// The folder or the lock.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The database.
    #[error(transparent)]
    Truth(#[from] rusqlite::Error),
}

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was asked cannot be meant: the caller's to mend.
    #[error(transparent)]
    Input(#[from] InputError),
    /// There is no room; what is deleted or expires makes some.
    #[error("the store is full: {needed} bytes would be needed, {limit} may be used")]
    Full {
        /// Of all documents, were these stored.
        needed: u64,
        /// The most there may be.
        limit: u64,
    },
    /// The database.
    #[error("the database of documents fails: {0}")]
    Truth(#[from] rusqlite::Error),
    /// The index of words.
    #[error("the index of words fails: {0}")]
    Words(#[from] tantivy::TantivyError),
}

/// What was wrong about a question or a document.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// Metadata is no JSON object.
    #[error("metadata[{index}]: {why}")]
    Metadata {
        /// Which document's.
        index: usize,
        /// What the parser says.
        why: String,
    },
    /// A filter is not one.
    #[error("filter: {0}")]
    Filter(String),
    /// A vector is not as long as those of the space; 0: there are none.
    #[error("vectors of {got} dimensions: those of this namespace have {expected}")]
    Dimensions {
        /// The space's.
        expected: usize,
        /// The caller's.
        got: usize,
    },
    /// A vector has what is no number.
    #[error("vectors[{0}]: not every value is a finite number")]
    NotFinite(usize),
}
