//! What to do about the outcome of an attempt: one pure table.

use std::time::Duration;

use serde_json::value::RawValue;
use windlass_shared::{
    model::{
        ErrorClass, Reason, State, TaskRecord,
        retry::{RetryPolicy, Verdict},
    },
    store::Settle,
};

use crate::{
    executor::{Failure, Next},
    node::Limits,
    running::Cause,
};

/// How an attempt ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The executor gave a result.
    Done(Box<RawValue>),
    /// It failed.
    Failed(Failure),
    /// This node does not know the task's type; `given_up` if nobody seems to.
    UnknownType {
        /// Nobody knew it for a minute, and no live node does.
        given_up: bool,
    },
    /// This node does not hold the key that the task is sealed with; `given_up` if nobody seems to.
    MissingKey {
        /// The key's id.
        key: String,
        /// Nobody held it for a minute, and no live node does.
        given_up: bool,
    },
    /// It was stopped from outside; with what the next attempt must know.
    Stopped(Cause, String),
}

/// A task whose type a node does not know, or whose key it does not hold, is handed back for this long, so that another can take it.
pub(crate) const FOR_OTHERS_PAUSE: Duration = Duration::from_secs(5);

/// What is told to Redis; `None` if the lease is lost, since whatever we said would be refused.
pub(crate) fn decide(
    task: &TaskRecord,
    policy: &RetryPolicy,
    outcome: Outcome,
    limits: &Limits,
    jitter: f64,
) -> Option<Settle> {
    let max_result = limits.max_result;
    let settle = |to, reason, delay, error: Option<(ErrorClass, String)>, result: String| {
        Some(Settle {
            id: task.reference.id.clone(),
            attempt: task.attempt,
            to,
            reason,
            delay,
            error: error.map(|(class, message)| error_json(class, &message)).unwrap_or_default(),
            result,
        })
    };
    let none = Duration::ZERO;
    match outcome {
        Outcome::Done(result) if result.get().len() > max_result => {
            let message = format!(
                "the result has {} bytes, at most {max_result} are allowed (settings worker.max_result, claim_check)",
                result.get().len()
            );
            settle(
                State::Failed,
                Reason::Failed,
                none,
                Some((ErrorClass::ResultTooLarge, message)),
                String::new(),
            )
        }
        Outcome::Done(result) => {
            settle(State::Completed, Reason::Completed, none, None, result.get().to_owned())
        }
        Outcome::Failed(failure) => {
            let ledger = failure.ledger;
            let error = Some((failure.class, failure.message));
            let verdict = match failure.next {
                Next::Wait { wait, budget } => {
                    let reason = if budget { Reason::OverBudget } else { Reason::RateLimited };
                    return settle(State::Scheduled, reason, wait, error, ledger);
                }
                Next::Escalate(draft) => {
                    return settle(State::Blocked, Reason::Escalated, none, error, draft);
                }
                Next::Never => Verdict::Permanent,
                Next::Policy => policy.decide(failure.class, task.retries, failure.retry_after, jitter),
            };
            match verdict {
                Verdict::RetryAfter(delay) => {
                    settle(State::Scheduled, Reason::Retrying, delay, error, ledger)
                }
                Verdict::Exhausted => settle(State::Failed, Reason::Exhausted, none, error, ledger),
                Verdict::Permanent => settle(State::Failed, Reason::Failed, none, error, ledger),
            }
        }
        Outcome::UnknownType { given_up: false } => {
            settle(State::Scheduled, Reason::UnknownType, FOR_OTHERS_PAUSE, None, String::new())
        }
        Outcome::MissingKey { given_up: false, .. } => {
            settle(State::Scheduled, Reason::MissingKey, FOR_OTHERS_PAUSE, None, String::new())
        }
        Outcome::MissingKey { given_up: true, key } => {
            let message = format!(
                "it is sealed with key {key}, which no live node holds: give it to the workers (setting sealing.keys), then `windlass retry`"
            );
            settle(
                State::Failed,
                Reason::Failed,
                none,
                Some((ErrorClass::Undecodable, message)),
                String::new(),
            )
        }
        Outcome::UnknownType { given_up: true } => {
            let message = format!(
                "no live node knows the task type {:?}: declare it in the workers' configuration ([types.{}])",
                task.task_type, task.task_type
            );
            settle(
                State::Failed,
                Reason::Failed,
                none,
                Some((ErrorClass::UnknownType, message)),
                String::new(),
            )
        }
        Outcome::Stopped(Cause::Cancelled, _) => {
            settle(State::Cancelled, Reason::Cancelled, none, None, String::new())
        }
        Outcome::Stopped(Cause::HandBack, ledger) if task.interruptions >= limits.max_interruptions => {
            let message = format!(
                "given back {} times before it was done (setting worker.max_interruptions): it may need longer than nodes live",
                task.interruptions + 1
            );
            settle(State::Failed, Reason::Failed, none, Some((ErrorClass::Interrupted, message)), ledger)
        }
        Outcome::Stopped(Cause::HandBack, ledger) => {
            settle(State::Pending, Reason::Interrupted, none, None, ledger)
        }
        Outcome::Stopped(Cause::Lost, _) => None,
    }
}

