//! Encoding with an explicit limit, held against `tokenizers` itself.
#[path = "common/tokenizer.rs"]
mod common;

use common::{CLS, SEP, UNK, id, tokenizer_json, written};
use proptest::prelude::*;
use serde_json::Value;
use waypost_text::tokenize::{EncodeError, LoadError};
use waypost_text::{Encoding, Tokenizer, Truncation};

const BOTH: [Truncation; 2] = [Truncation::Refuse, Truncation::End];

fn loaded(name: &str, max_tokens: usize) -> Tokenizer {
    with(name, max_tokens, tokenizer_json())
}

fn with(name: &str, max_tokens: usize, json: Value) -> Tokenizer {
    Tokenizer::load(written(name, json.to_string().as_bytes()), max_tokens).unwrap()
}

fn reference() -> tokenizers::Tokenizer {
    let mut json = tokenizer_json();
    json["padding"] = Value::Null;
    json["truncation"] = Value::Null;
    tokenizers::Tokenizer::from_bytes(json.to_string()).unwrap()
}

fn expected(tokens: &tokenizers::Encoding) -> Encoding {
    Encoding { ids: tokens.get_ids().to_vec(), type_ids: tokens.get_type_ids().to_vec(), truncated: false }
}

#[test]
fn special_tokens_frame_the_text() {
    let encoding = loaded("frame.json", 16).encode("The cat", Truncation::Refuse).unwrap();
    assert_eq!(encoding.ids, [CLS, id("the"), id("cat"), SEP]);
    assert_eq!(encoding.type_ids, [0; 4]);
    assert!(!encoding.truncated);
}

#[test]
fn an_empty_text_is_its_special_tokens() {
    for truncation in BOTH {
        assert_eq!(loaded("empty.json", 16).encode("", truncation).unwrap().ids, [CLS, SEP]);
    }
}

#[test]
fn padding_and_truncation_stored_in_the_file_are_off() {
    let tokenizer = loaded("stored.json", 100);
    assert_eq!(tokenizer.encode("cat", Truncation::Refuse).unwrap().ids.len(), 3);
    assert_eq!(tokenizer.encode(&"cat ".repeat(50), Truncation::Refuse).unwrap().ids.len(), 52);
}

#[test]
fn a_text_over_the_limit_is_refused_with_both_numbers() {
    let refusal = loaded("refuse.json", 6).encode("the cat sat on the mat", Truncation::Refuse);
    assert_eq!(refusal, Err(EncodeError::TooLong { tokens: 8, limit: 6 }));
}

#[test]
fn a_text_of_just_the_limit_is_not_truncated() {
    for truncation in BOTH {
        let encoding = loaded("just.json", 6).encode("the cat sat on", truncation).unwrap();
        assert!(encoding.ids.len() == 6 && !encoding.truncated);
    }
}

#[test]
fn cutting_the_end_keeps_the_frame() {
    let encoding = loaded("end.json", 5).encode("the cat sat on the mat", Truncation::End).unwrap();
    assert_eq!(encoding.ids, [CLS, id("the"), id("cat"), id("sat"), SEP]);
    assert!(encoding.truncated);
}

#[test]
fn a_pair_is_framed_and_told_apart_by_type() {
    let encoding = loaded("pair.json", 16).encode_pair("the cat", "sat", Truncation::Refuse).unwrap();
    assert_eq!(encoding.ids, [CLS, id("the"), id("cat"), SEP, id("sat"), SEP]);
    assert_eq!(encoding.type_ids, [0, 0, 0, 0, 1, 1]);
}

#[test]
fn a_long_document_is_cut_and_the_query_is_kept() {
    let encoding = loaded("document.json", 8).encode_pair("the cat", &"mat ".repeat(500), Truncation::End).unwrap();
    let mat = id("mat");
    assert_eq!(encoding.ids, [CLS, id("the"), id("cat"), SEP, mat, mat, mat, SEP]);
    assert!(encoding.truncated);
}

#[test]
fn a_long_query_is_cut_where_the_document_needs_its_half() {
    let tokenizer = loaded("query.json", 8);
    let both_long = tokenizer.encode_pair(&"cat ".repeat(500), &"mat ".repeat(500), Truncation::End).unwrap();
    assert_eq!(both_long.type_ids, [0, 0, 0, 0, 1, 1, 1, 1]);
    let short_document = tokenizer.encode_pair(&"cat ".repeat(500), "mat", Truncation::End).unwrap();
    assert_eq!(short_document.type_ids, [0, 0, 0, 0, 0, 0, 1, 1]);
}

#[test]
fn a_pair_over_the_limit_is_refused_with_both_numbers() {
    let refusal = loaded("pair_refuse.json", 5).encode_pair("the cat", "sat", Truncation::Refuse);
    assert_eq!(refusal, Err(EncodeError::TooLong { tokens: 6, limit: 5 }));
}

#[test]
fn counting_has_no_limit_and_includes_the_special_tokens() {
    assert_eq!(loaded("count.json", 5).count(&"cat ".repeat(50)), Ok(52));
}

