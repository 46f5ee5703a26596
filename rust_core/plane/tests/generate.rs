//! The engine over a model of our own, whose cache is checked at every step: whatever runs beside it, and however its
//! cache was come by, an answer is the one it would have been alone.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use proptest::prelude::*;
use waypost_plane::{
    deadline::Deadline,
    proto::v1::{FinishReason, GenerateRequest, RouteHints, Sampling},
    worker::generate::{
        engine::{Change, Constrain, Engine, Row, Shape, Vocabulary},
        job::{self, Asked, Ending, Job, Slots, Terms, Ticket},
        slot::{Held, Hold, Prompt},
    },
};
use waypost_sample::Candidate;

const WORDS: u32 = 16;
const END: u32 = 0;

/// Each token says its letter.
fn vocabulary() -> Vocabulary {
    let letter = |token: u32| vec![b'a' + token as u8].into_boxed_slice();
    Vocabulary::new((0..WORDS).map(letter).collect(), HashSet::from([END]))
}

/// What the model says after these tokens, with this adapter: any fixed function will do.
fn next(tokens: &[u32], adapter: i32) -> u32 {
    let mixed =
        tokens.iter().fold(adapter as u32, |sum, token| (sum ^ token).wrapping_mul(2_654_435_761).rotate_left(7));
    mixed % WORDS
}

/// The answer to a prompt that runs alone.
fn alone(prompt: &[u32], adapter: i32, max_tokens: u32, context: usize) -> String {
    let (mut tokens, mut text) = (prompt.to_vec(), String::new());
    for _ in 0..max_tokens {
        let token = next(&tokens, adapter);
        if token == END {
            break;
        }
        text.push(char::from(b'a' + token as u8));
        tokens.push(token);
        if tokens.len() >= context {
            break;
        }
    }
    text
}

/// A model's cache, slot by slot.
struct Model {
    cache: Vec<Vec<u32>>,
}

impl Model {
    fn change(&mut self, change: Change) {
        match change {
            Change::Cut { slot, from } => {
                assert!(from <= self.cache[slot].len(), "keeps what is not there");
                self.cache[slot].truncate(from);
            }
            Change::Copy { from, slot, keep } => {
                assert!(keep <= self.cache[from].len(), "copies what is not there");
                self.cache[slot] = self.cache[from][..keep].to_vec();
            }
        }
    }

    /// Logits of the rows that want them.
    fn compute(&mut self, rows: &[Row], adapter: i32) -> Vec<f32> {
        let mut logits = Vec::new();
        for row in rows {
            assert_eq!(row.position, self.cache[row.slot].len(), "rows are in order and leave no gap");
            self.cache[row.slot].push(row.token);
            if row.logits {
                let likeliest = next(&self.cache[row.slot], adapter);
                logits.extend((0..WORDS).map(|token| if token == likeliest { 1.0 } else { 0.0 }));
            }
        }
        logits
    }
}

/// Lets through what is in its list.
struct Only(Vec<u32>);

impl Constrain for Only {
    fn allowed(&mut self, _key: u64, candidates: &[Candidate]) -> Result<Vec<bool>, String> {
        Ok(candidates.iter().map(|each| self.0.contains(&each.token)).collect())
    }

    fn accept(&mut self, _key: u64, token: u32) -> Result<(), String> {
        assert!(self.0.contains(&token));
        Ok(())
    }
}

/// An engine with its model.
struct Bench {
    engine: Engine,
    model: Model,
    shape: Shape,
    constrain: Only,
    held: Vec<Held>,
    released: Vec<u64>,
    most_rows: usize,
}

impl Bench {
    fn new(shape: Shape) -> Self {
        Self {
            engine: Engine::new(shape, vocabulary()),
            model: Model { cache: vec![Vec::new(); shape.slots] },
            shape,
            constrain: Only(Vec::new()),
            held: Vec::new(),
            released: Vec::new(),
            most_rows: 0,
        }
    }

