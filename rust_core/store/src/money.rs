//! Money as a whole number of nano-dollars.
//!
//! A cap that may not be passed by a cent cannot be counted in floats: sums drift with their order.  A nano-dollar is
//! a thousandth of a token at a dollar per million, so that nothing that is sold is rounded away.  Prices come as
//! decimals, so each conversion rounds to the safe side: costs up, caps down.

use std::fmt;

const NANOS_PER_USD: f64 = 1e9;

/// Nano-dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(pub i64);

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// Some nine million dollars: the most that Redis, whose scripts count in doubles, compares exactly.
    pub const MAX: Self = Self(1 << 53);

    /// What a call costs, rounded up.  Below zero is zero; what is no number is the most there is.
    pub fn from_usd(usd: f64) -> Self {
        if usd.is_nan() { Self::MAX } else { Self::clamped(settled(usd * NANOS_PER_USD).ceil()) }
    }

    /// What may be spent, rounded down.  Below zero, or no number, is zero.
    pub fn cap_from_usd(usd: f64) -> Self {
        Self::clamped(settled(usd * NANOS_PER_USD).floor())
    }

    /// As dollars.
    pub fn to_usd(self) -> f64 {
        self.0 as f64 / NANOS_PER_USD
    }

    /// The sum, where it can be counted.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, where it can be counted; below zero is a difference too.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// Whether it can be a price: neither negative nor beyond [`Money::MAX`].
    pub fn is_price(self) -> bool {
        (Self::ZERO..=Self::MAX).contains(&self)
    }

    fn clamped(nanos: f64) -> Self {
        Self((nanos as i64).clamp(0, Self::MAX.0))
    }
}

/// The whole number that `nanos` is but for the noise of a decimal as a double: $0.07 is 70,000,000.00000001 of them.
fn settled(nanos: f64) -> f64 {
    let whole = nanos.round();
    if (nanos - whole).abs() <= whole.abs() * 2.0 * f64::EPSILON { whole } else { nanos }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let nanos = self.0.unsigned_abs();
        let decimals = format!("{:09}", nanos % 1_000_000_000);
        let kept = decimals.trim_end_matches('0').len().max(2);
        write!(f, "{sign}${}.{}", nanos / 1_000_000_000, &decimals[..kept])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decimals_are_what_they_say() {
        for (usd, nanos) in [(0.07, 70_000_000), (0.1, 100_000_000), (200.0, 200_000_000_000), (0.000_000_15, 150)] {
            assert_eq!(Money::from_usd(usd), Money(nanos));
            assert_eq!(Money::cap_from_usd(usd), Money(nanos));
        }
    }

    #[test]
    fn costs_round_up_and_caps_down() {
        assert_eq!(Money::from_usd(1.5e-9), Money(2));
        assert_eq!(Money::cap_from_usd(1.5e-9), Money(1));
    }

    #[test]
    fn nonsense_costs_everything_and_allows_nothing() {
        assert_eq!((Money::from_usd(f64::NAN), Money::cap_from_usd(f64::NAN)), (Money::MAX, Money::ZERO));
        assert_eq!((Money::from_usd(f64::INFINITY), Money::cap_from_usd(-1.0)), (Money::MAX, Money::ZERO));
    }

    #[test]
    fn it_is_shown_in_dollars() {
        let shown = [0, 1, -1_500_000_000, 250_000_000].map(|nanos| Money(nanos).to_string());
        assert_eq!(shown, ["$0.00", "$0.000000001", "-$1.50", "$0.25"]);
    }

    proptest! {
        #[test]
        fn a_cost_is_never_below_and_a_cap_never_above_its_price(usd in 0.0..9e6f64) {
            let (cost, cap) = (Money::from_usd(usd), Money::cap_from_usd(usd));
            prop_assert!(cap <= cost && cost.0 - cap.0 <= 1);
        }
    }
}
