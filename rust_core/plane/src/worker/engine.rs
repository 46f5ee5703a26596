//! The sessions of one model, each on a thread of its own, fed by one queue.
//!
//! Threads and not tasks: a run occupies a core for milliseconds, which would starve the reactor.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::JoinHandle,
    time::Instant,
};

use super::{
    call::{self, Item, Outcome},
    config::Batching,
    model::Work,
    queue::Queue,
    run::{Batch, Input, Rows, RunError, Runner},
    watch::{Ran, Watch},
};
use crate::error::Error;

/// Runs texts; dropping it ends the threads once nothing waits.
pub struct Engine {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

impl Engine {
    /// One thread per runner; a run gives `width` floats per text.
    ///
    /// Raises an error when the system gives no thread.
    pub fn start(
        model: &Arc<str>,
        runners: Vec<Box<dyn Runner>>,
        width: usize,
        batching: Batching,
        watch: &Arc<Watch>,
    ) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::new(batching, runners.len()));
        let threads = runners.into_iter().enumerate().map(|(index, runner)| {
            let session = Session { model: model.clone(), runner, width, watch: watch.clone() };
            let queue = queue.clone();
            let name = format!("{model}-{index}");
            std::thread::Builder::new().name(name).spawn(move || session.work(&queue))
        });
        let threads = threads.collect::<std::io::Result<_>>()?;
        Ok(Self { queue, threads })
    }

    /// Runs the texts of one call.
    pub async fn run(&self, inputs: Vec<Input>, work: Work) -> Result<Outcome, Error> {
        let (items, ticket) = call::open(inputs, work, Instant::now());
        self.queue.push(items);
        ticket.wait().await
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.queue.close();
        for thread in self.threads.drain(..) {
            // A session catches its own panics, so the thread has nothing left to tell.
            let _ = thread.join();
        }
    }
}

struct Session {
    model: Arc<str>,
    runner: Box<dyn Runner>,
    width: usize,
    watch: Arc<Watch>,
}

impl Session {
    fn work(mut self, queue: &Queue) {
        while let Some(items) = queue.take() {
            let now = Instant::now();
            items.iter().for_each(|item| item.call.begin(now));
            self.serve(&items);
        }
    }

    /// Texts that fail together are tried one by one: only what fails alone is to blame.
    fn serve(&mut self, items: &[Item]) {
        let started = Instant::now();
        let result = self.run(items);
        let ran = Ran { model: &self.model, items, started, ended: Instant::now() };
        self.watch.ran(&ran);
        match result {
            Ok(rows) => self.deliver(&ran, &rows),
            Err(error) if items.len() == 1 => self.fail(items, &error),
            Err(_) => items.chunks(1).for_each(|item| self.serve(item)),
        }
    }

    fn run(&mut self, items: &[Item]) -> Result<Rows, RunError> {
        let batch = Batch::pad(items.iter().map(|item| &item.input));
        // A panic in one run must not take the session from all later ones.
        let result = catch_unwind(AssertUnwindSafe(|| self.runner.run(batch)));
        let rows = result.unwrap_or_else(|_| Err(RunError("the backend panicked".into())))?;
        let (got, texts, width) = (rows.data.len(), items.len(), self.width);
        if rows.width != width || got != texts * width {
            return Err(RunError(format!("the backend returned {got} floats for {texts} texts, not {width} for each")));
        }
        Ok(rows)
    }

    /// A row that is no answer fails its own call: the others of the batch may have been right.
    fn deliver(&self, ran: &Ran<'_>, rows: &Rows) {
        for (item, values) in ran.items.iter().zip(rows.data.chunks_exact(self.width)) {
            if values.iter().all(|value| value.is_finite()) {
                item.call.deliver(item.row, values.to_vec(), ran.started, ran.ended);
            } else {
                self.fail(std::slice::from_ref(item), &RunError("the backend returned what is no number".into()));
            }
        }
    }

    fn fail(&self, items: &[Item], error: &RunError) {
        for item in items {
            item.call.fail(Error::ModelFailed { model: self.model.to_string(), why: error.to_string() });
        }
    }
}
