//! Who has to cope: a policy, what it knows, and what stands around it.
use std::time::Duration;

use waypost_decide::{Policy, StatsConfig, balance::CALLS_PER_SLOT};

/// A policy with all that surrounds it.
#[derive(Clone, Debug)]
pub struct Contender {
    /// Its name in tables.
    pub name: String,
    /// How it chooses.
    pub policy: Policy,
    /// What is around it.
    pub guards: Guards,
    /// Queues are known by what workers tell so often, instead of by what the router itself has sent there.
    pub heartbeat: Option<Duration>,
}

/// What stands around a policy.
#[derive(Clone, Copy, Debug)]
pub struct Guards {
    /// Breaker, exclusion and slow start.
    pub stats: StatsConfig,
    /// Below this share of healthy instances all are used.
    pub panic_share: f64,
    /// Attempts of one call, the first included.
    pub attempts: u32,
    /// Retries per call, in the long run.
    pub retry_ratio: f64,
    /// Retries that are free.
    pub retry_reserve: f64,
    /// Calls at one instance per slot; none: as many as come.
    pub per_slot: Option<u32>,
}

impl Guards {
    /// As a router has them that nobody configured.
    pub fn production() -> Self {
        Self {
            stats: StatsConfig::default(),
            panic_share: 0.5,
            attempts: 2,
            retry_ratio: 0.2,
            retry_reserve: 100.0,
            per_slot: Some(CALLS_PER_SLOT),
        }
    }

    /// None: the policy alone.
    pub fn none() -> Self {
        let stats = StatsConfig { breaker_failures: u32::MAX, ..StatsConfig::default() };
        Self { stats, attempts: 1, per_slot: None, ..Self::production() }
    }
}

impl Contender {
    /// A policy with the router's own counters.
    pub fn new(policy: Policy, guards: Guards) -> Self {
        Self { name: policy.name().into(), policy, guards, heartbeat: None }
    }

    /// The same, told by workers.
    fn told_every(self, heartbeat: Duration) -> Self {
        let name = format!("{}, told every {} s", self.name, heartbeat.as_secs_f64());
        Self { name, heartbeat: Some(heartbeat), ..self }
    }

    fn with(self, what: &str, guards: Guards) -> Self {
        Self { name: format!("{}, {what}", self.name), guards, ..self }
    }
}

/// The default, and what it is compared with.
pub fn policies(guards: Guards) -> Vec<Contender> {
    let stale = Duration::from_millis(500);
    let own = |policy| Contender::new(policy, guards);
    vec![
        own(Policy::ExpectedCompletion),
        own(Policy::PowerOfTwo),
        own(Policy::Score),
        own(Policy::RoundRobin),
        own(Policy::Weighted),
        own(Policy::LeastLoaded),
        own(Policy::LeastLoaded).told_every(stale),
        own(Policy::BestScore),
        own(Policy::BestScore).told_every(stale),
    ]
}

/// The default with limits of in-flight calls and without.
pub fn limits(guards: Guards) -> Vec<Contender> {
    let default = || Contender::new(Policy::ExpectedCompletion, guards);
    let at = |calls: u32| default().with(&format!("{calls} per slot"), Guards { per_slot: Some(calls), ..guards });
    let none = default().with("no limit", Guards { per_slot: None, ..guards });
    vec![at(1), at(2), at(3), at(4), at(8), none]
}

/// The default with slow start and without.
pub fn starts(guards: Guards) -> Vec<Contender> {
    let default = || Contender::new(Policy::ExpectedCompletion, guards);
    let over =
        |seconds| Guards { stats: StatsConfig { slow_start: Duration::from_secs(seconds), ..guards.stats }, ..guards };
    let starts = [("slow start over 10 s", 10), ("slow start over 30 s", 30), ("no slow start", 0)];
    starts.map(|(what, seconds)| default().with(what, over(seconds))).into()
}
