//! What is done about each class of error, as data. Whoever makes the calls obeys it; nothing here waits or retries.

use std::time::Duration;

use crate::Class;

/// What is closed for a while after an error, for the whole fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cools {
    /// Nothing.
    Nothing,
    /// This key with this model.
    Lane,
    /// This key with every model.
    Key,
}

/// What is done about one class of error.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a column of the table, and none implies another")]
pub struct Policy {
    /// How often the same model is asked again at once.
    pub same_model_retries: u32,
    /// The longest wait before the first of these retries. It doubles from then on, up to `longest_backoff`, and each
    /// wait is drawn evenly between nothing and its longest (full jitter). A wait that the provider names goes first.
    pub backoff: Duration,
    /// No backoff is longer.
    pub longest_backoff: Duration,
    /// Whether another key, model or provider is tried then.
    pub rotate: bool,
    /// How often at most; nothing is no bound of its own.
    pub rotations: Option<u32>,
    /// Whether it tells that a model's provider is ill.
    pub counts_for_breaker: bool,
    /// What is closed for a while.
    pub cools: Cools,
    /// For how long, if the provider does not say.
    pub cool_for: Duration,
}

/// Fails at once and touches nothing. The others are this but for what they name.
const FAIL: Policy = Policy {
    same_model_retries: 0,
    backoff: Duration::ZERO,
    longest_backoff: Duration::ZERO,
    rotate: false,
    rotations: None,
    counts_for_breaker: false,
    cools: Cools::Nothing,
    cool_for: Duration::ZERO,
};

/// An error that the provider's illness explains.
const ILL: Policy = Policy {
    same_model_retries: 1,
    backoff: Duration::from_millis(500),
    longest_backoff: Duration::from_secs(8),
    rotate: true,
    counts_for_breaker: true,
    ..FAIL
};

impl Class {
    /// What is done about it.
    ///
    /// | class | same model | then | breaker | left alone |
    /// | --- | --- | --- | --- | --- |
    /// | `authentication` | no | one other key | – | key, 1 h |
    /// | `permission` | no | one other key or model | – | lane, 1 h |
    /// | `rate_limit` | no | rotate, else wait | – | lane, as told or 5 s |
    /// | `quota` | no | rotate, else wait | – | key, as told or 10 min |
    /// | `timeout` | once | rotate | counts | – |
    /// | `connection` | once within 250 ms | rotate | counts | – |
    /// | `server` | twice | rotate | counts | – |
    /// | `overloaded` | once, 1 s to 30 s | rotate | counts | – |
    /// | `context_length` | no | a larger window | – | – |
    /// | `content_policy` | no | one other | – | – |
    /// | `bad_request` | no | fail | – | – |
    /// | `malformed_output` | once | rotate | counts | – |
    /// | `budget`, `cancelled` | no | fail | – | – |
    pub fn policy(self) -> Policy {
        const HOUR: Duration = Duration::from_hours(1);
        match self {
            Self::Authentication => {
                Policy { rotate: true, rotations: Some(1), cools: Cools::Key, cool_for: HOUR, ..FAIL }
            }
            Self::Permission => {
                Policy { rotate: true, rotations: Some(1), cools: Cools::Lane, cool_for: HOUR, ..FAIL }
            }
            Self::RateLimit => waits(Cools::Lane, Duration::from_secs(5)),
            Self::Quota => waits(Cools::Key, Duration::from_mins(10)),
            Self::Timeout | Self::MalformedOutput => ILL,
            Self::Connection => {
                let backoff = Duration::from_millis(250);
                Policy { backoff, longest_backoff: backoff, ..ILL }
            }
            Self::Server => Policy { same_model_retries: 2, ..ILL },
            Self::Overloaded => {
                Policy { backoff: Duration::from_secs(1), longest_backoff: Duration::from_secs(30), ..ILL }
            }
            Self::ContextLength => Policy { rotate: true, ..FAIL },
            Self::ContentPolicy => Policy { rotate: true, rotations: Some(1), ..FAIL },
            Self::BadRequest | Self::Budget | Self::Cancelled => FAIL,
        }
    }
}

/// Nobody's fault: the same call succeeds later, or elsewhere now.
fn waits(cools: Cools, cool_for: Duration) -> Policy {
    Policy { rotate: true, cools, cool_for, ..FAIL }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_ill_provider_opens_a_breaker() {
        let counting: Vec<_> =
            Class::ALL.into_iter().filter(|class| class.policy().counts_for_breaker).collect();
        let ill =
            [Class::Timeout, Class::Connection, Class::Server, Class::Overloaded, Class::MalformedOutput];
        assert_eq!(counting, ill);
    }

    #[test]
    fn what_a_wait_solves_is_not_retried_at_once() {
        for class in [Class::RateLimit, Class::Quota] {
            let policy = class.policy();
            assert_eq!((policy.same_model_retries, policy.rotate), (0, true));
            assert!(policy.cools != Cools::Nothing && policy.cool_for > Duration::ZERO);
        }
    }

    #[test]
    fn what_no_retry_solves_is_never_sent_again_as_it_was() {
        for class in [Class::BadRequest, Class::ContextLength, Class::ContentPolicy, Class::Budget] {
            assert_eq!(class.policy().same_model_retries, 0, "{class}");
        }
    }
}
