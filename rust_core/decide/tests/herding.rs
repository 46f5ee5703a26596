//! Replica choice in a small world: eight mixed replicas, one slow, one that fails at once, bursts, half load.
//!
//! The same world under the policies of `pick` and under the one they replace, the best additive score: only the
//! ordering is asserted, with room, so that the figures may move and the lesson may not.
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use waypost_decide::{Candidate, Load, PeakEwma, Picker, Policy, SuccessRate, Weights, WindowedQuantile, score};

const REPLICAS: usize = 8;
const SLOW: usize = 3;
const BLACK_HOLE: usize = 5;
const REQUESTS: usize = 12_000;
const DECAY: Duration = Duration::from_secs(10);
const HEARTBEAT: Duration = Duration::from_millis(500);

/// Serves one request at a time, in order of arrival.
struct Server {
    service: Duration,
    fails: bool,
    free_at: Duration,
}

impl Server {
    fn all() -> Vec<Self> {
        (0..REPLICAS).map(Self::nth).collect()
    }

    fn nth(index: usize) -> Self {
        let service = match index {
            SLOW => 400,
            BLACK_HOLE => 1,
            _ => 20 + 5 * index as u64,
        };
        Self { service: Duration::from_millis(service), fails: index == BLACK_HOLE, free_at: Duration::ZERO }
    }

    fn serve(&mut self, now: Duration, random: &mut SmallRng) -> Duration {
        self.free_at = self.free_at.max(now) + self.service.mul_f64(random.random_range(0.7..1.3));
        self.free_at
    }
}

/// What the router knows of one server.
struct View {
    latency: PeakEwma,
    p95: WindowedQuantile,
    success: SuccessRate,
    in_flight: u32,
    heartbeat_queue: u32,
}

impl View {
    fn new() -> Self {
        Self {
            latency: PeakEwma::new(DECAY, Duration::from_millis(50)),
            p95: WindowedQuantile::new(DECAY, 5),
            success: SuccessRate::new(DECAY),
            in_flight: 0,
            heartbeat_queue: 0,
        }
    }

    fn load(&self, now: Duration) -> Load {
        let (latency, success) = (self.latency.get(now), self.success.get(now));
        Load { latency, in_flight: self.in_flight, success, score: 0.0 }
    }

    fn candidate(&mut self, now: Duration) -> Candidate {
        let (p95, uptime) = (self.p95.quantile(now, 0.95), self.success.get(now));
        Candidate { p95, queue_depth: self.heartbeat_queue, fit: 1.0, uptime, quality: 1.0 }
    }

    fn record(&mut self, done: &Done) {
        self.in_flight -= 1;
        self.success.observe(done.at, !done.failed);
        self.p95.observe(done.at, done.latency);
        if !done.failed {
            self.latency.observe(done.at, done.latency);
        }
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Done {
    at: Duration,
    replica: usize,
    latency: Duration,
    failed: bool,
}

enum Chooser {
    Pick(Picker),
    BestScore,
}

impl Chooser {
    fn policy(policy: Policy) -> Self {
        Self::Pick(Picker::new(policy, 11))
    }

    fn choose(&mut self, views: &mut [View], now: Duration) -> usize {
        let candidates: Vec<Candidate> = views.iter_mut().map(|view| view.candidate(now)).collect();
        let scores = score(&candidates, &Weights::default()).into_iter().map(|scored| scored.total);
        let loads = scores.zip(views.iter()).map(|(score, view)| Load { score, ..view.load(now) });
        let loads: Vec<Load> = loads.collect();
        match self {
            Self::Pick(picker) => picker.pick(&loads).unwrap(),
            Self::BestScore => (0..loads.len()).max_by(|a, b| loads[*a].score.total_cmp(&loads[*b].score)).unwrap(),
        }
    }
}

#[derive(Debug)]
struct Outcome {
    p99: Duration,
    errors: f64,
    longest_queue: u32,
}

fn simulate(mut chooser: Chooser) -> Outcome {
    let (mut servers, mut views) = (Server::all(), Vec::from_iter((0..REPLICAS).map(|_| View::new())));
    let (mut pending, mut done) = (BinaryHeap::new(), Vec::new());
    let (mut random, mut next_heartbeat, mut longest_queue) = (SmallRng::seed_from_u64(3), Duration::ZERO, 0);
    for now in arrivals() {
        while pending.peek().is_some_and(|Reverse(first): &Reverse<Done>| first.at <= now) {
            let Some(Reverse(first)) = pending.pop() else { break };
            views[first.replica].record(&first);
            done.push(first);
        }
        if now >= next_heartbeat {
            views.iter_mut().for_each(|view| view.heartbeat_queue = view.in_flight);
            next_heartbeat = now + HEARTBEAT;
        }
        let replica = chooser.choose(&mut views, now);
        let at = servers[replica].serve(now, &mut random);
        views[replica].in_flight += 1;
        longest_queue = longest_queue.max(views[replica].in_flight);
        pending.push(Reverse(Done { at, replica, latency: at - now, failed: servers[replica].fails }));
    }
    done.extend(pending.into_iter().map(|Reverse(last)| last));
    summary(&done, longest_queue)
}

/// Bursts of ten, at about half of what the healthy replicas can serve.
fn arrivals() -> impl Iterator<Item = Duration> {
    let mut random = SmallRng::seed_from_u64(5);
    let mut now = Duration::ZERO;
    (0..REQUESTS).map(move |index| {
        if index % 10 == 0 {
            now += Duration::from_secs_f64(random.random_range(0.0..0.25));
        }
        now
    })
}

fn summary(done: &[Done], longest_queue: u32) -> Outcome {
    let mut latencies: Vec<Duration> = done.iter().filter(|done| !done.failed).map(|done| done.latency).collect();
    latencies.sort_unstable();
    let errors = (done.len() - latencies.len()) as f64 / done.len() as f64;
    Outcome { p99: latencies[latencies.len() * 99 / 100], errors, longest_queue }
}

#[test]
fn expected_completion_does_not_herd_and_avoids_the_failing_replica_where_the_best_score_does_neither() {
    let (expected, best_score) = (simulate(Chooser::policy(Policy::ExpectedCompletion)), simulate(Chooser::BestScore));
    println!("expected completion {expected:?}\nbest score {best_score:?}");
    assert!(expected.errors < 0.01, "{expected:?}");
    assert!(best_score.errors > 0.1, "{best_score:?}");
    assert!(best_score.p99 > 2 * expected.p99, "{best_score:?} {expected:?}");
    assert!(expected.longest_queue < 12, "{expected:?}");
}

#[test]
fn two_choices_among_scores_do_not_herd_either() {
    let (two_choices, best_score) = (simulate(Chooser::policy(Policy::Score)), simulate(Chooser::BestScore));
    println!("two choices {two_choices:?}\nbest score {best_score:?}");
    assert!(2 * two_choices.longest_queue < best_score.longest_queue, "{two_choices:?} {best_score:?}");
}

#[test]
fn round_robin_pays_for_the_slow_and_the_failing_replica() {
    let (expected, turns) =
        (simulate(Chooser::policy(Policy::ExpectedCompletion)), simulate(Chooser::policy(Policy::RoundRobin)));
    println!("expected completion {expected:?}\nround robin {turns:?}");
    assert!(turns.errors > 0.1 && turns.p99 > 2 * expected.p99, "{turns:?} {expected:?}");
}
