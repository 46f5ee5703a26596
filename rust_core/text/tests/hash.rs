//! Hashed features and vectors: pinned bytes, written by an independent implementation, and what holds for any text.
use proptest::prelude::*;
use serde::Deserialize;
use waypost_text::hash::{embed, features, word_keys};

#[derive(Deserialize)]
struct Golden {
    text: String,
    repeat: usize,
    /// Little-endian F32 bytes of the vector of 16 dimensions.
    vector_16: String,
    /// The first eight of the features over 2^20 buckets, values as bytes.
    features: Vec<(u32, String)>,
    feature_count: usize,
}

fn golden() -> Vec<Golden> {
    serde_json::from_str(include_str!("golden_hash.json")).unwrap()
}

fn hex(values: &[f32]) -> String {
    values.iter().flat_map(|value| value.to_le_bytes()).map(|byte| format!("{byte:02x}")).collect()
}

fn norm(values: impl IntoIterator<Item = f32>) -> f64 {
    values.into_iter().map(|value| f64::from(value).powi(2)).sum::<f64>().sqrt()
}

fn cosine(a: &str, b: &str) -> f32 {
    embed(a, 1024).iter().zip(embed(b, 1024)).map(|(a, b)| a * b).sum()
}

#[test]
fn bytes_are_the_pinned_ones() {
    for golden in golden() {
        let text = golden.text.repeat(golden.repeat);
        assert_eq!(hex(&embed(&text, 16)), golden.vector_16, "{:?}", golden.text);
        let features = features(&text, 1 << 20);
        assert_eq!(features.len(), golden.feature_count, "{:?}", golden.text);
        let expected = golden.features.iter().map(|(bucket, bits)| (*bucket, bits.clone()));
        let found = features.iter().map(|(bucket, value)| (*bucket, hex(&[*value])));
        assert!(expected.eq(found.take(golden.features.len())), "{:?}", golden.text);
    }
}

#[test]
fn the_pinned_texts_cover_what_is_special() {
    let texts: Vec<String> = golden().iter().map(|golden| golden.text.repeat(golden.repeat)).collect();
    assert!(texts.len() >= 12);
    assert!(texts.iter().any(String::is_empty));
    assert!(texts.iter().any(|text| text.contains('🦀')));
    assert!(texts.iter().any(|text| text.len() > 10_000));
}

#[test]
fn a_text_without_words_is_the_zero_vector() {
    for text in ["", " \t\n", "\u{0}\u{7f}"] {
        assert!(features(text, 1024).is_empty());
        assert_eq!(embed(text, 4), [0.0; 4]);
    }
}

#[test]
fn no_buckets_have_no_features() {
    assert!(features("the cat", 0).is_empty() && embed("the cat", 0).is_empty());
}

#[test]
fn case_and_white_space_do_not_matter() {
    assert_eq!(embed("The  CAT\n", 64), embed("the cat", 64));
    assert_eq!(embed("ÉTÉ", 64), embed("été", 64));
}

#[test]
fn punctuation_and_emoji_do() {
    assert_ne!(embed("you did", 256), embed("you did?", 256));
    assert_ne!(embed("fine 🦀", 256), embed("fine 🐍", 256));
    assert!(norm(embed("🦀", 256)) > 0.99);
}

#[test]
fn word_order_matters_a_little() {
    let turned = cosine("dog bites man", "man bites dog");
    assert!(turned > 0.7 && turned < 0.99, "{turned}");
}

#[test]
fn endings_and_typing_errors_leave_texts_near() {
    let near = cosine("cancel my subscription", "cancelling my subscripton");
    let far = cosine("cancel my subscription", "what is the weather like");
    assert!(near > 0.5 && far < 0.15, "{near} {far}");
}

#[test]
fn word_keys_are_one_per_word_and_skip_symbols() {
    let keys = word_keys("The cat, the mat? 🦀");
    assert_eq!(keys.len(), 4);
    assert_eq!(keys[0], keys[2]);
    assert_eq!(word_keys("CAT"), word_keys(" cat! "));
}

proptest! {
    #[test]
    fn vectors_have_unit_length_unless_all_cancels(text in ".{0,200}", dimensions in 1u32..2000) {
        let length = norm(embed(&text, dimensions));
        prop_assert!(length == 0.0 || (length - 1.0).abs() < 1e-6, "{length}");
    }

    #[test]
    fn features_ascend_and_are_never_zero(text in ".{0,200}", buckets in 1u32..) {
        let features = features(&text, buckets);
        prop_assert!(features.is_sorted_by(|(a, _), (b, _)| a < b));
        prop_assert!(features.iter().all(|(bucket, value)| *bucket < buckets && *value != 0.0));
    }

    #[test]
    fn a_vector_is_its_features_laid_out(text in ".{0,200}", dimensions in 1u32..2000) {
        let mut laid_out = vec![0.0; dimensions as usize];
        features(&text, dimensions).into_iter().for_each(|(bucket, value)| laid_out[bucket as usize] = value);
        prop_assert_eq!(laid_out, embed(&text, dimensions));
    }

    #[test]
    fn a_text_hashes_the_same_every_time(text in any::<String>()) {
        prop_assert_eq!(features(&text, 1 << 20), features(&text, 1 << 20));
    }
}
