//! Text as a machine sees it: hashed features, token ids, head scores, lexical relevance.
//!
//! Everything here takes microseconds, holds no state between calls and knows neither sockets nor Python, so the
//! router, the worker and the trainer share one definition of a feature.  A head trained on other features than it is
//! served with is wrong without an error.
#![warn(missing_docs)]

mod file;
mod fold;
mod pieces;
mod traffic;
mod wordpiece;

pub mod alike;
pub mod answer;
pub mod bm25;
pub mod cues;
pub mod fuse;
pub mod hash;
pub mod head;
pub mod passages;
pub mod redact;
pub mod tokenize;

pub use bm25::DocumentFrequencies;
pub use file::FileError;
pub use fuse::fuse;
pub use head::{LinearHead, Scores};
pub use passages::passages;
pub use pieces::words;
pub use tokenize::{Encoding, Tokenizer, Truncation};
