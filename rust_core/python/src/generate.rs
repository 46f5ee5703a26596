//! `Inbox`, `Job` and `Engine`: what a generating backend works with.

use std::{sync::Arc, time::Duration, time::Instant};

use numpy::{PyArray1, PyReadonlyArray1, PyReadwriteArray1};
use prost::Message;
use pyo3::{
    exceptions::{PyRuntimeError, PyValueError},
    prelude::*,
    types::PyBytes,
};
use waypost_plane::{
    proto::v1::{FinishReason, GenerateUsage, ToolCall},
    worker::{
        generate::{
            engine::{self, Change, Constrain, Shape, Vocabulary},
            job::{self, Asked, Ending},
            slot::{Hold, Prompt},
        },
        inbox::{self, Waiting},
        refusal::Refusal,
    },
};
use waypost_sample::Candidate;

#[pyclass(module = "waypost._core", frozen)]
#[derive(Default)]
pub struct Inbox(pub Arc<inbox::Inbox<job::Job>>);

#[pymethods]
impl Inbox {
    #[new]
    fn new() -> Self {
        Self::default()
    }

    #[pyo3(signature = (timeout_s=None))]
    fn take(&self, py: Python<'_>, timeout_s: Option<f64>) -> PyResult<Option<Job>> {
        let patience = timeout_s.map(Duration::try_from_secs_f64).transpose();
        let patience = patience.map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(py.detach(|| self.0.take(patience)).map(|job| Job(Arc::new(job))))
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.0.close());
    }

    #[getter]
    fn closed(&self) -> bool {
        self.0.is_closed()
    }
}

#[pyclass(module = "waypost._core", frozen)]
pub struct Job(Arc<job::Job>);

const NO_ADAPTER: i32 = -1;

/// `(id, name, arguments as JSON)`
type Call = (String, String, String);

#[pymethods]
impl Job {
    #[getter]
    fn kind(&self) -> &'static str {
        match self.0.asked {
            Asked::Answer(_) => "generate",
            Asked::Count(_) => "count",
        }
    }

    #[getter]
    fn request<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let encoded = match &self.0.asked {
            Asked::Answer(request) => request.encode_to_vec(),
            Asked::Count(request) => request.encode_to_vec(),
        };
        PyBytes::new(py, &encoded)
    }

    #[getter]
    fn tenant(&self) -> &str {
        &self.0.terms.tenant
    }

    #[getter]
    fn priority(&self) -> i32 {
        self.0.terms.priority
    }

    #[getter]
    fn traceparent(&self) -> Option<String> {
        self.0.terms.trace.map(|trace| trace.to_string())
    }

    #[getter]
    fn remaining_s(&self) -> f64 {
        self.0.terms.deadline.left(Instant::now()).as_secs_f64()
    }

    #[getter]
    fn cancelled(&self) -> bool {
        self.0.is_over(Instant::now())
    }

    fn on_cancel(&self, py: Python<'_>, callback: Py<PyAny>) {
        let tell = move || {
            Python::attach(|py| {
                // Nobody is left whom an error of the callback could reach but the log of the process.
                if let Err(error) = callback.call0(py) {
                    error.write_unraisable(py, Some(callback.bind(py)));
                }
            });
        };
        py.detach(|| self.0.on_leave(tell));
    }

    fn begin(&self) {
        self.0.begin(Instant::now());
    }

    #[pyo3(signature = (text, tokens=1))]
    fn push(&self, text: &str, tokens: u32) {
        self.0.push(text, Vec::new(), tokens, Instant::now());
    }

    #[pyo3(signature = (reason, *, prompt_tokens=0, cached_tokens=0, completion_tokens=0, dropped_tokens=0,
                        tool_calls=None, from_template=false, cost_usd=0.0))]
    #[allow(clippy::too_many_arguments)] // keywords in Python
    fn finish(
        &self,
        reason: &str,
        prompt_tokens: u32,
        cached_tokens: u32,
        completion_tokens: u32,
        dropped_tokens: u32,
        tool_calls: Option<Vec<Call>>,
        from_template: bool,
        cost_usd: f64,
    ) -> PyResult<()> {
        let named = FinishReason::from_str_name(&format!("FINISH_REASON_{}", reason.to_uppercase()));
        let reason = named.ok_or_else(|| PyValueError::new_err(format!("no finish reason {reason:?}")))?;
        let usage = GenerateUsage { prompt_tokens, cached_tokens, completion_tokens, dropped_tokens };
        let call = |(id, name, arguments_json)| ToolCall { id, name, arguments_json };
        let tool_calls = tool_calls.into_iter().flatten().map(call).collect();
        self.0.end(Ok(Ending { reason, usage, tool_calls, from_template, cost_usd }));
        Ok(())
    }

    fn count(&self, tokens: u32) {
        let usage = GenerateUsage { prompt_tokens: tokens, ..Default::default() };
        self.0.end(Ok(Ending { usage, ..Ending::default() }));
    }

    fn fail(&self, refusal_json: &str) -> PyResult<()> {
        let refusal: Refusal = serde_json::from_str(refusal_json).map_err(|e| PyValueError::new_err(e.to_string()))?;
        self.0.end(Err(refusal.of(&self.0.terms.model)));
        Ok(())
    }
}

