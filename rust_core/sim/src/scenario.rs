//! What happens: workers, traffic, routers.
use std::time::Duration;

use crate::{
    contender::{self, Contender, Guards},
    profile::Profile,
    traffic::{Bursts, Traffic},
    worker::Plan,
};

const SLOTS: usize = 4;
const SECOND: Duration = Duration::from_secs(1);

/// A world before anything happens.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name in tables.
    pub name: &'static str,
    /// The workers.
    pub workers: Vec<Plan>,
    /// Routers that share them, each with counters of its own; a call comes to any.
    pub routers: usize,
    /// The calls.
    pub traffic: Traffic,
    /// How long a call waits for its answer.
    pub deadline: Duration,
}

/// A scenario and who is compared in it.
pub struct Row {
    /// Its name.
    pub name: &'static str,
    /// What happens.
    pub scenario: fn() -> Scenario,
    /// Who has to cope.
    pub contenders: fn(Guards) -> Vec<Contender>,
}

/// All scenarios.
pub const SCENARIOS: [Row; 7] = [
    Row { name: "mixed", scenario: mixed, contenders: contender::policies },
    Row { name: "sound", scenario: sound, contenders: contender::policies },
    Row { name: "degraded", scenario: degraded, contenders: contender::policies },
    Row { name: "fleet", scenario: || fleet(1), contenders: contender::policies },
    Row { name: "fleet-16", scenario: || fleet(16), contenders: contender::policies },
    Row { name: "overload", scenario: overload, contenders: contender::limits },
    Row { name: "joining", scenario: joining, contenders: contender::starts },
];

/// Eight mixed workers at half of what they can do on average, twice the calls for two of every ten seconds: four
/// sound ones of different speed, a slow one, a black hole, one that becomes ever slower and recovers, one that stands
/// still for two seconds four times a minute.
pub fn mixed() -> Scenario {
    at_load(0.5, "mixed", mixture(), 120 * SECOND)
}

/// The same without faults: what faults cost.
pub fn sound() -> Scenario {
    let speeds = [1.0, 1.0, 0.8, 1.25];
    at_load(
        0.5,
        "sound",
        speeds.into_iter().cycle().take(8).map(|speed| steady("sound", speed)).collect(),
        120 * SECOND,
    )
}

/// Four like workers, one of them ten times slower from second 40 to second 80.
pub fn degraded() -> Scenario {
    let mut workers = vec![steady("sound", 1.0); 4];
    workers[0] = plan("degraded", Profile::steady(1.0).then(40 * SECOND, 0.1).then(80 * SECOND, 1.0));
    at_load(0.5, "degraded", workers, 120 * SECOND)
}

/// Eight sound workers and 1.15 times the calls they can serve, without bursts.
pub fn overload() -> Scenario {
    let mut scenario = at_load(1.15, "overload", vec![steady("sound", 1.0); 8], 120 * SECOND);
    scenario.traffic.bursts = None;
    scenario
}

/// Four sound workers; two more join at second 20 and are cold for ten seconds: a fifth as fast.
pub fn joining() -> Scenario {
    let mut workers = vec![steady("sound", 1.0); 4];
    let cold = plan("joining", Profile::steady(0.2).then(30 * SECOND, 1.0));
    workers.extend(vec![Plan { joins: 20 * SECOND, ..cold }; 2]);
    let mut scenario = at_load(0.5, "joining", workers, 60 * SECOND);
    scenario.traffic.bursts = None;
    scenario
}

/// 64 workers, eight of each of the mixed ones, behind so many routers.
pub fn fleet(routers: usize) -> Scenario {
    let workers = (0..8).flat_map(|_| mixture()).collect();
    let name = if routers == 1 { "fleet" } else { "fleet-16" };
    Scenario { routers, ..at_load(0.5, name, workers, 60 * SECOND) }
}

fn at_load(share: f64, name: &'static str, workers: Vec<Plan>, duration: Duration) -> Scenario {
    let work = Duration::from_millis(100);
    let capacity: f64 = workers.iter().map(|plan| plan.capacity(duration)).sum();
    let traffic = Traffic {
        rate: share * capacity / work.as_secs_f64(),
        duration,
        bursts: Some(Bursts { every: 10 * SECOND, length: 2 * SECOND, times: 2.0 }),
        work,
        spread: 0.8,
    };
    Scenario { name, workers, routers: 1, traffic, deadline: 10 * SECOND }
}

fn mixture() -> Vec<Plan> {
    vec![
        steady("sound", 1.0),
        steady("sound", 1.0),
        steady("sound", 0.8),
        steady("sound", 1.25),
        steady("slow", 0.2),
        Plan { breaks: true, ..steady("black hole", 1.0) },
        plan("degrading", degrading()),
        plan("stalling", stalling()),
    ]
}

fn steady(kind: &'static str, speed: f64) -> Plan {
    plan(kind, Profile::steady(speed))
}

fn plan(kind: &'static str, profile: Profile) -> Plan {
    Plan { kind, slots: SLOTS, profile, breaks: false, joins: Duration::ZERO }
}

/// Every minute of two: nine seconds long ever slower, down to a tenth, so for eleven, then well again.
fn degrading() -> Profile {
    (0..2).fold(Profile::steady(1.0), |profile, minute| {
        let start = (60 * minute + 20) * SECOND;
        let slower = |profile: Profile, tenth| profile.then(start + tenth * SECOND, 1.0 - 0.1 * f64::from(tenth));
        (1..=9).fold(profile, slower).then(start + 20 * SECOND, 1.0)
    })
}

/// Every fifteen seconds of two minutes: two seconds of nothing.
fn stalling() -> Profile {
    (0..8).fold(Profile::steady(1.0), |profile, time| {
        let start = (15 * time + 10) * SECOND;
        profile.then(start, 0.0).then(start + 2 * SECOND, 1.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_has_its_name_its_workers_and_its_contenders() {
        for Row { name, scenario, contenders } in SCENARIOS {
            let scenario = scenario();
            assert_eq!(scenario.name, name);
            assert!(scenario.workers.len() >= 4 && contenders(Guards::production()).len() > 1);
        }
    }

    #[test]
    fn load_is_the_share_of_what_workers_can_do_on_average() {
        let capacity: f64 = mixture().iter().map(|plan| plan.capacity(120 * SECOND)).sum();
        let asked = mixed().traffic.rate * mixed().traffic.work.as_secs_f64();
        assert!((asked / capacity - 0.5).abs() < 1e-9);
        // Of 32 slots: a black hole does nothing, a slow worker a fifth, stalls cost 2 of 15 seconds.
        assert!((22.0..24.0).contains(&capacity), "{capacity}");
    }
}