#[test]
fn a_word_that_no_pieces_make_up_is_unknown_as_a_whole() {
    let tokenizer = loaded("unknown.json", 16);
    assert_eq!(tokenizer.encode("catz unbelievable", Truncation::Refuse).unwrap().ids[1], UNK);
    assert_eq!(tokenizer.encode(&"a".repeat(21), Truncation::Refuse).unwrap().ids, [CLS, UNK, SEP]);
}

#[test]
fn a_long_text_is_cut_to_the_same_ids_as_when_encoded_whole() {
    let tokenizer = loaded("long.json", 64);
    let whole = loaded("long_whole.json", 1 << 20);
    for unit in ["the cat sat ", "thé cät 中 ", "\u{1} ", "a\u{301}"] {
        let text = unit.repeat((1 << 14) / unit.len());
        let (cut, all) =
            (tokenizer.encode(&text, Truncation::End).unwrap(), whole.encode(&text, Truncation::End).unwrap());
        let kept = cut.ids.len() - 1;
        assert_eq!(cut.ids[..kept], all.ids[..kept]);
        assert_eq!(cut.truncated, all.ids.len() > 64);
    }
}

#[test]
fn a_tokenizer_that_is_not_berts_is_served_by_its_own_steps() {
    let mut json = tokenizer_json();
    json["pre_tokenizer"] = serde_json::json!({"type": "WhitespaceSplit"});
    let tokenizer = with("whitespace.json", 16, json);
    assert_eq!(tokenizer.encode("cat,mat", Truncation::Refuse).unwrap().ids.len(), 2 + 5);
}

#[test]
fn a_tokenizer_without_a_post_processor_frames_nothing() {
    let mut json = tokenizer_json();
    json["post_processor"] = Value::Null;
    let tokenizer = with("frameless.json", 16, json);
    assert_eq!(tokenizer.encode("the cat", Truncation::Refuse).unwrap().ids, [id("the"), id("cat")]);
}

#[test]
fn a_missing_or_broken_file_is_named() {
    for path in [written("broken.json", b"{\"version\": \"1.0\""), "no/such/tokenizer.json".into()] {
        let error = Tokenizer::load(&path, 16).unwrap_err();
        assert!(matches!(error, LoadError::File { .. }));
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    }
}

#[test]
fn a_limit_without_room_for_text_is_refused_at_load() {
    let path = written("no_room.json", tokenizer_json().to_string().as_bytes());
    let error = Tokenizer::load(path, 3).unwrap_err();
    assert!(matches!(error, LoadError::NoRoom { max_tokens: 3, special: 3 }), "{error}");
}

fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-zA-Z]{1,24}",
        2 => "[ \t\r\n]{1,3}",
        2 => "[!-/:-@\\[-`{-~]",
        1 => "[\u{0}-\u{ff}]",
        1 => any::<String>(),
        1 => prop::sample::select(vec!["[MASK]", "[SEP]", "é", "e\u{301}", "中", "un", "believable", "\u{b}", "İ"])
            .prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}

#[test]
fn ids_are_those_of_tokenizers_for_any_text_and_any_pair() {
    let (ours, theirs) = (loaded("same.json", 1 << 20), reference());
    proptest!(|(text in any_text(), other in any_text())| {
        let single = ours.encode(&text, Truncation::Refuse).unwrap();
        prop_assert_eq!(&single, &expected(&theirs.encode_fast(text.as_str(), true).unwrap()));
        prop_assert_eq!(ours.count(&text).unwrap(), single.ids.len());
        let pair = ours.encode_pair(&text, &other, Truncation::Refuse).unwrap();
        prop_assert_eq!(pair, expected(&theirs.encode_fast((text.as_str(), other.as_str()), true).unwrap()));
    });
}

#[test]
fn a_cut_text_has_the_first_ids_of_the_whole_whatever_the_limit() {
    let whole = loaded("cut_whole.json", 1 << 20);
    let tokenizers: Vec<Tokenizer> = (4..40).map(|limit| loaded("cut.json", limit)).collect();
    proptest!(|(texts in prop::collection::vec(any_text(), 0..5), limit in 0usize..36)| {
        let (text, tokenizer) = (texts.join(" "), &tokenizers[limit]);
        let all = whole.encode(&text, Truncation::End).unwrap();
        let cut = tokenizer.encode(&text, Truncation::End).unwrap();
        let kept = cut.ids.len() - 1;
        prop_assert_eq!(&cut.ids[..kept], &all.ids[..kept]);
        prop_assert_eq!(cut.ids[kept], SEP);
        prop_assert_eq!(cut.ids.len(), all.ids.len().min(tokenizer.max_tokens()));
        prop_assert_eq!(cut.truncated, all.ids.len() > tokenizer.max_tokens());
    });
}

#[test]
fn a_cut_pair_fills_the_limit_and_says_so() {
    let (whole, tokenizer) = (loaded("cut_pair_whole.json", 1 << 20), loaded("cut_pair.json", 24));
    proptest!(|(query in any_text(), document in any_text())| {
        let all = whole.encode_pair(&query, &document, Truncation::End).unwrap();
        let cut = tokenizer.encode_pair(&query, &document, Truncation::End).unwrap();
        prop_assert_eq!(cut.ids.len(), all.ids.len().min(24));
        prop_assert_eq!(cut.ids.len(), cut.type_ids.len());
        prop_assert_eq!(cut.truncated, all.ids.len() > 24);
    });
}
