//! Text to token ids, with a limit that is never silent.
//!
//! Published `tokenizer.json` files carry padding and truncation of their own, often to 128 tokens, and then pad every
//! short text sevenfold and cut every long one unnoticed.  Both are switched off here: the batcher pads, and the
//! caller says what happens to a text over the limit.
//!
//! Special tokens are learnt once, by letting the file's own post-processor frame two marker ids, and then laid around
//! the ids directly.  That keeps `[CLS] … [SEP]` right when the end is cut.
//!
//! Cutting a long text costs no more than its beginning where that is provably the same: where every step splits at
//! white space whatever follows (BERT's do), a text that ends before white space has the first tokens of the whole.
use std::path::Path;

use tokenizers::{Encoding as Tokens, NormalizerWrapper, PreTokenizerWrapper, Token};

use crate::wordpiece::WordPiece;

/// What happens to a text with more tokens than the model reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truncation {
    /// It is an error.
    Refuse,
    /// Its end is left out.
    End,
}

/// Token ids of one text or one pair, special tokens included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoding {
    /// Token ids.
    pub ids: Vec<u32>,
    /// For every id, which of the two texts it belongs to, as the model counts them.
    pub type_ids: Vec<u32>,
    /// Whether something was left out.
    pub truncated: bool,
}

/// Why a tokenizer could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file is missing, unreadable or no `tokenizer.json`.
    #[error("cannot load the tokenizer {path}: {why}")]
    File {
        /// The file.
        path: String,
        /// What the parser says.
        why: String,
    },
    /// The limit leaves no room for text.
    #[error("max_tokens is {max_tokens}, but the special tokens alone are {special}")]
    NoRoom {
        /// The limit asked for.
        max_tokens: usize,
        /// Special tokens around a pair.
        special: usize,
    },
}

/// Why a text could not be encoded.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// More tokens than the model reads, and [`Truncation::Refuse`].
    #[error("{tokens} tokens, the model reads {limit}: shorten the text or ask for truncation")]
    TooLong {
        /// Tokens of the text, special ones included.
        tokens: usize,
        /// The limit.
        limit: usize,
    },
    /// The tokenizer's own error, such as a word without an id and no id for the unknown.
    #[error("the tokenizer fails on this text: {0}")]
    Model(String),
}

/// A tokenizer with a limit; shared between threads by reference.
#[derive(Debug)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    plain: Option<WordPiece>,
    max_tokens: usize,
    single: Frame,
    pair: Frame,
    splits_at_space: bool,
}

impl Tokenizer {
    /// Reads a `tokenizer.json`.  `max_tokens` is what the model reads, special tokens included.
    pub fn load(path: impl AsRef<Path>, max_tokens: usize) -> Result<Self, LoadError> {
        let path = path.as_ref();
        let broken = |why: String| LoadError::File { path: path.display().to_string(), why };
        let mut inner = tokenizers::Tokenizer::from_file(path).map_err(|error| broken(error.to_string()))?;
        inner.with_padding(None);
        inner.with_truncation(None).map_err(|error| broken(error.to_string()))?;
        let frames = Frame::single(&inner).and_then(|single| Ok((single, Frame::pair(&inner)?)));
        let (single, pair) = frames.map_err(|error| broken(error.to_string()))?;
        let special = single.special().max(pair.special());
        if special >= max_tokens {
            return Err(LoadError::NoRoom { max_tokens, special });
        }
        let splits_at_space = splits_at_space(&inner);
        Ok(Self { plain: WordPiece::of(&inner), inner, max_tokens, single, pair, splits_at_space })
    }

    /// The most tokens an encoding has, special ones included.
    pub fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// Encodes one text.
    pub fn encode(&self, text: &str, truncation: Truncation) -> Result<Encoding, EncodeError> {
        let room = self.max_tokens - self.single.special();
        let ids = self.ids_to_fill(text, room, truncation)?;
        self.check(ids.len() + self.single.special(), truncation)?;
        Ok(self.single.fill(cut(&ids, room), &[], ids.len() > room))
    }

    /// Encodes a query and a document together, for a cross-encoder.
    ///
    /// Over the limit the longer of the two is cut: the document in practice, the query only beyond half the room.
    pub fn encode_pair(&self, query: &str, document: &str, truncation: Truncation) -> Result<Encoding, EncodeError> {
        let room = self.max_tokens - self.pair.special();
        let query = self.ids_to_fill(query, room, truncation)?;
        let document = self.ids_to_fill(document, room, truncation)?;
        let total = query.len() + document.len();
        self.check(total + self.pair.special(), truncation)?;
        let kept = cut(&query, room.saturating_sub(document.len()).max(room / 2));
        Ok(self.pair.fill(kept, cut(&document, room - kept.len()), total > room))
    }

