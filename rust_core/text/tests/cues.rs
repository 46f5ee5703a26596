//! Capabilities found in prompts, on a table of cases and on arbitrary text.
#[path = "common/lines.rs"]
mod lines;

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::Deserialize;
use waypost_text::cues::{Cues, find};

const AMBIGUOUS: f64 = 0.15;

#[derive(Deserialize)]
struct Case {
    text: String,
    /// Empty for the generalist.
    tag: String,
}

#[test]
fn every_prompt_of_the_table_goes_to_its_specialist() {
    let cases: Vec<Case> = lines::read("cues.jsonl");
    let (mut wrong, mut counts) = (Vec::new(), BTreeMap::<(&str, &str), usize>::new());
    for case in &cases {
        let cues = find(&case.text);
        let tag = cues.tags(AMBIGUOUS).first().copied().unwrap_or_default();
        *counts.entry((&case.tag, tag)).or_default() += 1;
        if tag != case.tag {
            wrong.push(format!("{:?} is {:?}, found {tag:?}: {cues:?}", case.text, case.tag));
        }
    }
    counts.iter().for_each(|((is, found), count)| println!("{is:?} found as {found:?}: {count}"));
    assert!(cases.len() >= 50);
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn two_strong_specialists_are_none() {
    let cues = Cues { code: 0.9, reasoning: 0.8, vision: 0.0 };
    assert!(cues.tags(0.15).is_empty());
    assert_eq!(cues.tags(0.05), ["code"]);
}

#[test]
fn a_faint_cue_is_none() {
    assert!(Cues { code: 0.4, ..Cues::default() }.tags(0.0).is_empty());
}

#[test]
fn a_cue_said_often_counts_once() {
    assert_eq!(find("code"), find(&"code ".repeat(100)));
}

#[test]
fn a_cue_inside_a_word_is_none() {
    assert_eq!(find("Pythonesque decoder sqlite3x"), Cues::default());
}

#[test]
fn a_question_after_a_long_text_is_seen() {
    let text = format!("{}What is the probability that it rains?", "Lorem ipsum dolor sit amet. ".repeat(40_000));
    assert_eq!(find(&text).tags(AMBIGUOUS), ["reasoning"]);
}

proptest! {
    #[test]
    fn any_text_gets_scores_between_zero_and_one(text in any::<String>(), ambiguous in 0.0..1.0) {
        let cues = find(&text);
        for score in [cues.code, cues.reasoning, cues.vision] {
            prop_assert!((0.0..=1.0).contains(&score));
        }
        prop_assert!(cues.tags(ambiguous).len() <= 1);
    }

    #[test]
    fn cues_in_any_company_are_found_without_a_panic(before in ".{0,40}", after in ".{0,40}") {
        find(&format!("{before}attached image{after}```{before}"));
    }
}