/// Longest message that is stored with a task.
const LONGEST_MESSAGE: usize = 4096;

fn error_json(class: ErrorClass, message: &str) -> String {
    let end = message.char_indices().map(|(at, _)| at).take_while(|at| *at <= LONGEST_MESSAGE).last();
    let message = if message.len() > LONGEST_MESSAGE { &message[..end.unwrap_or(0)] } else { message };
    serde_json::json!({ "class": class.as_str(), "message": message }).to_string()
}

#[cfg(test)]
mod tests {
    use windlass_shared::model::{QueueName, TaskId, TaskRef};

    use super::*;

    fn task() -> TaskRecord {
        let reference = TaskRef { queue: QueueName::default_queue(), id: TaskId::new("t").unwrap() };
        let fields = [("type", "noop"), ("attempt", "3"), ("retries", "1")];
        TaskRecord::from_fields(reference, fields.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec())
    }

    fn limits() -> Limits {
        Limits { max_result: 10, max_interruptions: 2, ..Limits::default() }
    }

    #[test]
    fn a_task_that_is_given_back_again_and_again_fails_in_the_end() {
        let given_back = |interruptions| {
            let task = TaskRecord { interruptions, ..task() };
            let outcome = Outcome::Stopped(Cause::HandBack, String::new());
            decide(&task, &RetryPolicy::default(), outcome, &limits(), 1.0).map(|s| (s.to, s.reason))
        };
        assert_eq!(given_back(1), Some((State::Pending, Reason::Interrupted)));
        assert_eq!(given_back(2), Some((State::Failed, Reason::Failed)));
    }

    fn decided(outcome: Outcome) -> Option<(State, Reason)> {
        decide(&task(), &RetryPolicy { max_attempts: 3, ..RetryPolicy::default() }, outcome, &limits(), 1.0)
            .map(|settle| (settle.to, settle.reason))
    }

    #[test]
    fn each_outcome_has_one_consequence() {
        let raw = |text: &str| RawValue::from_string(text.into()).unwrap();
        let failed = |class| Outcome::Failed(Failure::new(class, "x"));
        let permanent = Outcome::Failed(Failure::new(ErrorClass::ExitCode, "x").permanent());
        let then = |next| Outcome::Failed(Failure { next, ..Failure::new(ErrorClass::RateLimit, "x") });
        let missing_key = |given_up| Outcome::MissingKey { key: "k1".into(), given_up };
        let wait = |budget| then(Next::Wait { wait: Duration::from_secs(9), budget });
        for (outcome, expected) in [
            (Outcome::Done(raw("1")), Some((State::Completed, Reason::Completed))),
            (Outcome::Done(raw("\"a long result\"")), Some((State::Failed, Reason::Failed))),
            (failed(ErrorClass::Timeout), Some((State::Scheduled, Reason::Retrying))),
            (failed(ErrorClass::BadRequest), Some((State::Failed, Reason::Failed))),
            (permanent, Some((State::Failed, Reason::Failed))),
            (wait(false), Some((State::Scheduled, Reason::RateLimited))),
            (wait(true), Some((State::Scheduled, Reason::OverBudget))),
            (then(Next::Escalate("{}".into())), Some((State::Blocked, Reason::Escalated))),
            (Outcome::UnknownType { given_up: false }, Some((State::Scheduled, Reason::UnknownType))),
            (Outcome::UnknownType { given_up: true }, Some((State::Failed, Reason::Failed))),
            (missing_key(false), Some((State::Scheduled, Reason::MissingKey))),
            (missing_key(true), Some((State::Failed, Reason::Failed))),
            (Outcome::Stopped(Cause::Cancelled, String::new()), Some((State::Cancelled, Reason::Cancelled))),
            (Outcome::Stopped(Cause::HandBack, String::new()), Some((State::Pending, Reason::Interrupted))),
            (Outcome::Stopped(Cause::Lost, String::new()), None),
        ] {
            let shown = format!("{outcome:?}");
            assert_eq!(decided(outcome), expected, "{shown}");
        }
    }

    #[test]
    fn the_last_attempt_exhausts() {
        let policy = RetryPolicy { max_attempts: 2, ..RetryPolicy::default() };
        let outcome = Outcome::Failed(Failure::new(ErrorClass::Server, "x"));
        let settle = decide(&task(), &policy, outcome, &limits(), 1.0).unwrap();
        assert_eq!((settle.to, settle.reason), (State::Failed, Reason::Exhausted));
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let json = error_json(ErrorClass::Internal, &"ü".repeat(5000));
        assert!(json.len() < 4300 && serde_json::from_str::<serde_json::Value>(&json).is_ok());
    }
}
