//! Lexical relevance of an answer to its prompt: the cheapest there is, and no more than a hint.
//!
//! How much of what the prompt is about comes back in the answer: the share of its content words, each weighing as much
//! as it is long (a word's length stands for its rarity, so no table is needed), that start like a word of the answer.
//! Names split at `_` and capitals, so a function called `reverseList` answers "reverse a list".
//!
//! Silence is no evidence.  "Paris." shares no word with "What is the capital of France?", so the share is mixed with
//! [`NEUTRAL`], the more the shorter the answer is; and a text in another script says nothing at all.  A reranker or
//! an encoder is worth its milliseconds where relevance decides.
use std::collections::HashSet;

use crate::pieces::{head, pieces};

/// What is told of an answer that nothing can be told of.
const NEUTRAL: f32 = 0.5;
/// Bytes of each text that are looked at.
const SEEN: usize = 16 << 10;
/// Words an answer needs until overlap counts as much as the doubt.
const DOUBT: f32 = 48.0;
/// The share of the prompt's words from which on an answer is wholly relevant: nobody repeats all of a question.
const ENOUGH: f32 = 0.5;
/// Characters two words must begin with to be forms of one.
const STEM: usize = 5;
/// Words without content, besides those of up to two letters.
const EMPTY: &[&str] = &[
    "the",
    "and",
    "for",
    "are",
    "was",
    "were",
    "you",
    "your",
    "what",
    "which",
    "who",
    "whom",
    "when",
    "where",
    "why",
    "how",
    "can",
    "could",
    "would",
    "should",
    "will",
    "shall",
    "may",
    "might",
    "must",
    "does",
    "did",
    "has",
    "have",
    "had",
    "this",
    "that",
    "these",
    "those",
    "there",
    "their",
    "they",
    "them",
    "then",
    "than",
    "with",
    "from",
    "into",
    "about",
    "please",
    "tell",
    "give",
    "show",
    "explain",
    "describe",
    "write",
    "list",
    "make",
    "some",
    "any",
    "all",
    "not",
    "but",
    "its",
    "our",
    "his",
    "her",
    "she",
    "him",
    "been",
    "being",
    "also",
    "just",
    "only",
    "very",
    "want",
    "need",
    "like",
    "know",
    "help",
    "between",
    "following",
    "answer",
    "question",
    "using",
    "use",
    "one",
    "get",
];

/// How much of what the prompt is about comes back in the answer, `[0, 1]`; 0.5 where nothing can be told.
///
/// ```
/// use waypost_text::answer::relevance;
///
/// let prompt = "How do I descale a coffee machine?";
/// let good = relevance(prompt, "Fill the tank of the coffee machine with water and descaling liquid, then run it.");
/// let bad = relevance(prompt, "The committee will meet again on Thursday to vote on the new parking regulations.");
/// assert!(good > 0.5 && bad < 0.5);
/// ```
pub fn relevance(prompt: &str, answer: &str) -> f32 {
    let (asked, said) = (stems(head(prompt, SEEN)), stems(head(answer, SEEN)));
    let weight = |stems: &mut dyn Iterator<Item = &String>| stems.map(|stem| stem.len() as f32).sum::<f32>();
    let total = weight(&mut asked.iter());
    if total == 0.0 || said.is_empty() || scripts_differ(prompt, answer) {
        return NEUTRAL;
    }
    let share = (weight(&mut asked.intersection(&said)) / total / ENOUGH).min(1.0);
    let trust = said.len() as f32 / (said.len() as f32 + DOUBT);
    NEUTRAL + trust.max(share * 0.5) * (share - NEUTRAL)
}

/// The beginnings of the content words of a text.
fn stems(text: &str) -> HashSet<String> {
    let words = pieces(text).filter(|piece| piece.is_word());
    let parts = words.flat_map(|word| split(word.text)).map(|part| part.to_lowercase());
    parts.filter(|word| word.len() > 2 && !EMPTY.contains(&word.as_str())).map(stem).collect()
}

fn stem(word: String) -> String {
    match word.char_indices().nth(STEM) {
        Some((end, _)) => word[..end].to_owned(),
        None => word.strip_suffix('s').unwrap_or(&word).to_owned(),
    }
}

/// `reverseList` as `reverse` and `List`.
fn split(word: &str) -> impl Iterator<Item = &str> {
    let mut lower = false;
    let starts = word.char_indices().filter_map(move |(at, character)| {
        let starts = lower && character.is_uppercase();
        lower = character.is_lowercase();
        starts.then_some(at)
    });
    let ends = starts.chain(std::iter::once(word.len()));
    ends.scan(0, |start, end| Some(&word[std::mem::replace(start, end)..end]))
}

// Half of the letters of the one and less than half of the other are ASCII.
fn scripts_differ(a: &str, b: &str) -> bool {
    is_latin(a) != is_latin(b)
}

fn is_latin(text: &str) -> bool {
    let (mut ascii, mut letters) = (0, 0);
    for character in head(text, SEEN).chars().filter(|character| character.is_alphabetic()) {
        letters += 1;
        ascii += usize::from(character.is_ascii());
    }
    2 * ascii >= letters
}
