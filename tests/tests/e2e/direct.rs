//! Speaking to Redis as a worker does, so that what it would leave there is known exactly.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use windlass_shared::{
    model::{NodeId, QueueName, Reason, State, id::new_id},
    store::{
        Admission, Answered, Ask, AskModel, BreakerRule, CallVerdict, Settle, SettleAndClaim, Store, Taught,
    },
};
use windlass_tests::fleet::Fleet;

/// Runs `act` on the fleet's Redis.
pub(crate) fn on_store<T>(fleet: &Fleet, act: impl AsyncFnOnce(Store) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { act(fleet.redis.store().await).await })
}

/// A call to a model.
pub(crate) struct Call<'a> {
    pub(crate) tenant: &'a str,
    pub(crate) model: &'a str,
    /// The most that it can cost, nano-dollars.
    pub(crate) most: i64,
    /// What it did cost; none: it is still open.
    pub(crate) cost: Option<i64>,
    /// Class of its error, or empty.
    pub(crate) class: &'a str,
    /// Further counters of the day.
    pub(crate) counts: &'a [(&'a str, i64)],
}

/// Makes a call; false if it was refused.
pub(crate) async fn call(store: &Store, call: &Call<'_>) -> bool {
    let id = new_id();
    let model = AskModel {
        breaker: call.model.into(),
        lane: format!("lane/{}", call.model),
        key: "p/default".into(),
        need: [1, 10, 10],
        cost: Some(call.most),
        buckets: vec![(format!("lane:{}", call.model), [0; 4])],
    };
    let ask = Ask {
        call: id.as_str(),
        once: false,
        hold: Duration::from_mins(1),
        slot_wait: Duration::ZERO,
        rank: 2,
        asked: 0,
        returning: false,
        waiting: "",
        cache: "",
        flight: false,
        tenant: call.tenant,
        batch: "",
        queue: "default",
        budgets: &[],
        models: &[model],
        breaker: BreakerRule::default(),
    };
    let gate = store.gate();
    match gate.admit(&ask).await.expect("it answers") {
        Admission::Go { .. } => {}
        _ => return false,
    }
    let Some(cost) = call.cost else { return true };
    let mut counts = BTreeMap::from([("calls", 1), ("cost_nano", cost)]);
    let class = format!("error_{}", call.class);
    if !call.class.is_empty() {
        counts.extend([("errors", 1), (class.as_str(), 1)]);
    }
    counts.extend(call.counts.iter().copied());
    let verdict = if call.class.is_empty() { CallVerdict::Success } else { CallVerdict::Failure };
    let told = Answered {
        call: id.as_str(),
        model: call.model,
        verdict,
        class: call.class,
        used: [10, 10],
        cost,
        cool: Vec::new(),
        taught: Taught::default(),
        flight: "",
        cache: "",
        ttl: 0,
        breaker: BreakerRule::default(),
        live: (call.model, "unit_test", 3_600_000_000, 250_000, 10),
        batch: "",
        usage: (call.model, "llm", call.tenant),
        counts,
    };
    gate.settle(&told, "").await.expect("it answers")
}

/// Submits a task, and settles it as a node does: completed with a result, or left to people with a draft.
pub(crate) fn settle(fleet: &Fleet, id: &str, to: State, result: &Value) {
    fleet.submit("llm", &json!({ "prompt": "x" }), &["--id", id]);
    let (reason, error) = match to {
        State::Blocked => {
            (Reason::Escalated, json!({ "class": "validation", "message": "the tests fail" }).to_string())
        }
        _ => (Reason::Completed, String::new()),
    };
    on_store(fleet, async |store| {
        let node = NodeId::new("n-test").expect("a valid id");
        let queue = store.first_partition(&QueueName::default_queue());
        let ask = |settles: Vec<Settle>, want: usize| {
            let (node, queue) = (node.clone(), queue.clone());
            async move {
                let nonce = new_id();
                let lease = Duration::from_mins(1);
                let call = SettleAndClaim {
                    number: 0,
                    node: &node,
                    nonce: nonce.as_str(),
                    lease,
                    want,
                    max_crashes: 3,
                    settles: &settles,
                };
                queue.settle_and_claim(&call).await.expect("it answers").claimed
            }
        };
        let claimed = ask(Vec::new(), 1).await.pop().expect("the task waits");
        assert_eq!(claimed.task.reference.id.as_str(), id);
        let settle = Settle {
            id: claimed.task.reference.id,
            attempt: claimed.task.attempt,
            to,
            reason,
            delay: Duration::ZERO,
            error,
            result: result.to_string(),
        };
        ask(vec![settle], 0).await;
    });
    fleet.wait_for_state("default", id, to.as_str(), Duration::from_secs(5));
}