    /// One step; false when there was nothing to compute.
    fn step(&mut self) -> bool {
        let step = self.engine.plan(Instant::now());
        self.released.extend(step.released);
        step.changes.into_iter().for_each(|change| self.model.change(change));
        self.most_rows = self.most_rows.max(step.rows.len());
        let logits = self.model.compute(&step.rows, step.adapter);
        self.held.extend(self.engine.advance(&logits, &mut self.constrain, Instant::now()));
        !step.rows.is_empty()
    }

    /// Until nothing is left; every slot's cache is then what the engine believes.
    fn run(&mut self) {
        while self.step() {}
        self.step();
        for (slot, (computed, busy)) in self.engine.slots().into_iter().enumerate() {
            assert!(!busy, "slot {slot} is free");
            assert_eq!(computed, self.model.cache[slot].len(), "slot {slot}");
        }
        assert_eq!(self.engine.waiting(), 0);
    }

    fn submit(&self, request: Request) -> Ticket {
        let (job, ticket) = request.open();
        let Request { key, tokens, adapter, constrained, hold, .. } = request;
        assert!(self.engine.submit(Prompt { job: Arc::new(job), key, tokens, adapter, dropped: 0, constrained, hold }));
        ticket
    }
}

#[derive(Clone, Debug)]
struct Request {
    key: u64,
    tokens: Vec<u32>,
    adapter: i32,
    max_tokens: u32,
    stop: Vec<String>,
    constrained: bool,
    hold: Hold,
    tenant: String,
    patience: Duration,
    /// Its model never says that it has ended.
    endless: bool,
    /// Its caller wants nothing kept.
    private: bool,
}

impl Request {
    fn new(tokens: &[u32], max_tokens: u32) -> Self {
        Self {
            key: 0,
            tokens: tokens.to_vec(),
            adapter: -1,
            max_tokens,
            stop: Vec::new(),
            constrained: false,
            hold: Hold::Nothing,
            tenant: String::new(),
            patience: Duration::from_secs(60),
            endless: false,
            private: false,
        }
    }

    fn open(&self) -> (Job, Ticket) {
        let logit_bias = if self.endless { [(END, -100.0)].into() } else { [].into() };
        let sampling = Sampling { temperature: Some(0.0), logit_bias, ..Default::default() };
        let (stop, max_tokens) = (self.stop.clone(), self.max_tokens);
        let route = Some(RouteHints { no_store: self.private, ..Default::default() });
        let request = GenerateRequest { route, sampling: Some(sampling), stop, max_tokens, ..Default::default() };
        let now = Instant::now();
        let deadline = Deadline::after(now, self.patience);
        let terms = Terms {
            deadline,
            priority: 2,
            tenant: self.tenant.clone(),
            model: "m".into(),
            slots: Slots::default(),
            trace: None,
        };
        job::open(Asked::Answer(Arc::new(request)), terms, None, now)
    }
}

const SHAPE: Shape =
    Shape { slots: 3, context: 200, chunk: 16, gap: Duration::ZERO, shares_prefixes: true, apart: true };

/// What came of a request whose engine has ended.
fn answer(ticket: &mut Ticket) -> (String, Ending) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("starts");
    let piece = runtime.block_on(ticket.rest()).expect("is answered");
    (piece.text, piece.end.expect("has ended").0)
}

fn prompt(seed: u32, length: usize) -> Vec<u32> {
    (0..length as u32).map(|index| 1 + (seed * 31 + index * 7) % (WORDS - 1)).collect()
}

#[test]
fn an_answer_ends_at_its_limit_its_stop_string_or_the_model_s_own_end() {
    let mut bench = Bench::new(SHAPE);
    let tokens = prompt(1, 20);
    let whole = alone(&tokens, -1, 1000, SHAPE.context);
    let mut limited = bench.submit(Request::new(&tokens, 2));
    let stop = vec![whole[1..3].to_string()];
    let mut stopped = bench.submit(Request { stop, ..Request::new(&tokens, 100) });
    let mut free = bench.submit(Request::new(&tokens, 1000));
    bench.run();
    let (text, ending) = answer(&mut limited);
    assert_eq!((text.as_str(), ending.reason), (&whole[..2], FinishReason::Length));
    assert_eq!((ending.usage.prompt_tokens, ending.usage.completion_tokens), (20, 2));
    let (text, ending) = answer(&mut stopped);
    assert_eq!((text.as_str(), ending.reason), (&whole[..1], FinishReason::Stop));
    assert_eq!(answer(&mut free).0, whole);
}

