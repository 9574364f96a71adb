//! What is said of a call that no model answered, and what becomes of its attempt.

use std::time::Duration;

use windlass_llm::ChatError;
use windlass_shared::{model::ErrorClass, store::Skipped};

use super::{super::class_of, Run};
use crate::{executor::Failure, gateway::Ledger};

impl Run<'_> {
    /// No model is left.
    pub(super) fn gave_up(&self, ledger: &Ledger) -> Failure {
        let error = self.last.as_ref();
        let mut failure = match error {
            Some(error) => failure(error),
            None => Failure::internal("no model may be called"),
        };
        if ledger.is_full() {
            failure.message = format!(
                "{}; the task made its {} calls (setting llm.max_calls)",
                failure.message,
                ledger.calls().len()
            );
            return failure.permanent();
        }
        failure
    }

    /// All that is left must wait longer than a slot should.
    pub(super) fn parked(&self, open: &[usize], wait: Duration, skipped: &[Skipped]) -> Failure {
        let all: Vec<String> = self.reasons(open, skipped);
        let message = format!("no model may be called now: {}", all.join("; "));
        let refused = |skip: &Skipped| ["authentication", "permission"].contains(&skip.reason.as_str());
        if skipped.iter().all(refused) {
            let class = skipped.first().and_then(|skip| skip.reason.parse().ok());
            return Failure::new(class.unwrap_or(ErrorClass::Authentication), message);
        }
        let budget = skipped.iter().all(|skip| skip.reason.starts_with("budget"));
        let class = match &self.last {
            _ if budget => ErrorClass::Budget,
            Some(error) => class_of(error.class),
            None => ErrorClass::RateLimit,
        };
        let failure = Failure::new(class, message).wait(wait);
        if budget { failure.for_budget() } else { failure }
    }

    /// Waiting does not help.
    pub(super) fn refused(&self, open: &[usize], skipped: &[Skipped]) -> Failure {
        let message = self.reasons(open, skipped).join("; ");
        let money = |skip: &Skipped| skip.reason.starts_with("budget") || skip.reason == "unpriced";
        if skipped.iter().any(money) {
            return Failure::new(ErrorClass::Budget, format!("the budget has no room: {message}"));
        }
        Failure::bad_request(format!("no model may be called: {message}"))
    }

    fn reasons(&self, open: &[usize], skipped: &[Skipped]) -> Vec<String> {
        let name =
            |skip: &Skipped| open.get(skip.index).map(|index| self.candidates[*index].model.id.as_str());
        skipped.iter().map(|skip| format!("{}: {}", name(skip).unwrap_or("?"), said(skip))).collect()
    }
}

pub(super) fn said(skip: &Skipped) -> String {
    let detail = &skip.detail;
    let wait = windlass_shared::model::time::human(skip.wait);
    match skip.reason.as_str() {
        "limit" => format!("limit of {detail}, {wait}"),
        "too_large" => format!("needs more in a minute than the limit of {detail} allows"),
        "breaker" => format!("its breaker is open, {wait}"),
        "budget" | "budget_cheaper" => format!("the budget of {detail} is spent"),
        "budget_wait" => format!("the budget of {detail} is spent until its next window, {wait}"),
        "budget_held" => format!("the budget of {detail} is reserved by other calls"),
        "unpriced" => format!(
            "its price is not known, and the budget of {detail} applies: give the price in the catalog (llm.catalog)"
        ),
        class => format!("left alone after {class}, {wait}"),
    }
}

pub(super) fn failure(error: &ChatError) -> Failure {
    Failure::new(class_of(error.class), error.message.clone()).retry_after(error.retry_after)
}
