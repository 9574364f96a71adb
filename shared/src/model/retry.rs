//! When a failed attempt is tried again: exponential back-off with full jitter, by class of error.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{ErrorClass, class::ClassPolicy};

/// A task's retry policy. What a task does not say comes from its type's configuration, then from the defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Attempts charged at the most: the first one and `max_attempts - 1` retries. Default 5.
    pub max_attempts: u32,
    /// The first retry waits between zero and this. Default 1 s. Doubles with each retry.
    pub base: Duration,
    /// No wait is longer than this. Default 5 min.
    pub cap: Duration,
    /// Classes for which this task or type wants something else than [`ErrorClass::policy`].
    pub classes: BTreeMap<String, Wanted>,
}

/// What a configuration wants for a class of error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Wanted {
    /// Try again.
    Retry,
    /// Fail at once.
    Fail,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 5,
            base: Duration::from_secs(1),
            cap: Duration::from_secs(300),
            classes: BTreeMap::new(),
        }
    }
}

/// What to do after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Try again after this long.
    RetryAfter(Duration),
    /// All attempts are used up.
    Exhausted,
    /// Trying again cannot help.
    Permanent,
}

impl RetryPolicy {
    /// Decides after an attempt that failed with `class`.
    ///
    /// `retries` is how many were charged before; `told` is what the other side asked for (`Retry-After`) and is
    /// never shortened; `jitter` is a number in 0..1 (full jitter: the wait is uniform below the exponential bound).
    pub fn decide(&self, class: ErrorClass, retries: u32, told: Option<Duration>, jitter: f64) -> Verdict {
        let floor = match (self.classes.get(class.as_str()), class.policy()) {
            (Some(Wanted::Fail), _) | (None, ClassPolicy::Fail) => return Verdict::Permanent,
            (_, ClassPolicy::Retry(floor)) => floor,
            (Some(Wanted::Retry), ClassPolicy::Fail) => Duration::ZERO,
        };
        if retries.saturating_add(1) >= self.max_attempts {
            return Verdict::Exhausted;
        }
        let bound = self.base.max(floor).saturating_mul(1 << retries.min(20)).min(self.cap.max(floor));
        Verdict::RetryAfter(bound.mul_f64(jitter.clamp(0.0, 1.0)).max(told.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration as D;

    #[test]
    fn back_off_doubles_and_is_capped() {
        let policy = RetryPolicy { max_attempts: 100, ..RetryPolicy::default() };
        let bound = |retries| match policy.decide(ErrorClass::Timeout, retries, None, 1.0) {
            Verdict::RetryAfter(wait) => wait,
            other => panic!("{other:?}"),
        };
        assert_eq!(
            (bound(0), bound(1), bound(3), bound(60)),
            (D::from_secs(1), D::from_secs(2), D::from_secs(8), D::from_secs(300))
        );
    }

    #[test]
    fn the_other_sides_word_is_never_shortened() {
        let told = Some(D::from_secs(20));
        assert_eq!(
            RetryPolicy::default().decide(ErrorClass::RateLimit, 0, told, 0.0),
            Verdict::RetryAfter(D::from_secs(20))
        );
    }

    #[test]
    fn attempts_run_out_and_permanent_errors_do_not_retry() {
        let policy = RetryPolicy { max_attempts: 2, ..RetryPolicy::default() };
        assert_eq!(policy.decide(ErrorClass::Server, 1, None, 0.5), Verdict::Exhausted);
        assert_eq!(policy.decide(ErrorClass::BadRequest, 0, None, 0.5), Verdict::Permanent);
    }

    #[test]
    fn a_type_may_want_otherwise_for_a_class() {
        let classes = [("timeout".into(), Wanted::Fail), ("quota".into(), Wanted::Retry)].into();
        let policy = RetryPolicy { classes, ..RetryPolicy::default() };
        assert_eq!(policy.decide(ErrorClass::Timeout, 0, None, 1.0), Verdict::Permanent);
        assert_eq!(policy.decide(ErrorClass::Quota, 0, None, 1.0), Verdict::RetryAfter(D::from_secs(1)));
    }
}
