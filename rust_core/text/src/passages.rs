//! The passages of a text that suit a query best, to be shown and cited.
//!
//! A text is cut into sentences (Unicode, annex 29), long ones after words; neighbours are laid together up to the
//! length asked for.  A passage is worth the distinct words it shares with the query, compared by their stems, each the
//! more the fewer sentences of the text have it; saying one again adds little, so that two of the words are better than
//! one repeated.

use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

use frostem::{Algorithm, Stemmer};
use unicode_segmentation::UnicodeSegmentation;

use crate::pieces::lower_words;

/// What a word that is said again counts, of what it counted first.
const AGAIN: f32 = 0.1;

/// Up to `count` ranges of characters (not bytes) of the text, none longer than `most` of them, best first.
///
/// They do not overlap.  Where no word of the query occurs, there is one: the text's beginning.
pub fn passages(text: &str, query: &str, count: usize, most: usize) -> Vec<Range<usize>> {
    let units = units(text, most.max(1), &stems(query));
    let weights = weights(&units);
    let good = (0..units.len()).filter(|first| !units[*first].found.is_empty());
    let mut passages: Vec<Passage> = good.map(|first| Passage::from(&units[first..], most, &weights)).collect();
    if passages.is_empty() && !units.is_empty() {
        passages.push(Passage::from(&units, most, &weights));
    }
    passages.sort_by(|one, other| other.worth.total_cmp(&one.worth).then(one.range.start.cmp(&other.range.start)));
    let mut chosen: Vec<Range<usize>> = Vec::new();
    for Passage { range, .. } in passages {
        let apart = chosen.iter().all(|it| range.end <= it.start || it.end <= range.start);
        if chosen.len() < count && apart {
            chosen.push(range);
        }
    }
    chosen
}

/// A sentence or a part of one, in characters, and what it has of the query.
struct Unit {
    range: Range<usize>,
    found: Vec<String>,
}

struct Passage {
    range: Range<usize>,
    worth: f32,
}

impl Passage {
    /// The first of these units and as many as fit.
    fn from(units: &[Unit], most: usize, weights: &HashMap<&str, f32>) -> Self {
        let start = units[0].range.start;
        let fitting = units.iter().take_while(|it| it.range.end - start <= most).count().max(1);
        let mut seen = HashSet::new();
        let found = units[..fitting].iter().flat_map(|unit| &unit.found);
        let worth = found.map(|stem| weights[stem.as_str()] * if seen.insert(stem) { 1.0 } else { AGAIN }).sum();
        Self { range: start..units[fitting - 1].range.end, worth }
    }
}

/// `ln(1 + N / n)`: what a stem is worth that is in n of N units.
fn weights(units: &[Unit]) -> HashMap<&str, f32> {
    let mut counts = HashMap::<&str, f32>::new();
    for unit in units {
        let distinct: HashSet<&str> = unit.found.iter().map(String::as_str).collect();
        distinct.into_iter().for_each(|stem| *counts.entry(stem).or_default() += 1.0);
    }
    counts.iter().map(|(stem, count)| (*stem, (units.len() as f32 / count).ln_1p())).collect()
}

fn units(text: &str, most: usize, wanted: &HashSet<String>) -> Vec<Unit> {
    let (mut units, mut at) = (Vec::new(), 0);
    for part in text.split_sentence_bounds().flat_map(|sentence| parts(sentence, most)) {
        let said = part.trim();
        if !said.is_empty() {
            let start = at + length(part) - length(part.trim_start());
            let found = lower_words(said).iter().map(|it| stem(it)).filter(|it| wanted.contains(it)).collect();
            units.push(Unit { range: start..start + length(said), found });
        }
        at += length(part);
    }
    units
}

/// The sentence, or its parts: cut after words, and within one that is too long itself.
fn parts(sentence: &str, most: usize) -> Vec<&str> {
    let (mut parts, mut from, mut taken) = (Vec::new(), 0, 0);
    for (at, word) in sentence.split_word_bound_indices() {
        if taken > 0 && taken + length(word) > most {
            parts.extend(chopped(&sentence[from..at], most));
            (from, taken) = (at, 0);
        }
        taken += length(word);
    }
    parts.extend(chopped(&sentence[from..], most));
    parts
}

fn chopped(part: &str, most: usize) -> impl Iterator<Item = &str> {
    let starts: Vec<usize> = part.char_indices().step_by(most).map(|(at, _)| at).collect();
    let ends: Vec<usize> = starts.iter().skip(1).copied().chain([part.len()]).collect();
    starts.into_iter().zip(ends).map(|(start, end)| &part[start..end])
}

fn length(text: &str) -> usize {
    text.chars().count()
}

fn stems(text: &str) -> HashSet<String> {
    lower_words(text).iter().map(|it| stem(it)).collect()
}

fn stem(word: &str) -> String {
    Stemmer::new(Algorithm::English).stem(word).into_owned()
}
