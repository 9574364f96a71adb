//! What this process counts: of all workers in it together, since they share the port and the gateway that tell of it.

use std::sync::{Arc, LazyLock};

use windlass_shared::{
    PROTOCOL_VERSION,
    model::{self, Reason, State},
    store::{Figures, Settle, timing},
};
use windlass_telemetry::{
    Common, Redis, Times, Trace,
    render::Page,
    worker::{self, Worker},
};

static METRICS: LazyLock<Arc<Worker>> = LazyLock::new(Arc::default);

pub(crate) fn metrics() -> &'static Worker {
    &METRICS
}

/// All of it, in the form that a scraper asks for.
pub(crate) fn page(accept: Option<&str>) -> Page {
    let common = Common { version: env!("CARGO_PKG_VERSION"), protocol: PROTOCOL_VERSION, redis };
    worker::render(&METRICS, &common, accept)
}

fn redis() -> Redis {
    let times = |figures: Figures| Times { buckets: figures.buckets, sum: figures.sum };
    let timing = timing();
    Redis {
        round_trip: times(timing.round_trip),
        scripts: timing.scripts.into_iter().map(|(name, figures)| (name, times(figures))).collect(),
        errors: timing.errors,
    }
}

/// How an attempt ended, in the words of the metrics; without anything to tell Redis, its lease was lost.
pub(crate) fn outcome(settle: Option<&Settle>) -> &'static str {
    let Some(settle) = settle else { return LOST };
    match (settle.to, settle.reason) {
        (State::Completed, _) => "completed",
        (State::Cancelled, _) => "cancelled",
        (State::Blocked, _) => "escalated",
        (State::Scheduled, Reason::Retrying) => "retried",
        (State::Scheduled, Reason::RateLimited | Reason::OverBudget) => "waited",
        (State::Scheduled | State::Pending, _) => "handed_back",
        _ => "failed",
    }
}

pub(crate) const LOST: &str = "lost";

/// What an exemplar tells of a task's trace.
pub(crate) fn exemplar(trace: Option<&model::Trace>) -> Option<Trace> {
    let parent = trace?.parent().filter(|parent| parent.is_sampled())?;
    Trace::new(parent.trace)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use windlass_shared::model::{ErrorClass, NodeState};
    use windlass_telemetry::list;

    use super::*;

    #[test]
    fn the_words_of_the_list_are_those_of_the_model() {
        let classes: Vec<_> = ErrorClass::ALL.iter().map(|class| class.as_str()).collect();
        assert_eq!(list::CLASSES, classes);
        for state in [NodeState::Starting, NodeState::Active, NodeState::Quiet, NodeState::Draining] {
            assert!(list::LIVE_STATES.contains(&state.to_string().as_str()), "{state}");
        }
        let redis = redis();
        let kinds: Vec<_> = redis.errors.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(list::REDIS_ERROR_KINDS, kinds);
        let mut bounds: Vec<_> = redis.round_trip.buckets.iter().map(|(bound, _)| *bound).collect();
        assert_eq!(bounds.pop(), Some(f64::INFINITY));
        assert_eq!(list::REDIS_SECONDS, bounds);
        let scripts: BTreeSet<_> = redis.scripts.iter().map(|(name, _)| *name).collect();
        let list::Values::AtMost(most) = list::REDIS_SCRIPT.labels[0].values else { panic!("it is bounded") };
        assert!(scripts.len() <= most);
    }

    #[test]
    fn only_a_trace_that_is_recorded_makes_an_exemplar() {
        let trace = |flags| model::Trace::read(&format!("00-{:032x}-{:016x}-{flags}", 1, 2), None);
        assert_eq!(exemplar(trace("01").as_ref()), Trace::new(1));
        assert_eq!((exemplar(trace("00").as_ref()), exemplar(None)), (None, None));
    }
}
