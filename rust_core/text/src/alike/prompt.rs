//! A prompt taken apart: the words an answer hangs on, how each takes part, and what the small words say.
use super::lexicon::{Marker, OPENINGS, entry, key, phrases};
use crate::pieces::{Kind, Piece, pieces};

/// A prompt, ready to be compared.
#[derive(Debug, Default)]
pub(super) struct Prompt {
    /// The words that count, in order.
    pub(super) units: Vec<Unit>,
    /// Numbers and ordinals in order, `1,000` as `1000`, `two` as `2`.
    pub(super) numbers: Vec<String>,
    /// Its denials in order.
    pub(super) negations: Vec<Negation>,
    pub(super) tense: Tense,
    /// Who, when, where, why, how, as often as they are asked; "whether" for yes or no.
    pub(super) questions: Vec<&'static str>,
    /// How many question words there are.
    pub(super) asked: usize,
    /// Whether it leaves a choice.
    pub(super) either: bool,
    /// Whom it speaks of, each once: who asks, who is asked.
    pub(super) persons: Vec<&'static str>,
}

/// A denial, by where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Negation {
    /// Question words before it: "is not who has" and "is who has not" are opposites.
    asked: usize,
    /// Words that count before it.
    units: usize,
}

impl Negation {
    /// Whether both deny the same.  At the head of a question it denies the whole, wherever the subject stands.
    pub(super) fn agrees(self, other: Self, question: bool) -> bool {
        let heads = question && (self.units == 0 || other.units == 0);
        self.asked == other.asked && (self.units == other.units || heads)
    }
}

/// A word that counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) key: String,
    pub(super) marker: Marker,
    /// Written with a capital inside a sentence.
    pub(super) name: bool,
    /// Names a day, a month or the like.
    pub(super) time: bool,
    /// Ends in -ed, which its key does not show.
    pub(super) past: bool,
}

/// Which times it speaks of; the present goes without saying.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tense {
    past: bool,
    future: bool,
}

/// A word of the text, contractions resolved.
#[derive(Clone, Debug)]
struct Token {
    word: String,
    capital: bool,
}

const POSSESSIVE: &str = "'s";

impl Prompt {
    pub(super) fn of(text: &str) -> Self {
        let tokens = without_opening(joined(tokens(text)));
        let mut prompt = Self { questions: whether(&tokens), ..Self::default() };
        let mut pending = Pending::default();
        for token in &tokens {
            prompt.take(token, &mut pending);
        }
        prompt.questions.sort_unstable();
        pending.end(&mut prompt.units);
        prompt
    }

    fn take(&mut self, token: &Token, pending: &mut Pending) {
        let entry = entry(&token.word);
        self.note(&token.word);
        if entry.negation {
            self.negations.push(Negation { asked: self.asked, units: self.units.len() });
        }
        if token.word == POSSESSIVE {
            pending.possess(&mut self.units);
        } else if let Some(number) = entry.number.map(str::to_owned).or_else(|| number(&token.word)) {
            pending.push(&mut self.units, Unit { key: format!("#{number}"), ..Unit::default() });
            self.numbers.push(number);
        } else if let Some(marker) = entry.marker {
            pending.mark(&mut self.units, marker, &token.word);
        } else if entry.dropped {
            pending.gap();
        } else {
            let unit = Unit { key: key(&token.word), name: token.capital, time: entry.time, ..Unit::default() };
            let unit = Unit { past: token.word.ends_with("ed"), ..unit };
            pending.push(&mut self.units, unit);
        }
    }

    fn note(&mut self, word: &str) {
        self.asked += usize::from(is_question(word));
        self.questions.extend(question(word));
        self.either |= word == "or";
        self.persons.extend(person(word).filter(|person| self.persons.last() != Some(person)));
        self.tense.past |= matches!(word, "was" | "were" | "did" | "had");
        self.tense.future |= matches!(word, "will" | "shall");
    }
}

/// What is known of the unit to come.
#[derive(Default)]
struct Pending {
    marker: Option<(Marker, String)>,
    /// The marker of the name that is being read.
    name: Option<Marker>,
    owner: Vec<Unit>,
}

impl Pending {
    fn push(&mut self, units: &mut Vec<Unit>, unit: Unit) {
        let inherited = self.name.filter(|marker| unit.name && matches!(marker, Marker::About(_)));
        let marker = self.marker.take().map(|(marker, _)| marker).or(inherited).unwrap_or_default();
        self.name = unit.name.then_some(marker);
        units.push(Unit { marker, ..unit });
        // "France's capital" is the capital of France.
        units.append(&mut self.owner);
    }

