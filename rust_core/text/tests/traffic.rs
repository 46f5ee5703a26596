//! What a head tells of the texts it was trained on: how like them a text is, and where its score and length lie.
#[path = "common/tensors.rs"]
mod tensors;

use proptest::prelude::*;
use safetensors::Dtype;
use tensors::{Tensor, file};
use waypost_text::LinearHead;
use waypost_text::Scores;
use waypost_text::hash::pair_keys;
use waypost_text::head::HeadError;

const METADATA: [(&str, &str); 7] = [
    ("format", "waypost.head.v1"),
    ("name", "strength"),
    ("version", "1"),
    ("labels", r#"["complex", "simple"]"#),
    ("temperature", "1.0"),
    ("coverage_none", "0.1"),
    ("coverage_full", "0.9"),
];
const BYTES: usize = 1 << 10;

fn floats(name: &'static str, values: &[f32]) -> Tensor {
    let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Tensor { name, dtype: Dtype::F32, shape: vec![values.len()], data }
}

fn bias() -> Tensor {
    floats("bias", &[0.5, -0.5])
}

/// Quantiles that ascend from `low` by `step`.
fn steps(name: &'static str, low: f32, step: f32) -> Tensor {
    floats(name, &(0..101).map(|rank| low + step * rank as f32).collect::<Vec<_>>())
}

/// The filter of a training set of one text, by multiply and shift as its writer does.
fn seen(text: &str) -> Tensor {
    let mut data = vec![0; BYTES];
    for key in pair_keys(text) {
        let bit = (((key & 0xffff_ffff) * 8 * BYTES as u64) >> 32) as usize;
        data[bit / 8] |= 1 << (bit % 8);
    }
    Tensor { name: "seen", dtype: Dtype::U8, shape: vec![BYTES], data }
}

fn load(tensors: &[Tensor]) -> Result<LinearHead, HeadError> {
    LinearHead::load(&file(tensors, &METADATA))
}

fn head(tensors: &[Tensor]) -> LinearHead {
    load(tensors).unwrap()
}

#[test]
fn a_file_without_these_parts_tells_nothing() {
    let head = head(&[bias()]);
    assert_eq!((head.coverage("a"), head.quantiles(), head.length_prior("a")), (None, None, None));
}

#[test]
fn complexity_is_what_is_not_simple() {
    let scores = Scores { probabilities: vec![0.7, 0.3], energy: 0.0, out_of_scope: false };
    assert_eq!(head(&[bias()]).complexity(&scores), 0.7);
}

#[test]
fn without_a_simple_label_complexity_is_what_is_not_the_first() {
    let metadata = METADATA.map(|(key, value)| (key, if key == "labels" { r#"["easy", "hard"]"# } else { value }));
    let head = LinearHead::load(&file(&[bias()], &metadata)).unwrap();
    let scores = Scores { probabilities: vec![0.75, 0.25], energy: 0.0, out_of_scope: false };
    assert_eq!(head.complexity(&scores), 0.25);
}

#[test]
fn coverage_falls_with_the_pairs_of_words_that_training_did_not_have() {
    let head =
        head(&[bias(), seen("the cat sat on the mat and the dog lay on the rug in the sun all day and all night")]);
    let of = |text| head.coverage(text).unwrap();
    let share = |seen: f32, all: f32| (seen / (all + 2.0) - 0.1) / 0.8;
    assert!((of("the cat sat on the mat and the dog") - share(8.0, 8.0)).abs() < 1e-6);
    assert!((of("the cat sat on the dog and the mat") - share(7.0, 8.0)).abs() < 1e-6, "`dog and` is new");
    assert_eq!(of("zebra quagga okapi"), 0.0);
}

#[test]
fn a_short_text_proves_less_than_a_long_one() {
    let text = "the cat sat on the mat and the dog lay on the rug";
    let head = head(&[bias(), seen(text)]);
    assert!(head.coverage("the cat") < head.coverage("the cat sat"));
    assert!(head.coverage("the cat sat") < head.coverage(text));
    assert_eq!(head.coverage("cat"), Some(0.0));
}

#[test]
fn a_text_without_words_is_like_nothing() {
    let head = head(&[bias(), seen("the cat")]);
    for text in ["", " \n\t", "\u{0}"] {
        assert_eq!(head.coverage(text), Some(0.0), "{text:?}");
    }
}

#[test]
fn a_length_has_the_score_of_its_rank() {
    let head = head(&[bias(), steps("quantiles", 0.0, 0.01), steps("lengths", 1.0, 0.1)]);
    let prior = |bytes: usize| head.length_prior(&"x".repeat(bytes)).unwrap();
    let expected = (201f32.ln() - 1.0) / 10.0;
    assert!((prior(200) - expected).abs() < 1e-5, "{} is not {expected}", prior(200));
    assert_eq!((prior(0), prior(1_000_000)), (0.0, 1.0));
}

#[test]
fn among_equal_lengths_the_middle_rank_counts() {
    let head = head(&[bias(), steps("quantiles", 0.0, 0.01), floats("lengths", &[2f32.ln(); 101])]);
    assert_eq!(head.length_prior("x"), Some(0.5));
}

#[test]
fn quantiles_are_those_of_the_file() {
    let head = head(&[bias(), steps("quantiles", 0.0, 0.01)]);
    assert_eq!(head.quantiles().map(|found| (found.len(), found[0], found[100])), Some((101, 0.0, 1.0)));
    assert_eq!(head.length_prior("x"), None);
}

#[test]
fn parts_that_make_no_sense_are_named() {
    let refusal = |tensor| load(&[bias(), tensor]).unwrap_err().to_string();
    assert_eq!(refusal(steps("quantiles", 1.0, -0.01)), "tensor `quantiles` must ascend");
    assert!(refusal(floats("quantiles", &[0.0])).contains("shape [1], not [101]"));
    assert!(refusal(floats("seen", &[0.0])).contains("holds F32, not U8"));
    let empty = Tensor { name: "seen", dtype: Dtype::U8, shape: vec![0], data: vec![] };
    assert!(refusal(empty).contains("no bytes"));
    let levels = METADATA.map(|(key, value)| (key, if key == "coverage_full" { "0.1" } else { value }));
    let error = LinearHead::load(&file(&[bias(), seen("a")], &levels)).unwrap_err().to_string();
    assert!(error.contains("coverage_full") && error.contains("0.1"), "{error}");
}

proptest! {
    #[test]
    fn coverage_of_any_text_is_a_share(taught in ".{0,60}", asked in ".{0,60}") {
        let coverage = head(&[bias(), seen(&taught)]).coverage(&asked).unwrap();
        prop_assert!((0.0..=1.0).contains(&coverage));
    }

    #[test]
    fn a_longer_text_never_has_a_lower_prior(
        mut lengths in prop::collection::vec(0.0f32..9.0, 101), bytes in 0usize..2000, more in 0usize..2000,
    ) {
        lengths.sort_by(f32::total_cmp);
        let head = head(&[bias(), steps("quantiles", -1.0, 0.02), floats("lengths", &lengths)]);
        let prior = |bytes: usize| head.length_prior(&"x".repeat(bytes)).unwrap();
        prop_assert!(prior(bytes) <= prior(bytes + more));
    }
}
