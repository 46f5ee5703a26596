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

/// Stake that is kept, so that a gambler who has nothing to win loses little.
const KEPT: f64 = 0.25;

/// Sizes of tilts, in log odds.
const TILTS: [f64; 11] = [0.03125, 0.0625, 0.125, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.5];

/// Sizes of Bernstein bets.
const SIZES: [f64; 7] = [0.015625, 0.03125, 0.0625, 0.125, 0.25, 0.5, 0.75];

/// Steps of the line search: the golden ratio to this power is a billionth.
const STEPS: usize = 45;

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
        let tilts = TILTS.iter().map(|tilt| tilt * self.sum - self.n * (mean * tilt.exp_m1()).ln_1p());
        let sizes = self.spread.iter().flat_map(|spread| SIZES.iter().map(move |size| (size, spread)));
        let bernstein = sizes.map(|(size, spread)| size * (self.sum - self.n * mean) - cost(*size) * spread);
        let kinds = 1.0 + f64::from(u8::from(self.spread.is_some()));
        let stake = |bets: usize| ((1.0 - KEPT) / (kinds * bets as f64)).ln();
        let tilts = tilts.map(|bet| bet + stake(TILTS.len()));
        log_sum(tilts.chain(bernstein.map(|bet| bet + stake(SIZES.len()))))
    }
}

fn cost(size: f64) -> f64 {
    -(-size).ln_1p() - size
}

// Of the bets and what was kept.
fn log_sum(bets: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = bets.clone().fold(KEPT.ln(), f64::max);
    largest + bets.chain([KEPT.ln()]).map(|bet| (bet - largest).exp()).sum::<f64>().ln()
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
