//! Which side of a rollout a caller is on: sticky, and only ever moving forward.
//!
//! Callers are hashed to a point in `[0, 1)` and the canary has all points below its share.  So a session stays where
//! it is while the share stays, raising the share moves callers from the stable model to the canary and none back,
//! and every router says the same without asking another.  The salt is the rollout's own: with one salt for all, the
//! same unlucky callers would be first in every experiment.
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A side of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Arm {
    /// The model that is to be replaced.
    Stable,
    /// The model that may replace it.
    Canary,
}

/// The side of the caller `key` where the canary has `share` (0 to 1) of the callers.
pub fn arm(key: u64, share: f64, salt: u64) -> Arm {
    if point(key, salt) < share { Arm::Canary } else { Arm::Stable }
}

/// Where `key` lies in `[0, 1)`.
fn point(key: u64, salt: u64) -> f64 {
    const BITS: u32 = f64::MANTISSA_DIGITS;
    (xxh3_64_with_seed(&key.to_le_bytes(), salt) >> (64 - BITS)) as f64 / (1u64 << BITS) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn canaries(share: f64, salt: u64) -> Vec<u64> {
        (0..100_000).filter(|key| arm(*key, share, salt) == Arm::Canary).collect()
    }

    #[test]
    fn the_canary_gets_its_share_of_the_keys() {
        for share in [0.01, 0.05, 0.5, 0.8] {
            let got = canaries(share, 7).len() as f64 / 100_000.0;
            assert!((got - share).abs() < 0.005, "{got} for {share}");
        }
    }

    #[test]
    fn nothing_and_everything_are_exact() {
        assert_eq!(canaries(0.0, 7).len(), 0);
        assert_eq!(canaries(1.0, 7).len(), 100_000);
        assert_eq!(canaries(f64::NAN, 7).len(), 0);
    }

    #[test]
    fn rollouts_draw_independently() {
        let first = canaries(0.1, 1);
        let both = first.iter().filter(|key| arm(**key, 0.1, 2) == Arm::Canary).count();
        assert!((800..1200).contains(&both), "{both} of {}", first.len());
    }

    #[test]
    fn the_side_of_a_key_is_the_same_in_every_build() {
        let drawn: String = (0..16).map(|key| if arm(key, 0.5, 42) == Arm::Canary { 'c' } else { 's' }).collect();
        assert_eq!(drawn, "csssscssscccscsc");
    }

    proptest! {
        #[test]
        fn a_larger_share_moves_nobody_back(key: u64, salt: u64, share in 0.0f64..=1.0, more in 0.0f64..=1.0) {
            let larger = (share + more).min(1.0);
            prop_assert!(arm(key, share, salt) == Arm::Stable || arm(key, larger, salt) == Arm::Canary);
        }
    }
}
