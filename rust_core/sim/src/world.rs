//! What happens, event by event.
use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::SmallRng};
use waypost_decide::{Nowhere, Verdict};

use crate::{
    agenda::{Agenda, Event},
    contender::Contender,
    report::{End, Report, Tally},
    router::{Attempt, Router},
    scenario::Scenario,
    traffic::Coming,
    worker::{BREAKS_AFTER, Taken, Worker},
};

/// Lets `contender` cope with `scenario`.
pub fn run(scenario: &Scenario, contender: &Contender, seed: u64) -> Report {
    let mut world = World::new(scenario, contender, seed);
    while let Some((now, event)) = world.agenda.next() {
        world.happen(now, event);
    }
    world.tally.report(scenario, contender)
}

struct World<'a> {
    scenario: &'a Scenario,
    contender: &'a Contender,
    workers: Vec<Worker>,
    routers: Vec<Router>,
    calls: Vec<Call>,
    agenda: Agenda,
    tally: Tally,
    told: Vec<u32>,
}

struct Call {
    coming: Coming,
    router: usize,
    tried: Vec<usize>,
    attempt: Option<Attempt>,
}

impl<'a> World<'a> {
    fn new(scenario: &'a Scenario, contender: &'a Contender, seed: u64) -> Self {
        let mut random = SmallRng::seed_from_u64(!seed);
        let router = |number| Router::new(contender, &scenario.workers, seed ^ (number as u64) << 32);
        let routers: Vec<Router> = (0..scenario.routers).map(router).collect();
        let call =
            |coming| Call { coming, router: random.random_range(0..scenario.routers), tried: vec![], attempt: None };
        let calls: Vec<Call> = scenario.traffic.calls(seed).into_iter().map(call).collect();
        let mut agenda = Agenda::default();
        calls.iter().enumerate().for_each(|(call, Call { coming, .. })| agenda.note(coming.at, Event::Arrival(call)));
        agenda.note(Duration::ZERO, Event::Heartbeat);
        Self {
            workers: scenario.workers.iter().cloned().map(Worker::new).collect(),
            tally: Tally::new(scenario),
            told: vec![0; scenario.workers.len()],
            scenario,
            contender,
            routers,
            calls,
            agenda,
        }
    }

    fn happen(&mut self, now: Duration, event: Event) {
        match event {
            Event::Arrival(call) => self.arrive(now, call),
            Event::Done { worker, call } => self.done(now, worker, call),
            Event::Broke { call } => self.broke(now, call),
            Event::Deadline(call) => self.time_out(now, call),
            Event::Heartbeat => self.tell(now),
        }
    }

    fn arrive(&mut self, now: Duration, call: usize) {
        self.agenda.note(now + self.scenario.deadline, Event::Deadline(call));
        self.routers[self.calls[call].router].deposit();
        if let Err(nowhere) = self.place(now, call) {
            self.end(now, call, if nowhere == Nowhere::Full { End::Refused } else { End::Failed });
        }
    }

    fn place(&mut self, now: Duration, call: usize) -> Result<(), Nowhere> {
        let told = self.contender.heartbeat.map(|_| &self.told[..]);
        let Call { coming, router, tried, attempt } = &mut self.calls[call];
        let begun = self.routers[*router].place(now, tried, told)?;
        *attempt = Some(begun);
        tried.push(begun.worker);
        self.tally.sent(now, begun.worker);
        match self.workers[begun.worker].take(now, call, coming.work) {
            Taken::Breaks => self.agenda.note(now + BREAKS_AFTER, Event::Broke { call }),
            Taken::Waits => (),
            Taken::Runs(done) => self.work(begun.worker, call, done),
        }
        Ok(())
    }

    fn work(&mut self, worker: usize, call: usize, done: Option<Duration>) {
        if let Some(done) = done {
            self.agenda.note(done, Event::Done { worker, call });
        }
    }

    fn done(&mut self, now: Duration, worker: usize, call: usize) {
        if let Some((next, done)) = self.workers[worker].free(now) {
            self.work(worker, next, done);
        }
        // Its caller may have left.
        let Some(attempt) = self.calls[call].attempt.take() else { return };
        self.routers[self.calls[call].router].answered(now, attempt);
        self.end(now, call, End::Answered);
    }

    fn broke(&mut self, now: Duration, call: usize) {
        let Some(attempt) = self.calls[call].attempt.take() else { return };
        let router = &mut self.routers[self.calls[call].router];
        router.unanswered(now, attempt, Verdict::Failed);
        let more = self.calls[call].tried.len() < self.contender.guards.attempts as usize;
        let again = more && router.withdraw() && self.place(now, call).is_ok();
        if !again {
            self.end(now, call, End::Failed);
        }
    }

    fn time_out(&mut self, now: Duration, call: usize) {
        let Some(attempt) = self.calls[call].attempt.take() else { return };
        self.workers[attempt.worker].drop_waiting(call);
        self.routers[self.calls[call].router].unanswered(now, attempt, Verdict::TimedOut);
        self.end(now, call, End::Late);
    }

    fn tell(&mut self, now: Duration) {
        let Some(heartbeat) = self.contender.heartbeat.filter(|_| now < self.scenario.traffic.duration) else { return };
        self.told = self.workers.iter().map(Worker::depth).collect();
        self.agenda.note(now + heartbeat, Event::Heartbeat);
    }

    fn end(&mut self, now: Duration, call: usize, end: End) {
        self.tally.ended(end, now - self.calls[call].coming.at);
    }
}
