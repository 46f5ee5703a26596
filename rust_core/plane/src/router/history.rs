//! How the router fared in the last minutes, second by second: the difference of its counters from tick to tick, so
//! that the points add up to the counters.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, SystemTime},
};

use parking_lot::Mutex;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{
    Plane,
    metrics::{Ends, Totals},
};
use crate::{
    metrics::CALLS,
    proto::v1::{GetHistoryResponse, HistoryPoint, InstancePoint},
};

/// Seconds kept.
const KEPT: usize = 15 * 60;
const TICK: Duration = Duration::from_secs(1);

/// The points.
#[derive(Default)]
pub struct History(Mutex<VecDeque<Point>>);

/// What happened in one second.
#[derive(Clone, Debug, PartialEq)]
struct Point {
    time: SystemTime,
    calls: u32,
    errors: u32,
    /// Where nobody called there is nothing to keep.
    latencies: Box<[u32]>,
    completion_tokens: u32,
    prompt_tokens: u32,
    cost_usd: f64,
    cache_hits: u32,
    in_flight: u32,
    instances: Box<[AtInstance]>,
}

#[derive(Clone, Debug, PartialEq)]
struct AtInstance {
    instance: Arc<str>,
    calls: u32,
    errors: u32,
    in_flight: u32,
}

/// What a tick sees.
#[derive(Clone, Debug, Default)]
struct Sight {
    totals: Totals,
    cache_hits: u64,
    in_flight: u32,
    /// Calls under way at each instance.
    instances: Vec<(Arc<str>, u32)>,
}

impl History {
    /// The points later than `after`, oldest first.
    pub fn told(&self, after: Option<SystemTime>) -> GetHistoryResponse {
        let points = self.0.lock();
        let later = points.iter().filter(|point| after.is_none_or(|after| point.time > after));
        GetHistoryResponse { bounds: CALLS.to_vec(), points: later.map(HistoryPoint::from).collect() }
    }

    /// Takes in what happened in the last `seconds`, of which only one usually passes from tick to tick; after a pause
    /// (a machine asleep, a runtime held up) it counts for the last, and those before are empty.
    fn take(&self, before: &Sight, now: &Sight, time: SystemTime, seconds: usize) {
        let time = whole_ms(time);
        let seconds = seconds.clamp(1, KEPT);
        let mut points = self.0.lock();
        for ago in (1..seconds).rev() {
            points.push_back(Point::between(now, now, time - TICK * ago as u32));
        }
        points.push_back(Point::between(before, now, time));
        while points.len() > KEPT {
            points.pop_front();
        }
    }
}

impl Point {
    fn between(before: &Sight, now: &Sight, time: SystemTime) -> Self {
        let (a, b) = (&before.totals, &now.totals);
        let latencies = a.latencies.iter().zip(&b.latencies).map(|(a, b)| grown(*a, *b));
        Self {
            time,
            calls: grown(a.calls.all, b.calls.all),
            errors: grown(a.calls.failed, b.calls.failed),
            latencies: if a.calls == b.calls { Box::default() } else { latencies.collect() },
            completion_tokens: grown(a.tokens.answer, b.tokens.answer),
            prompt_tokens: grown(a.tokens.prompt, b.tokens.prompt),
            cost_usd: b.cost_usd - a.cost_usd,
            cache_hits: grown(before.cache_hits, now.cache_hits),
            in_flight: now.in_flight,
            instances: at_instances(a, now),
        }
    }
}

/// Those there are, and those that have left with calls to count.
fn at_instances(before: &Totals, now: &Sight) -> Box<[AtInstance]> {
    let ended = |name: &str| {
        let (a, b) = (ends(&before.attempts, name), ends(&now.totals.attempts, name));
        (grown(a.all, b.all), grown(a.failed, b.failed))
    };
    let there = now.instances.iter().map(|(name, in_flight)| (name.clone(), *in_flight));
    let is_there = |name: &str| now.instances.iter().any(|(there, _)| **there == *name);
    let left = now.totals.attempts.keys().filter(|name| !is_there(name)).map(|name| (Arc::from(name.as_str()), 0));
    let each = there.chain(left).map(|(instance, in_flight)| {
        let (calls, errors) = ended(&instance);
        AtInstance { calls, errors, in_flight, instance }
    });
    each.filter(|point| point.calls > 0 || is_there(&point.instance)).collect()
}

/// A client whose clock knows no nanoseconds must be able to say which point it saw last.
fn whole_ms(time: SystemTime) -> SystemTime {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_millis(since.as_millis() as u64)
}

fn ends(attempts: &HashMap<String, Ends>, name: &str) -> Ends {
    attempts.get(name).copied().unwrap_or_default()
}

fn grown(before: u64, now: u64) -> u32 {
    u32::try_from(now.saturating_sub(before)).unwrap_or(u32::MAX)
}

impl From<&Point> for HistoryPoint {
    fn from(point: &Point) -> Self {
        let instances = point.instances.iter().map(|at| InstancePoint {
            instance: at.instance.to_string(),
            calls: at.calls,
            errors: at.errors,
            in_flight: at.in_flight,
        });
        let latencies = if point.latencies.is_empty() { vec![0; CALLS.len() + 1] } else { point.latencies.to_vec() };
        Self {
            time: Some(point.time.into()),
            calls: point.calls,
            errors: point.errors,
            latencies,
            completion_tokens: point.completion_tokens,
            prompt_tokens: point.prompt_tokens,
            cost_usd: point.cost_usd,
            cache_hits: point.cache_hits,
            in_flight: point.in_flight,
            instances: instances.collect(),
        }
    }
}

