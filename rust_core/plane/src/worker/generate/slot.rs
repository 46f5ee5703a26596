//! One sequence of a model: what its cache has, and the answer being written in it.

use std::{sync::Arc, time::Instant};

use waypost_decide::{chunk::Reading, prefix::Known};
use waypost_sample::{Sampler, Settings, Tail, filter::Filters, logprob, penalty::Penalties};

use super::{
    engine::{Row, Vocabulary},
    job::{Asked, Ending, Job},
};
use crate::proto::v1::{self, FinishReason};

/// A request that is ready to run.
pub struct Prompt {
    /// Whose it is.
    pub job: Arc<Job>,
    /// What the backend knows it by.
    pub key: u64,
    /// At least one, and fewer than the context.
    pub tokens: Vec<u32>,
    /// Adapter it runs with; -1: none.
    pub adapter: i32,
    /// Tokens that truncation took.
    pub dropped: u32,
    /// A grammar decides which tokens may come.
    pub constrained: bool,
    /// What of the answer waits for its end.
    pub hold: Hold,
}

impl Prompt {
    /// Tokens that it may come to, read and written.
    pub fn cost(&self) -> u64 {
        let most = match &self.job.asked {
            Asked::Answer(request) => u64::from(request.max_tokens),
            Asked::Count(_) => 0,
        };
        self.tokens.len() as u64 + most
    }
}

/// Whether the answer is kept back until its end, because it may be a call of a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// It goes out as it comes.
    Nothing,
    /// Its beginning will tell.
    Undecided,
    /// It is kept.
    All,
}

/// How a call of a tool begins, in text that is free.
const CALLS: [&str; 2] = ["{", "<tool_call>"];

/// One sequence.
#[derive(Default)]
pub struct Slot {
    /// Tokens in its cache, and those that are to be computed next.
    pub tokens: Vec<u32>,
    /// How many of them are computed.
    pub computed: usize,
    /// Adapter the cache is of; -1: none.
    pub adapter: i32,
    /// When it was used last.
    pub used: u64,
    /// The answer being written.
    pub run: Option<Run>,
}

/// An answer being written.
pub struct Run {
    /// Whose it is.
    pub job: Arc<Job>,
    /// What the backend knows it by.
    pub key: u64,
    /// See [`Prompt::constrained`].
    pub constrained: bool,
    /// Steps in which its prompt was passed by.
    pub passed_by: usize,
    /// When it was part of a step last.
    pub stepped: u64,
    /// Nothing of it may stay known.
    pub private: bool,
    /// Draws its tokens.
    pub sampler: Sampler,
    usage: v1::GenerateUsage,
    max_tokens: u32,
    top_logprobs: Option<usize>,
    tail: Tail,
    hold: Hold,
    held: String,
}

/// An answer that was kept back, for the backend to read.
#[derive(Debug, PartialEq)]
pub struct Held {
    /// What the backend knows it by.
    pub key: u64,
    /// All of it.
    pub text: String,
    /// How it ended.
    pub ending: Ending,
}

impl Slot {
    /// What is to be computed.
    pub fn pending(&self) -> usize {
        self.tokens.len() - self.computed
    }

    /// Its prompt is still being read.
    pub fn reading(&self, slot: usize) -> Option<Reading> {
        let run = self.run.as_ref().filter(|run| !run.is_writing())?;
        Some(Reading { slot, left: self.pending(), passed_by: run.passed_by })
    }

    /// It waits for its next token.
    pub fn is_writing(&self) -> bool {
        self.run.as_ref().is_some_and(Run::is_writing)
    }

    /// A token after its last one, for a step whose result nobody looks at.
    pub fn filler(&self) -> Row {
        let token = self.tokens.last().copied().unwrap_or_default();
        Row { token, position: self.computed, slot: 0, logits: false }
    }

    /// As the choice of slots sees it.
    pub fn known(&self) -> Known<'_> {
        Known {
            tokens: if self.is_private() { &[] } else { &self.tokens },
            computed: self.computed,
            adapter: self.adapter,
            busy: self.run.is_some(),
            used: self.used,
        }
    }

    /// Takes a prompt whose first `keep` tokens are in the cache.
    pub fn start(&mut self, prompt: Prompt, keep: usize, now: Instant) {
        prompt.job.begin(now);
        self.computed = keep;
        self.adapter = prompt.adapter;
        self.run = Some(Run::new(&prompt, keep));
        self.tokens = prompt.tokens;
    }

    fn is_private(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.private)
    }

    /// Ends the answer; what was computed stays known, unless its caller will not have that.
    pub fn stop(&mut self) -> Option<Run> {
        if self.is_private() {
            self.computed = 0;
        }
        self.tokens.truncate(self.computed);
        self.run.take()
    }
}

