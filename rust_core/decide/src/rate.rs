//! How many calls a second a tenant may make.
//!
//! A token bucket kept as one time per tenant (the generic cell rate algorithm of ATM): the time at which its bucket
//! would be full again.  A call moves that time on by the interval between calls, and is refused while the time lies
//! further ahead than the burst reaches; how much further is exactly what the caller has to wait.
//!
//! Names come from callers, so the table is bounded.  A tenant whose bucket is full again is forgotten without a
//! trace; where all others are busy, newcomers share one bucket, so that inventing names earns no calls.
//!
//! Several limiters can be one: what was taken from the bucket elsewhere moves its time on as well, as of when it was
//! taken, however late that is heard.  The bucket may be overdrawn by it, so that over time no more calls pass than one
//! limiter would let pass.  While they do not hear of each other, each allows a share.
use std::collections::HashMap;
use std::time::Duration;

/// Full buckets are looked for no more often than this.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// The longest interval between calls, short enough to be added up.
const AGES: Duration = Duration::from_secs(1 << 40);

/// What a tenant may do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Over time; 0, and what is no rate, sets no limit.
    pub calls_per_second: f64,
    /// At once; 0: what a second brings, at least one.
    pub burst: f64,
}

impl Rate {
    /// No limit.
    pub const UNLIMITED: Self = Self { calls_per_second: 0.0, burst: 0.0 };

    /// A part of it.
    fn times(self, share: f64) -> Self {
        let burst = if self.burst > 0.0 { (self.burst * share).max(1.0) } else { 0.0 };
        Self { calls_per_second: self.calls_per_second * share, burst }
    }

    fn interval(&self) -> Option<Duration> {
        let limited = self.calls_per_second.is_finite() && self.calls_per_second > 0.0;
        limited.then(|| Duration::try_from_secs_f64(1.0 / self.calls_per_second).map_or(AGES, |each| each.min(AGES)))
    }

    fn calls_at_once(&self) -> f64 {
        let burst = if self.burst > 0.0 { self.burst } else { self.calls_per_second };
        burst.max(1.0)
    }
}

/// The buckets of all tenants.
#[derive(Clone, Debug)]
pub struct RateLimiter {
    default: Rate,
    listed: HashMap<String, Rate>,
    most: usize,
    share: f64,
    full_at: HashMap<String, Duration>,
    shared: Duration,
    next_sweep: Duration,
}

impl RateLimiter {
    /// `listed` tenants have rates of their own, all others `default`; buckets of at most `most` tenants are kept.
    pub fn new(default: Rate, listed: HashMap<String, Rate>, most: usize) -> Self {
        let most = most.max(listed.len()).max(1);
        let (full_at, shared, next_sweep) = Default::default();
        Self { default, listed, most, share: 1.0, full_at, shared, next_sweep }
    }

    /// Takes a call of `tenant` from its bucket.
    ///
    /// # Errors
    /// The bucket is empty: how long until it holds a call.
    pub fn try_take(&mut self, tenant: &str, now: Duration) -> Result<(), Duration> {
        let rate = self.rate(tenant);
        let Some(interval) = rate.interval() else { return Ok(()) };
        take(self.bucket(tenant, now), now, interval, rate.calls_at_once())
    }

    /// So many calls of `tenant` were let pass elsewhere, at a time that may be past.
    pub fn taken_elsewhere(&mut self, tenant: &str, calls: u32, at: Duration) {
        let Some(interval) = self.rate(tenant).interval() else { return };
        let full_at = self.bucket(tenant, at);
        *full_at = (*full_at).max(at).saturating_add(interval.saturating_mul(calls));
    }

    /// From now on each tenant has this share of its rate here, above 0 to 1.
    pub fn set_share(&mut self, share: f64) {
        self.share = share.clamp(f64::MIN_POSITIVE, 1.0);
    }

    /// Whether `tenant` has a limit.
    pub fn is_limited(&self, tenant: &str) -> bool {
        self.rate(tenant).interval().is_some()
    }

    fn rate(&self, tenant: &str) -> Rate {
        self.listed.get(tenant).unwrap_or(&self.default).times(self.share)
    }

    /// Tenants whose buckets are not known to be full.
    pub fn kept(&self) -> usize {
        self.full_at.len()
    }