impl Plane {
    /// Adds a point every second.
    pub(super) async fn keep_history(self: Arc<Self>) {
        if !self.metrics.is_enabled() {
            return;
        }
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let (mut before, mut last) = (Sight::of(&self), ticks.tick().await);
        loop {
            ticks.tick().await;
            let (now, at) = (Sight::of(&self), Instant::now());
            let seconds = at.duration_since(last).as_secs_f64().round() as usize;
            self.history.take(&before, &now, SystemTime::now(), seconds);
            (before, last) = (now, at);
        }
    }
}

impl Sight {
    fn of(plane: &Plane) -> Self {
        let [hits, near, _] = plane.looked_up();
        let instances = plane.registry.instances();
        let under_way = instances.iter().map(|instance| (instance.name(), instance.stats.lock().in_flight));
        Self {
            totals: plane.metrics.totals(),
            cache_hits: hits + near,
            in_flight: plane.limit.in_use() as u32,
            instances: under_way.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use proptest::prelude::*;

    use super::*;
    use crate::router::money::Tokens;

    fn at(second: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(second)
    }

    fn sight(calls: u64) -> Sight {
        let ends = Ends { all: calls, failed: calls / 3 };
        let mut latencies = vec![0; CALLS.len() + 1];
        latencies[4] = calls;
        let totals = Totals {
            calls: ends,
            latencies,
            tokens: Tokens { prompt: calls * 3, cached: 0, answer: calls * 2 },
            cost_usd: calls as f64 * 0.5,
            attempts: HashMap::from([("a".to_string(), ends), ("gone".to_string(), ends)]),
        };
        Sight { totals, cache_hits: calls, in_flight: 7, instances: vec![("a".into(), 2), ("idle".into(), 0)] }
    }

    proptest! {
        #[test]
        fn the_points_add_up_to_the_counters_however_late_the_ticks(
            steps in prop::collection::vec((0_u64..50, 1_usize..5), 1..50),
        ) {
            let (history, mut before, mut second) = (History::default(), sight(0), 0);
            for (more, seconds) in &steps {
                let now = sight(before.totals.calls.all + more);
                second += *seconds as u64;
                history.take(&before, &now, at(second), *seconds);
                before = now;
            }
            let points = history.told(None).points;
            prop_assert_eq!(points.len() as u64, second);
            let sum = |of: &dyn Fn(&HistoryPoint) -> u32| points.iter().map(|point| u64::from(of(point))).sum::<u64>();
            let Totals { calls, tokens, cost_usd, .. } = before.totals;
            prop_assert_eq!((sum(&|p| p.calls), sum(&|p| p.errors)), (calls.all, calls.failed));
            prop_assert_eq!(sum(&|p| p.latencies.iter().sum()), calls.all);
            prop_assert_eq!((sum(&|p| p.prompt_tokens), sum(&|p| p.completion_tokens)), (tokens.prompt, tokens.answer));
            prop_assert_eq!(points.iter().map(|point| point.cost_usd).sum::<f64>(), cost_usd);
            let at = |name| move |p: &HistoryPoint| p.instances.iter().filter(|i| i.instance == name).map(|i| i.calls).sum();
            prop_assert_eq!((sum(&at("a")), sum(&at("gone"))), (calls.all, calls.all));
        }
    }

    #[test]
    fn it_keeps_a_quarter_of_an_hour_even_after_a_long_sleep() {
        let history = History::default();
        (1..2000).for_each(|second| history.take(&sight(second), &sight(second + 1), at(second), 1));
        assert_eq!(history.told(None).points.len(), KEPT);
        history.take(&sight(0), &sight(1), at(1_000_000), 1_000_000);
        let points = history.told(None).points;
        assert_eq!((points.len(), points.iter().map(|point| point.calls).sum::<u32>()), (KEPT, 1));
    }

    #[test]
    fn only_what_is_later_is_told_again() {
        let history = History::default();
        (1..=10).for_each(|second| history.take(&sight(second), &sight(second + 1), at(second), 1));
        let told = history.told(Some(at(7))).points;
        assert_eq!(told.iter().map(|point| point.time.map_or(0, |t| t.seconds)).collect::<Vec<_>>(), [8, 9, 10]);
        assert!(history.told(Some(at(10))).points.is_empty());
    }

    #[test]
    fn a_point_is_not_told_again_to_a_client_that_counts_in_milliseconds() {
        let history = History::default();
        history.take(&sight(1), &sight(2), at(1) + Duration::from_nanos(5_000_001), 1);
        assert!(history.told(Some(at(1) + Duration::from_millis(5))).points.is_empty());
    }

    #[test]
    fn an_idle_instance_is_told_and_one_that_left_only_while_it_counts() {
        let history = History::default();
        history.take(&sight(1), &sight(1), at(1), 1);
        let point = history.told(None).points.remove(0);
        let names: Vec<_> = point.instances.iter().map(|at| at.instance.as_str()).collect();
        assert_eq!((names, point.instances[0].in_flight), (vec!["a", "idle"], 2));
        assert_eq!(point.latencies, vec![0; CALLS.len() + 1]);
    }
}
