//! Capabilities that a prompt calls for, by its wording: code, reasoning, vision.
//!
//! Phrases are found by one Aho-Corasick automaton, leftmost and longest, so that an idiom swallows the cue inside it
//! ("code of conduct", "picture this"); shapes that no phrase catches (a call, a formula, an image link) by a few
//! regular expressions.  Each cue has a weight, set by hand, and those of one capability add up like independent
//! evidence, `1 - (1 - a)(1 - b)…`; a cue counts once however often it is said.
//!
//! This costs microseconds and knows topics only by their words.  Where own traffic is labelled, a learned head over
//! hashed features is better; this is what a router starts with.
mod lexicon;

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, Input, MatchKind};
use regex::Regex;

use crate::pieces::{head, tail};
use lexicon::{Of, PHRASES, SHAPES};

/// Bytes that are looked at from each end of a prompt: what is asked stands first or last.
const SEEN: usize = 8 << 10;
/// What a capability needs to be called for.
pub const CLEAR: f64 = 0.5;

/// How strongly a prompt calls for each specialist, `[0, 1]`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cues {
    /// Writing, reading or repairing programs.
    pub code: f64,
    /// Proofs, calculations, puzzles, plans.
    pub reasoning: f64,
    /// A picture that comes with the prompt.
    pub vision: f64,
}

impl Cues {
    /// The tag of the clear winner; empty, for the generalist, where there is none.
    ///
    /// Nothing is clear below [`CLEAR`], nor where the two strongest are within `ambiguous` of each other.
    pub fn tags(&self, ambiguous: f64) -> Vec<&'static str> {
        let mut ranked = [(self.code, "code"), (self.reasoning, "reasoning"), (self.vision, "vision")];
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
        let [(best, tag), (next, _), _] = ranked;
        if best >= CLEAR && best - next > ambiguous { vec![tag] } else { Vec::new() }
    }

    fn add(&mut self, cue: &Cue) {
        let score = match cue.of {
            Of::Code => &mut self.code,
            Of::Reasoning => &mut self.reasoning,
            Of::Vision => &mut self.vision,
            Of::Nothing => return,
        };
        *score = 1.0 - (1.0 - *score) * (1.0 - cue.weight);
    }
}

/// What a prompt calls for.
///
/// ```
/// use waypost_text::cues::find;
///
/// assert_eq!(find("Why does this Python function raise a TypeError?").tags(0.15), ["code"]);
/// assert!(find("Summarise our code of conduct.").tags(0.15).is_empty());
/// ```
pub fn find(text: &str) -> Cues {
    let mut cues = Cues::default();
    let (start, rest) = text.split_at(head(text, SEEN).len());
    let mut seen = vec![false; LEXICON.cues.len()];
    for part in [start, tail(rest, SEEN)] {
        LEXICON.mark(part, &mut seen);
    }
    seen.iter().zip(&LEXICON.cues).filter(|(seen, _)| **seen).for_each(|(_, cue)| cues.add(cue));
    cues
}

struct Cue {
    of: Of,
    weight: f64,
}

/// Phrases and shapes; the cues of the phrases come first.
struct Lexicon {
    phrases: AhoCorasick,
    shapes: Vec<Regex>,
    cues: Vec<Cue>,
}

static LEXICON: LazyLock<Lexicon> = LazyLock::new(|| {
    let phrases =
        || PHRASES.iter().flat_map(|(of, weight, list)| list.split('|').map(move |text| (*of, *weight, text)));
    let cue = |(of, weight, _)| Cue { of, weight };
    Lexicon {
        phrases: AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .ascii_case_insensitive(true)
            .build(phrases().map(|(_, _, text)| text))
            .expect("the phrases are constants and a test builds them"),
        shapes: SHAPES
            .iter()
            .map(|(_, _, shape)| Regex::new(shape).expect("a constant that a test compiles"))
            .collect(),
        cues: phrases().map(cue).chain(SHAPES.iter().map(|shape| cue(*shape))).collect(),
    }
});

impl Lexicon {
    fn mark(&self, text: &str, seen: &mut [bool]) {
        let mut idioms = Vec::new();
        let mut from = 0;
        while let Some(found) = self.phrases.find(Input::new(text).range(from..)) {
            let whole = is_whole(text, found.range());
            // The next phrase may begin inside one that turned out to be part of a word: "in java" in "in javascript".
            from = if whole { found.end() } else { found.start() + 1 };
            if whole {
                let cue = found.pattern().as_usize();
                seen[cue] = true;
                idioms.extend(matches!(self.cues[cue].of, Of::Nothing).then_some(found.range()));
            }
        }
        let first = self.cues.len() - self.shapes.len();
        let apart = |a: &Range<usize>, b: &Range<usize>| a.end <= b.start || b.end <= a.start;
        for (shape, seen) in self.shapes.iter().zip(&mut seen[first..]) {
            let mut matches = shape.find_iter(text).map(|found| found.range());
            *seen = *seen || matches.any(|found| idioms.iter().all(|idiom| apart(&found, idiom)));
        }
    }
}

/// Whether a match is neither preceded nor followed by more of a word.
fn is_whole(text: &str, Range { start, end }: Range<usize>) -> bool {
    let bytes = text.as_bytes();
    let inside = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_alphanumeric);
    let cuts = |at: usize| at > 0 && inside(at - 1) && inside(at);
    !cuts(start) && !cuts(end)
}
