//! The choice of the next token.

use std::{cmp::Ordering, collections::BinaryHeap};

use crate::Options;

/// How many of the answer's last tokens a repeat penalty looks at.
const WINDOW: usize = 64;
/// Without `top_p`, the unlikeliest tokens that together have this share are never drawn.
const TAIL: f64 = 1e-4;

/// Draws tokens by one chat's options.
pub(crate) struct Sampler {
    temperature: f64,
    top_p: f64,
    repeat_penalty: f32,
    random: fastrand::Rng,
}

/// A token and how likely it is, on a scale of the model's own.
#[derive(PartialEq)]
struct Candidate(f32, u32);

impl Eq for Candidate {}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        // Of equals the one with the smaller number, so that one seed has one answer.
        self.0.total_cmp(&other.0).then(other.1.cmp(&self.1))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Sampler {
    pub(crate) fn new(options: &Options) -> Self {
        let top_p = options.top_p.filter(|p| (0.0..1.0).contains(p)).unwrap_or(1.0 - TAIL);
        let penalty = options.repeat_penalty;
        Self {
            temperature: if options.temperature.is_finite() { options.temperature.max(0.0) } else { 0.0 },
            top_p,
            repeat_penalty: if penalty.is_finite() && penalty > 0.0 { penalty as f32 } else { 1.0 },
            random: fastrand::Rng::with_seed(options.seed),
        }
    }

    /// The next token after `answer`, among those that `fits` allows. None if it allows none.
    ///
    /// Candidates are tried from the likeliest down, so that only a few are tried and the rest never looked at.
    pub(crate) fn choose(
        &mut self,
        mut logits: Vec<f32>,
        answer: &[u32],
        fits: impl Fn(u32) -> bool,
    ) -> Option<u32> {
        self.penalise(&mut logits, answer);
        let candidates = logits.iter().zip(0..).filter(|(logit, _)| !logit.is_nan());
        let mut heap: BinaryHeap<_> = candidates.map(|(logit, id)| Candidate(*logit, id)).collect();
        let most = heap.peek()?.0;
        if self.temperature == 0.0 {
            return std::iter::from_fn(|| heap.pop()).map(|candidate| candidate.1).find(|id| fits(*id));
        }
        let weight = |logit: f32| (f64::from(logit - most) / self.temperature).exp();
        let mut left: f64 = heap.iter().map(|candidate| weight(candidate.0)).sum();
        let mut kept: Vec<(f64, u32)> = Vec::new();
        let mut sum = 0.0;
        // `left` is the weight of all tokens that may fit: those that do and those not tried yet.
        while let Some(Candidate(logit, id)) = heap.pop() {
            let weight = weight(logit);
            if !fits(id) {
                left -= weight;
                continue;
            }
            sum += weight;
            kept.push((weight, id));
            if sum >= self.top_p * left {
                break;
            }
        }
        let mut point = self.random.f64() * sum;
        let drawn = kept.iter().find(|(weight, _)| {
            point -= weight;
            point < 0.0
        });
        drawn.or(kept.first()).map(|(_, id)| *id)
    }

    fn penalise(&self, logits: &mut [f32], answer: &[u32]) {
        let mut recent = answer[answer.len().saturating_sub(WINDOW)..].to_vec();
        recent.sort_unstable();
        recent.dedup();
        for id in recent {
            if let Some(logit) = logits.get_mut(id as usize) {
                *logit =
                    if *logit > 0.0 { *logit / self.repeat_penalty } else { *logit * self.repeat_penalty };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(options: &Options, logits: &[f32], fits: impl Fn(u32) -> bool) -> Vec<usize> {
        let mut counts = vec![0; logits.len()];
        let mut sampler = Sampler::new(options);
        for _ in 0..2000 {
            counts[sampler.choose(logits.to_vec(), &[], &fits).unwrap() as usize] += 1;
        }
        counts
    }

    #[test]
    fn the_likeliest_that_fits_without_temperature() {
        let mut sampler = Sampler::new(&Options::default());
        let logits = vec![1.0, f32::NAN, 3.0, 2.0, f32::NEG_INFINITY];
        assert_eq!(sampler.choose(logits.clone(), &[], |_| true), Some(2));
        assert_eq!(sampler.choose(logits.clone(), &[], |id| id != 2), Some(3));
        assert_eq!(sampler.choose(logits.clone(), &[], |id| id == 4), Some(4), "unlikely, but the only one");
        assert_eq!(sampler.choose(logits, &[], |_| false), None);
        assert_eq!(sampler.choose(vec![f32::NAN], &[], |_| true), None);
    }

    #[test]
    fn as_often_as_the_model_says() {
        let options = Options { temperature: 1.0, ..Options::default() };
        let logits = [0.0, 3_f32.ln(), 0.0];
        let counts = drawn(&options, &logits, |_| true);
        assert!((1100..1300).contains(&counts[1]), "{counts:?}");
        let counts = drawn(&options, &logits, |id| id != 1);
        assert!(counts[1] == 0 && (900..1100).contains(&counts[0]), "{counts:?}");
    }

    #[test]
    fn top_p_keeps_the_likeliest() {
        let options = Options { temperature: 1.0, top_p: Some(0.5), ..Options::default() };
        assert_eq!(drawn(&options, &[0.0, 3_f32.ln(), 0.0], |_| true), [0, 2000, 0]);
        let counts = drawn(&options, &[0.0, 3_f32.ln(), 0.5, 0.6], |id| id != 1);
        assert!(counts[0] == 0 && counts[1] == 0 && counts[2] > 0 && counts[3] > 0, "{counts:?}");
    }

    #[test]
    fn a_repeated_token_loses_weight() {
        let mut sampler = Sampler::new(&Options { repeat_penalty: 2.0, ..Options::default() });
        assert_eq!(sampler.choose(vec![3.0, 2.0], &[0], |_| true), Some(1));
        assert_eq!(sampler.choose(vec![-2.0, -3.0], &[0], |_| true), Some(1));
    }
}