#[pyclass(module = "waypost._core", frozen)]
pub struct Engine {
    engine: engine::Engine,
    vocabulary: usize,
}

/// `(rows, rows with logits, adapter, changes, released)`; a change is `(slot, keep, from)`, `from` -1 for a cut.
type Plan = (usize, usize, i32, Vec<(usize, usize, i64)>, Vec<u64>);
/// `(key, text, reason, prompt, cached, completion, dropped)`
type Held = (u64, String, String, u32, u32, u32, u32);

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (pieces, ends, *, slots, context, chunk, gap_s, shares_prefixes, apart))]
    #[allow(clippy::too_many_arguments)] // keywords in Python
    fn new(
        pieces: Vec<Vec<u8>>,
        ends: Vec<u32>,
        slots: usize,
        context: usize,
        chunk: usize,
        gap_s: f64,
        shares_prefixes: bool,
        apart: bool,
    ) -> PyResult<Self> {
        let gap = Duration::try_from_secs_f64(gap_s).map_err(|error| PyValueError::new_err(error.to_string()))?;
        if slots == 0 || chunk == 0 || context < 2 || pieces.is_empty() {
            let why = "an engine needs slots, a vocabulary, a context of two tokens, and chunks of one";
            return Err(PyValueError::new_err(why));
        }
        let vocabulary = pieces.len();
        let pieces = pieces.into_iter().map(Vec::into_boxed_slice).collect();
        let words = Vocabulary::new(pieces, ends.into_iter().collect());
        let shape = Shape { slots, context, chunk, gap, shares_prefixes, apart };
        Ok(Self { engine: engine::Engine::new(shape, words), vocabulary })
    }

    #[pyo3(signature = (job, key, tokens, *, adapter=None, dropped=0, constrained=false, hold="nothing"))]
    #[allow(clippy::too_many_arguments)] // keywords in Python
    fn submit(
        &self,
        job: &Job,
        key: u64,
        tokens: PyReadonlyArray1<'_, i32>,
        adapter: Option<i32>,
        dropped: u32,
        constrained: bool,
        hold: &str,
    ) -> PyResult<bool> {
        let hold = match hold {
            "nothing" => Hold::Nothing,
            "undecided" => Hold::Undecided,
            "all" => Hold::All,
            other => return Err(PyValueError::new_err(format!("no way to hold {other:?}"))),
        };
        let adapter = adapter.unwrap_or(NO_ADAPTER);
        let tokens: Vec<u32> = tokens.as_slice()?.iter().map(|token| token.cast_unsigned()).collect();
        if tokens.is_empty() {
            return Err(PyValueError::new_err("a prompt needs at least one token"));
        }
        Ok(self.engine.submit(Prompt { job: job.0.clone(), key, tokens, adapter, dropped, constrained, hold }))
    }

    #[getter]
    fn step_tokens(&self) -> usize {
        self.engine.shape().step()
    }

    fn wait(&self, py: Python<'_>) -> bool {
        py.detach(|| self.engine.wait())
    }

    fn plan(
        &self,
        py: Python<'_>,
        mut tokens: PyReadwriteArray1<'_, i32>,
        mut positions: PyReadwriteArray1<'_, i32>,
        mut slots: PyReadwriteArray1<'_, i32>,
        mut logits: PyReadwriteArray1<'_, i8>,
    ) -> PyResult<Plan> {
        let step = py.detach(|| self.engine.plan(Instant::now()));
        let (tokens, positions) = (tokens.as_slice_mut()?, positions.as_slice_mut()?);
        let (slots, logits) = (slots.as_slice_mut()?, logits.as_slice_mut()?);
        let room = tokens.len().min(positions.len()).min(slots.len()).min(logits.len());
        if step.rows.len() > room {
            return Err(PyRuntimeError::new_err(format!("a step of {} tokens, room for {room}", step.rows.len())));
        }
        for (index, row) in step.rows.iter().enumerate() {
            tokens[index] = row.token.cast_signed();
            positions[index] = row.position as i32;
            slots[index] = row.slot as i32;
            logits[index] = i8::from(row.logits);
        }
        let wanted = step.rows.iter().filter(|row| row.logits).count();
        let changes = step.changes.into_iter().map(change).collect();
        Ok((step.rows.len(), wanted, step.adapter, changes, step.released))
    }

    /// # Safety
    /// `address` is that of `rows` times the vocabulary float32, which stay in place during the call: the backend's
    /// own buffer, which only its next step changes.
    fn advance(&self, py: Python<'_>, address: usize, rows: usize, constrain: Py<PyAny>) -> Vec<Held> {
        let mut constrain = PythonConstrain(constrain);
        let held = py.detach(|| {
            // SAFETY: as the caller promises; an empty slice where there are no rows.
            let logits = match rows {
                0 => &[][..],
                rows => unsafe { std::slice::from_raw_parts(address as *const f32, rows * self.vocabulary) },
            };
            self.engine.advance(logits, &mut constrain, Instant::now())
        });
        held.into_iter().map(told).collect()
    }

    fn fail(&self, py: Python<'_>, why: &str) {
        py.detach(|| self.engine.fail(why));
    }

    fn close(&self) {
        self.engine.close();
    }

    /// Without the GIL, as `advance` may want it while it has the lock.
    fn slots(&self, py: Python<'_>) -> Vec<(usize, bool)> {
        py.detach(|| self.engine.slots())
    }

    fn waiting(&self, py: Python<'_>) -> usize {
        py.detach(|| self.engine.waiting())
    }
}

