//! The validator of answers, on a table of cases and on arbitrary text.
#[path = "common/lines.rs"]
mod lines;

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::Deserialize;
use waypost_text::answer::{FLOOR, Fault, Rules, RulesError, RulesSpec, Subject, relevance};

#[derive(Deserialize)]
struct Case {
    name: String,
    prompt: String,
    answer: String,
    faults: Vec<String>,
    schema: Option<String>,
    relevance: Option<f32>,
    #[serde(default)]
    cut_off: bool,
    #[serde(default)]
    has_tool_calls: bool,
    #[serde(default)]
    forbid: Vec<String>,
    #[serde(default)]
    require: Vec<String>,
    #[serde(default)]
    max_chars: usize,
}

impl Case {
    fn subject(&self) -> Subject<'_> {
        Subject {
            prompt: &self.prompt,
            answer: &self.answer,
            schema: self.schema.as_deref(),
            relevance: self.relevance,
            cut_off: self.cut_off,
            has_tool_calls: self.has_tool_calls,
        }
    }

    fn rules(&self) -> Rules {
        let (forbid, require, max_chars) = (self.forbid.clone(), self.require.clone(), self.max_chars);
        Rules::new(RulesSpec { forbid, require, max_chars, ..RulesSpec::default() }).unwrap()
    }
}

fn cases() -> Vec<Case> {
    lines::read("answers.jsonl")
}

fn rules() -> Rules {
    Rules::new(RulesSpec::default()).unwrap()
}

fn names(faults: &[Fault]) -> Vec<&'static str> {
    faults.iter().map(|fault| fault.as_str()).collect()
}

#[test]
fn every_case_of_the_table_has_the_faults_it_names() {
    let mut wrong = Vec::new();
    let mut counts: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    let cases = cases();
    for case in &cases {
        let found = names(&case.rules().judge(&case.subject()).faults);
        for name in &found {
            counts.entry(name).or_default()[usize::from(!case.faults.iter().any(|fault| fault == name))] += 1;
        }
        for name in case.faults.iter().filter(|name| !found.contains(&name.as_str())) {
            counts.entry(name).or_default()[2] += 1;
        }
        if found != case.faults {
            wrong.push(format!("{}: {found:?}, expected {:?}", case.name, case.faults));
        }
    }
    for (name, [right, false_alarms, missed]) in &counts {
        println!("{name}: found {right}, false alarms {false_alarms}, missed {missed}");
    }
    assert!(cases.len() >= 60);
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn one_fault_is_below_the_floor_and_none_is_well_above() {
    for case in cases() {
        let quality = case.rules().judge(&case.subject());
        let hard = quality.faults.iter().any(|fault| *fault != Fault::CutOff);
        let fits = if hard { quality.score < FLOOR } else { quality.score > FLOOR };
        assert!(fits, "{}: {quality:?}", case.name);
        assert!(!quality.faults.is_empty() || quality.score > 0.9, "{}: {quality:?}", case.name);
    }
}

#[test]
fn relevance_tells_the_prompt_of_an_answer_from_that_of_another() {
    let good: Vec<Case> = cases().into_iter().filter(|case| case.faults.is_empty() && case.answer.len() > 60).collect();
    let (mut above, mut pairs) = (0.0, 0.0);
    for case in &good {
        let own = relevance(&case.prompt, &case.answer);
        for other in good.iter().filter(|other| other.name != case.name) {
            let foreign = relevance(&other.prompt, &case.answer);
            above += if own > foreign { 1.0 } else { f64::from(own == foreign) / 2.0 };
            pairs += 1.0;
        }
    }
    let blamed = good.iter().filter(|case| relevance(&case.prompt, &case.answer) < 0.29).count();
    println!("area under the curve {:.3}; {blamed} of {} good answers seem irrelevant", above / pairs, good.len());
    assert!(above / pairs > 0.7, "{}", above / pairs);
    assert!(blamed * 20 <= good.len(), "{blamed}");
}

#[test]
fn a_broken_expression_is_named_by_its_list_and_place() {
    let spec = RulesSpec { require: vec!["fine".into(), "(".into()], ..RulesSpec::default() };
    let Err(RulesError::Pattern { list, index, .. }) = Rules::new(spec) else { panic!("the expression compiled") };
    assert_eq!((list, index), ("require", 1));
}

#[test]
fn numbers_that_make_no_sense_are_refused() {
    for spec in [
        RulesSpec { relevant: 0.0, ..RulesSpec::default() },
        RulesSpec { relevant: f32::NAN, ..RulesSpec::default() },
        RulesSpec { relevance_weight: 1.5, ..RulesSpec::default() },
    ] {
        assert!(matches!(Rules::new(spec), Err(RulesError::Number { .. })));
    }
}

#[test]
fn detectors_can_be_switched_off() {
    let rules = Rules::new(RulesSpec { refusals: false, repetition: false, ..RulesSpec::default() }).unwrap();
    let answer = "I'm sorry, but I can't help with that. ".repeat(20);
    assert_eq!(rules.judge(&Subject { prompt: "Hi", answer: &answer, ..Subject::default() }).faults, []);
}

#[test]
fn a_relevance_that_is_no_number_counts_as_not_measured() {
    let subject = Subject { prompt: "Hi", answer: "Hello there", relevance: Some(f32::NAN), ..Subject::default() };
    assert_eq!(rules().judge(&subject).score, 1.0);
}

#[test]
fn a_schema_that_refers_to_itself_ends() {
    let answer = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    for schema in [r##"{"$ref":"#"}"##, r##"{"type":"array","items":{"$ref":"#"}}"##] {
        rules().judge(&Subject { prompt: "", answer: &answer, schema: Some(schema), ..Subject::default() });
    }
}

proptest! {
    #[test]
    fn any_text_gets_a_score(prompt in any::<String>(), answer in any::<String>(), schema in any::<Option<String>>()) {
        let subject = Subject { prompt: &prompt, answer: &answer, schema: schema.as_deref(), ..Subject::default() };
        let quality = rules().judge(&subject);
        prop_assert!((0.0..=1.0).contains(&quality.score));
        prop_assert!((0.0..=1.0).contains(&relevance(&prompt, &answer)));
    }

    #[test]
    fn text_of_these_pieces_gets_a_score(parts in prop::collection::vec(prop::sample::select(PARTS), 0..60)) {
        let text = parts.concat();
        rules().judge(&Subject { prompt: &text, answer: &text, ..Subject::default() });
    }

    #[test]
    fn a_sentence_said_twenty_times_is_a_loop(words in prop::collection::vec("[a-z]{2,9}", 4..20)) {
        let answer = format!("{}. ", words.join(" ")).repeat(20);
        let quality = rules().judge(&Subject { prompt: "Tell me.", answer: &answer, ..Subject::default() });
        prop_assert!(quality.faults.contains(&Fault::Repetition));
    }
}

const PARTS: &[&str] = &[
    "I'm sorry, ",
    "I can’t ",
    "help",
    " with that",
    ". ",
    "```\n",
    "- ",
    "12. ",
    "𝔘",
    "\u{301}",
    "你好",
    "\r\n",
    "| a | b |\n",
    "as an AI ",
    "but here is ",
    "\"",
    "“",
    "{",
    "\0",
    "ﬁ",
    "İ",
];
