//! A router: the production decisions, one set of figures per worker, one budget of retries.
use std::time::Duration;

use waypost_decide::{Balancer, Choice, Nowhere, Offer, RetryBudget, Serving, Stats, Verdict, View, Weights};

use crate::{contender::Contender, worker::Plan};

/// A router at work.
pub struct Router {
    balancer: Balancer,
    budget: RetryBudget,
    known: Vec<Known>,
    views: Vec<View>,
    places: Vec<usize>,
}

/// A worker, as this router knows it.
struct Known {
    stats: Stats,
    serving: Serving,
    limit: u32,
    joins: Duration,
}

/// An attempt's place and beginning.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// At which worker.
    pub worker: usize,
    /// Since when.
    pub began: Duration,
}

impl Router {
    /// Knows nothing yet of its workers.
    pub fn new(contender: &Contender, workers: &[Plan], seed: u64) -> Self {
        let guards = &contender.guards;
        let limit = |plan: &Plan| guards.per_slot.map_or(u32::MAX, |each| each * plan.slots as u32);
        let known = |plan: &Plan| {
            let mut stats = Stats::new(&guards.stats);
            stats.appear(plan.joins);
            Known { stats, serving: Serving::default(), limit: limit(plan), joins: plan.joins }
        };
        Self {
            balancer: Balancer::new(contender.policy, Weights::default(), guards.panic_share, seed),
            budget: RetryBudget::new(guards.retry_ratio, guards.retry_reserve),
            known: workers.iter().map(known).collect(),
            views: Vec::new(),
            places: Vec::new(),
        }
    }

    /// A call came in.
    pub fn deposit(&self) {
        self.budget.deposit();
    }

    /// Whether one may be tried again.
    pub fn withdraw(&self) -> bool {
        self.budget.withdraw()
    }

    /// A worker for a call that was at `tried` already, counted in; `told` are the queues as workers told them.
    pub fn place(&mut self, now: Duration, tried: &[usize], told: Option<&[u32]>) -> Result<Attempt, Nowhere> {
        self.look(now, tried, told);
        let Choice { index, .. } = self.balancer.choose(&mut self.views, false, now)?;
        let worker = self.places[index];
        self.known[worker].stats.enter(now, 1);
        Ok(Attempt { worker, began: now })
    }

    fn look(&mut self, now: Duration, tried: &[usize], told: Option<&[u32]>) {
        self.views.clear();
        self.places.clear();
        for (worker, known) in self.known.iter_mut().enumerate().filter(|(worker, _)| !tried.contains(worker)) {
            let mut view = known.view(now);
            if let Some(told) = told {
                (view.load.in_flight, view.candidate.queue_depth) = (told[worker], told[worker]);
            }
            self.views.push(view);
            self.places.push(worker);
        }
    }

    /// An attempt was answered.
    pub fn answered(&mut self, now: Duration, attempt: Attempt) {
        let Known { stats, serving, .. } = &mut self.known[attempt.worker];
        let latency = now - attempt.began;
        serving.heard(now, latency, 1);
        stats.heard(now, latency);
        stats.leave(now, 1, Verdict::Answered);
    }

    /// An attempt ended without an answer.
    pub fn unanswered(&mut self, now: Duration, attempt: Attempt, verdict: Verdict) {
        let Known { stats, serving, .. } = &mut self.known[attempt.worker];
        let waited = now - attempt.began;
        serving.unheard(now, verdict, waited, 1);
        stats.leave_unheard(now, 1, verdict, waited);
    }
}

impl Known {
    fn view(&mut self, now: Duration) -> View {
        let offer = Offer {
            units: 1,
            fit: 1.0,
            quality: 1.0,
            ready: now >= self.joins,
            weight: 1.0,
            home: 0,
            limit: self.limit,
        };
        View::of(&mut self.stats, &self.serving, &offer, now)
    }
}