    /// Tokens of a text, special ones included, whatever the limit.
    pub fn count(&self, text: &str) -> Result<usize, EncodeError> {
        Ok(self.ids(text)?.len() + self.single.special())
    }

    fn check(&self, tokens: usize, truncation: Truncation) -> Result<(), EncodeError> {
        if truncation == Truncation::Refuse && tokens > self.max_tokens {
            return Err(EncodeError::TooLong { tokens, limit: self.max_tokens });
        }
        Ok(())
    }

    // All ids, or more than `room` of them where the rest is going to be cut anyway.
    fn ids_to_fill(&self, text: &str, room: usize, truncation: Truncation) -> Result<Vec<u32>, EncodeError> {
        let mut bytes = room * GENEROUS_BYTES_PER_TOKEN;
        while truncation == Truncation::End && self.splits_at_space && bytes < text.len() {
            let ids = self.ids(before_space(text, bytes))?;
            if ids.len() > room {
                return Ok(ids);
            }
            bytes *= 4;
        }
        self.ids(text)
    }

    fn ids(&self, text: &str) -> Result<Vec<u32>, EncodeError> {
        if let Some(ids) = self.plain.as_ref().and_then(|plain| plain.ids(text)) {
            return Ok(ids);
        }
        let tokens = self.inner.encode_fast(text, false).map_err(|error| EncodeError::Model(error.to_string()))?;
        Ok(tokens.get_ids().to_vec())
    }
}

const GENEROUS_BYTES_PER_TOKEN: usize = 8;

fn splits_at_space(tokenizer: &tokenizers::Tokenizer) -> bool {
    let normalizer = tokenizer.get_normalizer();
    let added = tokenizer.get_added_tokens_decoder();
    matches!(normalizer, None | Some(NormalizerWrapper::BertNormalizer(_)))
        && matches!(tokenizer.get_pre_tokenizer(), Some(PreTokenizerWrapper::BertPreTokenizer(_)))
        && !added.values().any(|token| token.content.contains(char::is_whitespace))
}

// The longest beginning of at most `bytes` that ends right before ASCII white space; empty where there is none.
fn before_space(text: &str, bytes: usize) -> &str {
    let end = text.as_bytes()[..=bytes].iter().rposition(u8::is_ascii_whitespace);
    &text[..end.unwrap_or(0)]
}

fn cut(ids: &[u32], room: usize) -> &[u32] {
    &ids[..ids.len().min(room)]
}

/// What the post-processor lays around one text or two.
#[derive(Debug)]
struct Frame(Vec<Slot>);

#[derive(Debug)]
struct Slot {
    id: u32,
    type_id: u32,
}

// No vocabulary reaches these ids.
const FIRST: u32 = u32::MAX;
const SECOND: u32 = u32::MAX - 1;

impl Frame {
    fn single(tokenizer: &tokenizers::Tokenizer) -> tokenizers::Result<Self> {
        Ok(Self::of(tokenizer.post_process(marker(FIRST, 0), None, true)?))
    }

    fn pair(tokenizer: &tokenizers::Tokenizer) -> tokenizers::Result<Self> {
        Ok(Self::of(tokenizer.post_process(marker(FIRST, 0), Some(marker(SECOND, 1)), true)?))
    }

    fn of(tokens: Tokens) -> Self {
        let slots = tokens.get_ids().iter().zip(tokens.get_type_ids());
        Self(slots.map(|(&id, &type_id)| Slot { id, type_id }).collect())
    }

    fn special(&self) -> usize {
        self.0.iter().filter(|slot| slot.id != FIRST && slot.id != SECOND).count()
    }

    fn fill(&self, first: &[u32], second: &[u32], truncated: bool) -> Encoding {
        let length = self.special() + first.len() + second.len();
        let (mut ids, mut type_ids) = (Vec::with_capacity(length), Vec::with_capacity(length));
        for slot in &self.0 {
            ids.extend_from_slice(match slot.id {
                FIRST => first,
                SECOND => second,
                _ => std::slice::from_ref(&slot.id),
            });
            type_ids.resize(ids.len(), slot.type_id);
        }
        Encoding { ids, type_ids, truncated }
    }
}

fn marker(id: u32, type_id: u32) -> Tokens {
    Tokens::from_tokens(vec![Token::new(id, String::new(), (0, 0))], type_id)
}
