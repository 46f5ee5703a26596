//! Calls as they come: at random (Poisson), with bursts at random times, and work of a long-tailed size.
use std::time::Duration;

use rand::{SeedableRng, rngs::SmallRng};
use rand_distr::{Distribution, Exp, LogNormal};

/// How calls come.
#[derive(Clone, Copy, Debug)]
pub struct Traffic {
    /// Calls per second, on average over time.
    pub rate: f64,
    /// For how long they come.
    pub duration: Duration,
    /// From time to time so many more.
    pub bursts: Option<Bursts>,
    /// What a call takes a worker of speed 1, on average.
    pub work: Duration,
    /// Spread of that: the standard deviation of its logarithm.
    pub spread: f64,
}

/// Times with more calls.
#[derive(Clone, Copy, Debug)]
pub struct Bursts {
    /// From one to the next.
    pub every: Duration,
    /// How long each lasts.
    pub length: Duration,
    /// So many times the calls of quiet times.
    pub times: f64,
}

/// A call that will come.
#[derive(Clone, Copy, Debug)]
pub struct Coming {
    /// When.
    pub at: Duration,
    /// What it takes a worker of speed 1.
    pub work: Duration,
}

impl Traffic {
    /// All calls, in order of time.
    pub fn calls(&self, seed: u64) -> Vec<Coming> {
        let mut random = SmallRng::seed_from_u64(seed);
        // Thinning (Lewis and Shedler 1979): as if bursts never ended, with those outside of them left out again.
        let gap = Exp::new(self.busiest()).expect("a rate above zero");
        let log_mean = self.work.as_secs_f64().ln() - self.spread * self.spread / 2.0;
        let work = LogNormal::new(log_mean, self.spread).expect("a finite spread");
        let (mut at, mut calls) = (0.0, Vec::new());
        loop {
            at += gap.sample(&mut random);
            let now = Duration::from_secs_f64(at);
            if now >= self.duration {
                return calls;
            }
            let work = Duration::from_secs_f64(work.sample(&mut random));
            if rand::Rng::random::<f64>(&mut random) * self.busiest() < self.rate_at(now) {
                calls.push(Coming { at: now, work });
            }
        }
    }

    fn rate_at(&self, now: Duration) -> f64 {
        let Some(bursts) = self.bursts else { return self.rate };
        // The second half of a period, so that nothing begins with a burst.
        let phase = now.as_secs_f64() % bursts.every.as_secs_f64() - bursts.every.as_secs_f64() / 2.0;
        let in_burst = (0.0..bursts.length.as_secs_f64()).contains(&phase);
        self.quiet() * if in_burst { bursts.times } else { 1.0 }
    }

    fn busiest(&self) -> f64 {
        self.quiet() * self.bursts.map_or(1.0, |bursts| bursts.times.max(1.0))
    }

    fn quiet(&self) -> f64 {
        let Some(bursts) = self.bursts else { return self.rate };
        let share = bursts.length.as_secs_f64() / bursts.every.as_secs_f64();
        self.rate / (1.0 - share + share * bursts.times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRAFFIC: Traffic = Traffic {
        rate: 100.0,
        duration: Duration::from_secs(100),
        bursts: Some(Bursts { every: Duration::from_secs(10), length: Duration::from_secs(2), times: 3.0 }),
        work: Duration::from_millis(100),
        spread: 0.8,
    };

    #[test]
    fn rate_and_work_are_as_said_on_average() {
        let calls = TRAFFIC.calls(1);
        let work: f64 = calls.iter().map(|call| call.work.as_secs_f64()).sum();
        assert!((9_600..10_400).contains(&calls.len()), "{}", calls.len());
        assert!((work / calls.len() as f64 - 0.1).abs() < 0.005, "{work}");
    }

    #[test]
    fn bursts_bring_so_many_times_the_calls() {
        let calls = TRAFFIC.calls(1);
        let between = |from: f64, to: f64| {
            calls.iter().filter(|call| (from..to).contains(&(call.at.as_secs_f64() % 10.0))).count() as f64
        };
        let ratio = between(5.0, 7.0) / between(1.0, 3.0);
        assert!((2.7..3.3).contains(&ratio), "{ratio}");
    }

    #[test]
    fn calls_come_in_order_and_a_seed_repeats_them() {
        let (one, other) = (TRAFFIC.calls(5), TRAFFIC.calls(5));
        assert!(one.is_sorted_by_key(|call| call.at));
        assert!(one.iter().zip(&other).all(|(a, b)| a.at == b.at && a.work == b.work));
    }
}
