//! What stands beside a find: the edges of words, and words that say what a number is.

/// Bytes before a number in which a word may say what it is.
const WINDOW: usize = 28;

/// Whether a word may begin at `at`: what stands before is no part of it.  An escape of JSON (`\n`) is none.
pub fn begins(text: &str, at: usize) -> bool {
    let before = &text[..at];
    if before.ends_with("\\n") || before.ends_with("\\r") || before.ends_with("\\t") {
        return true;
    }
    !before.chars().next_back().is_some_and(is_inner)
}

/// Whether a word may end at `at`.
pub fn ends(text: &str, at: usize) -> bool {
    !text[at..].chars().next().is_some_and(is_inner)
}

fn is_inner(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Whether any of `words` (lower-case) stands shortly before `at`.
pub fn precede(text: &str, at: usize, words: &[&str]) -> bool {
    let mut from = at.saturating_sub(WINDOW);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let near = &text[from..at];
    near.split(|character: char| !character.is_alphabetic())
        .filter(|word| !word.is_empty())
        .any(|word| words.iter().any(|wanted| word.eq_ignore_ascii_case(wanted)))
}
