//! Continuous batching: every step of the model is shared among the slots, and requests join and leave at every step.
//!
//! The backend's loop is `wait, plan, compute, advance`: [`Engine::plan`] says which tokens of which slots the next step
//! computes and what must be done to the cache before; [`Engine::advance`] draws the next tokens from the step's
//! logits and sends what they say.  Which request is next, in which slot, and how much of its prompt is read, is
//! decided by [`waypost_decide::fair`], [`prefix`] and [`chunk`].
//!
//! A step computes with one adapter, so slots of several adapters take turns.  What is not here: preemption (a request
//! that has a slot keeps it) and speculative decoding (on two cores a step of more rows costs what it saves).

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use parking_lot::{Condvar, Mutex};
use waypost_decide::{
    chunk,
    fair::FairQueue,
    prefix::{self, Decision},
};
use waypost_sample::Candidate;

use super::{
    job::Job,
    pace::Pace,
    slot::{Held, Prompt, Run, Slot},
};
use crate::{error::Error, proto::v1::FinishReason, worker::inbox::Waiting};

/// Candidates a grammar looks at before it looks at all.
const LIKELY: usize = 64;

/// Rows for each gap between them that is worth filling.
const WORTH_FILLING: usize = 4;

/// What a model's tokens say.
pub struct Vocabulary {
    pieces: Vec<Box<[u8]>>,
    ends: HashSet<u32>,
}

impl Vocabulary {
    /// Bytes of every token, and the tokens that end an answer.
    pub fn new(pieces: Vec<Box<[u8]>>, ends: HashSet<u32>) -> Self {
        Self { pieces, ends }
    }

    /// Bytes of a token.
    pub fn piece(&self, token: u32) -> &[u8] {
        self.pieces.get(token as usize).map_or(&[], |piece| piece)
    }

    /// Whether a token ends an answer.
    pub fn ends(&self, token: u32) -> bool {
        self.ends.contains(&token)
    }

    fn len(&self) -> usize {
        self.pieces.len()
    }
}

/// What the engine may use.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Sequences side by side.
    pub slots: usize,
    /// Tokens of one sequence.
    pub context: usize,
    /// Tokens of a prompt that one step reads, see [`chunk`].
    pub chunk: usize,
    /// Longest that those who write should wait for a token while prompts are read; one chunk is always read.
    pub gap: Duration,
    /// The model's cache can be cut, so that a beginning can be kept or copied.
    pub shares_prefixes: bool,
    /// Each slot has a cache of its own: only slots side by side are computed at once.
    pub apart: bool,
}

/// Something to be done to the model's cache, before the step and in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Forget a slot's tokens from a position on.
    Cut {
        /// Whose.
        slot: usize,
        /// From where.
        from: usize,
    },
    /// Make a slot's cache the first `keep` tokens of another's.
    Copy {
        /// Whose beginning.
        from: usize,
        /// Where it goes.
        slot: usize,
        /// How much of it.
        keep: usize,
    },
}

/// One token of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its id.
    pub token: u32,
    /// Its place in the sequence.
    pub position: usize,
    /// Its sequence.
    pub slot: usize,
    /// Its logits are needed.
    pub logits: bool,
}

/// What to compute next.
#[derive(Debug, Default, PartialEq)]
pub struct Step {
    /// To be done first.
    pub changes: Vec<Change>,
    /// By slot and position; empty: nothing to compute.
    pub rows: Vec<Row>,
    /// Adapter to compute with; -1: none.
    pub adapter: i32,
    /// Requests that ended without the backend hearing of it otherwise.
    pub released: Vec<u64>,
}

/// Decides which tokens may come next in answers that a grammar binds.
pub trait Constrain {
    /// Which of these may come next, of the request known by `key`.
    fn allowed(&mut self, key: u64, candidates: &[Candidate]) -> Result<Vec<bool>, String>;
    /// A token was taken.
    fn accept(&mut self, key: u64, token: u32) -> Result<(), String>;
}

/// Where prompts come in, while a step is being computed.
#[derive(Default)]
struct Door {
    state: Mutex<Arrivals>,
    arrived: Condvar,
}

#[derive(Default)]
struct Arrivals {
    prompts: Vec<Prompt>,
    closed: bool,
}