#[test]
fn a_shared_beginning_is_computed_once() {
    let mut bench = Bench::new(SHAPE);
    let system = prompt(3, 100);
    let with = |last: u32| [system.clone(), vec![last, last]].concat();
    let mut tickets: Vec<Ticket> = (1..4).map(|last| bench.submit(Request::new(&with(last), 3))).collect();
    bench.run();
    let cached: Vec<u32> = tickets.iter_mut().map(|ticket| answer(ticket).1.usage.cached_tokens).collect();
    assert_eq!(cached, [0, 100, 100]);
}

#[test]
fn of_a_call_that_wants_nothing_kept_no_cache_has_anything_when_it_is_over() {
    let mut bench = Bench::new(SHAPE);
    let tokens = prompt(3, 100);
    let mut cached = |private: bool| {
        let mut ticket = bench.submit(Request { private, ..Request::new(&tokens, 3) });
        bench.run();
        let known = bench.engine.slots().iter().map(|(computed, _)| computed).sum::<usize>();
        (answer(&mut ticket).1.usage.cached_tokens, known)
    };
    assert_eq!([cached(true), cached(true)], [(0, 0), (0, 0)]);
    assert_eq!([cached(false), cached(true), cached(false)], [(0, 102), (99, 0), (0, 102)]);
}

#[test]
fn a_long_prompt_is_read_in_chunks_beside_those_who_write() {
    let mut bench = Bench::new(Shape { context: 4000, ..SHAPE });
    let mut writing = bench.submit(Request { endless: true, ..Request::new(&prompt(1, 5), 3000) });
    bench.step();
    bench.most_rows = 0;
    let mut long = bench.submit(Request::new(&prompt(2, 2000), 1));
    bench.run();
    assert!(bench.most_rows <= SHAPE.step(), "{} rows in a step", bench.most_rows);
    assert_eq!(answer(&mut long).0, alone(&prompt(2, 2000), -1, 1, 4000));
    assert_eq!(answer(&mut writing).1.usage.completion_tokens, 3000);
}

#[test]
fn a_caller_who_leaves_frees_the_slot_at_the_next_step() {
    let mut bench = Bench::new(Shape { slots: 1, ..SHAPE });
    let leaving = bench.submit(Request { key: 7, ..Request::new(&prompt(1, 5), 150) });
    let mut waiting = bench.submit(Request::new(&prompt(9, 5), 2));
    bench.step();
    drop(leaving);
    bench.step();
    assert_eq!(bench.released, [7]);
    bench.run();
    assert_eq!(answer(&mut waiting).0, alone(&prompt(9, 5), -1, 2, 200));
}

#[test]
fn a_deadline_frees_the_slot_and_the_queue() {
    let mut bench = Bench::new(Shape { slots: 1, ..SHAPE });
    let patience = Duration::ZERO;
    let _late = bench.submit(Request { key: 1, patience, ..Request::new(&prompt(1, 5), 150) });
    let _later = bench.submit(Request { key: 2, patience, ..Request::new(&prompt(2, 5), 150) });
    bench.run();
    assert_eq!(bench.released, [1, 2]);
}

#[test]
fn a_step_that_fails_fails_its_requests_and_no_others() {
    let mut bench = Bench::new(Shape { slots: 1, ..SHAPE });
    let mut failing = bench.submit(Request::new(&prompt(1, 40), 5));
    let mut later = bench.submit(Request::new(&prompt(1, 40), 5));
    bench.engine.plan(Instant::now());
    bench.engine.fail("out of memory");
    bench.run();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("starts");
    let error = runtime.block_on(failing.rest()).expect_err("failed").to_string();
    assert!(error.contains("out of memory"), "{error}");
    assert_eq!(answer(&mut later).0, alone(&prompt(1, 40), -1, 5, 200));
}

