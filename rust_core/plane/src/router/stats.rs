//! How an instance fares, as the router sees it: the figures that steer the choice between replicas.
//!
//! Fed by the outcomes of calls and by nothing else.  Health checks do not touch it (a peer's in-flight counter was
//! reset by them), and a call that its caller gave up says nothing about the instance.

use std::time::Duration;

use waypost_decide::{Breaker, Exclusion, Health, PeakEwma, SuccessRate, WindowedQuantile};

use super::config::RouterConfig;

/// After this long, an observation has lost 63 % of its weight.
pub const DECAY: Duration = Duration::from_secs(5);
const P95_WINDOW: Duration = Duration::from_secs(30);
const P95_SLICES: usize = 6;
/// The p95 is worked out at most this often.
const P95_REFRESH: Duration = Duration::from_millis(100);
/// Waiting is the instance's fault when it takes this many times the usual latency,
const LATE_FACTOR: u32 = 4;
/// and at least this long; a deadline before that is the caller's impatience.
const LATE_FLOOR: Duration = Duration::from_secs(1);

/// What an attempt says about its instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It answered, if only to say that the caller is wrong.
    Answered,
    /// It was full or leaving: no illness, but go elsewhere.
    Refused,
    /// It broke.
    Failed,
    /// The deadline passed: its fault only if that was long in coming.
    TimedOut,
    /// The caller left first.
    Abandoned,
}

/// Figures of one instance.
#[derive(Debug)]
pub struct Stats {
    /// Calls there now.
    pub in_flight: u32,
    /// Their size, in the units of [`super::attempt::units`].
    pub units: u32,
    /// Calls there that have had no answer at all yet.
    awaiting: u32,
    /// When an answer was last heard, or waiting for one began.
    quiet_since: Duration,
    /// Attempts that ended.
    pub requests: u64,
    /// Those that failed.
    pub failures: u64,
    latency: PeakEwma,
    success: SuccessRate,
    breaker: Breaker,
    exclusion: Exclusion,
    window: WindowedQuantile,
    p95: Option<Duration>,
    p95_at: Option<Duration>,
}

impl Stats {
    /// Nothing known yet.
    pub fn new(config: &RouterConfig) -> Self {
        Self {
            in_flight: 0,
            units: 0,
            awaiting: 0,
            quiet_since: Duration::ZERO,
            requests: 0,
            failures: 0,
            latency: PeakEwma::new(DECAY, Duration::ZERO),
            success: SuccessRate::new(DECAY),
            breaker: Breaker::new(config.breaker.failures, config.breaker.open_for),
            exclusion: Exclusion::new(config.outlier.p95_limit, config.outlier.exclude_for),
            window: WindowedQuantile::new(P95_WINDOW, P95_SLICES),
            p95: None,
            p95_at: None,
        }
    }

    /// An attempt begins.
    pub fn enter(&mut self, now: Duration, units: u32) {
        if self.awaiting == 0 {
            self.quiet_since = now;
        }
        self.in_flight += 1;
        self.awaiting += 1;
        self.units += units;
        self.breaker.acquire(now);
    }

    /// An attempt has its first answer, after `latency`; a stream goes on from here.
    pub fn heard(&mut self, now: Duration, latency: Duration) {
        self.awaiting -= 1;
        self.quiet_since = now;
        self.latency.observe(now, latency);
        self.window.observe(now, latency);
        self.exclude(now);
    }

    /// An attempt that was heard ends.
    pub fn leave(&mut self, now: Duration, units: u32, verdict: Verdict) {
        self.in_flight -= 1;
        self.units -= units;
        self.judge(now, verdict);
    }

    /// An attempt ends that never had an answer, although it `waited`.
    pub fn leave_unheard(&mut self, now: Duration, units: u32, verdict: Verdict, waited: Duration) {
        self.awaiting -= 1;
        match verdict {
            Verdict::TimedOut => {
                let verdict = self.time_out(now, waited);
                self.leave(now, units, verdict);
            }
            Verdict::Abandoned => self.leave(now, units, verdict),
            _ => {
                self.quiet_since = now;
                self.leave(now, units, verdict);
            }
        }
    }

    fn judge(&mut self, now: Duration, verdict: Verdict) {
        match verdict {
            Verdict::Answered => self.record(now, true),
            Verdict::Failed => self.record(now, false),
            Verdict::Refused => {
                self.requests += 1;
                self.success.observe(now, false);
                self.breaker.forget();
            }
            Verdict::TimedOut | Verdict::Abandoned => self.breaker.forget(),
        }
    }

    fn record(&mut self, now: Duration, ok: bool) {
        self.requests += 1;
        self.failures += u64::from(!ok);
        self.success.observe(now, ok);
        self.breaker.record(now, ok);
    }

    /// Whose fault a deadline was; the answer would have taken longer than was waited, which the average learns.
    fn time_out(&mut self, now: Duration, waited: Duration) -> Verdict {
        let verdict = if waited >= self.lateness(now) { Verdict::Failed } else { Verdict::TimedOut };
        if waited > self.latency.get(now) {
            self.latency.observe(now, waited);
        }
        verdict
    }

    fn exclude(&mut self, now: Duration) {
        let p95 = self.p95(now);
        if p95.is_some_and(|p95| self.exclusion.observe(now, p95)) {
            self.window.clear();
            (self.p95, self.p95_at) = (None, None);
        }
    }

    /// 95 % of the recent first answers came within.
    pub fn p95(&mut self, now: Duration) -> Option<Duration> {
        if self.p95_at.is_none_or(|at| now.saturating_sub(at) >= P95_REFRESH) {
            self.p95 = self.window.quantile(now, 0.95);
            self.p95_at = Some(now);
        }
        self.p95
    }

    /// Moving average of the latency; none where nothing was heard lately.
    pub fn latency(&self, now: Duration) -> Option<Duration> {
        Some(self.latency.get(now)).filter(|latency| !latency.is_zero())
    }

    /// Probability of an answer.
    pub fn success(&self, now: Duration) -> f64 {
        self.success.get(now)
    }

    /// How long calls have been waiting here without any answer, once that is longer than can be explained.
    ///
    /// The moving average decays while nothing is heard, which is right for an instance that nobody calls and wrong
    /// for one that does not answer: without this, calls trickle into a hung instance as its average fades.
    pub fn silence(&self, now: Duration) -> Duration {
        let silence = now.saturating_sub(self.quiet_since);
        let explained = self.awaiting == 0 || silence < self.lateness(now);
        if explained { Duration::ZERO } else { silence }
    }

    /// Waiting this long is the instance's fault.
    fn lateness(&self, now: Duration) -> Duration {
        LATE_FLOOR.max(self.latency.get(now) * LATE_FACTOR)
    }

    /// Whether it may be chosen, being `ready`.
    pub fn health(&self, now: Duration, ready: bool) -> Health {
        Health { excluded_until: self.exclusion.until(now), breaker_allows: self.breaker.allows(now), ready }
    }

    /// Left out for failing or for being slow.
    pub fn is_ejected(&self, now: Duration) -> bool {
        !self.breaker.allows(now) || self.exclusion.until(now).is_some()
    }
}
