//! A small WordPiece tokenizer such as BERT's, with the padding and truncation that published files carry.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};

pub const CLS: u32 = 1;
pub const SEP: u32 = 2;
pub const UNK: u32 = 3;

const SPECIAL: [&str; 5] = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]"];
const WORDS: [&str; 8] = ["the", "cat", "sat", "on", "mat", "un", "##believ", "##able"];

/// The vocabulary: special tokens, a few words, and every printable character as a beginning and a continuation
/// except `z`, which stays unknown.
pub fn vocabulary() -> BTreeMap<String, u32> {
    let characters = (33u8..127).map(char::from).chain("éß中".chars()).filter(|character| *character != 'z');
    let (singles, continuations): (Vec<_>, Vec<_>) = characters.map(|c| (c.to_string(), format!("##{c}"))).unzip();
    let words = SPECIAL.into_iter().chain(WORDS).map(str::to_owned);
    words.chain(singles).chain(continuations).zip(0..).collect()
}

pub fn id(piece: &str) -> u32 {
    vocabulary()[piece]
}

pub fn tokenizer_json() -> Value {
    json!({
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0},
        "padding": {
            "strategy": {"Fixed": 8}, "direction": "Right", "pad_to_multiple_of": null,
            "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"
        },
        "added_tokens": SPECIAL.iter().enumerate().map(|(id, content)| json!({
            "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true
        })).collect::<Vec<_>>(),
        "normalizer": {
            "type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": null, "lowercase": true
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [special("[CLS]", 0), sequence("A", 0), special("[SEP]", 0)],
            "pair": [
                special("[CLS]", 0), sequence("A", 0), special("[SEP]", 0), sequence("B", 1), special("[SEP]", 1)
            ],
            "special_tokens": {
                "[CLS]": {"id": "[CLS]", "ids": [CLS], "tokens": ["[CLS]"]},
                "[SEP]": {"id": "[SEP]", "ids": [SEP], "tokens": ["[SEP]"]}
            }
        },
        "decoder": null,
        "model": {
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 20, "vocab": vocabulary()
        }
    })
}

fn special(token: &str, type_id: u32) -> Value {
    json!({"SpecialToken": {"id": token, "type_id": type_id}})
}

fn sequence(name: &str, type_id: u32) -> Value {
    json!({"Sequence": {"id": name, "type_id": type_id}})
}

/// Writes a file that lives as long as the build.
pub fn written(name: &str, content: &[u8]) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, content).unwrap();
    path
}
