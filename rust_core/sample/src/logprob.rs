//! How likely a token was to the model itself, before penalties, filters and temperature.

use crate::filter::{self, Candidate};

/// A token with the logarithm of its probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Logprob {
    /// Its id.
    pub token: u32,
    /// Natural logarithm.
    pub logprob: f32,
}

/// Of `token`, and of the `top` likeliest, best first.
pub fn of(logits: &[f32], token: u32, top: usize) -> (Logprob, Vec<Logprob>) {
    let normaliser = log_sum_exp(logits);
    let relative = |token, logit: f32| Logprob { token, logprob: (f64::from(logit) - normaliser) as f32 };
    let drawn = relative(token, logits.get(token as usize).copied().unwrap_or(f32::NEG_INFINITY));
    let best = |each: Candidate| relative(each.token, each.logit);
    (drawn, if top == 0 { Vec::new() } else { filter::best(logits, top).into_iter().map(best).collect() })
}

fn log_sum_exp(logits: &[f32]) -> f64 {
    let most = filter::likeliest(logits).map_or(0.0, |each| f64::from(each.logit));
    let sum: f64 = logits.iter().filter(|logit| !logit.is_nan()).map(|logit| (f64::from(*logit) - most).exp()).sum();
    most + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_the_softmax() {
        let logits = [0.5_f32, 0.3, 0.2].map(|p| p.ln() + 3.0);
        let (drawn, top) = of(&logits, 1, 2);
        assert!((drawn.logprob - 0.3_f32.ln()).abs() < 1e-6);
        assert_eq!(top.iter().map(|each| each.token).collect::<Vec<_>>(), [0, 1]);
        assert!((top[0].logprob - 0.5_f32.ln()).abs() < 1e-6);
    }
}
