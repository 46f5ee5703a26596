//! What is known of a call while it is under way: when it passed where, and what it came to.
//!
//! Marks are atomics, because threads of sessions set them too and must not wait; they cost a store each.  Stages are
//! what lies between marks, so they leave no gap.  Nothing is told before the call ends, see [`super::Watch`].

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;

use super::spans::Traced;
use crate::{
    proto::v1::{GenerateUsage, Task},
    router::methods::Method,
};

/// Where a call passes, in this order; no kind of model has all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// It waits for somebody who reads it.
    Entered,
    /// Its texts become tokens.
    Read,
    /// It waits for a session or a slot.
    Queued,
    /// A session, or a slot, has taken it.
    Begun,
    /// The first token of its answer is there.
    First,
    /// The last of its runs, or tokens, is there.
    Done,
}

const MARKS: [Mark; 6] = [Mark::Entered, Mark::Read, Mark::Queued, Mark::Begun, Mark::First, Mark::Done];

/// What a call spends its time on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // their names say it
pub enum Stage {
    Queue,
    Tokenize,
    Inference,
    Prefill,
    Decode,
}

/// A stage, from when to when, since the call's start.
pub type Spent = (Stage, Duration, Duration);

/// A call that is under way, or a message of a stream.
pub struct Trail {
    /// None of a message.
    pub method: Option<&'static Method>,
    /// When its headers came, or the message.
    pub started: Instant,
    /// If it is traced.
    pub traced: Option<Box<Traced>>,
    /// The stream it is a message of.
    whole: Option<Arc<Trail>>,
    /// Nanoseconds since the start; 0: not passed.
    marks: [AtomicU64; MARKS.len()],
    facts: Mutex<Facts>,
}

/// What it came to.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The model it is for, once that is known.
    pub model: Option<Arc<str>>,
    /// Tokens read.
    pub prompt: u64,
    /// Those among them that were known and not computed.
    pub cached: u64,
    /// Tokens written; none before an answer has begun.
    pub completion: Option<u64>,
}

impl Stage {
    /// Of its span.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Tokenize => "tokenize",
            Self::Inference => "inference",
            Self::Prefill => "prefill",
            Self::Decode => "decode",
        }
    }
}

impl Trail {
    /// Of a call that has come in.
    pub fn new(method: Option<&'static Method>, traced: Option<Box<Traced>>, started: Instant) -> Self {
        Self { method, started, traced, whole: None, marks: Default::default(), facts: Mutex::default() }
    }

    /// Of one of its messages.
    pub fn part(self: &Arc<Self>, now: Instant) -> Self {
        let traced = self.traced.as_ref().map(|traced| Box::new(traced.part()));
        Self { whole: Some(self.clone()), ..Self::new(None, traced, now) }
    }

    /// It passes here; the first time counts.
    pub fn mark(&self, mark: Mark, now: Instant) {
        // Set already: that one counts.
        let _ = self.marks[mark as usize].compare_exchange(0, self.nanos(now), Relaxed, Relaxed);
    }

    /// It passes here; the last time counts.
    pub fn mark_last(&self, mark: Mark, now: Instant) {
        self.marks[mark as usize].fetch_max(self.nanos(now), Relaxed);
    }

    /// When it passed there, since its start.
    pub fn at(&self, mark: Mark) -> Option<Duration> {
        let nanos = self.marks[mark as usize].load(Relaxed);
        (nanos > 0).then(|| Duration::from_nanos(nanos))
    }