/// The engine of one model; [`Engine::submit`] may be called beside the loop, the rest is the loop's.
pub struct Engine {
    shape: Shape,
    words: Vocabulary,
    door: Door,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    slots: Vec<Slot>,
    waiting: FairQueue<Prompt>,
    /// Slots of the step that is being computed, with their tokens.
    step: Vec<(usize, usize)>,
    /// That step reads a prompt.
    reads: bool,
    pace: Pace,
    steps: u64,
    scratch: Vec<f32>,
    released: Vec<u64>,
    /// Caches with tokens beyond those that count.
    filled: Vec<usize>,
}

impl Shape {
    /// Most tokens of a step.
    pub fn step(&self) -> usize {
        self.slots.max(chunk::most(self.chunk))
    }
}

impl Engine {
    /// With empty slots.
    pub fn new(shape: Shape, words: Vocabulary) -> Self {
        let slots = (0..shape.slots).map(|_| Slot::default()).collect();
        Self { shape, words, door: Door::default(), state: Mutex::new(State { slots, ..State::default() }) }
    }

    /// What it may use.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Adds a request; false once the engine is closed, and the request is dropped, which answers it.
    pub fn submit(&self, prompt: Prompt) -> bool {
        let mut arrivals = self.door.state.lock();
        if arrivals.closed {
            return false;
        }
        prompt.job.read(Instant::now());
        arrivals.prompts.push(prompt);
        drop(arrivals);
        self.door.arrived.notify_one();
        true
    }

    /// Waits for work; false once the engine is closed and nothing is left.
    pub fn wait(&self) -> bool {
        if self.state.lock().has_work() {
            return true;
        }
        let mut arrivals = self.door.state.lock();
        while arrivals.prompts.is_empty() && !arrivals.closed {
            self.door.arrived.wait(&mut arrivals);
        }
        !arrivals.prompts.is_empty()
    }

    /// Nothing new is taken; `wait` ends when all is answered.
    pub fn close(&self) {
        self.door.state.lock().closed = true;
        self.door.arrived.notify_all();
    }

    /// Tokens known per slot and whether it is in use; for tests and reports.
    pub fn slots(&self) -> Vec<(usize, bool)> {
        self.state.lock().slots.iter().map(|slot| (slot.computed, slot.run.is_some())).collect()
    }

    /// Requests that wait for a slot.
    pub fn waiting(&self) -> usize {
        self.door.state.lock().prompts.len() + self.state.lock().waiting.len()
    }

    /// What to compute next.
    pub fn plan(&self, now: Instant) -> Step {
        let mut state = self.state.lock();
        state.let_in(std::mem::take(&mut self.door.state.lock().prompts));
        state.drop_abandoned(now);
        let mut changes = state.tidy();
        state.place_waiting(&self.shape, &mut changes, now);
        let (adapter, rows) = state.compose(&self.shape, now);
        Step { changes, rows, adapter, released: std::mem::take(&mut state.released) }
    }

    /// Takes in the logits of the planned step, a vocabulary for each row that needed them; gives the answers that
    /// were kept back.
    pub fn advance(&self, logits: &[f32], constrain: &mut dyn Constrain, now: Instant) -> Vec<Held> {
        let mut state = self.state.lock();
        let read = state.reads.then(|| state.step.iter().map(|(_, tokens)| tokens).sum());
        state.pace.computed(read, now);
        let mut rows = logits.chunks_exact(self.words.len());
        let mut held = Vec::new();
        for (slot, tokens) in std::mem::take(&mut state.step) {
            state.slots[slot].computed += tokens;
            if state.slots[slot].pending() > 0 {
                continue;
            }
            let Some(row) = rows.next() else { break };
            held.extend(state.write(slot, row, &self.words, self.shape.context, constrain, now));
        }
        held
    }

    /// The planned step could not be computed: its requests fail, and their caches are not trusted any more.
    pub fn fail(&self, why: &str) {
        let mut state = self.state.lock();
        for (slot, _) in std::mem::take(&mut state.step) {
            state.fail(slot, why);
            (state.slots[slot].tokens, state.slots[slot].computed) = (Vec::new(), 0);
            state.filled.push(slot);
        }
    }
}

