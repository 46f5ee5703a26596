//! Whether two prompts may share an answer: the lexical guard of the semantic cache.
//!
//! Encoders place a question next to its negation (MiniLM scores opposites .87 to .997), so closeness alone must not
//! serve a stored answer.  This guard reads words instead: two prompts may share only if every word an answer hangs on
//! is in both, by stem or by one of a few groups of synonyms, in the same part; and if the small words agree too, on
//! denial, tense, kind of question, numbers and direction.  Anything it does not understand counts as a word, so that
//! unknown languages, names and jargon err towards a miss.
//!
//! A miss costs one call, a false hit a wrong answer; so many paraphrases are missed on purpose.  It is meant after an
//! encoder's threshold and does not replace it: two different senses of the same words pass here.
mod lexicon;
mod prompt;

use std::collections::HashMap;

use lexicon::{Marker, are_opposite};
use prompt::{Prompt, Unit};

use crate::pieces::{is_ideograph, pieces};

/// Bytes from which on prompts are shared only with themselves: in long ones a word is lost to any reader.
pub const LONGEST: usize = 8 << 10;
/// One prompt may have so many times the words of the other, and a few more.
const RATIO: usize = 3;
const SLACK: usize = 8;
/// With more words unmatched, it does not matter which.
const FEW: usize = 12;
/// Characters that make wording literal.
const LITERAL: &[char] = &['`', '{', '}', '[', ']', ';', '\\', '=', '<', '>', '|', '@', '_', '"', '“', '«'];

/// Why two prompts may not share an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Difference {
    /// One says much more than the other, or both are too long to compare.
    Length,
    /// They are written in different scripts.
    Script,
    /// Code, quoted text or identifiers differ.
    Verbatim,
    /// Numbers, units or dates differ.
    Numbers,
    /// One denies, reverses or weakens what the other says.
    Polarity,
    /// They ask about different times.
    Time,
    /// They ask another kind of question.
    Question,
    /// They are about different names.
    Names,
    /// Other words differ.
    Words,
    /// One asks for more: a language, a length, an audience.
    Constraint,
    /// The same words in other parts: from Paris to Rome, from Rome to Paris.
    Order,
}

impl Difference {
    /// Its name in events and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::Script => "script",
            Self::Verbatim => "verbatim",
            Self::Numbers => "numbers",
            Self::Polarity => "polarity",
            Self::Time => "time",
            Self::Question => "question",
            Self::Names => "names",
            Self::Words => "words",
            Self::Constraint => "constraint",
            Self::Order => "order",
        }
    }
}

/// Whether an answer to one prompt may be given to the other.
///
/// ```
/// use waypost_text::alike::{Difference, may_share};
///
/// assert_eq!(may_share("How do I reset my password?", "how can I reset the password please"), Ok(()));
/// assert_eq!(may_share("Is aspirin safe for dogs?", "Is aspirin not safe for dogs?"), Err(Difference::Polarity));
/// ```
pub fn may_share(a: &str, b: &str) -> Result<(), Difference> {
    let (a, b) = (a.trim(), b.trim());
    if a == b {
        return Ok(());
    }
    compare_outside(a, b)?;
    let (a, b) = (Prompt::of(a), Prompt::of(b));
    compare_small_words(&a, &b)?;
    compare_units(&a.units, &b.units)?;
    compare_order(&a.units, &b.units)
}

fn differ(difference: Difference, differs: bool) -> Result<(), Difference> {
    if differs { Err(difference) } else { Ok(()) }
}

/// What shows without reading.
fn compare_outside(a: &str, b: &str) -> Result<(), Difference> {
    differ(Difference::Length, a.len().max(b.len()) > LONGEST)?;
    differ(Difference::Script, script(a) != script(b))?;
    let words = |text| pieces(text).filter(|piece| piece.is_word()).count();
    let (words_a, words_b) = (words(a), words(b));
    let (few, many) = (words_a.min(words_b), words_a.max(words_b));
    differ(Difference::Length, many > RATIO * few + SLACK)?;
    differ(Difference::Verbatim, (a.contains(LITERAL) || b.contains(LITERAL)) && !reads_same(a, b))
}

fn reads_same(a: &str, b: &str) -> bool {
    pieces(a).map(|piece| piece.text).eq(pieces(b).map(|piece| piece.text))
}

