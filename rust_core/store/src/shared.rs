//! What routers share beside money and documents.

use std::{collections::BTreeSet, time::Duration};

use crate::Document;

/// A document that names things, and who else may read and write the names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roll {
    /// As it was last called; absent: never.
    pub document: Option<Document>,
    /// What the database's set has; absent where the database has no sets.
    pub members: Option<BTreeSet<String>>,
}

/// What a roll shall be.
#[derive(Clone, Copy, Debug)]
pub struct NewRoll<'a> {
    /// Of the document.
    pub key: &'a str,
    /// Of Redis' set, to the letter.
    pub set: &'a str,
    /// The revision it is written over, 0 where there must be none.
    pub expected: u64,
    /// The document.
    pub text: &'a str,
    /// All names, which are put into the set.
    pub names: &'a [&'a str],
    /// Names that were there before, which are taken out of it.
    pub gone: &'a [&'a str],
}

/// What a router told the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Who.
    pub router: String,
    /// What.
    pub text: String,
    /// How long ago, by the database's clock.
    pub ago: Duration,
}

/// How far a router has listened to the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard(pub(crate) String);

impl Default for Heard {
    /// Nothing yet: it hears whatever is kept.
    fn default() -> Self {
        Self("0-0".into())
    }
}