fn change(change: Change) -> (usize, usize, i64) {
    match change {
        Change::Cut { slot, from } => (slot, from, -1),
        Change::Copy { from, slot, keep } => (slot, keep, from as i64),
    }
}

fn told(held: waypost_plane::worker::generate::slot::Held) -> Held {
    let usage = held.ending.usage;
    let reason = held.ending.reason.as_str_name().trim_start_matches("FINISH_REASON_").to_lowercase();
    let (prompt, cached) = (usage.prompt_tokens, usage.cached_tokens);
    (held.key, held.text, reason, prompt, cached, usage.completion_tokens, usage.dropped_tokens)
}

/// An object with `allowed(key, ids, logits) -> bool[n]` and `accept(key, token)`.
struct PythonConstrain(Py<PyAny>);

impl Constrain for PythonConstrain {
    fn allowed(&mut self, key: u64, candidates: &[Candidate]) -> Result<Vec<bool>, String> {
        Python::attach(|py| {
            let ids = PyArray1::from_iter(py, candidates.iter().map(|each| each.token.cast_signed()));
            let logits = PyArray1::from_iter(py, candidates.iter().map(|each| each.logit));
            let allowed = self.0.bind(py).call_method1("allowed", (key, ids, logits))?;
            let allowed: PyReadonlyArray1<'_, bool> = allowed.extract()?;
            Ok(allowed.as_array().iter().copied().collect())
        })
        .map_err(|error: PyErr| error.to_string())
    }

    fn accept(&mut self, key: u64, token: u32) -> Result<(), String> {
        Python::attach(|py| self.0.bind(py).call_method1("accept", (key, token)).map(|_| ()))
            .map_err(|error| error.to_string())
    }
}