impl State {
    fn has_work(&self) -> bool {
        let untidy = !self.released.is_empty() || !self.filled.is_empty();
        untidy || !self.waiting.is_empty() || self.slots.iter().any(|slot| slot.run.is_some())
    }

    fn let_in(&mut self, prompts: Vec<Prompt>) {
        for prompt in prompts {
            let job = prompt.job.clone();
            self.waiting.push(&job.terms.tenant, job.terms.priority, prompt.cost(), prompt);
        }
    }

    /// Work whose caller left, or whose time is over, makes room.
    fn drop_abandoned(&mut self, now: Instant) {
        let released = &mut self.released;
        let mut wanted = |job: &Job, key: u64| {
            let over = job.is_over(now);
            if over {
                job.release();
            }
            released.extend(over.then_some(key));
            !over
        };
        self.waiting.retain(|prompt| wanted(&prompt.job, prompt.key));
        let mut left = |slot: &Slot| slot.run.as_ref().is_some_and(|run| !wanted(&run.job, run.key));
        let left: Vec<usize> = (0..self.slots.len()).filter(|slot| left(&self.slots[*slot])).collect();
        for slot in left {
            self.stop(slot);
        }
    }

    /// Ends an answer; where nothing of it may stay, its cache is emptied before the next step.
    fn stop(&mut self, slot: usize) -> Option<Run> {
        let run = self.slots[slot].stop()?;
        self.filled.extend(run.private.then_some(slot));
        Some(run)
    }

    /// What the step before left in caches that is none of theirs.
    fn tidy(&mut self) -> Vec<Change> {
        let cut = |slot| Change::Cut { slot, from: self.slots[slot].computed };
        std::mem::take(&mut self.filled).into_iter().map(cut).collect()
    }

    fn place_waiting(&mut self, shape: &Shape, changes: &mut Vec<Change>, now: Instant) {
        let order: Vec<_> = self.waiting.iter().map(|(place, _)| place).collect();
        for place in order {
            let known: Vec<_> = self.slots.iter().map(Slot::known).collect();
            let Some(prompt) = self.waiting.get(place) else { continue };
            let shareable = if shape.shares_prefixes { &prompt.tokens[..] } else { &[] };
            let (slot, keep, change) = match prefix::place(shareable, prompt.adapter, &known) {
                Decision::Keep { slot, keep } => (slot, keep, Change::Cut { slot, from: keep }),
                Decision::Copy { from, slot, keep } => (slot, keep, Change::Copy { from, slot, keep }),
                Decision::Follow => continue,
                Decision::Full => return,
            };
            changes.push(change);
            if let Some(prompt) = self.waiting.take(place) {
                self.slots[slot].start(prompt, keep, now);
            }
        }
    }

    /// Those who write and those who are read take turns: together in a step they cost more than one after the other.
    fn compose(&mut self, shape: &Shape, now: Instant) -> (i32, Vec<Row>) {
        self.steps += 1;
        let Some(adapter) = self.next_adapter() else { return (-1, Vec::new()) };
        let running = |slot: &Slot| slot.adapter == adapter && slot.run.is_some();
        let numbered = || self.slots.iter().enumerate().filter(|(_, slot)| running(slot));
        let writing = numbered().filter(|(_, slot)| slot.is_writing()).map(|(index, _)| (index, 1));
        let writing: Vec<(usize, usize)> = writing.collect();
        let left = self.pace.left(shape.gap, now);
        let chunk = if writing.is_empty() { shape.chunk } else { self.pace.chunk(left, shape.chunk) };
        let reading = chunk::next(numbered().filter_map(|(index, slot)| slot.reading(index)), chunk);
        let may_read = |tokens| writing.is_empty() || !self.reads || self.pace.suffices(left, tokens);
        let reading = reading.filter(|(_, tokens)| may_read(*tokens));
        self.reads = reading.is_some();
        self.pace.planned(now);
        self.step = match reading {
            Some(reading) => vec![reading],
            None if shape.apart => self.closed_up(writing, adapter),
            None => writing,
        };
        self.note(adapter);
        let computed = self.step.iter().flat_map(|(slot, tokens)| rows(*slot, &self.slots[*slot], *tokens));
        let fillers = self.filled.iter().map(|slot| Row { slot: *slot, ..self.slots[*slot].filler() });
        let mut rows: Vec<Row> = computed.chain(fillers).collect();
        rows.sort_by_key(|row| row.slot);
        (adapter, rows)
    }