    /// What it spent its time on, if it was any; a stage that it ended in ends with it.
    pub fn stages(&self, ended: Duration) -> impl Iterator<Item = Spent> + '_ {
        let passed: Vec<_> = MARKS.iter().filter_map(|mark| Some((*mark, self.at(*mark)?))).collect();
        (0..passed.len()).filter_map(move |index| {
            let (mark, from) = passed[index];
            let to = passed.get(index + 1).map_or(ended, |(_, at)| *at);
            Some((self.stage(mark)?, from, to)).filter(|_| from < to)
        })
    }

    fn stage(&self, after: Mark) -> Option<Stage> {
        let writes = self.method.is_some_and(|method| method.task == Task::Generate);
        match after {
            Mark::Entered | Mark::Queued => Some(Stage::Queue),
            Mark::Read => Some(Stage::Tokenize),
            Mark::Begun if writes => Some(Stage::Prefill),
            Mark::Begun => Some(Stage::Inference),
            Mark::First => Some(Stage::Decode),
            Mark::Done => None,
        }
    }

    /// The model it is for.
    pub fn meant(&self, model: &Arc<str>) {
        self.facts.lock().model = Some(model.clone());
        if let Some(whole) = &self.whole {
            whole.meant(model);
        }
    }

    /// So many tokens were read, and so many of them were known.
    pub fn read(&self, tokens: u64, known: u64) {
        let mut facts = self.facts.lock();
        facts.prompt += tokens;
        facts.cached += known;
    }

    /// So many tokens were seen to be written; what the backend says of them counts more.
    pub fn written(&self, tokens: u64) {
        self.facts.lock().completion.get_or_insert(tokens);
    }

    /// What an answer came to, as its backend says.
    pub fn spent(&self, usage: &GenerateUsage) {
        let mut facts = self.facts.lock();
        facts.prompt = usage.prompt_tokens.into();
        facts.cached = usage.cached_tokens.into();
        facts.completion = Some(usage.completion_tokens.into());
    }

    /// What it came to so far.
    pub fn facts(&self) -> Facts {
        self.facts.lock().clone()
    }

    fn nanos(&self, now: Instant) -> u64 {
        (now.saturating_duration_since(self.started).as_nanos() as u64).max(1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::router::methods;

    fn trail(path: &str) -> Trail {
        Trail::new(methods::find(path), None, Instant::now())
    }

    fn after(trail: &Trail, micros: u64) -> Instant {
        trail.started + Duration::from_micros(micros)
    }

    fn names(trail: &Trail, ended: u64) -> Vec<&'static str> {
        trail.stages(Duration::from_micros(ended)).map(|(stage, ..)| stage.name()).collect()
    }

    #[test]
    fn a_stage_lasts_until_the_next_and_the_last_until_all_is_done() {
        let trail = trail("/waypost.v1.EmbedService/Embed");
        trail.mark(Mark::Read, after(&trail, 5));
        trail.mark(Mark::Queued, after(&trail, 8));
        assert_eq!(names(&trail, 9), ["tokenize", "queue"]);
        trail.mark(Mark::Begun, after(&trail, 10));
        trail.mark(Mark::Begun, after(&trail, 12));
        trail.mark_last(Mark::Done, after(&trail, 20));
        trail.mark_last(Mark::Done, after(&trail, 30));
        let micros = |(stage, from, to): Spent| (stage, from.as_micros(), to.as_micros());
        let told: Vec<_> = trail.stages(Duration::from_micros(40)).map(micros).collect();
        assert_eq!(told, [(Stage::Tokenize, 5, 8), (Stage::Queue, 8, 10), (Stage::Inference, 10, 30)]);
    }

    #[test]
    fn what_writes_reads_its_prompt_first() {
        let trail = trail("/waypost.v1.GenerateService/GenerateStream");
        for (mark, micros) in [(Mark::Entered, 0), (Mark::Begun, 5), (Mark::First, 7), (Mark::Done, 9)] {
            trail.mark(mark, after(&trail, micros));
        }
        assert_eq!(names(&trail, 9), ["queue", "prefill", "decode"]);
    }

    #[test]
    fn what_the_backend_says_of_tokens_counts_more_than_what_was_seen() {
        let trail = trail("/waypost.v1.GenerateService/Generate");
        trail.spent(&GenerateUsage { completion_tokens: 3, ..Default::default() });
        trail.written(9);
        assert_eq!(trail.facts().completion, Some(3));
    }

    proptest! {
        #[test]
        fn stages_leave_no_gap_and_do_not_overlap(
            passed in prop::collection::vec((any::<bool>(), 1_u64..1000), MARKS.len()), rest in 0_u64..1000,
        ) {
            let trail = trail("/waypost.v1.GenerateService/Generate");
            let mut now = 0;
            for (mark, (_, pause)) in MARKS.iter().zip(&passed).filter(|(_, (is_passed, _))| *is_passed) {
                now += pause;
                trail.mark(*mark, after(&trail, now));
            }
            let told: Vec<_> = trail.stages(Duration::from_micros(now + rest)).collect();
            prop_assert!(told.windows(2).all(|pair| pair[0].2 == pair[1].1));
            let first = MARKS.iter().find_map(|mark| trail.at(*mark));
            let end = trail.at(Mark::Done).unwrap_or(Duration::from_micros(now + rest));
            let sum: Duration = told.iter().map(|(_, from, to)| *to - *from).sum();
            prop_assert_eq!(sum, first.map_or(Duration::ZERO, |first| end - first));
        }
    }
}
