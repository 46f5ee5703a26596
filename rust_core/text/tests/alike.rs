//! The guard of the semantic cache, on a table of pairs and on arbitrary text.
#[path = "common/lines.rs"]
mod lines;

use proptest::prelude::*;
use serde::Deserialize;
use waypost_text::alike::may_share;

#[derive(Deserialize)]
struct Pair {
    a: String,
    b: String,
    same: bool,
    /// What may be named as the difference; anything where empty.
    #[serde(default)]
    differences: Vec<String>,
}

fn pairs(same: bool) -> Vec<Pair> {
    lines::read::<Pair>("alike.jsonl").into_iter().filter(|pair| pair.same == same).collect()
}

#[test]
fn prompts_with_different_answers_never_share() {
    let pairs = pairs(false);
    let wrong = |pair: &&Pair| match may_share(&pair.a, &pair.b) {
        Ok(()) => true,
        Err(found) => !pair.differences.is_empty() && !pair.differences.iter().any(|name| name == found.as_str()),
    };
    let told: Vec<String> = pairs
        .iter()
        .filter(wrong)
        .map(|pair| format!("{:?} {:?}: {:?}, not {:?}", pair.a, pair.b, may_share(&pair.a, &pair.b), pair.differences))
        .collect();
    assert!(pairs.len() >= 60);
    assert!(told.is_empty(), "{} of {}:\n{}", told.len(), pairs.len(), told.join("\n"));
}

#[test]
fn most_paraphrases_in_the_same_words_share() {
    let pairs = pairs(true);
    let missed: Vec<String> = pairs
        .iter()
        .filter_map(|pair| may_share(&pair.a, &pair.b).err().map(|found| (pair, found)))
        .map(|(pair, found)| format!("{:?} {:?}: {found:?}", pair.a, pair.b))
        .collect();
    println!("{} of {} paraphrases missed:\n{}", missed.len(), pairs.len(), missed.join("\n"));
    assert!(missed.len() * 3 <= pairs.len(), "{}", missed.join("\n"));
}

#[test]
fn long_prompts_are_shared_only_with_themselves() {
    let long = "word ".repeat(3000);
    assert_eq!(may_share(&long, &long), Ok(()));
    assert_eq!(may_share(&long, &format!("{long} please")).map_err(|found| found.as_str()), Err("length"));
}

proptest! {
    #[test]
    fn any_text_may_share_with_itself(text in any::<String>()) {
        prop_assert_eq!(may_share(&text, &text), Ok(()));
    }

    #[test]
    fn whether_two_texts_share_does_not_depend_on_their_order(a in TEXT, b in TEXT) {
        prop_assert_eq!(may_share(&a, &b).is_ok(), may_share(&b, &a).is_ok());
    }

    #[test]
    fn arbitrary_texts_are_compared_without_a_panic(a in any::<String>(), b in any::<String>()) {
        let _ = may_share(&a, &b);
    }

    #[test]
    fn a_negated_text_never_shares(before in "[a-z]{1,8}( [a-z]{1,8}){0,6}", after in "[a-z]{1,8}( [a-z]{1,8}){0,6}") {
        let negated = format!("{before} not {after}");
        let plain = format!("{before} {after}");
        prop_assert!(may_share(&plain, &negated).is_err());
    }

    #[test]
    fn another_number_never_shares(words in "[a-z]{4,8}( [a-z]{4,8}){0,6}", a in 0..10_000u32, b in 0..10_000u32) {
        let shared = may_share(&format!("{words} {a}"), &format!("{words} {b}"));
        prop_assert_eq!(shared.is_ok(), a == b);
    }
}

const TEXT: &str =
    "(what|how|not|from|to|Paris|Rome|5|1,000|'s|n't|in|by|is|was|you|I|sort|list|\\.|\\?| |-|US|it){0,14}";