    /// Closes the gaps between those who write, because a row more costs less than computing what is on either side of
    /// it one after the other: by a token of a prompt that is being read there, or one of an idle slot, which is
    /// forgotten after the step.
    fn closed_up(&mut self, mut writing: Vec<(usize, usize)>, adapter: i32) -> Vec<(usize, usize)> {
        let (Some((first, _)), Some((last, _))) = (writing.first(), writing.last()) else { return writing };
        let between = (*first..*last).filter(|slot| !writing.iter().any(|(each, _)| each == slot));
        let (read, idle): (Vec<usize>, Vec<usize>) = between.partition(|slot| self.slots[*slot].run.is_some());
        let foreign = read.iter().any(|slot| self.slots[*slot].adapter != adapter);
        if !foreign && idle.len() * WORTH_FILLING <= writing.len() {
            self.filled = idle;
            writing.extend(read.into_iter().map(|slot| (slot, 1)));
            writing.sort_unstable();
        }
        writing
    }

    /// That whose turn was longest ago.
    fn next_adapter(&self) -> Option<i32> {
        let running = self.slots.iter().filter_map(|slot| slot.run.as_ref().map(|run| (run.stepped, slot.adapter)));
        running.min().map(|(_, adapter)| adapter)
    }

    fn note(&mut self, adapter: i32) {
        for (index, slot) in self.slots.iter_mut().enumerate().filter(|(_, slot)| slot.adapter == adapter) {
            let Some(run) = &mut slot.run else { continue };
            run.stepped = self.steps;
            if self.step.iter().any(|(stepped, _)| *stepped == index) {
                (slot.used, run.passed_by) = (self.steps, 0);
            } else if self.reads {
                run.passed_by += 1;
            }
        }
    }

    /// Draws a slot's next token.
    fn write(
        &mut self,
        slot: usize,
        logits: &[f32],
        words: &Vocabulary,
        context: usize,
        constrain: &mut dyn Constrain,
        now: Instant,
    ) -> Option<Held> {
        let Slot { tokens, run, .. } = &mut self.slots[slot];
        let run = run.as_mut()?;
        let token = match draw(run, logits, tokens, constrain, &mut self.scratch) {
            Ok(token) => token,
            Err(why) => {
                self.fail(slot, &why);
                return None;
            }
        };
        let reason = run.take(token, logits, words, now);
        tokens.push(token);
        let full = (tokens.len() >= context).then_some(FinishReason::Length);
        let reason = reason.or(full)?;
        let run = self.stop(slot)?;
        self.released.push(run.key);
        run.finish(reason, now)
    }

    fn fail(&mut self, slot: usize, why: &str) {
        if let Some(run) = self.stop(slot) {
            self.released.push(run.key);
            run.job.end(Err(Error::ModelFailed { model: run.job.terms.model.to_string(), why: why.into() }));
        }
    }
}

fn rows(index: usize, slot: &Slot, tokens: usize) -> impl Iterator<Item = Row> + '_ {
    let (from, last) = (slot.computed, slot.tokens.len() - 1);
    (from..from + tokens).map(move |position| Row {
        token: slot.tokens[position],
        position,
        slot: index,
        logits: position == last,
    })
}

fn draw(
    run: &mut Run,
    logits: &[f32],
    history: &[u32],
    constrain: &mut dyn Constrain,
    scratch: &mut Vec<f32>,
) -> Result<u32, String> {
    let none = || "it gives no token that is a number".to_string();
    if !run.constrained {
        return run.sampler.draw(logits, history, scratch).ok_or_else(none);
    }
    for count in [LIKELY, 0] {
        let found = run.sampler.candidates(logits, history, count, scratch);
        let allowed = constrain.allowed(run.key, &found)?;
        let kept: Vec<_> =
            found.into_iter().zip(allowed).filter(|(_, allowed)| *allowed).map(|(each, _)| each).collect();
        if let Some(token) = run.sampler.draw_among(kept) {
            constrain.accept(run.key, token)?;
            return Ok(token);
        }
    }
    Err("the grammar allows none of the model's tokens here".into())
}
