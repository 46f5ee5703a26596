//! Text as a machine sees it: hashed features, token ids, head scores, lexical relevance.
//!
//! Everything here takes microseconds, holds no state between calls and knows neither sockets nor Python, so the
//! router, the worker and the trainer share one definition of a feature.  A head trained on other features than it is
//! served with is wrong without an error.
#![warn(missing_docs)]

mod fold;
pub mod hash;
pub mod tokenize;

pub use tokenize::{Encoding, Tokenizer, Truncation};
