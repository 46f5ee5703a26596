//! Recent latency quantiles in constant memory.
//!
//! Samples fall into buckets whose bounds grow by 10 %, so any quantile is within 5 % of the true one from a
//! microsecond to an hour (the idea of DDSketch, with the range fixed in advance).  The window is a ring of slices:
//! a whole slice leaves at once, which costs one pass over its buckets instead of a timestamp per sample.
//!
//! Reading moves the window, hence `&mut self`: without it, the p95 of an instance nobody calls would never refresh.
use std::time::Duration;

const BUCKETS: usize = 232;
const GROWTH: f64 = 1.1;
const SMALLEST: f64 = 1e-6;

type Histogram = [u32; BUCKETS];

/// Quantiles of what was observed during the last `window`.
#[derive(Clone, Debug)]
pub struct WindowedQuantile {
    slice: Duration,
    epoch: u64,
    slices: Vec<Histogram>,
    merged: Histogram,
    count: u32,
}

impl WindowedQuantile {
    /// The window moves in steps of `window / slices`; at least one slice of at least a nanosecond is kept.
    pub fn new(window: Duration, slices: usize) -> Self {
        let slices = slices.max(1);
        Self {
            slice: window.div_f64(slices as f64).max(Duration::from_nanos(1)),
            epoch: 0,
            slices: vec![[0; BUCKETS]; slices],
            merged: [0; BUCKETS],
            count: 0,
        }
    }

    /// Takes in a latency measured at `now`.
    pub fn observe(&mut self, now: Duration, latency: Duration) {
        self.advance(now);
        let slot = self.slot(self.epoch);
        let bucket = bucket(latency);
        self.slices[slot][bucket] += 1;
        self.merged[bucket] += 1;
        self.count += 1;
    }

    /// The `q`-quantile (0.95 for p95) over the window that ends at `now`; none where the window is empty.
    pub fn quantile(&mut self, now: Duration, q: f64) -> Option<Duration> {
        self.advance(now);
        let rank = (q.clamp(0.0, 1.0) * f64::from(self.count)).ceil().max(1.0) as u32;
        let mut seen = 0;
        let bucket = self.merged.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        Some(middle(bucket))
    }

    /// How many samples the window that ends at `now` holds.
    pub fn count(&mut self, now: Duration) -> u32 {
        self.advance(now);
        self.count
    }

    /// Forgets everything, so that an instance let back in is judged by what it does next.
    pub fn clear(&mut self) {
        self.slices.fill([0; BUCKETS]);
        self.merged = [0; BUCKETS];
        self.count = 0;
    }

    fn advance(&mut self, now: Duration) {
        let epoch = (now.as_nanos() / self.slice.as_nanos()) as u64;
        let stale = epoch.saturating_sub(self.epoch).min(self.slices.len() as u64);
        for age in 0..stale {
            self.expire(self.slot(epoch - age));
        }
        self.epoch = self.epoch.max(epoch);
    }

    fn expire(&mut self, slot: usize) {
        let old = std::mem::replace(&mut self.slices[slot], [0; BUCKETS]);
        for (merged, gone) in self.merged.iter_mut().zip(old) {
            *merged -= gone;
            self.count -= gone;
        }
    }

    fn slot(&self, epoch: u64) -> usize {
        (epoch % self.slices.len() as u64) as usize
    }
}

fn bucket(latency: Duration) -> usize {
    let steps = (latency.as_secs_f64() / SMALLEST).ln() / GROWTH.ln();
    (steps.max(0.0) as usize).min(BUCKETS - 1)
}

fn middle(bucket: usize) -> Duration {
    Duration::from_secs_f64(SMALLEST * GROWTH.powf(bucket as f64 + 0.5))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WINDOW: Duration = Duration::from_secs(30);

    fn ms(value: u64) -> Duration {
        Duration::from_millis(value)
    }

    fn window() -> WindowedQuantile {
        WindowedQuantile::new(WINDOW, 6)
    }

    #[test]
    fn an_empty_window_has_no_quantile() {
        assert_eq!(window().quantile(ms(0), 0.95), None);
    }

    #[test]
    fn one_slow_sample_in_a_hundred_moves_p100_but_not_p95() {
        let mut window = window();
        (0..99).for_each(|_| window.observe(ms(0), ms(10)));
        window.observe(ms(0), ms(5000));
        assert!(window.quantile(ms(0), 0.95) < Some(ms(11)));
        assert!(window.quantile(ms(0), 1.0) > Some(ms(4700)));
    }

    #[test]
    fn samples_leave_with_the_window_slice_by_slice() {
        let mut window = window();
        window.observe(ms(0), ms(5000));
        window.observe(ms(20_000), ms(10));
        assert_eq!(window.count(ms(29_999)), 2);
        assert_eq!(window.count(ms(30_000)), 1);
        assert!(window.quantile(ms(30_000), 0.95) < Some(ms(11)));
        assert_eq!(window.quantile(ms(60_000), 0.95), None);
    }

    #[test]
    fn reading_alone_moves_the_window() {
        let mut window = window();
        window.observe(ms(0), ms(5000));
        assert_eq!(window.quantile(WINDOW, 0.95), None);
    }

    #[test]
    fn a_pause_of_years_empties_the_window_and_it_fills_again() {
        let (mut window, later) = (window(), Duration::from_secs(1 << 40));
        window.observe(ms(0), ms(5000));
        window.observe(later, ms(10));
        assert_eq!(window.count(later), 1);
    }

    #[test]
    fn clearing_forgets_everything() {
        let mut window = window();
        window.observe(ms(0), ms(5000));
        window.clear();
        assert_eq!(window.quantile(ms(0), 0.95), None);
        assert_eq!(window.count(WINDOW * 2), 0);
    }

    #[test]
    fn what_lies_outside_the_range_counts_as_its_edge() {
        let mut window = window();
        window.observe(ms(0), Duration::ZERO);
        assert!(window.quantile(ms(0), 0.5) < Some(Duration::from_micros(2)));
        window.observe(ms(0), Duration::MAX);
        assert!(window.quantile(ms(0), 1.0) > Some(Duration::from_secs(3600)));
    }

    proptest! {
        #[test]
        fn a_quantile_is_within_five_percent_of_the_true_one(
            mut micros in prop::collection::vec(2u64..3_600_000_000, 1..300),
            q in 0.0f64..=1.0,
        ) {
            let mut window = window();
            micros.iter().for_each(|micros| window.observe(ms(0), Duration::from_micros(*micros)));
            micros.sort_unstable();
            let rank = ((q * micros.len() as f64).ceil() as usize).max(1);
            let exact = micros[rank - 1] as f64 * 1e-6;
            let estimate = window.quantile(ms(0), q).map_or(0.0, |value| value.as_secs_f64());
            prop_assert!((estimate / exact - 1.0).abs() < 0.05, "{estimate} for {exact}");
        }

        #[test]
        fn the_count_is_that_of_the_samples_in_the_window(
            gaps in prop::collection::vec(0u64..20_000, 1..100),
        ) {
            let (mut window, mut now, mut slices) = (window(), 0, Vec::new());
            for gap in gaps {
                now += gap;
                window.observe(ms(now), ms(10));
                slices.push(now / 5000);
                let alive = slices.iter().filter(|slice| *slice + 6 > now / 5000).count();
                prop_assert_eq!(window.count(ms(now)), alive as u32);
            }
        }
    }
}