/// Five who write in six slots; the caller of the third has left.
fn beside_a_gap() -> (Bench, Vec<Ticket>) {
    let mut bench = Bench::new(Shape { slots: 6, ..SHAPE });
    let endless = |seed| Request { endless: true, ..Request::new(&prompt(seed, 5), 40) };
    let mut tickets: Vec<Ticket> = (0..6).map(|seed| bench.submit(endless(seed))).collect();
    for _ in 0..12 {
        bench.step();
    }
    drop(tickets.remove(2));
    (bench, tickets)
}

#[test]
fn a_gap_between_those_who_write_is_filled_and_leaves_nothing_behind() {
    let (mut bench, mut tickets) = beside_a_gap();
    bench.most_rows = 0;
    bench.step();
    assert_eq!(bench.most_rows, 6);
    bench.run();
    assert!(tickets.iter_mut().all(|ticket| answer(ticket).1.usage.completion_tokens == 40));
}

#[test]
fn a_prompt_between_those_who_write_is_read_along() {
    let (mut bench, _tickets) = beside_a_gap();
    let mut long = bench.submit(Request::new(&prompt(9, 100), 1));
    let rows: Vec<usize> = (0..4)
        .map(|_| {
            bench.most_rows = 0;
            bench.step();
            bench.most_rows
        })
        .collect();
    assert_eq!(rows, [16, 6, 16, 6]);
    bench.run();
    assert_eq!(answer(&mut long).0, alone(&prompt(9, 100), -1, 1, 200));
}

#[test]
fn a_grammar_decides_what_may_come() {
    let mut bench = Bench::new(SHAPE);
    bench.constrain = Only(vec![3, 5]);
    let mut bound = bench.submit(Request { constrained: true, ..Request::new(&prompt(1, 5), 12) });
    bench.run();
    let (text, _) = answer(&mut bound);
    assert!(text.len() == 12 && text.chars().all(|each| "df".contains(each)), "{text}");
}

#[test]
fn a_grammar_that_allows_nothing_fails_its_request() {
    let mut bench = Bench::new(SHAPE);
    let mut bound = bench.submit(Request { constrained: true, ..Request::new(&prompt(1, 5), 12) });
    bench.run();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("starts");
    assert!(runtime.block_on(bound.rest()).expect_err("failed").to_string().contains("grammar"));
}

#[test]
fn what_is_kept_back_is_given_to_the_backend_whole() {
    let mut bench = Bench::new(SHAPE);
    let mut ticket = bench.submit(Request { key: 4, hold: Hold::All, ..Request::new(&prompt(1, 5), 3) });
    bench.run();
    let [held] = &bench.held[..] else { panic!("{:?}", bench.held) };
    assert_eq!((held.key, held.text.as_str()), (4, alone(&prompt(1, 5), -1, 3, 200).as_str()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("starts");
    // The backend has not answered, and nobody holds the job any more.
    assert!(runtime.block_on(ticket.rest()).is_err());
}

fn requests() -> impl Strategy<Value = Vec<(Request, bool, usize)>> {
    let request = (0u32..3, 1usize..120, 1u32..30, -1i32..2, 0u8..3, 0u8..8, 0usize..12).prop_map(
        |(seed, length, max_tokens, adapter, tenant, leaves, steps)| {
            let tenant = tenant.to_string();
            (Request { adapter, tenant, ..Request::new(&prompt(seed, length), max_tokens) }, leaves == 0, steps)
        },
    );
    prop::collection::vec(request, 1..14)
}

proptest! {
    #[test]
    fn whatever_runs_beside_it_an_answer_is_its_own(
        requests in requests(), slots in 1usize..9, chunk in 8usize..40, shares_prefixes: bool, apart: bool,
    ) {
        let shape = Shape { slots, chunk, shares_prefixes, apart, ..SHAPE };
        let mut bench = Bench::new(shape);
        let mut kept = Vec::new();
        for (request, leaves, steps) in requests {
            let ticket = bench.submit(request.clone());
            for _ in 0..steps {
                bench.step();
            }
            if !leaves {
                kept.push((request, ticket));
            }
        }
        bench.run();
        for (request, mut ticket) in kept {
            let (text, ending) = answer(&mut ticket);
            prop_assert_eq!(text, alone(&request.tokens, request.adapter, request.max_tokens, bench.shape.context));
            prop_assert!(shares_prefixes || ending.usage.cached_tokens == 0);
        }
    }
}
