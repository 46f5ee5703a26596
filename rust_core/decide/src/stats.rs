//! How an instance fares, as a router sees it: the figures that steer the choice between replicas.
//!
//! Fed by the outcomes of calls and by nothing else.  Health checks do not touch it (a peer's in-flight counter was
//! reset by them), and a call that its caller gave up says nothing about the instance.  [`Stats`] are of a whole
//! instance, [`Serving`] of one model there: a long text takes the large model longer than the small one, but both
//! stand still when the process does.
use std::time::Duration;

use crate::{
    breaker::{Breaker, State},
    ewma::PeakEwma,
    fading::{Belief, FadingMean},
    outlier::{Exclusion, Health},
    quantile::WindowedQuantile,
    success::SuccessRate,
};

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
/// Being silent for so many times the usual latency is suspicious,
const QUIET_FACTOR: u32 = 2;
/// from here on: sooner than being late, as suspicion only sends the next call elsewhere.
const QUIET_FLOOR: Duration = Duration::from_millis(100);
/// An instance that was away for longer begins anew: caches are cold, and what was known of it has faded.
const ABSENCE: Duration = DECAY;
/// A fresh instance counts as so many times as slow; Envoy's slow start begins at the same tenth of the share.
const STEEPEST: f64 = 10.0;
/// Opinions about answers are rarer than calls, and models change more slowly than queues.
const OPINION_DECAY: Duration = Duration::from_secs(600);
const OPINION_MEMORY: f64 = 256.0;
/// So many opinions weigh as much as what the model's owner declared: a few complaints are no verdict.
const DECLARATION: f64 = 8.0;

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

/// When an instance is left out, and how it comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatsConfig {
    /// Failures in a row that open the breaker.
    pub breaker_failures: u32,
    /// How long it stays open.
    pub open_for: Duration,
    /// An instance whose p95 is over this is left out; none: never.
    pub p95_limit: Option<Duration>,
    /// For how long.
    pub exclude_for: Duration,
    /// A fresh instance's share grows over this time; zero: it has its share at once.
    pub slow_start: Duration,
}

impl Default for StatsConfig {
    fn default() -> Self {
        Self {
            breaker_failures: 5,
            open_for: Duration::from_secs(1),
            p95_limit: None,
            exclude_for: Duration::from_secs(5),
            slow_start: Duration::from_secs(10),
        }
    }
}

/// Figures of one instance.
#[derive(Clone, Debug)]
pub struct Stats {
    /// Calls there now.
    pub in_flight: u32,
    /// Their size, in units of work.
    pub units: u32,
    /// Attempts that ended.
    pub requests: u64,
    /// Those that failed.
    pub failures: u64,
    /// Times it was left out, by its breaker or for being slow.
    pub ejections: u64,
    /// Calls there that have had no answer at all yet.
    awaiting: u32,
    /// When an answer was last heard, or waiting for one began.
    quiet_since: Duration,
    latency: PeakEwma,
    success: SuccessRate,
    breaker: Breaker,
    exclusion: Exclusion,
    slow_start: SlowStart,
    window: WindowedQuantile,
    p95: Option<Duration>,
    p95_at: Option<Duration>,
}

impl Stats {
    /// Nothing known yet.
    pub fn new(config: &StatsConfig) -> Self {
        Self {
            in_flight: 0,
            units: 0,
            requests: 0,
            failures: 0,
            ejections: 0,
            awaiting: 0,
            quiet_since: Duration::ZERO,
            latency: PeakEwma::new(DECAY, Duration::ZERO),
            success: SuccessRate::new(DECAY),
            breaker: Breaker::new(config.breaker_failures, config.open_for),
            exclusion: Exclusion::new(config.p95_limit, config.exclude_for),
            slow_start: SlowStart::new(config.slow_start),
            window: WindowedQuantile::new(P95_WINDOW, P95_SLICES),
            p95: None,
            p95_at: None,
        }
    }