/// Ideographs, ASCII letters, or other letters, whichever come first among the latter two.
fn script(text: &str) -> u8 {
    let letters = || text.chars().filter(|character| character.is_alphabetic());
    let ascii = letters().filter(char::is_ascii).count();
    if letters().any(is_ideograph) { 2 } else { u8::from(2 * ascii < letters().count()) }
}

fn compare_small_words(a: &Prompt, b: &Prompt) -> Result<(), Difference> {
    differ(Difference::Numbers, sorted(&a.numbers) != sorted(&b.numbers))?;
    differ(Difference::Order, a.numbers != b.numbers)?;
    differ(Difference::Polarity, !deny_the_same(a, b))?;
    differ(Difference::Polarity, a.either != b.either)?;
    differ(Difference::Names, !may_be_the_same_persons(a, b))?;
    differ(Difference::Question, a.questions != b.questions)?;
    differ(Difference::Time, a.tense != b.tense)
}

/// Who asks may be left out ("reset my password"), who is asked may not.
fn may_be_the_same_persons(a: &Prompt, b: &Prompt) -> bool {
    let left_out = a.persons.is_empty() || b.persons.is_empty();
    let asked = |prompt: &Prompt| prompt.persons.contains(&"asked");
    a.persons == b.persons || left_out && !asked(a) && !asked(b)
}

fn deny_the_same(a: &Prompt, b: &Prompt) -> bool {
    let question = a.asked > 0 || !a.questions.is_empty();
    let mut pairs = a.negations.iter().zip(&b.negations);
    a.negations.len() == b.negations.len() && pairs.all(|(one, other)| one.agrees(*other, question))
}

fn sorted<T: Ord + Clone>(items: &[T]) -> Vec<T> {
    let mut items = items.to_vec();
    items.sort_unstable();
    items
}

/// Whether both have the same words.
fn compare_units(a: &[Unit], b: &[Unit]) -> Result<(), Difference> {
    let (only_a, only_b) = (missing(a, b), missing(b, a));
    let unmatched = || only_a.iter().chain(&only_b);
    if unmatched().next().is_none() {
        return Ok(());
    }
    differ(Difference::Words, only_a.len().max(only_b.len()) > FEW)?;
    let opposite = only_a.iter().any(|one| only_b.iter().any(|other| are_opposite(&one.key, &other.key)));
    differ(Difference::Polarity, opposite)?;
    differ(Difference::Time, unmatched().any(|unit| unit.time))?;
    differ(Difference::Constraint, only_a.is_empty() || only_b.is_empty())?;
    Err(if unmatched().any(|unit| unit.name) { Difference::Names } else { Difference::Words })
}

/// The units of `a` that `b` lacks, each as often as it lacks it.
fn missing<'a>(a: &'a [Unit], b: &[Unit]) -> Vec<&'a Unit> {
    let mut left: HashMap<&str, usize> = HashMap::new();
    b.iter().for_each(|unit| *left.entry(&unit.key).or_default() += 1);
    let taken = |unit: &&Unit| match left.get_mut(unit.key.as_str()) {
        Some(count) if *count > 0 => {
            *count -= 1;
            false
        }
        _ => true,
    };
    a.iter().filter(taken).collect()
}

/// Whether the words take the same parts: all in one order and marked alike, or some that are marked have moved.
fn compare_order(a: &[Unit], b: &[Unit]) -> Result<(), Difference> {
    let in_place = a.iter().zip(b).all(|(one, other)| one.key == other.key && one.marker.agrees(other.marker));
    let parts = |units: &[Unit]| sorted(&units.iter().map(|unit| (unit.marker, unit.key.clone())).collect::<Vec<_>>());
    let bare = |units: &[Unit]| {
        let bare = units.iter().filter(|unit| unit.marker == Marker::Bare);
        bare.map(|unit| unit.key.clone()).collect::<Vec<_>>()
    };
    let moved = || parts(a) == parts(b) && bare(a) == bare(b);
    differ(Difference::Order, !in_place && !moved())?;
    let pasts = |units: &[Unit]| units.iter().filter(|unit| unit.past).count();
    differ(Difference::Time, pasts(a) != pasts(b))
}
