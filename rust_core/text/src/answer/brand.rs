//! The brand rules of the configuration: what answers must not hold, must hold, and how long they may be.
use regex::Regex;

use super::{Fault, RulesError};

/// Compiled brand rules.
#[derive(Debug)]
pub(super) struct Brand {
    forbid: Vec<Regex>,
    require: Vec<Regex>,
    max_chars: usize,
}

impl Brand {
    pub(super) fn new(forbid: &[String], require: &[String], max_chars: usize) -> Result<Self, RulesError> {
        Ok(Self { forbid: compiled("forbid", forbid)?, require: compiled("require", require)?, max_chars })
    }

    pub(super) fn check(&self, answer: &str, note: &mut impl FnMut(bool, Fault)) {
        for (index, pattern) in self.forbid.iter().enumerate() {
            note(pattern.is_match(answer), Fault::Forbidden(index));
        }
        for (index, pattern) in self.require.iter().enumerate() {
            note(!pattern.is_match(answer), Fault::Lacking(index));
        }
        note(self.max_chars > 0 && answer.chars().nth(self.max_chars).is_some(), Fault::TooLong);
    }
}

fn compiled(list: &'static str, patterns: &[String]) -> Result<Vec<Regex>, RulesError> {
    let compile = |(index, pattern): (usize, &String)| {
        Regex::new(pattern).map_err(|source| RulesError::Pattern {
            list,
            index,
            pattern: pattern.clone(),
            source: Box::new(source),
        })
    };
    patterns.iter().enumerate().map(compile).collect()
}
