//! From a step's logits to the text that goes to the caller.
//!
//! Read in the order of a token: [`penalty`] changes the logits of what was said already, [`filter`] keeps the likely
//! ones, [`draw`] picks one by the request's own seed, [`logprob`] says how likely it was, [`tail`] turns its bytes
//! into whole characters and ends at a stop string.  [`sampler`] is all but the last of these for one sequence.
//!
//! The order of the filters, and their defaults, are llama.cpp's (common/sampling.cpp): penalties, top-k, top-p,
//! min-p, temperature.  What is not here: beam search, whose sequences must share a slot, and mirostat, which needs
//! state that a draw by (seed, position) has no room for.
#![warn(missing_docs)]

pub mod draw;
pub mod filter;
pub mod logprob;
pub mod penalty;
pub mod sampler;
pub mod tail;

pub use filter::Candidate;
pub use logprob::Logprob;
pub use sampler::{Sampler, Settings};
pub use tail::{Emitted, Tail};