    fn bucket(&mut self, tenant: &str, now: Duration) -> &mut Duration {
        if !self.full_at.contains_key(tenant) && !self.makes_room(tenant, now) {
            return &mut self.shared;
        }
        // Only a tenant that is new to the table costs a copy of its name.
        if !self.full_at.contains_key(tenant) {
            self.full_at.insert(tenant.to_owned(), now);
        }
        self.full_at.get_mut(tenant).unwrap_or(&mut self.shared)
    }

    fn makes_room(&mut self, tenant: &str, now: Duration) -> bool {
        if self.full_at.len() >= self.most && now >= self.next_sweep {
            self.full_at.retain(|_, full_at| *full_at > now);
            self.next_sweep = now.saturating_add(SWEEP_EVERY);
        }
        self.full_at.len() < self.most || self.listed.contains_key(tenant)
    }
}

fn take(full_at: &mut Duration, now: Duration, interval: Duration, at_once: f64) -> Result<(), Duration> {
    let then = (*full_at).max(now).saturating_add(interval);
    let reach = Duration::try_from_secs_f64(interval.as_secs_f64() * at_once).unwrap_or(Duration::MAX);
    match then.checked_sub(now.saturating_add(reach)) {
        Some(wait) if wait > Duration::ZERO => Err(wait),
        _ => {
            *full_at = then;
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Duration = Duration::from_secs(100);
    const TEN: Rate = Rate { calls_per_second: 10.0, burst: 3.0 };

    fn limiter(default: Rate, most: usize) -> RateLimiter {
        RateLimiter::new(default, HashMap::from([("listed".to_owned(), TEN)]), most)
    }

    fn ms(value: u64) -> Duration {
        Duration::from_millis(value)
    }

    fn taken(limiter: &mut RateLimiter, tenant: &str, now: Duration) -> usize {
        (0..1000).take_while(|_| limiter.try_take(tenant, now).is_ok()).count()
    }

    #[test]
    fn a_burst_passes_and_then_one_call_per_interval() {
        let mut limiter = limiter(TEN, 10);
        assert_eq!(taken(&mut limiter, "a", NOW), 3);
        assert_eq!(taken(&mut limiter, "a", NOW + ms(99)), 0);
        assert_eq!(taken(&mut limiter, "a", NOW + ms(100)), 1);
        assert_eq!(taken(&mut limiter, "a", NOW + ms(10_000)), 3);
    }

    #[test]
    fn the_wait_it_tells_is_exact() {
        let mut limiter = limiter(TEN, 10);
        taken(&mut limiter, "a", NOW);
        let wait = limiter.try_take("a", NOW + ms(30)).unwrap_err();
        assert_eq!(wait, ms(70));
        assert!(limiter.try_take("a", NOW + ms(30) + wait).is_ok());
    }

    #[test]
    fn asking_while_refused_costs_nothing() {
        let mut limiter = limiter(TEN, 10);
        taken(&mut limiter, "a", NOW);
        (0..1000).for_each(|_| assert!(limiter.try_take("a", NOW).is_err()));
        assert!(limiter.try_take("a", NOW + ms(100)).is_ok());
    }

    #[test]
    fn tenants_do_not_share_a_bucket_and_the_listed_have_rates_of_their_own() {
        let mut limiter = limiter(Rate { calls_per_second: 1.0, burst: 1.0 }, 10);
        assert_eq!(taken(&mut limiter, "a", NOW), 1);
        assert_eq!(taken(&mut limiter, "b", NOW), 1);
        assert_eq!(taken(&mut limiter, "listed", NOW), 3);
    }

    #[test]
    fn without_a_rate_there_is_no_limit_and_nothing_is_kept() {
        for calls_per_second in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let mut limiter = limiter(Rate { calls_per_second, burst: 1.0 }, 10);
            assert_eq!(taken(&mut limiter, "a", NOW), 1000);
            assert_eq!(limiter.kept(), 0);
        }
    }

    #[test]
    fn a_burst_that_is_not_told_is_what_a_second_brings() {
        assert_eq!(taken(&mut limiter(Rate { calls_per_second: 7.0, burst: 0.0 }, 10), "a", NOW), 7);
        assert_eq!(taken(&mut limiter(Rate { calls_per_second: 0.1, burst: 0.0 }, 10), "a", NOW), 1);
    }

    #[test]
    fn a_rate_of_one_call_in_an_age_still_counts() {
        let mut limiter = limiter(Rate { calls_per_second: 1e-300, burst: 1.0 }, 10);
        assert_eq!(taken(&mut limiter, "a", NOW), 1);
    }

    #[test]
    fn full_buckets_are_forgotten_when_room_is_needed() {
        let mut limiter = limiter(TEN, 4);
        ["a", "b", "c", "d"].iter().for_each(|tenant| assert!(limiter.try_take(tenant, NOW).is_ok()));
        assert_eq!(taken(&mut limiter, "e", NOW + ms(2000)), 3);
        assert_eq!(limiter.kept(), 1);
    }

    #[test]
    fn inventing_names_earns_no_calls_beyond_the_table_and_one_bucket() {
        let mut limiter = limiter(TEN, 4);
        let calls = (0..10_000).filter(|name| limiter.try_take(&name.to_string(), NOW).is_ok()).count();
        assert_eq!(calls, 4 + 3);
        assert_eq!(taken(&mut limiter, "listed", NOW), 3, "a listed tenant always has its own");
    }

    #[test]
    fn what_was_taken_elsewhere_is_gone_here_also_if_it_is_heard_late() {
        let mut limiter = limiter(TEN, 10);
        limiter.taken_elsewhere("a", 2, NOW);
        assert_eq!(taken(&mut limiter, "a", NOW), 1);
        limiter.taken_elsewhere("a", 10, NOW);
        assert_eq!(taken(&mut limiter, "a", NOW + ms(1000)), 0, "it is overdrawn");
        assert_eq!(taken(&mut limiter, "a", NOW + ms(1300)), 3);
        limiter.taken_elsewhere("b", 10, NOW);
        assert_eq!(taken(&mut limiter, "b", NOW + ms(1300)), 3, "that was long ago");
    }

    #[test]
    fn alone_each_allows_its_share() {
        let mut limiter = limiter(TEN, 10);
        limiter.set_share(0.5);
        assert_eq!(taken(&mut limiter, "a", NOW), 1);
        let more = [99, 100, 299, 300].map(|at| taken(&mut limiter, "a", NOW + ms(at)));
        assert_eq!(more, [0, 1, 0, 1], "a burst of one and a half, and one every 200 ms");
        limiter.set_share(1.0);
        assert_eq!(taken(&mut limiter, "a", NOW + ms(10_000)), 3);
        assert!(limiter.is_limited("a"));
        assert!(!RateLimiter::new(Rate::UNLIMITED, HashMap::new(), 1).is_limited("a"));
    }

    proptest! {
        #[test]
        fn limiters_that_hear_of_each_other_are_one(
            calls in prop::collection::vec((0usize..3, 0u64..100), 1..400),
            delay in 0usize..20,
        ) {
            let mut limiters = [limiter(TEN, 10), limiter(TEN, 10), limiter(TEN, 10)];
            let (mut now, mut passed, mut unheard) = (NOW, 0.0, std::collections::VecDeque::new());
            for (at, gap) in calls {
                now += ms(gap);
                if limiters[at].try_take("a", now).is_ok() {
                    passed += 1.0;
                    unheard.push_back((at, now));
                }
                while unheard.len() > delay {
                    let (by, then) = unheard.pop_front().expect("there are some");
                    (0..3).filter(|other| *other != by).for_each(|other| limiters[other].taken_elsewhere("a", 1, then));
                }
                // What one would let pass, and what was not heard of yet.
                prop_assert!(passed <= 3.0 + 10.0 * (now - NOW).as_secs_f64() + delay as f64 + 1e-6);
            }
        }

        #[test]
        fn never_more_than_the_burst_and_the_rate(
            calls_per_second in 0.5f64..50.0,
            burst in 1.0f64..10.0,
            gaps in prop::collection::vec(0u64..300, 1..300),
        ) {
            let mut limiter = limiter(Rate { calls_per_second, burst }, 10);
            let (mut now, mut calls) = (NOW, 0.0);
            for gap in gaps {
                now += ms(gap);
                calls += f64::from(u8::from(limiter.try_take("a", now).is_ok()));
                prop_assert!(calls <= burst + calls_per_second * (now - NOW).as_secs_f64() + 1e-6);
            }
        }
    }
}
