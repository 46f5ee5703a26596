//! A text as pieces that keep their place: words, ideographs and symbols, without white space.
//!
//! Unlike [`crate::fold`] this allocates nothing and leaves capitals as they are, which those need who compare texts
//! piece by piece rather than hash them.

/// A run of letters and digits, one ideograph, or one symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    pub(crate) text: &'a str,
    /// Its first byte.
    pub(crate) start: usize,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Letters and digits of a script that separates words.
    Word,
    /// One character of a script that does not.
    Ideograph,
    Symbol,
}

impl Piece<'_> {
    pub(crate) fn end(&self) -> usize {
        self.start + self.text.len()
    }

    pub(crate) fn is_word(&self) -> bool {
        self.kind != Kind::Symbol
    }
}

/// The pieces of a text in order.
pub(crate) fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let rest = &text[from..];
        let (skipped, first) = rest.char_indices().find(|(_, character)| !is_gap(*character))?;
        let kind = kind(first);
        let start = from + skipped;
        let length = if kind == Kind::Word { word_length(&text[start..]) } else { first.len_utf8() };
        from = start + length;
        Some(Piece { text: &text[start..from], start, kind })
    })
}

/// The words of a text as they are written, an ideograph being one.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    pieces(text).filter(Piece::is_word).map(|piece| piece.text)
}

/// The words of a text in lower case, an ideograph being one.
pub(crate) fn lower_words(text: &str) -> Vec<String> {
    words(text).map(str::to_lowercase).collect()
}

/// The first `bytes` of a text, less a character that would be cut.
pub(crate) fn head(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or(0)]
}

/// The last `bytes` of a text, less a character that would be cut.
pub(crate) fn tail(text: &str, bytes: usize) -> &str {
    let start = (text.len().saturating_sub(bytes)..=text.len()).find(|at| text.is_char_boundary(*at));
    &text[start.unwrap_or(0)..]
}

fn kind(character: char) -> Kind {
    if is_ideograph(character) {
        Kind::Ideograph
    } else if character.is_alphanumeric() {
        Kind::Word
    } else {
        Kind::Symbol
    }
}

fn word_length(rest: &str) -> usize {
    rest.char_indices().find(|(_, character)| kind(*character) != Kind::Word).map_or(rest.len(), |(at, _)| at)
}

fn is_gap(character: char) -> bool {
    character.is_whitespace() || character.is_control()
}

/// Scripts without spaces: kana, Han, and Thai to Khmer.
pub(crate) fn is_ideograph(character: char) -> bool {
    matches!(character, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}'
        | '\u{e00}'..='\u{eff}' | '\u{1780}'..='\u{17ff}' | '\u{20000}'..='\u{2fa1f}')
}
