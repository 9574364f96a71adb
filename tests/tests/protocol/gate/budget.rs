//! Budgets in money: reserved before a call, settled after it, and never overspent.

use std::{collections::BTreeMap, time::Duration};

use windlass_shared::store::{Admission, Answered, Ask, AskModel, BudgetRule, Gate, OnLimit};

use super::{CENT, ask, done, gate, is_go, model, new_call, reasons, told_wait};
use crate::scene::Scene;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

fn rule(scope: &str, limit: i64, every: Duration, on_limit: OnLimit) -> BudgetRule {
    BudgetRule { scope: scope.into(), limit, every, on_limit }
}

pub(super) fn for_ever(scope: &str, limit: i64) -> BudgetRule {
    rule(scope, limit, Duration::ZERO, OnLimit::Refuse)
}

/// What Redis holds of a budget and a window.
pub(super) async fn spent(t: &Scene, scope_and_window: &str) -> BTreeMap<String, String> {
    t.redis(&["HGETALL", &t.gate_key(&format!("spent:{scope_and_window}"))]).await
}

/// A call that costs so many cents at the most.
fn costs(cents: i64) -> AskModel {
    model("m", [0; 4], [1, 0, 0], Some(cents * CENT))
}

/// Asks as tenant `acme`, batch `b`, queue `q`.
async fn asks(gate: &Gate, budgets: &[BudgetRule], models: &[AskModel]) -> (String, Admission) {
    let call = new_call();
    let question = Ask { budgets, tenant: "acme", batch: "b", ..ask(&call, models) };
    let answer = gate.admit(&question).await.unwrap();
    (call, answer)
}

async fn settle(gate: &Gate, call: &str, cents: i64) {
    gate.settle(&Answered { cost: cents * CENT, ..done(call) }, "").await.unwrap();
}

/// Spends so many cents with one call.
async fn spend(gate: &Gate, budgets: &[BudgetRule], cents: i64) {
    let (call, answer) = asks(gate, budgets, &[costs(cents)]).await;
    assert!(is_go(&answer), "{answer:?}");
    settle(gate, &call, cents).await;
}

#[tokio::test]
async fn it_is_spent_to_the_last_cent_that_a_call_may_cost() {
    let (t, gate) = gate().await;
    let budgets = [for_ever("tenant:*", 100 * CENT)];
    let mut calls = 0;
    let refused = loop {
        let (call, answer) = asks(&gate, &budgets, &[costs(3)]).await;
        if !is_go(&answer) {
            break answer;
        }
        calls += 1;
        settle(&gate, &call, 1).await;
    };
    assert_eq!(reasons(&refused), ["budget tenant:acme"]);
    assert!(matches!(refused, Admission::Refused(_)));
    assert_eq!(calls, 98, "a call that may cost three cents does not fit into the last two");
    let uses = gate.budget_uses(10).await.unwrap();
    assert_eq!((uses[0].scope.as_str(), uses[0].settled, uses[0].open), ("tenant:acme", 98 * CENT, 0));
    assert_eq!((uses[0].limit, uses[0].charged, uses[0].calls), (100 * CENT, 98 * CENT, 98));
    t.done().await;
}

