//! Large texts of an attempt: fetched from the object store before it begins, put there before it is settled. The
//! attempt keeps its slot and its lease meanwhile.

use std::time::Duration;

use tokio::sync::oneshot;
use windlass_shared::{
    model::{ErrorClass, Reason, State, TaskRecord, TaskRef, Why},
    store::Settle,
};

use crate::{decide::Outcome, executor::Failure, node::Node, running::Cause};

/// A task whose object store cannot be reached comes again after this.
const LATER: Duration = Duration::from_secs(5);
const SHORTEST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Fetches what the executor is given. None if all is there; what will never be is told in the task's `unread`.
pub(super) async fn fetch(
    node: &Node,
    task: &mut TaskRecord,
    stopped: &mut oneshot::Receiver<Cause>,
) -> Option<Outcome> {
    if !task.unread.iter().any(|unread| matches!(unread.why, Why::Object(_))) {
        return None;
    }
    let fetched = tokio::select! {
        biased;
        cause = stopped => return Some(Outcome::Stopped(cause.unwrap_or(Cause::Lost), String::new())),
        fetched = node.store.fetch(task) => fetched,
    };
    // The task is not to blame: it waits, and no attempt is charged.
    let later = |error: windlass_shared::store::StoreError| {
        Outcome::Failed(Failure::new(ErrorClass::Connection, error.to_string()).wait(LATER))
    };
    fetched.err().map(later)
}

/// Puts what is large where it belongs, and says what is told to Redis. While the object store is away it tries again:
/// the report is retried, never the work. None if the lease is lost meanwhile.
pub(super) async fn put_away(
    node: &Node,
    task: &TaskRef,
    mut settle: Settle,
    mut stopped: Option<oneshot::Receiver<Cause>>,
) -> Option<Settle> {
    let mut pause = SHORTEST_PAUSE;
    loop {
        let error = match node.store.put_away(task, settle.kept_as(), &settle.result).await {
            Ok(None) => return Some(settle),
            Ok(Some(reference)) => {
                settle.result = reference;
                return Some(settle);
            }
            Err(error) => error,
        };
        tracing::warn!(%error, "a large result cannot be put away; trying again");
        let Some(stopped) = &mut stopped else {
            // Handed back: without the ledger the next attempt does some of the work again.
            return Some(Settle { result: String::new(), ..settle });
        };
        tokio::select! {
            biased;
            cause = stopped => return unsaid(settle, cause.unwrap_or(Cause::Lost)),
            () = tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)) => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// What is told of an attempt that was stopped before its result could be put away.
fn unsaid(settle: Settle, cause: Cause) -> Option<Settle> {
    let (to, reason) = match cause {
        Cause::Lost => return None,
        Cause::Cancelled => (State::Cancelled, Reason::Cancelled),
        Cause::HandBack => (State::Pending, Reason::Interrupted),
    };
    let (delay, error, result) = (Duration::ZERO, String::new(), String::new());
    Some(Settle { to, reason, delay, error, result, ..settle })
}

#[cfg(test)]
mod tests {
    use windlass_shared::model::TaskId;

    use super::*;

    #[test]
    fn a_stopped_attempt_says_nothing_of_a_result_that_is_nowhere() {
        let settle = Settle {
            id: TaskId::new("t").unwrap(),
            attempt: 2,
            to: State::Completed,
            reason: Reason::Completed,
            delay: Duration::ZERO,
            error: String::new(),
            result: "large".into(),
        };
        let told = |cause| unsaid(settle.clone(), cause).map(|s| (s.to, s.reason, s.attempt, s.result));
        assert_eq!(told(Cause::Lost), None);
        let (cancelled, back) = (State::Cancelled, State::Pending);
        assert_eq!(told(Cause::Cancelled), Some((cancelled, Reason::Cancelled, 2, String::new())));
        assert_eq!(told(Cause::HandBack), Some((back, Reason::Interrupted, 2, String::new())));
    }
}
