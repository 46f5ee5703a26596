//! Evidence that one mean is above another, valid at every look: the gamblers of [`crate::sequential`].
//!
//! Against "the canary's mean is at most the stable one's plus h" one gambler bets that the canary's is above `m + h`
//! and another that the stable one's is below `m`.  Where both are wrong, neither's wealth grows.  Nobody knows `m`,
//! so what counts is the product of their wealths at the `m` where it is least; it is convex in `m`, so a line search
//! finds it.  Both spread their stake over bets of many sizes, for nobody knows the difference either:
//! - *tilts*, `exp(d·S) / (1 + m(exp(d) − 1))^n`: best for yes or no, and fair for any values in 0 to 1, which are no
//!   more spread than yes and no of the same mean;
//! - for graded values *Bernstein bets*, `exp(b(S − n·m) − (−ln(1 − b) − b)·V)`, which win faster where the values
//!   vary little (Howard et al. 2021, after Fan et al. 2015).
use std::sync::LazyLock;

/// Stake that is kept, so that a gambler who has nothing to win loses little.
const KEPT: f64 = 0.25;

/// Sizes of tilts, in log odds.
const TILTS: [f64; 11] = [0.03125, 0.0625, 0.125, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.5];

/// Sizes of Bernstein bets.
const SIZES: [f64; 7] = [0.015625, 0.03125, 0.0625, 0.125, 0.25, 0.5, 0.75];

/// Steps of the line search: the golden ratio to this power is half a millionth, which is nothing beside the standard
/// error of a million calls.
const STEPS: usize = 30;

// A bet of one size; its logarithm is `gain·(S − n·m) − loss·V` or `gain·S − n·ln(1 + loss·m)`.
#[derive(Clone, Copy)]
struct Bet {
    gain: f64,
    loss: f64,
}

static TILTED: LazyLock<[Bet; TILTS.len()]> = LazyLock::new(|| TILTS.map(|gain| Bet { gain, loss: gain.exp_m1() }));
static BERNSTEIN: LazyLock<[Bet; SIZES.len()]> =
    LazyLock::new(|| SIZES.map(|gain| Bet { gain, loss: -(-gain).ln_1p() - gain }));

/// Values in 0 to 1, as far as a gambler has to know them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    n: f64,
    sum: f64,
    // Sum of squared deviations; none for yes or no.
    spread: Option<f64>,
}

impl Sample {
    /// `yes` out of `n`.
    pub fn counted(n: f64, yes: f64) -> Self {
        Self { n, sum: yes.clamp(0.0, n), spread: None }
    }

    /// Values between 0 and 1.
    pub fn graded(n: f64, sum: f64, sumsq: f64) -> Self {
        let sum = sum.clamp(0.0, n);
        let squares = (sumsq - sum * sum / n.max(1.0)).clamp(0.0, n / 4.0);
        // Fair is only the deviation from a mean that was known before each value; this is what that costs.
        let unknown_mean = squares / n.max(1.0) * (1.0 + n.max(1.0).ln()) + 0.25;
        Self { n, sum, spread: Some(squares + unknown_mean) }
    }

    /// One minus each value.
    pub fn flipped(&self) -> Self {
        Self { sum: self.n - self.sum, ..*self }
    }

    /// The mean; 0 of nothing.
    pub fn mean(&self) -> f64 {
        self.sum / self.n.max(1.0)
    }

    /// How many.
    pub fn n(&self) -> f64 {
        self.n
    }

    // Logarithm of the wealth of a gambler who began with 1 and bet that the mean is above `mean`.
    fn log_wealth(&self, mean: f64) -> f64 {
        let won = log_mean(TILTED.map(|bet| bet.gain * self.sum - self.n * (bet.loss * mean).ln_1p()));
        let Some(spread) = self.spread else { return keeping(won) };
        let surplus = self.sum - self.n * mean;
        let graded = log_mean(BERNSTEIN.map(|bet| bet.gain * surplus - bet.loss * spread));
        keeping(log_mean([won, graded]))
    }
}

// Of the stake that was bet, and what was kept of it.
fn keeping(won: f64) -> f64 {
    let won = won + (1.0 - KEPT).ln();
    won.max(KEPT.ln()) + (-(won - KEPT.ln()).abs()).exp().ln_1p()
}

// Of equal stakes.
fn log_mean<const BETS: usize>(bets: [f64; BETS]) -> f64 {
    let largest = bets.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    largest + (bets.iter().map(|bet| (bet - largest).exp()).sum::<f64>() / BETS as f64).ln()
}

/// Logarithm of the odds against "the canary's mean is at most the stable one's plus `by`".
pub fn log_odds_above(canary: &Sample, stable: &Sample, by: f64) -> f64 {
    let down = stable.flipped();
    let product = |mean: f64| canary.log_wealth(mean + by) + down.log_wealth(1.0 - mean);
    least(product, (-by).max(0.0), (1.0 - by).min(1.0))
}

/// Logarithm of the odds against "the canary's mean is at least the stable one's plus `by`".
pub fn log_odds_below(canary: &Sample, stable: &Sample, by: f64) -> f64 {
    log_odds_above(&canary.flipped(), &stable.flipped(), -by)
}