impl Run {
    fn new(prompt: &Prompt, keep: usize) -> Self {
        let request = match &prompt.job.asked {
            Asked::Answer(request) => request.clone(),
            Asked::Count(_) => Arc::default(),
        };
        Self {
            key: prompt.key,
            job: prompt.job.clone(),
            constrained: prompt.constrained,
            passed_by: 0,
            stepped: 0,
            private: request.route.as_ref().is_some_and(|route| route.no_store),
            sampler: Sampler::new(settings(request.sampling.as_ref())),
            usage: v1::GenerateUsage {
                prompt_tokens: prompt.tokens.len() as u32,
                cached_tokens: keep as u32,
                completion_tokens: 0,
                dropped_tokens: prompt.dropped,
            },
            max_tokens: request.max_tokens,
            top_logprobs: request.top_logprobs.map(|top| top as usize),
            tail: Tail::new(request.stop.iter().map(String::as_str)),
            hold: prompt.hold,
            held: String::new(),
        }
    }

    /// It has begun to write.
    pub fn is_writing(&self) -> bool {
        self.usage.completion_tokens > 0
    }

    /// Takes in the token that was drawn; the reason to end where there is one.
    pub fn take(&mut self, token: u32, logits: &[f32], words: &Vocabulary, now: Instant) -> Option<FinishReason> {
        if words.ends(token) {
            self.say(String::new(), vec![], 0, now);
            return Some(FinishReason::Stop);
        }
        self.usage.completion_tokens += 1;
        let emitted = self.tail.push(words.piece(token));
        let logprobs = self.top_logprobs.map(|top| words.logprob(logits, token, top));
        self.say(emitted.text, logprobs.into_iter().collect(), 1, now);
        if emitted.stopped {
            return Some(FinishReason::Stop);
        }
        (self.usage.completion_tokens >= self.max_tokens).then_some(FinishReason::Length)
    }

    fn say(&mut self, text: String, logprobs: Vec<v1::TokenLogprob>, tokens: u32, now: Instant) {
        let text = self.released(text);
        self.job.push(&text, logprobs, tokens, now);
    }

    /// What of the answer may go out.
    fn released(&mut self, text: String) -> String {
        if self.hold == Hold::Nothing {
            return text;
        }
        self.held.push_str(&text);
        if self.hold == Hold::Undecided {
            self.hold = decided(self.held.trim_start());
        }
        if self.hold == Hold::Nothing { std::mem::take(&mut self.held) } else { String::new() }
    }

    /// Answers the caller, or gives what was kept back to the backend.
    pub fn finish(mut self, reason: FinishReason, now: Instant) -> Option<Held> {
        let rest = self.tail.flush();
        self.say(rest, vec![], 0, now);
        let ending = Ending { reason, usage: self.usage, ..Ending::default() };
        if self.hold == Hold::All {
            return Some(Held { key: self.key, text: self.held, ending });
        }
        let rest = std::mem::take(&mut self.held);
        self.job.push(&rest, vec![], 0, now);
        self.job.end(Ok(ending));
        None
    }
}

/// Whether a text that begins so is a call.
fn decided(beginning: &str) -> Hold {
    if CALLS.iter().any(|call| beginning.starts_with(call)) {
        return Hold::All;
    }
    let may_become = CALLS.iter().any(|call| call.starts_with(beginning));
    if may_become { Hold::Undecided } else { Hold::Nothing }
}

fn settings(asked: Option<&v1::Sampling>) -> Settings {
    let (asked, default) = (asked.cloned().unwrap_or_default(), Settings::default());
    let (filters, penalties) = (default.filters, default.penalties);
    Settings {
        seed: asked.seed.unwrap_or_else(rand::random),
        temperature: asked.temperature.unwrap_or(default.temperature),
        filters: Filters {
            top_k: asked.top_k.map_or(filters.top_k, |top_k| top_k as usize),
            top_p: asked.top_p.unwrap_or(filters.top_p),
            min_p: asked.min_p.unwrap_or(filters.min_p),
        },
        penalties: Penalties {
            repeat: asked.repeat_penalty.unwrap_or(penalties.repeat),
            frequency: asked.frequency_penalty.unwrap_or(penalties.frequency),
            presence: asked.presence_penalty.unwrap_or(penalties.presence),
            last: asked.penalty_tokens.map_or(penalties.last, |last| last as usize),
        },
        bias: asked.logit_bias.into_iter().collect(),
    }
}

impl Vocabulary {
    fn logprob(&self, logits: &[f32], token: u32, top: usize) -> v1::TokenLogprob {
        let (drawn, likeliest) = logprob::of(logits, token, top);
        let told = |each: logprob::Logprob| v1::TokenLogprob {
            token: each.token,
            text: self.piece(each.token).to_vec(),
            logprob: each.logprob,
            top: vec![],
        };
        v1::TokenLogprob { top: likeliest.into_iter().map(told).collect(), ..told(drawn) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_be_a_call_is_kept_back() {
        assert_eq!(decided(""), Hold::Undecided);
        assert_eq!(decided("<tool"), Hold::Undecided);
        assert_eq!(decided("{\"name\""), Hold::All);
        assert_eq!(decided("<tool_call>{"), Hold::All);
        assert_eq!(decided("The answer is {"), Hold::Nothing);
    }
}
