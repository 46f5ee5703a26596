//! Drawing one of the candidates.
//!
//! The random number is a hash of the request's seed and the token's position, not the next of a generator: so the
//! same request gives the same answer whatever runs beside it, on any platform and release.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::filter::Candidate;

/// A number in [0, 1) for a position of a request.
pub fn uniform(seed: u64, position: u64) -> f64 {
    let bits = xxh3_64_with_seed(&position.to_le_bytes(), seed);
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// The candidate that `point` in [0, 1) falls on, each as wide as it is likely at this temperature.
pub fn pick(candidates: &[Candidate], temperature: f32, point: f64) -> Option<Candidate> {
    let first = candidates.first()?;
    let weight = |each: &Candidate| f64::from((each.logit - first.logit) / temperature).exp();
    let mut left = point * candidates.iter().map(weight).sum::<f64>();
    let passes = |each: &&Candidate| {
        left -= weight(each);
        left < 0.0
    };
    // Rounding may leave a crumb beyond the last.
    candidates.iter().find(passes).or(candidates.last()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_come_as_often_as_they_are_likely() {
        let candidates = [(0, 0.7_f32), (1, 0.2), (2, 0.1)].map(|(token, p)| Candidate { token, logit: p.ln() });
        let mut counts = [0; 3];
        for position in 0..20_000 {
            let drawn = pick(&candidates, 1.0, uniform(7, position)).expect("there are candidates");
            counts[drawn.token as usize] += 1;
        }
        for (count, expected) in counts.into_iter().zip([14_000, 4_000, 2_000]) {
            assert!(i32::abs_diff(count, expected) < 300, "{counts:?}");
        }
    }

    #[test]
    fn the_ends_of_the_range_are_the_first_and_the_last() {
        let candidates = [(4, 0.0), (9, 0.0)].map(|(token, logit)| Candidate { token, logit });
        let token = |point| pick(&candidates, 1.0, point).map(|each| each.token);
        assert_eq!((token(0.0), token(0.999_999_999_999)), (Some(4), Some(9)));
        assert_eq!(pick(&[], 1.0, 0.5), None);
    }

    #[test]
    fn the_same_seed_and_position_give_the_same_number_everywhere() {
        assert_eq!(uniform(1, 2), uniform(1, 2));
        assert_ne!(uniform(1, 2), uniform(1, 3));
        assert_ne!(uniform(1, 2), uniform(2, 2));
    }
}