// Golden section search for the least value of a convex function.
fn least(value: impl Fn(f64) -> f64, from: f64, to: f64) -> f64 {
    const RATIO: f64 = 0.618_033_988_749_894_9;
    let (mut from, mut to) = (from, to);
    let (mut left, mut right) = (to - RATIO * (to - from), from + RATIO * (to - from));
    let (mut at_left, mut at_right) = (value(left), value(right));
    for _ in 0..STEPS {
        if at_left < at_right {
            (to, right, at_right) = (right, left, at_left);
            left = to - RATIO * (to - from);
            at_left = value(left);
        } else {
            (from, left, at_left) = (left, right, at_right);
            right = from + RATIO * (to - from);
            at_right = value(right);
        }
    }
    at_left.min(at_right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn yes(n: f64, share: f64) -> Sample {
        Sample::counted(n, n * share)
    }

    #[test]
    fn nothing_seen_is_no_evidence() {
        let nothing = Sample::counted(0.0, 0.0);
        assert!(log_odds_above(&nothing, &nothing, 0.0).abs() < 1e-9);
        assert!(log_odds_above(&nothing, &yes(1e6, 0.01), 0.0) < 1e-9);
    }

    #[test]
    fn five_failures_out_of_five_say_more_than_five_out_of_a_hundred() {
        let stable = yes(1000.0, 0.01);
        assert!(log_odds_above(&yes(5.0, 1.0), &stable, 0.0) > 10.0);
        assert!(log_odds_above(&yes(100.0, 0.05), &stable, 0.0) < 3.0);
    }

    #[test]
    fn the_same_means_are_no_evidence_however_many_calls_there_are() {
        for n in [1e2, 1e4, 1e6, 1e9] {
            assert!(log_odds_above(&yes(n, 0.01), &yes(19.0 * n, 0.01), 0.0) < 0.0, "{n}");
        }
    }

    #[test]
    fn a_difference_below_the_margin_is_evidence_against_the_margin() {
        let (stable, canary) = (yes(20_000.0, 0.01), yes(20_000.0, 0.011));
        assert!(log_odds_below(&canary, &stable, 0.01) > 20.0);
        assert!(log_odds_below(&canary, &stable, 0.0) < 1.0);
        assert!(log_odds_above(&canary, &stable, 0.0) < 1.0);
    }

    #[test]
    fn grades_that_vary_little_say_more_than_all_or_nothing_of_the_same_mean() {
        let graded = |mean: f64| Sample::graded(300.0, 300.0 * mean, 300.0 * (mean * mean + 0.01));
        let narrow = log_odds_above(&graded(0.25), &graded(0.15), 0.0);
        let wide = log_odds_above(&yes(300.0, 0.25), &yes(300.0, 0.15), 0.0);
        assert!(narrow > 2.0 * wide, "{narrow} and {wide}");
    }

    #[test]
    fn both_sides_count_however_the_calls_are_split() {
        for canaries in [1000.0, 5000.0, 9000.0] {
            let odds = log_odds_above(&yes(canaries, 0.05), &yes(10_000.0 - canaries, 0.01), 0.0);
            assert!(odds > 15.0, "{odds} with {canaries}");
        }
    }

    // The search is only right if there is one valley: compare with many points.
    fn scanned(canary: &Sample, stable: &Sample, by: f64) -> f64 {
        let down = stable.flipped();
        let (from, to) = ((-by).max(0.0), (1.0 - by).min(1.0));
        let means = (0..=2000).map(|step| from + (to - from) * f64::from(step) / 2000.0);
        means.map(|mean| canary.log_wealth(mean + by) + down.log_wealth(1.0 - mean)).fold(f64::INFINITY, f64::min)
    }

    prop_compose! {
        fn sample()(n in 0u32..5000, mean in 0.0f64..=1.0, variety in 0.0f64..=1.0, graded: bool) -> Sample {
            let n = f64::from(n);
            match graded {
                true => Sample::graded(n, n * mean, n * (mean * mean + variety * mean * (1.0 - mean))),
                false => Sample::counted(n, (n * mean).round()),
            }
        }
    }

    proptest! {
        #[test]
        fn the_line_search_finds_the_least_wealth(canary in sample(), stable in sample(), by in -0.5f64..0.5) {
            let found = log_odds_above(&canary, &stable, by);
            prop_assert!(found <= scanned(&canary, &stable, by) + 1e-3);
        }

        #[test]
        fn more_harm_is_less_credible_the_more_is_asked(canary in sample(), stable in sample(), by in -0.5f64..0.4) {
            let (less, more) = (log_odds_above(&canary, &stable, by), log_odds_above(&canary, &stable, by + 0.1));
            prop_assert!(more <= less + 1e-3 * (1.0 + less.abs()));
        }

        #[test]
        fn above_and_below_are_not_both_certain(canary in sample(), stable in sample(), by in -0.5f64..0.5) {
            let above = log_odds_above(&canary, &stable, by);
            let below = log_odds_below(&canary, &stable, by);
            prop_assert!(above.min(below) < 3.0, "{above} and {below}");
        }
    }
}
