//! Text as words with one space before, between and after them: the shape that makes every n-gram a slice.
//!
//! Lowercase, letters and digits stay together, every other visible character is a word of its own (`?` and an emoji
//! carry meaning), white space and control characters separate.  No normalisation form is applied, so the two
//! spellings of `é` stay two: composing costs more than all hashing together.  Character classes are those of Rust's
//! standard library; characters assigned by a later Unicode may change class with the compiler.

/// The folded text: empty, or ` one two … `.
pub(crate) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len() + 2);
    for character in text.chars() {
        match class(character) {
            Class::Word => push_lowercase(&mut folded, character),
            Class::Symbol => push_symbol(&mut folded, character),
            Class::Gap => end_word(&mut folded),
        }
    }
    end_word(&mut folded);
    folded
}

/// The words of a folded text as byte ranges; the bytes around each are spaces.
pub(crate) fn words(folded: &str) -> impl Iterator<Item = (usize, usize)> {
    let mut start = 1;
    let spaces = folded.bytes().enumerate().skip(1).filter(|(_, byte)| *byte == b' ');
    spaces.map(move |(end, _)| (std::mem::replace(&mut start, end + 1), end))
}

enum Class {
    Word,
    Symbol,
    Gap,
}

fn class(character: char) -> Class {
    if character.is_alphanumeric() {
        Class::Word
    } else if character.is_whitespace() || character.is_control() {
        Class::Gap
    } else {
        Class::Symbol
    }
}

fn push_lowercase(folded: &mut String, character: char) {
    start_text(folded);
    if character.is_ascii() {
        folded.push(character.to_ascii_lowercase());
    } else {
        folded.extend(character.to_lowercase());
    }
}

fn push_symbol(folded: &mut String, character: char) {
    start_text(folded);
    end_word(folded);
    folded.push(character);
    folded.push(' ');
}

fn start_text(folded: &mut String) {
    if folded.is_empty() {
        folded.push(' ');
    }
}

fn end_word(folded: &mut String) {
    if !folded.is_empty() && !folded.ends_with(' ') {
        folded.push(' ');
    }
}
