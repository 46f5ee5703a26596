//! Loops: what a small model falls into when its own words become its best prediction.
//!
//! Four signs, each linear in the text:
//! - the end is a period repeated, in words or in characters.  The longest one comes from the failure function of
//!   Knuth, Morris and Pratt over the reversed text: a prefix of length `n` with border `b` has the period `n - b`;
//! - half of the words stand in sentences or lines that were said before, one of them three times;
//! - few of its runs of four words are distinct: what a compressor would say, in one hash set.
//!
//! Good answers repeat too.  Poems have refrains, lists and tables have templates, code has boilerplate and rulers, so
//! list markers are left out, runs of one symbol count once, loops without a letter must be long, and what is mostly
//! code is judged by a long loop at its end alone.
use std::collections::{HashMap, HashSet};

use xxhash_rust::xxh3::xxh3_64;

use crate::pieces::{Kind, Piece, pieces, tail};

/// Bytes that are looked at, from the end: loops run until the length is spent.
const SEEN: usize = 64 << 10;
/// Of these, pieces and characters in which a period is looked for.
const PIECES: usize = 4096;
const CHARACTERS: usize = 2048;
/// Pieces that a loop covers before it counts: of one to three pieces, of a clause, of sentences; with how many turns.
const STUTTER: (usize, usize) = (30, 12);
const CLAUSES: (usize, usize) = (32, 4);
const SENTENCES: (usize, usize) = (60, 3);
/// Pieces of a loop in code, and of one without letters.
const MEANINGLESS: usize = 240;
/// Characters of a loop without words, such as one endless word.
const RUN: usize = 240;
/// Below so many words there is nothing to compare.
const FEWEST_LINES: usize = 24;
const FEWEST_RUNS: usize = 60;
const REPEATED_SHARE: f64 = 0.5;
const DISTINCT_SHARE: f64 = 0.4;

pub(super) fn is(answer: &str) -> bool {
    let answer = tail(answer, SEEN);
    let words = Words::of(answer);
    if words.mostly_code {
        return words.end_loops(|_| MEANINGLESS) || characters_loop(answer);
    }
    words.end_loops(shortest_loop) || words.repeats_lines() || words.is_monotonous() || characters_loop(answer)
}

/// An answer as hashes of its pieces.
struct Words {
    all: Vec<Unit>,
    mostly_code: bool,
}

#[derive(Clone, Copy)]
struct Unit {
    hash: u64,
    word: bool,
    lettered: bool,
    /// Which sentence or line it is in.
    line: usize,
}

impl Words {
    fn of(answer: &str) -> Self {
        let (mut all, mut line, mut fenced, mut in_code) = (Vec::new(), 0, false, 0);
        for text in answer.lines() {
            line += 1;
            fenced ^= text.trim_start().starts_with("```");
            let before = all.len();
            line = push_line(&mut all, without_marker(text), line);
            in_code += if fenced { all.len() - before } else { 0 };
        }
        let mostly_code = 2 * in_code > all.len() || answer.starts_with(['{', '[', '<']);
        Self { all, mostly_code }
    }

    /// Whether the text ends in a loop; `shortest` says how many pieces one of a certain period needs to cover.
    ///
    /// The last piece is left out, it may be half a word.
    fn end_loops(&self, shortest: impl Fn(usize) -> usize) -> bool {
        let Some((_, whole)) = self.all.split_last() else { return false };
        let reversed: Vec<Unit> = whole.iter().rev().take(PIECES).copied().collect();
        let hashes: Vec<u64> = reversed.iter().map(|unit| unit.hash).collect();
        periods(&hashes).any(|(length, period)| {
            let lettered = reversed[..period].iter().any(|unit| unit.lettered);
            length >= 2 * period && length >= shortest(period) && (lettered || length >= MEANINGLESS)
        })
    }

    fn repeats_lines(&self) -> bool {
        let words: Vec<Unit> = self.all.iter().filter(|unit| unit.word).copied().collect();
        let lines = words.chunk_by(|a, b| a.line == b.line).filter(|line| line.len() >= 4);
        let mut seen: HashMap<u64, usize> = HashMap::new();
        let mut again = 0;
        for line in lines {
            let count = seen.entry(combined(line)).or_default();
            *count += 1;
            again += if *count > 1 { line.len() } else { 0 };
        }
        let often = seen.values().any(|count| *count >= 3);
        often && words.len() >= FEWEST_LINES && again as f64 >= REPEATED_SHARE * words.len() as f64
    }

    fn is_monotonous(&self) -> bool {
        let words: Vec<Unit> = self.all.iter().filter(|unit| unit.word).copied().collect();
        let distinct: HashSet<u64> = words.windows(4).map(combined).collect();
        words.len() >= FEWEST_RUNS && (distinct.len() as f64) < DISTINCT_SHARE * (words.len() - 3) as f64
    }
}

/// How many pieces a loop has to cover to be one.
fn shortest_loop(period: usize) -> usize {
    let (covered, turns) = match period {
        0..=3 => STUTTER,
        4..=19 => CLAUSES,
        _ => SENTENCES,
    };
    covered.max(turns * period)
}

fn push_line(all: &mut Vec<Unit>, text: &str, mut line: usize) -> usize {
    let mut previous: Option<Piece> = None;
    for piece in pieces(text) {
        let ruler = previous.is_some_and(|before| before.text == piece.text && piece.kind == Kind::Symbol);
        previous = Some(piece);
        if ruler {
            continue;
        }
        all.push(unit(&piece, line));
        line += usize::from(matches!(piece.text, "." | "!" | "?" | "。" | "！" | "？"));
    }
    line
}

fn unit(piece: &Piece, line: usize) -> Unit {
    let hash = xxh3_64(piece.text.to_lowercase().as_bytes());
    Unit { hash, word: piece.is_word(), lettered: piece.text.chars().any(char::is_alphabetic), line }
}

// Where a list or a counter goes on, only its number tells one turn of a loop from the next.
fn without_marker(line: &str) -> &str {
    let line = line.trim_start();
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let rest = &line[digits..];
    let marker = if digits > 0 { rest.strip_prefix(['.', ')', ':']) } else { rest.strip_prefix(['-', '*', '•']) };
    marker.filter(|text| text.starts_with(' ')).unwrap_or(line)
}

fn combined(words: &[Unit]) -> u64 {
    words.iter().fold(0, |hash, word| (hash.rotate_left(5) ^ word.hash).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

fn characters_loop(answer: &str) -> bool {
    let reversed: Vec<char> = answer.chars().rev().take(CHARACTERS).filter(|one| !one.is_whitespace()).collect();
    periods(&reversed).any(|(length, period)| {
        length >= RUN && length >= 8 * period && reversed[..period].iter().copied().any(char::is_alphabetic)
    })
}

/// For each prefix its length and its smallest period.
fn periods<T: Eq>(items: &[T]) -> impl Iterator<Item = (usize, usize)> {
    let borders = borders(items);
    borders.into_iter().enumerate().map(|(at, border)| (at + 1, at + 1 - border))
}

/// The failure function: the longest proper prefix of each prefix that is also its suffix.
fn borders<T: Eq>(items: &[T]) -> Vec<usize> {
    let mut borders = vec![0; items.len()];
    let mut matched = 0;
    for at in 1..items.len() {
        while matched > 0 && items[at] != items[matched] {
            matched = borders[matched - 1];
        }
        matched += usize::from(items[at] == items[matched]);
        borders[at] = matched;
    }
    borders
}