    fn mark(&mut self, units: &mut Vec<Unit>, marker: Marker, word: &str) {
        self.end(units);
        self.marker = Some((marker, word.to_owned()));
    }

    fn gap(&mut self) {
        self.name = None;
    }

    fn possess(&mut self, units: &mut Vec<Unit>) {
        self.name = None;
        let whole = units.iter().rev().take_while(|unit| unit.name).count().max(1).min(units.len());
        let owner = units.drain(units.len() - whole..);
        self.owner.extend(owner.map(|unit| Unit { marker: Marker::About("of"), ..unit }));
    }

    /// A marker with nothing to mark is a word: "turn it on".  That of an infinitive says nothing.
    fn end(&mut self, units: &mut Vec<Unit>) {
        self.name = None;
        units.append(&mut self.owner);
        if let Some((marker, word)) = self.marker.take().filter(|(marker, _)| *marker != Marker::To) {
            units.push(Unit { key: word, marker, ..Unit::default() });
        }
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let pieces: Vec<Piece> = pieces(text).collect();
    let shouted = !text.chars().any(char::is_lowercase);
    let mut tokens: Vec<Token> = Vec::with_capacity(pieces.len());
    let (mut begins, mut at) = (true, 0);
    while let Some(piece) = pieces.get(at) {
        at += 1;
        let attached = at >= 2 && pieces[at - 2].end() == piece.start;
        match (piece.kind, tokens.last_mut()) {
            (Kind::Symbol, Some(last)) if is_apostrophe(piece.text) && attached => {
                let suffix = pieces.get(at).filter(|next| next.start == piece.end()).map(|next| next.text);
                let Some(parts) = suffix.and_then(|suffix| contracted(&last.word, &suffix.to_lowercase())) else {
                    continue;
                };
                (last.word, at) = (parts.0, at + 1);
                tokens.push(Token { word: parts.1.to_owned(), capital: false });
            }
            (Kind::Symbol, Some(last)) if joins_number(piece, &pieces, at, &last.word) => {
                last.word.extend(piece.text.chars().filter(|symbol| *symbol == '.'));
                last.word.push_str(pieces[at].text);
                at += 1;
            }
            (Kind::Symbol, _) if is_minus(piece, attached, pieces.get(at)) => {
                tokens.push(Token { word: "minus".to_owned(), capital: false });
            }
            (Kind::Symbol, _) => {
                begins |= matches!(piece.text, "." | "?" | "!" | ":");
                tokens.extend(symbol(piece.text).map(|word| Token { word, capital: false }));
            }
            _ => {
                push_word(&mut tokens, piece, !begins && !shouted);
                begins = false;
            }
        }
    }
    tokens
}

fn push_word(tokens: &mut Vec<Token>, piece: &Piece, may_be_name: bool) {
    let word = piece.text.to_lowercase();
    let acronym = piece.text != "I" && piece.text.bytes().all(|byte| byte.is_ascii_uppercase());
    let capital = may_be_name && piece.text.starts_with(char::is_uppercase);
    let token = |word: &str| Token { word: word.to_owned(), capital };
    if let Some(parts) = entry(&word).contraction {
        tokens.extend(parts.iter().map(|part| token(part)));
    } else if acronym && may_be_name && (entry(&word).dropped || entry(&word).marker.is_some()) {
        // US, IT, WHO, and A beside B
        tokens.push(token(piece.text));
    } else if let Some((number, unit)) = measured(&word) {
        tokens.extend([token(number), token(unit)]);
    } else {
        tokens.push(token(&word));
    }
}

/// `5km` as `5` and `km`; ordinals stay whole.
fn measured(word: &str) -> Option<(&str, &str)> {
    let digits = word.bytes().take_while(u8::is_ascii_digit).count();
    let unit = &word[digits..];
    let plain = digits > 0 && !unit.is_empty() && unit.chars().all(char::is_alphabetic);
    (plain && !matches!(unit, "st" | "nd" | "rd" | "th")).then(|| word.split_at(digits))
}

fn joins_number(symbol: &Piece, pieces: &[Piece], next: usize, before: &str) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let Some(after) = pieces.get(next).filter(|next| next.start == symbol.end() && digits(next.text)) else {
        return false;
    };
    let ended = next >= 2 && pieces[next - 2].end() == symbol.start;
    ended
        && before.starts_with(|first: char| first.is_ascii_digit())
        && match symbol.text {
            "." => digits(before),
            "," => after.text.len() == 3,
            _ => false,
        }
}

fn number(word: &str) -> Option<String> {
    if !word.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    // Zeros at the end stay: version 3.10 is not 3.1.
    let plain = word.trim_start_matches('0');
    Some(if plain.is_empty() { "0" } else { plain }.to_owned())
}