    /// It takes calls from now on.
    pub fn appear(&mut self, now: Duration) {
        self.slow_start.appear(now);
    }

    /// It takes none any more.
    pub fn vanish(&mut self, now: Duration) {
        self.slow_start.vanish(now);
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
        let was_open = self.is_open();
        self.breaker.record(now, ok);
        self.ejections += u64::from(!was_open && self.is_open());
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
            self.ejections += 1;
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

    /// The recent latencies.
    pub fn latencies(&mut self) -> &mut WindowedQuantile {
        &mut self.window
    }

    /// Moving average of the latency; none where nothing was heard lately.
    pub fn latency(&self, now: Duration) -> Option<Duration> {
        Some(self.latency.get(now)).filter(|latency| !latency.is_zero())
    }

    /// Probability of an answer.
    pub fn success(&self, now: Duration) -> f64 {
        self.success.get(now)
    }

    /// So many times as slow it counts, being fresh; 1 once it is not.
    pub fn freshness(&self, now: Duration) -> f64 {
        self.slow_start.factor(now)
    }

    /// How long calls have been waiting here without any answer, once that is longer than can be explained.
    ///
    /// The moving average decays while nothing is heard, which is right for an instance that nobody calls and wrong
    /// for one that does not answer: without this, calls trickle into a hung instance as its average fades.
    pub fn silence(&self, now: Duration) -> Duration {
        let silence = now.saturating_sub(self.quiet_since);
        let explained = self.awaiting == 0 || silence < QUIET_FLOOR.max(self.latency.get(now) * QUIET_FACTOR);
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

    /// Where its breaker stands.
    pub fn breaker(&self, now: Duration) -> State {
        self.breaker.state(now)
    }

    fn is_open(&self) -> bool {
        // Since ever, so that one whose time is over still counts as the one that opened.
        matches!(self.breaker.state(Duration::ZERO), State::Open { .. })
    }

    /// Left out for failing or for being slow.
    pub fn is_ejected(&self, now: Duration) -> bool {
        !self.breaker.allows(now) || self.exclusion.until(now).is_some()
    }
}

/// A fresh instance has cold caches and nobody knows how quick it is: its share grows with time (as in Envoy).
#[derive(Clone, Debug)]
struct SlowStart {
    over: Duration,
    since: Option<Duration>,
    gone: Option<Duration>,
}

impl SlowStart {
    fn new(over: Duration) -> Self {
        Self { over, since: None, gone: None }
    }

    fn appear(&mut self, now: Duration) {
        let absent = self.gone.take().map(|gone| now.saturating_sub(gone));
        if self.since.is_none() || absent.is_some_and(|absent| absent > ABSENCE) {
            self.since = Some(now);
        }
    }

    fn vanish(&mut self, now: Duration) {
        self.gone.get_or_insert(now);
    }

    fn factor(&self, now: Duration) -> f64 {
        let Some(since) = self.since.filter(|_| !self.over.is_zero()) else { return 1.0 };
        let age = now.saturating_sub(since).as_secs_f64();
        (self.over.as_secs_f64() / age.max(f64::MIN_POSITIVE)).clamp(1.0, STEEPEST)
    }
}

/// Figures of one model at one instance.
#[derive(Clone, Debug)]
pub struct Serving {
    pace: PeakEwma,
    opinion: FadingMean,
}

impl Default for Serving {
    fn default() -> Self {
        Self { pace: PeakEwma::new(DECAY, Duration::ZERO), opinion: FadingMean::new(OPINION_DECAY, OPINION_MEMORY) }
    }
}

impl Serving {
    /// A call of so many units had its first answer after `latency`.
    pub fn heard(&mut self, now: Duration, latency: Duration, units: u32) {
        self.pace.observe(now, latency / units.max(1));
    }

    /// A call ended without one: if that was for lack of time, it would have taken longer than was waited.
    pub fn unheard(&mut self, now: Duration, verdict: Verdict, waited: Duration, units: u32) {
        let waited = waited / units.max(1);
        if verdict == Verdict::TimedOut && waited > self.pace.get(now) {
            self.pace.observe(now, waited);
        }
    }

    /// Latency per unit of work; zero where nothing was heard yet, and fading to it.
    pub fn pace(&self, now: Duration) -> Duration {
        self.pace.get(now)
    }

    /// Latency per unit of work as it was left, and the share of its weight that it has left.
    pub fn pace_left(&self, now: Duration) -> (Duration, f64) {
        self.pace.faded(now)
    }

    /// Somebody, a validator or a user, says how good an answer was, 0 to 1.
    pub fn opine(&mut self, now: Duration, quality: f64) {
        self.opinion.observe(now, quality.clamp(0.0, 1.0));
    }

    /// How good its answers are: what its owner `declared`, corrected by what was said lately.
    pub fn quality(&self, now: Duration, declared: f64) -> f64 {
        self.opinion.get(now, Belief { value: declared, weight: DECLARATION })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: Duration = Duration::from_secs(100);

    fn ms(value: u64) -> Duration {
        Duration::from_millis(value)
    }

    fn stats() -> Stats {
        Stats::new(&StatsConfig::default())
    }

    fn limited(limit: Duration) -> Stats {
        Stats::new(&StatsConfig { p95_limit: Some(limit), ..StatsConfig::default() })
    }

    fn answer(stats: &mut Stats, now: Duration, latency: Duration) {
        stats.enter(now, 1);
        stats.heard(now + latency, latency);
        stats.leave(now + latency, 1, Verdict::Answered);
    }

    fn end(stats: &mut Stats, now: Duration, verdict: Verdict, waited: Duration) {
        stats.enter(now, 1);
        stats.leave_unheard(now + waited, 1, verdict, waited);
    }

    #[test]
    fn failures_in_a_row_eject_it_until_a_probe_may_pass() {
        let mut stats = stats();
        (0..5).for_each(|_| end(&mut stats, START, Verdict::Failed, ms(5)));
        assert!(stats.is_ejected(START + ms(10)));
        assert!(!stats.is_ejected(START + ms(1100)));
    }

    #[test]
    fn callers_who_leave_judge_nobody() {
        let mut stats = stats();
        (0..50).for_each(|_| end(&mut stats, START, Verdict::Abandoned, ms(5)));
        assert_eq!((stats.success(START), stats.requests, stats.in_flight), (1.0, 0, 0));
    }

    #[test]
    fn a_refusal_lowers_the_success_and_opens_nothing() {
        let mut stats = stats();
        (0..50).for_each(|_| end(&mut stats, START, Verdict::Refused, ms(1)));
        assert!(stats.success(START) < 0.1 && !stats.is_ejected(START));
    }

    #[test]
    fn a_deadline_is_its_fault_only_after_a_long_wait() {
        let mut stats = stats();
        end(&mut stats, START, Verdict::TimedOut, ms(20));
        assert_eq!(stats.failures, 0);
        end(&mut stats, START, Verdict::TimedOut, ms(2000));
        assert_eq!(stats.failures, 1);
    }

    #[test]
    fn silence_counts_once_it_cannot_be_explained_and_only_while_calls_wait() {
        let mut stats = stats();
        assert_eq!(stats.silence(START), ms(0));
        stats.enter(START, 1);
        assert_eq!(stats.silence(START + ms(99)), ms(0));
        assert_eq!(stats.silence(START + ms(1500)), ms(1500));
        stats.heard(START + ms(1600), ms(1600));
        assert_eq!(stats.silence(START + ms(9000)), ms(0));
    }

    #[test]
    fn who_is_slow_by_habit_is_not_silent_so_soon() {
        let mut stats = stats();
        answer(&mut stats, START, ms(400));
        stats.enter(START + ms(400), 1);
        assert_eq!(stats.silence(START + ms(1000)), ms(0));
        assert_eq!(stats.silence(START + ms(1400)), ms(1000));
    }

    #[test]
    fn a_high_p95_excludes_it_and_is_forgotten_so_that_it_returns() {
        let mut stats = limited(ms(500));
        answer(&mut stats, START, ms(900));
        let heard = START + ms(900);
        assert!(stats.is_ejected(heard));
        let later = heard + ms(5000);
        assert!(!stats.is_ejected(later) && stats.p95(later).is_none());
    }

    #[test]
    fn a_fresh_instance_counts_as_slow_and_ever_less_so() {
        let mut stats = stats();
        stats.appear(START);
        let factors = [0, 1, 2, 5, 10, 60].map(|second| stats.freshness(START + Duration::from_secs(second)));
        assert_eq!(factors, [10.0, 10.0, 5.0, 2.0, 1.0, 1.0]);
    }

    #[test]
    fn without_slow_start_nobody_is_fresh() {
        let mut stats = Stats::new(&StatsConfig { slow_start: Duration::ZERO, ..StatsConfig::default() });
        stats.appear(START);
        assert_eq!(stats.freshness(START), 1.0);
    }

    #[test]
    fn a_lost_connection_does_not_make_it_fresh_and_a_long_absence_does() {
        let mut stats = stats();
        stats.appear(START);
        stats.vanish(START + ms(20_000));
        stats.appear(START + ms(21_000));
        assert_eq!(stats.freshness(START + ms(21_000)), 1.0);
        stats.vanish(START + ms(30_000));
        stats.vanish(START + ms(39_000));
        stats.appear(START + ms(40_000));
        assert_eq!(stats.freshness(START + ms(40_000)), 10.0);
    }

    #[test]
    fn opinions_correct_what_was_declared_and_fade() {
        let mut serving = Serving::default();
        assert_eq!(serving.quality(START, 0.8), 0.8);
        (0..8).for_each(|_| serving.opine(START, 0.2));
        assert!((serving.quality(START, 0.8) - 0.5).abs() < 0.01);
        assert!(serving.quality(START + 10 * OPINION_DECAY, 0.8) > 0.79);
    }

    #[test]
    fn one_complaint_is_no_verdict() {
        let mut serving = Serving::default();
        serving.opine(START, -7.0);
        assert!(serving.quality(START, 0.9) >= 0.8);
    }

    #[test]
    fn pace_is_per_unit_and_learns_from_a_wait_that_was_cut_short() {
        let mut serving = Serving::default();
        serving.heard(START, ms(80), 8);
        assert_eq!(serving.pace(START), ms(10));
        serving.unheard(START, Verdict::Failed, ms(9000), 1);
        assert_eq!(serving.pace(START), ms(10));
        serving.unheard(START, Verdict::TimedOut, ms(90), 1);
        assert_eq!(serving.pace(START), ms(90));
    }

    fn verdict() -> impl Strategy<Value = Verdict> {
        let all = [Verdict::Answered, Verdict::Refused, Verdict::Failed, Verdict::TimedOut, Verdict::Abandoned];
        prop::sample::select(all.to_vec())
    }

    proptest! {
        #[test]
        fn counters_come_back_to_nothing_whatever_the_ends(
            calls in prop::collection::vec((verdict(), any::<bool>(), 0u64..3000, 1u32..9), 0..60),
        ) {
            let mut stats = stats();
            calls.iter().for_each(|(_, _, _, units)| stats.enter(START, *units));
            prop_assert_eq!(stats.in_flight as usize, calls.len());
            for (verdict, heard, waited, units) in calls {
                let now = START + ms(waited);
                if heard {
                    stats.heard(now, ms(waited));
                    stats.leave(now, units, verdict);
                } else {
                    stats.leave_unheard(now, units, verdict, ms(waited));
                }
            }
            prop_assert_eq!((stats.in_flight, stats.units, stats.awaiting), (0, 0, 0));
        }
    }
}
