//! Lexical relevance and its fusion with cosine.
#[path = "common/tensors.rs"]
mod tensors;

use proptest::prelude::*;
use safetensors::Dtype;
use tensors::{Tensor, file};
use waypost_text::bm25::{TableError, scores};
use waypost_text::hash::word_keys;
use waypost_text::{DocumentFrequencies, fuse};

const METADATA: [(&str, &str); 2] = [("format", "waypost.df.v1"), ("documents", "1000")];

fn bytes(keys: &[u64], counts: &[u32]) -> Vec<u8> {
    let keys_data = keys.iter().flat_map(|key| key.to_le_bytes()).collect();
    let counts_data = counts.iter().flat_map(|count| count.to_le_bytes()).collect();
    file(
        &[
            Tensor { name: "keys", dtype: Dtype::U64, shape: vec![keys.len()], data: keys_data },
            Tensor { name: "counts", dtype: Dtype::U32, shape: vec![counts.len()], data: counts_data },
        ],
        &METADATA,
    )
}

fn table(words: &[(&str, u32)]) -> DocumentFrequencies {
    let mut rows: Vec<(u64, u32)> = words.iter().map(|(word, count)| (word_keys(word)[0], *count)).collect();
    rows.sort_unstable();
    let (keys, counts): (Vec<u64>, Vec<u32>) = rows.into_iter().unzip();
    DocumentFrequencies::load(&bytes(&keys, &counts)).unwrap()
}

fn best(scores: &[f32]) -> usize {
    (0..scores.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap()
}

#[test]
fn a_document_with_the_query_word_comes_before_one_without() {
    let scores = scores("refund", &["how to get a refund", "opening hours"], None);
    assert!(scores[0] > 0.0);
    assert_eq!(scores[1], 0.0);
}

#[test]
fn the_background_makes_rare_words_count() {
    let documents = ["the the the the parcel", "an axolotl of some kind"];
    let background = table(&[("the", 990), ("parcel", 20)]);
    assert_eq!(best(&scores("the axolotl", &documents, None)), 0);
    assert_eq!(best(&scores("the axolotl", &documents, Some(&background))), 1);
}

#[test]
fn a_word_weighs_by_how_many_background_documents_have_it() {
    let background = table(&[("the", 1000), ("cat", 10)]);
    let weight = |word| background.weight(word_keys(word)[0]);
    assert!(0.0 < weight("the") && weight("the") < weight("cat") && weight("cat") < weight("axolotl"));
    assert!((weight("cat") - (1.0 + 990.5f32 / 10.5).ln()).abs() < 1e-5);
    assert_eq!(background.documents(), 1000);
}

#[test]
fn repetition_saturates() {
    let score = |times: usize| {
        let documents = [format!("{}{}", "cat ".repeat(times), "x ".repeat(100 - times)), "y ".repeat(100)];
        scores("cat", &documents, None)[0]
    };
    assert!(score(2) > score(1) && score(2) < 2.0 * score(1));
    assert!(score(100) < 1.9);
}

#[test]
fn among_equal_matches_the_shorter_document_wins() {
    assert_eq!(best(&scores("cat", &["a cat among very many other words", "a cat"], None)), 1);
}

#[test]
fn a_word_asked_for_twice_weighs_twice() {
    let (once, twice) = (scores("cat", &["a cat"], None)[0], scores("cat cat", &["a cat"], None)[0]);
    assert_eq!(twice, 2.0 * once);
}

#[test]
fn nothing_to_rank_and_nothing_to_ask_are_no_error() {
    assert!(scores::<&str>("cat", &[], None).is_empty());
    assert_eq!(scores("", &["a cat", ""], None), [0.0, 0.0]);
    assert_eq!(scores("cat", &["", ""], None), [0.0, 0.0]);
}

#[test]
fn a_table_that_is_uneven_unsorted_or_foreign_is_refused() {
    let load = |bytes: Vec<u8>| DocumentFrequencies::load(&bytes).unwrap_err();
    assert!(matches!(load(bytes(&[1, 2], &[1])), TableError::Uneven { keys: 2, counts: 1 }));
    assert!(matches!(load(bytes(&[1, 2, 2], &[1; 3])), TableError::Unsorted { index: 2 }));
    assert!(matches!(load(file(&[], &METADATA)), TableError::File(_)));
    assert_eq!(load(file(&[], &METADATA[1..])).to_string(), "metadata `format` is missing");
    assert!(matches!(load(vec![0; 50]), TableError::File(_)));
}

#[test]
fn an_empty_table_treats_all_words_alike() {
    let background = DocumentFrequencies::load(&bytes(&[], &[])).unwrap();
    assert_eq!(background.weight(1), background.weight(2));
}

#[test]
fn fusion_lets_wording_decide_where_meaning_ties() {
    assert_eq!(best(&fuse(&[0.5, 0.5, 0.1], &[0.0, 3.0, 3.0])), 1);
}

#[test]
fn fusion_gives_meaning_the_greater_weight() {
    assert_eq!(best(&fuse(&[0.9, 0.1], &[0.0, 9.0])), 0);
}

#[test]
fn scores_that_are_all_the_same_say_nothing() {
    assert_eq!(fuse(&[0.4; 3], &[2.0; 3]), [0.0; 3]);
    let by_cosine = fuse(&[0.1, 0.2], &[2.0; 2]);
    assert!((by_cosine[1] - 0.7).abs() < 1e-5 && (by_cosine[0] + 0.7).abs() < 1e-5);
}

#[test]
fn fusing_nothing_is_nothing() {
    assert!(fuse(&[], &[]).is_empty());
}

proptest! {
    #[test]
    fn relevance_is_finite_and_never_negative(query in ".{0,50}", documents in prop::collection::vec(".{0,80}", 0..8)) {
        let scores = scores(&query, &documents, Some(&table(&[("a", 1000)])));
        prop_assert_eq!(scores.len(), documents.len());
        prop_assert!(scores.iter().all(|score| score.is_finite() && *score >= 0.0));
    }

    #[test]
    fn fusion_does_not_depend_on_scale_or_offset(
        pairs in prop::collection::vec((0.0f32..1.0, 0.0f32..20.0), 2..30),
        scale in 0.5f32..4.0,
        offset in -3.0f32..3.0,
    ) {
        let (cosine, bm25): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
        prop_assume!(spread(&cosine) > 0.1 && spread(&bm25) > 0.1);
        let moved: Vec<f32> = bm25.iter().map(|score| score * scale + offset).collect();
        let pairs = fuse(&cosine, &bm25).into_iter().zip(fuse(&cosine, &moved));
        pairs.into_iter().try_for_each(|(a, b)| { prop_assert!((a - b).abs() < 1e-2, "{a} {b}"); Ok(()) })?;
    }
}

fn spread(values: &[f32]) -> f32 {
    let highest = values.iter().copied().fold(f32::MIN, f32::max);
    highest - values.iter().copied().fold(f32::MAX, f32::min)
}
