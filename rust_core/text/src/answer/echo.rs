//! An answer that says the prompt again and nothing else: what a base model does with a chat it does not understand.
//!
//! The prompt has to be there from its first word on.  A proofread or extracted text repeats most of a prompt too, but
//! not the instruction in front of it.
use crate::pieces::{head, lower_words};

/// Bytes of each text that are looked at.
const SEEN: usize = 16 << 10;
/// Prompts of fewer words are greeted back.
const SHORTEST: usize = 4;
/// Share of the prompt that an echo has.
const SHARE: f64 = 0.9;

pub(super) fn is(prompt: &str, answer: &str) -> bool {
    let (prompt, answer) = (lower_words(head(prompt, SEEN)), lower_words(head(answer, SEEN)));
    let same = prompt.iter().zip(&answer).take_while(|(a, b)| a == b).count();
    same >= SHORTEST && same as f64 >= SHARE * prompt.len() as f64 && answer.len() <= prompt.len()
}