/// Symbols that say something; dashes and brackets do not.
fn symbol(text: &str) -> Option<String> {
    match text {
        "&" => Some("and".to_owned()),
        "%" | "$" | "€" | "£" | "°" | "+" | "*" | "/" | "=" | "^" | "#" | "@" | "√" | "×" | "÷" | "≤" | "≥" | "≠" => {
            Some(text.to_owned())
        }
        "-" | "–" | "—" | "," | ";" | "." | "?" | "!" | ":" | "(" | ")" | "\"" | "…" | "_" => None,
        _ if is_apostrophe(text) || "“”„«»".contains(text) => None,
        _ => Some(text.to_owned()),
    }
}

fn is_minus(symbol: &Piece, attached: bool, next: Option<&Piece>) -> bool {
    let before_digit = next.is_some_and(|next| next.text.starts_with(|first: char| first.is_ascii_digit()));
    matches!(symbol.text, "-" | "\u{2212}") && !attached && before_digit
}

fn is_apostrophe(text: &str) -> bool {
    matches!(text, "'" | "’" | "‘" | "ʼ")
}

fn contracted(word: &str, suffix: &str) -> Option<(String, &'static str)> {
    let part = match suffix {
        "t" => return word.strip_suffix('n').map(|base| (uncontracted(base), "not")),
        "s" if is_subject(word) => "is",
        "s" => POSSESSIVE,
        "re" => "are",
        "ve" => "have",
        "ll" => "will",
        "d" => "would",
        "m" => "am",
        _ => return None,
    };
    Some((word.to_owned(), part))
}

fn uncontracted(base: &str) -> String {
    match base {
        "ca" => "can",
        "wo" => "will",
        "sha" => "shall",
        _ => base,
    }
    .to_owned()
}

fn is_subject(word: &str) -> bool {
    matches!(
        word,
        "what" | "who" | "where" | "when" | "why" | "how" | "it" | "that" | "there" | "here" | "he" | "she" | "let"
    )
}

/// Phrases as one word.
fn joined(tokens: Vec<Token>) -> Vec<Token> {
    let mut result = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        let phrase = phrases(&tokens[at].word).find(|(words, _)| starts_with(&tokens[at..], words));
        let (length, word) = phrase.map_or((1, tokens[at].word.as_str()), |(words, one)| (words.len(), *one));
        result.push(Token { word: word.to_owned(), ..tokens[at] });
        at += length;
    }
    result
}

fn starts_with(tokens: &[Token], words: &[&str]) -> bool {
    tokens.len() >= words.len() && tokens.iter().zip(words).all(|(token, word)| token.word == *word)
}

fn without_opening(tokens: Vec<Token>) -> Vec<Token> {
    let mut from = 0;
    while let Some(length) = opening(&tokens[from..]).filter(|length| from + length < tokens.len()) {
        from += length;
    }
    tokens[from..].to_vec()
}

fn opening(tokens: &[Token]) -> Option<usize> {
    let length = |opening: &&str| {
        let count = opening.split(' ').count();
        let same = opening.split(' ').zip(tokens).all(|(word, token)| token.word == word);
        (tokens.len() >= count && same).then_some(count)
    };
    OPENINGS.iter().filter_map(length).max()
}

/// What a question without a question word asks.
fn whether(tokens: &[Token]) -> Vec<&'static str> {
    let asks = tokens.iter().any(|token| is_question(&token.word));
    let inverted = tokens.first().is_some_and(|token| is_auxiliary(&token.word));
    if inverted && !asks { vec!["whether"] } else { Vec::new() }
}

fn is_question(word: &str) -> bool {
    question(word).is_some() || matches!(word, "what" | "which")
}

/// "What" and "which" ask for what a bare noun or an order asks for too.
fn question(word: &str) -> Option<&'static str> {
    match word {
        "who" | "whom" | "whose" => Some("who"),
        "when" => Some("when"),
        "where" => Some("where"),
        "why" => Some("why"),
        "how" => Some("how"),
        _ => None,
    }
}

fn person(word: &str) -> Option<&'static str> {
    match word {
        "i" | "me" | "my" | "mine" | "myself" | "we" | "us" | "our" | "ours" => Some("asking"),
        "you" | "your" | "yours" | "yourself" | "yourselves" => Some("asked"),
        _ => None,
    }
}

fn is_auxiliary(word: &str) -> bool {
    matches!(
        word,
        "is" | "are"
            | "am"
            | "was"
            | "were"
            | "do"
            | "does"
            | "did"
            | "has"
            | "have"
            | "had"
            | "can"
            | "could"
            | "will"
            | "would"
            | "should"
            | "may"
            | "might"
            | "must"
            | "shall"
    )
}