/// One node of many: calls until the budget refuses. What is charged must never exceed it.
async fn node(gate: Gate, budgets: Vec<BudgetRule>) {
    loop {
        let (call, answer) = asks(&gate, &budgets, &[costs(3)]).await;
        match answer {
            Admission::Go { .. } => {
                let charged = gate.budget_uses(1).await.unwrap()[0].charged;
                assert!(charged <= 100 * CENT, "{charged}");
                settle(&gate, &call, 1).await;
            }
            Admission::Wait { wait, .. } => tokio::time::sleep(wait).await,
            Admission::Refused(_) => return,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_spend_at_the_same_time_never_overspend_and_leave_less_than_a_call() {
    let (t, gate) = gate().await;
    let budgets = vec![for_ever("tenant:acme", 100 * CENT)];
    let mut nodes = tokio::task::JoinSet::new();
    for _ in 0..12 {
        nodes.spawn(node(t.server.store().await.gate(), budgets.clone()));
    }
    while let Some(end) = nodes.join_next().await {
        end.unwrap();
    }
    let used = &gate.budget_uses(10).await.unwrap()[0];
    assert_eq!((used.settled, used.charged, used.open), (98 * CENT, 98 * CENT, 0));
    t.done().await;
}

#[tokio::test]
async fn what_others_reserved_is_waited_for_only_where_it_can_make_room() {
    let (t, gate) = gate().await;
    let budgets = [for_ever("fleet:", 10 * CENT)];
    let (open, _) = asks(&gate, &budgets, &[costs(6)]).await;
    let (_, answer) = asks(&gate, &budgets, &[costs(6)]).await;
    assert_eq!(reasons(&answer), ["budget_held fleet:"]);
    assert!(told_wait(&answer) <= Duration::from_secs(1));
    let (_, answer) = asks(&gate, &budgets, &[costs(11)]).await;
    assert_eq!(reasons(&answer), ["budget fleet:"], "it never fits");
    settle(&gate, &open, 5).await;
    let (open, _) = asks(&gate, &budgets, &[costs(1)]).await;
    let (_, answer) = asks(&gate, &budgets, &[costs(6)]).await;
    assert_eq!(reasons(&answer), ["budget fleet:"], "five are spent for good, whatever becomes of the one");
    settle(&gate, &open, 0).await;
    t.done().await;
}

#[tokio::test]
async fn the_exact_name_goes_before_any_name_and_redis_before_the_worker() {
    let (t, gate) = gate().await;
    let own = [for_ever("tenant:acme", CENT), for_ever("tenant:*", 9 * CENT)];
    let room = async |cents: i64| {
        let (call, answer) = asks(&gate, &own, &[costs(cents)]).await;
        if is_go(&answer) {
            settle(&gate, &call, 0).await;
        }
        is_go(&answer)
    };
    assert!(room(1).await && !room(2).await, "the worker's own, by name");
    gate.set_budget(&for_ever("tenant:*", 3 * CENT)).await.unwrap();
    assert!(room(3).await && !room(4).await, "any name in Redis");
    gate.set_budget(&for_ever("tenant:acme", 5 * CENT)).await.unwrap();
    assert!(room(5).await && !room(6).await, "this name in Redis");
    assert_eq!(gate.budgets().await.unwrap().len(), 2);
    assert!(
        gate.remove_budget("tenant:acme").await.unwrap() && gate.remove_budget("tenant:*").await.unwrap()
    );
    assert!(!gate.remove_budget("tenant:*").await.unwrap());
    assert!(room(1).await && !room(2).await);
    let any = [for_ever("tenant:*", 9 * CENT)];
    assert!(is_go(&asks(&gate, &any, &[costs(9)]).await.1));
    t.done().await;
}

#[tokio::test]
async fn tenant_queue_batch_and_fleet_all_must_have_room_and_all_are_charged() {
    let scopes = ["tenant:acme", "queue:q", "batch:b", "fleet:"];
    for tight in scopes {
        let (t, gate) = gate().await;
        let budgets: Vec<BudgetRule> =
            scopes.map(|scope| for_ever(scope, if scope == tight { 2 * CENT } else { 90 * CENT })).into();
        spend(&gate, &budgets, 2).await;
        let (_, answer) = asks(&gate, &budgets, &[costs(1)]).await;
        assert_eq!(reasons(&answer), [format!("budget {tight}")]);
        let uses = gate.budget_uses(10).await.unwrap();
        assert_eq!(uses.len(), 4);
        assert!(uses.iter().all(|used| used.charged == 2 * CENT && used.settled == 2 * CENT), "{uses:?}");
        t.done().await;
    }
}

#[tokio::test]
async fn tenants_do_not_share_what_each_may_spend() {
    let (t, gate) = gate().await;
    let budgets = [for_ever("tenant:*", 2 * CENT)];
    for tenant in ["a", "b", "c:d"] {
        let call = new_call();
        let models = [costs(2)];
        let answer = gate.admit(&Ask { budgets: &budgets, tenant, ..ask(&call, &models) }).await.unwrap();
        assert!(is_go(&answer), "{tenant}");
    }
    let call = new_call();
    let models = [costs(200)];
    let none = gate.admit(&Ask { budgets: &budgets, ..ask(&call, &models) }).await.unwrap();
    assert!(is_go(&none), "a task without a tenant has no tenant's budget");
    t.done().await;
}

#[tokio::test]
async fn an_hour_and_a_day_begin_anew() {
    for (window, on_limit) in [(HOUR, OnLimit::Wait), (DAY, OnLimit::Wait), (HOUR, OnLimit::Refuse)] {
        let (t, gate) = gate().await;
        let budgets = [rule("tenant:acme", 5 * CENT, window, on_limit)];
        spend(&gate, &budgets, 4).await;
        let (_, answer) = asks(&gate, &budgets, &[costs(2)]).await;
        let left = window.as_micros() as i64 - t.server_time().await % window.as_micros() as i64;
        if on_limit == OnLimit::Wait {
            assert_eq!(reasons(&answer), ["budget_wait tenant:acme"]);
            let told = told_wait(&answer).as_micros() as i64;
            assert!((told - left).abs() < 5_000_000, "told {told}, the next window is in {left}");
        } else {
            assert!(matches!(answer, Admission::Refused(_)), "{answer:?}");
        }
        t.pass_gate(left + 1000).await;
        spend(&gate, &budgets, 5).await;
        let uses = gate.budget_uses(10).await.unwrap();
        assert_eq!(uses.len(), 2, "{uses:?}");
        assert!(uses.iter().all(|used| used.since.is_some()));
        t.done().await;
    }
}

#[tokio::test]
async fn a_call_that_ends_in_the_next_window_is_settled_in_its_own() {
    let (t, gate) = gate().await;
    let budgets = [rule("tenant:acme", 5 * CENT, HOUR, OnLimit::Refuse)];
    let models = [costs(5)];
    let call = new_call();
    let hold = Duration::from_hours(3);
    let question = Ask { budgets: &budgets, tenant: "acme", hold, ..ask(&call, &models) };
    assert!(is_go(&gate.admit(&question).await.unwrap()));
    t.pass_gate_for(HOUR).await;
    let (other, answer) = asks(&gate, &budgets, &models).await;
    assert!(is_go(&answer), "{answer:?}");
    settle(&gate, &call, 1).await;
    settle(&gate, &other, 4).await;
    let mut uses = gate.budget_uses(10).await.unwrap();
    uses.sort_by_key(|used| used.since);
    assert_eq!(uses.iter().map(|used| used.charged / CENT).collect::<Vec<_>>(), [1, 4]);
    t.done().await;
}

#[tokio::test]
async fn a_cheaper_model_is_asked_for_only_where_that_is_wanted() {
    for on_limit in [OnLimit::Cheaper, OnLimit::Refuse, OnLimit::Wait] {
        let (t, gate) = gate().await;
        let budgets = [rule("tenant:acme", 10 * CENT, HOUR, on_limit)];
        spend(&gate, &budgets, 6).await;
        let route = [costs(9), model("cheap", [0; 4], [1, 0, 0], Some(2 * CENT))];
        let (_, answer) = asks(&gate, &budgets, &route).await;
        match on_limit {
            OnLimit::Cheaper => {
                assert!(matches!(answer, Admission::Go { index: 1, .. }), "{answer:?}");
                assert_eq!(reasons(&answer), ["budget_cheaper tenant:acme"]);
            }
            OnLimit::Refuse => {
                assert!(matches!(&answer, Admission::Refused(why) if why.len() == 1), "{answer:?}");
            }
            OnLimit::Wait => {
                assert!(!is_go(&answer), "{answer:?}");
                assert_eq!(reasons(&answer), ["budget_wait tenant:acme"]);
                let (_, never) = asks(&gate, &budgets, &[costs(11)]).await;
                assert!(matches!(never, Admission::Refused(_)), "no window has room for it: {never:?}");
            }
        }
        let expensive = [costs(9), costs(8)];
        if on_limit == OnLimit::Cheaper {
            let (_, answer) = asks(&gate, &budgets, &expensive).await;
            assert!(matches!(&answer, Admission::Refused(why) if why.len() == 2), "{answer:?}");
        }
        t.done().await;
    }
}

#[tokio::test]
async fn a_call_whose_price_is_unknown_is_refused_where_a_budget_applies() {
    let (t, gate) = gate().await;
    let unpriced = model("u", [0; 4], [1, 0, 0], None);
    let (_, answer) = asks(&gate, &[], std::slice::from_ref(&unpriced)).await;
    assert!(is_go(&answer), "no budget");
    let budgets = [for_ever("fleet:", 10 * CENT)];
    let (_, answer) = asks(&gate, &budgets, std::slice::from_ref(&unpriced)).await;
    assert!(matches!(answer, Admission::Refused(_)));
    assert_eq!(reasons(&answer), ["unpriced fleet:"]);
    let (_, answer) = asks(&gate, &budgets, &[unpriced, costs(1)]).await;
    assert!(matches!(answer, Admission::Go { index: 1, .. }), "one with a price is called: {answer:?}");
    t.done().await;
}

#[tokio::test]
async fn an_unknown_cost_is_what_was_reserved_and_a_larger_one_is_charged_in_full() {
    let (t, gate) = gate().await;
    let budgets = [for_ever("fleet:", 100 * CENT)];
    let (unknown, _) = asks(&gate, &budgets, &[costs(3)]).await;
    gate.settle(&done(&unknown), "").await.unwrap();
    let (more, _) = asks(&gate, &budgets, &[costs(3)]).await;
    settle(&gate, &more, 20).await;
    let used = &gate.budget_uses(1).await.unwrap()[0];
    assert_eq!((used.charged / CENT, used.settled / CENT, used.open, used.calls), (23, 23, 0, 2));
    t.done().await;
}

#[tokio::test]
async fn a_cost_beyond_reason_is_charged_as_a_million_dollars() {
    let (t, gate) = gate().await;
    let budgets = [for_ever("fleet:", i64::MAX)];
    for _ in 0..2 {
        let (call, _) = asks(&gate, &budgets, &[costs(3)]).await;
        gate.settle(&Answered { cost: i64::MAX, ..done(&call) }, "").await.unwrap();
    }
    let used = &gate.budget_uses(1).await.unwrap()[0];
    assert_eq!((used.charged, used.settled, used.open), (2_000_000_000_000_000, 2_000_000_000_000_000, 0));
    t.done().await;
}

#[tokio::test]
async fn what_lapses_stays_spent() {
    let (t, gate) = gate().await;
    let budgets = [for_ever("fleet:", 5 * CENT)];
    let (lost, _) = asks(&gate, &budgets, &[costs(4)]).await;
    t.pass_gate_for(Duration::from_secs(61)).await;
    let (_, answer) = asks(&gate, &budgets, &[costs(2)]).await;
    assert_eq!(reasons(&answer), ["budget fleet:"]);
    settle(&gate, &lost, 1).await;
    let used = &gate.budget_uses(1).await.unwrap()[0];
    assert_eq!((used.charged / CENT, used.settled / CENT, used.open), (4, 4, 0));
    t.done().await;
}

#[tokio::test]
async fn a_budget_that_is_raised_or_lowered_holds_at_once_and_is_shown_so() {
    let (t, gate) = gate().await;
    gate.set_budget(&for_ever("fleet:", 5 * CENT)).await.unwrap();
    spend(&gate, &[], 5).await;
    assert!(!is_go(&asks(&gate, &[], &[costs(1)]).await.1));
    gate.set_budget(&for_ever("fleet:", 6 * CENT)).await.unwrap();
    spend(&gate, &[], 1).await;
    assert_eq!(gate.budget_uses(1).await.unwrap()[0].limit, 6 * CENT);
    gate.set_budget(&for_ever("fleet:", CENT)).await.unwrap();
    assert!(!is_go(&asks(&gate, &[], &[costs(0)]).await.1), "it is overspent as it is now");
    t.done().await;
}

/// Nothing that decides hangs on a time to live: a budget for ever is for ever, and a window outlives itself.
#[tokio::test]
async fn what_was_spent_is_not_forgotten_before_its_window_ends() {
    let (t, gate) = gate().await;
    let quarter = 90 * DAY;
    let budgets = [for_ever("tenant:acme", 9 * CENT), rule("fleet:", 9 * CENT, quarter, OnLimit::Refuse)];
    spend(&gate, &budgets, 1).await;
    let ttl = async |key: &str| t.redis::<i64>(&["PTTL", &t.gate_key(&format!("spent:{key}"))]).await;
    assert_eq!(ttl("tenant:acme:all").await, -1);
    let window = t.server_time().await / quarter.as_micros() as i64;
    assert!(ttl(&format!("fleet::{window}")).await > quarter.as_millis() as i64);
    t.done().await;
}

/// Somebody deleted what was spent while calls were open: what they cost is spent anew, and no more room is made.
#[tokio::test]
async fn figures_that_are_deleted_begin_anew_and_never_below_nothing() {
    let (t, gate) = gate().await;
    let budgets = [for_ever("fleet:", 10 * CENT)];
    let (open, _) = asks(&gate, &budgets, &[costs(6)]).await;
    t.redis::<()>(&["DEL", &t.gate_key("spent:fleet::all")]).await;
    settle(&gate, &open, 4).await;
    let spent = spent(&t, "fleet::all").await;
    assert_eq!((spent["charged"].as_str(), spent["open"].as_str()), ((4 * CENT).to_string().as_str(), "0"));
    assert!(!is_go(&asks(&gate, &budgets, &[costs(7)]).await.1));
    t.done().await;
}

#[tokio::test]
async fn a_broken_budget_in_redis_stops_the_calls_it_may_apply_to_and_no_others() {
    let (t, gate) = gate().await;
    t.redis::<()>(&["HSET", &t.gate_key("budgets"), "tenant:acme", "five dollars"]).await;
    let models = [costs(1)];
    let call = new_call();
    assert!(gate.admit(&Ask { tenant: "acme", ..ask(&call, &models) }).await.is_err());
    assert!(is_go(&gate.admit(&Ask { tenant: "other", ..ask(&call, &models) }).await.unwrap()));
    t.done().await;
}
