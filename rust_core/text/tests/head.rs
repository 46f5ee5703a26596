//! Linear heads: what they compute, and what they refuse to load.
#[path = "common/tensors.rs"]
mod tensors;

use proptest::prelude::*;
use safetensors::Dtype;
use tensors::{Tensor, file};
use waypost_text::LinearHead;
use waypost_text::hash::features;
use waypost_text::head::{HeadError, WrongVector, scalars};

const METADATA: [(&str, &str); 5] = [
    ("format", "waypost.head.v1"),
    ("name", "mood"),
    ("version", "3"),
    ("labels", r#"["good", "bad", "neither"]"#),
    ("temperature", "1.0"),
];

fn floats(name: &'static str, shape: &[usize], values: &[f32]) -> Tensor {
    let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Tensor { name, dtype: Dtype::F32, shape: shape.to_vec(), data }
}

fn bias() -> Tensor {
    floats("bias", &[3], &[0.5, -0.5, 0.0])
}

fn with(tensors: &[Tensor], changes: &[(&str, &str)]) -> Result<LinearHead, HeadError> {
    let kept = METADATA.iter().filter(|(key, _)| !changes.iter().any(|(changed, _)| changed == key));
    let metadata: Vec<_> = kept.chain(changes).copied().collect();
    LinearHead::load(&file(tensors, &metadata))
}

fn head(tensors: &[Tensor]) -> LinearHead {
    with(tensors, &[]).unwrap()
}

fn refusal(tensors: &[Tensor], changes: &[(&str, &str)]) -> String {
    with(tensors, changes).unwrap_err().to_string()
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
    logits.iter().map(|logit| logit.exp() / sum).collect()
}

fn assert_near(found: &[f32], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    let near = found.iter().zip(expected).all(|(found, expected)| (f64::from(*found) - expected).abs() < 1e-5);
    assert!(near, "{found:?} is not {expected:?}");
}

#[test]
fn a_head_says_what_it_is() {
    let head = with(&[bias()], &[("experimental", "true"), ("encoder", "minilm-1")]).unwrap();
    assert_eq!((head.name(), head.version(), head.encoder()), ("mood", "3", "minilm-1"));
    assert_eq!(head.labels(), ["good", "bad", "neither"]);
    assert!(head.experimental());
    assert_eq!(head.needs_vector(), None);
}

#[test]
fn a_bias_alone_gives_its_softmax_and_energy() {
    let scores = head(&[bias()]).score(None, "anything").unwrap();
    assert_near(&scores.probabilities, &softmax(&[0.5, -0.5, 0.0]));
    let energy = -[0.5f64, -0.5, 0.0].iter().map(|logit| logit.exp()).sum::<f64>().ln();
    assert_near(&[scores.energy], &[energy]);
    assert!(!scores.out_of_scope);
}

#[test]
fn a_weight_reads_the_vector() {
    let head = head(&[bias(), floats("weight", &[3, 2], &[1.0, 0.0, 0.0, 2.0, 3.0, 4.0])]);
    assert_eq!(head.needs_vector(), Some(2));
    let scores = head.score(Some(&[0.6, 0.8]), "").unwrap();
    assert_near(&scores.probabilities, &softmax(&[0.5 + 0.6, -0.5 + 1.6, 1.8 + 3.2]));
}

#[test]
fn hashed_weights_read_the_words() {
    let buckets = 64;
    let weights: Vec<f32> = (0..3 * buckets).map(|index| (index as f32).sin()).collect();
    let head = head(&[bias(), floats("hashed", &[3, buckets], &weights)]);
    let logit = |label: usize| {
        let products = features("a fine day", 64)
            .into_iter()
            .map(|(bucket, value)| f64::from(value) * f64::from(weights[label * buckets + bucket as usize]));
        [0.5, -0.5, 0.0][label] + products.sum::<f64>()
    };
    assert_near(&head.score(None, "a fine day").unwrap().probabilities, &softmax(&[logit(0), logit(1), logit(2)]));
}

#[test]
fn hashed_weights_may_be_half_precision() {
    let ones = Tensor { name: "hashed", dtype: Dtype::F16, shape: vec![3, 8], data: [0x00, 0x3c].repeat(24) };
    let shift: f32 = features("a fine day", 8).iter().map(|(_, value)| value).sum();
    let scores = head(&[bias(), ones]).score(None, "a fine day").unwrap();
    let plain = head(&[bias()]).score(None, "a fine day").unwrap();
    assert_near(&[scores.energy], &[f64::from(plain.energy - shift)]);
}

#[test]
fn scalar_weights_read_the_size() {
    let head = head(&[bias(), floats("scalars", &[3, 2], &[1.0, 0.0, 0.0, 1.0, 0.0, 0.0])]);
    let scores = head.score(None, "two words").unwrap();
    assert_near(&scores.probabilities, &softmax(&[0.5 + 10f64.ln(), -0.5 + 3f64.ln(), 0.0]));
}

#[test]
fn scalars_are_the_logarithms_of_bytes_and_words() {
    assert_eq!(scalars(""), [0.0, 0.0]);
    assert_near(&scalars(" é  b "), &[8f64.ln(), 3f64.ln()]);
}

#[test]
fn temperature_flattens_probabilities_and_leaves_the_energy() {
    let (sharp, flat) = (head(&[bias()]), with(&[bias()], &[("temperature", "2.0")]).unwrap());
    let (sharp, flat) = (sharp.score(None, "").unwrap(), flat.score(None, "").unwrap());
    assert_near(&flat.probabilities, &softmax(&[0.25, -0.25, 0.0]));
    assert_eq!(flat.energy, sharp.energy);
}

#[test]
fn a_text_over_the_energy_threshold_is_out_of_scope() {
    for (threshold, out_of_scope) in [("-1.1", false), ("-1.2", true), ("-inf", true), ("inf", false)] {
        let head = with(&[bias()], &[("energy_threshold", threshold)]).unwrap();
        assert_eq!(head.score(None, "").unwrap().out_of_scope, out_of_scope, "{threshold}");
    }
}

#[test]
fn huge_logits_neither_overflow_nor_divide_by_zero() {
    let head = head(&[floats("bias", &[3], &[3e38, -3e38, 0.0])]);
    let scores = head.score(None, "").unwrap();
    assert_eq!(scores.probabilities, [1.0, 0.0, 0.0]);
    assert_eq!(scores.energy, -3e38);
}

#[test]
fn a_vector_of_the_wrong_length_is_refused_with_both_numbers() {
    let head = head(&[bias(), floats("weight", &[3, 2], &[0.0; 6])]);
    assert_eq!(head.score(Some(&[1.0; 3]), ""), Err(WrongVector { expected: 2, actual: 3 }));
    assert_eq!(head.score(None, ""), Err(WrongVector { expected: 2, actual: 0 }));
}

#[test]
fn a_truncated_file_is_refused() {
    let whole = file(&[bias()], &METADATA);
    for length in 0..whole.len() {
        assert!(LinearHead::load(&whole[..length]).is_err(), "{length} of {} bytes", whole.len());
    }
}

#[test]
fn what_is_missing_is_named() {
    for (key, _) in METADATA {
        let metadata: Vec<_> = METADATA.into_iter().filter(|(name, _)| *name != key).collect();
        let error = LinearHead::load(&file(&[bias()], &metadata)).unwrap_err().to_string();
        assert!(error.contains(key) && error.contains("missing"), "{error}");
    }
    assert_eq!(refusal(&[], &[]), "tensor `bias` is missing");
}

#[test]
fn metadata_that_makes_no_sense_is_named_with_its_value() {
    let table = [
        ("format", "waypost.head.v9", "waypost.head.v1"),
        ("temperature", "warm", "a finite number above 0"),
        ("temperature", "0", "a finite number above 0"),
        ("temperature", "-1", "a finite number above 0"),
        ("temperature", "NaN", "a finite number above 0"),
        ("temperature", "inf", "a finite number above 0"),
        ("energy_threshold", "high", "a number"),
        ("energy_threshold", "NaN", "a number"),
        ("labels", "good, bad", "a JSON list of strings"),
        ("labels", "[1, 2]", "a JSON list of strings"),
    ];
    for (key, value, expected) in table {
        let error = refusal(&[bias()], &[(key, value)]);
        assert!([key, value.trim_end_matches(".0"), expected].iter().all(|part| error.contains(part)), "{error}");
    }
}

#[test]
fn fewer_than_two_labels_or_the_same_twice_are_refused() {
    assert!(refusal(&[bias()], &[("labels", r#"["spam"]"#)]).contains("at least two labels"));
    assert_eq!(refusal(&[bias()], &[("labels", r#"["a", "b", "a"]"#)]), r#"label "a" is there twice"#);
}

#[test]
fn a_tensor_of_the_wrong_shape_or_type_is_named() {
    let zeros = [0.0; 12];
    let table = [
        (floats("weight", &[2, 2], &zeros[..4]), "tensor `weight` has shape [2, 2], not [3, columns]"),
        (floats("weight", &[3], &zeros[..3]), "tensor `weight` has shape [3], not [3, columns]"),
        (floats("weight", &[3, 0], &[]), "tensor `weight` has shape [3, 0], not [3, columns]"),
        (floats("hashed", &[4, 3], &zeros), "tensor `hashed` has shape [4, 3], not [3, columns]"),
        (floats("scalars", &[3, 3], &zeros[..9]), "tensor `scalars` has shape [3, 3], not [3, 2]"),
    ];
    for (tensor, expected) in table {
        assert_eq!(refusal(&[bias(), tensor], &[]), expected);
    }
    assert_eq!(refusal(&[floats("bias", &[1], &[0.0])], &[]), "tensor `bias` has shape [1], not [3]");
    let integers = Tensor { dtype: Dtype::I32, ..bias() };
    assert_eq!(refusal(&[integers], &[]), "tensor `bias` holds I32, not F32 or F16");
}

#[test]
fn weights_that_are_not_finite_are_refused() {
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let error = refusal(&[floats("bias", &[3], &[0.0, value, 0.0])], &[]);
        assert_eq!(error, "tensor `bias` holds a value that is not finite");
    }
}

prop_compose! {
    fn layers()(dimensions in 1usize..70)(
        vector in prop::collection::vec(-1.0f32..1.0, dimensions),
        weight in prop::collection::vec(-1.0f32..1.0, 3 * dimensions),
    ) -> (Vec<f32>, Vec<f32>) {
        (vector, weight)
    }
}

proptest! {
    #[test]
    fn any_length_of_vector_gives_the_logits_of_the_plain_sum((vector, weight) in layers()) {
        let head = head(&[bias(), floats("weight", &[3, vector.len()], &weight)]);
        let logit = |label: usize| {
            let row = &weight[label * vector.len()..][..vector.len()];
            let products = row.iter().zip(&vector).map(|(a, b)| f64::from(*a) * f64::from(*b));
            [0.5, -0.5, 0.0][label] + products.sum::<f64>()
        };
        let scores = head.score(Some(&vector), "").unwrap();
        assert_near(&scores.probabilities, &softmax(&[logit(0), logit(1), logit(2)]));
    }

    #[test]
    fn probabilities_sum_to_one(text in ".{0,100}", weights in prop::collection::vec(-9.0f32..9.0, 3 * 16)) {
        let scores = head(&[bias(), floats("hashed", &[3, 16], &weights)]).score(None, &text).unwrap();
        prop_assert!((scores.probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        prop_assert!(scores.energy.is_finite());
    }

    #[test]
    fn noise_is_refused_and_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(LinearHead::load(&bytes).is_err());
    }
}
