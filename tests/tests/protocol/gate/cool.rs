//! Cooldowns: a lane, a key or a model that is left alone for some time after an error.

use std::time::Duration;

use windlass_shared::store::{Admission, Answered, AskModel, CallVerdict, Gate};

use super::{answered, free, gate, go, is_go, new_call, reasons, told_wait, went};

async fn cool(gate: &Gate, name: &str, seconds: u64, why: &str) {
    let call = new_call();
    let told = answered(&call, "p/other", CallVerdict::Neither);
    gate.settle(&Answered { cool: vec![(name, seconds * 1_000_000, why)], ..told }, "").await.unwrap();
}

async fn kept_back(gate: &Gate, model: &AskModel) -> Duration {
    told_wait(&went(gate, std::slice::from_ref(model)).await.1)
}

#[tokio::test]
async fn a_lane_a_key_and_a_model_are_left_alone_by_name() {
    for name in ["p/k/m", "p/k", "p/m"] {
        let (t, gate) = gate().await;
        cool(&gate, name, 30, "rate_limit").await;
        let (_, answer) = went(&gate, &[free("m")]).await;
        assert_eq!(reasons(&answer), ["rate_limit -"], "{name}");
        let wait = told_wait(&answer);
        assert!(wait > Duration::from_secs(29) && wait <= Duration::from_secs(30), "{name}: {wait:?}");
        let other = AskModel { key: "p/l".into(), lane: "p/l/n".into(), ..free("n") };
        let (_, answer) = went(&gate, &[free("m"), other]).await;
        assert!(matches!(answer, Admission::Go { index: 1, .. }), "{name}: {answer:?}");
        t.pass_gate_for(Duration::from_secs(30)).await;
        go(&gate, &free("m")).await;
        t.done().await;
    }
}

#[tokio::test]
async fn the_longest_holds_and_a_later_one_does_not_shorten_it() {
    let (t, gate) = gate().await;
    cool(&gate, "p/k/m", 60, "quota").await;
    cool(&gate, "p/k/m", 5, "rate_limit").await;
    cool(&gate, "p/k", 90, "authentication").await;
    assert!(kept_back(&gate, &free("m")).await > Duration::from_secs(89));
    assert!(gate.reset("p/k").await.unwrap());
    assert!(!gate.reset("p/k").await.unwrap());
    let wait = kept_back(&gate, &free("m")).await;
    assert!(wait > Duration::from_secs(59) && wait <= Duration::from_secs(60), "{wait:?}");
    let cooling = gate.cooldowns().await.unwrap();
    assert_eq!(cooling["p/k/m"].1, "quota");
    let left = cooling["p/k/m"].0.0 - t.server_time().await;
    assert!((58_000_000..=60_000_000).contains(&left), "{left}");
    t.done().await;
}

#[tokio::test]
async fn one_that_is_over_can_be_followed_by_a_shorter_one() {
    let (t, gate) = gate().await;
    cool(&gate, "p/k/m", 60, "quota").await;
    t.pass_gate_for(Duration::from_secs(61)).await;
    cool(&gate, "p/k/m", 5, "rate_limit").await;
    assert!(kept_back(&gate, &free("m")).await <= Duration::from_secs(5));
    t.done().await;
}

#[tokio::test]
async fn of_several_models_the_shortest_wait_is_told() {
    let (t, gate) = gate().await;
    cool(&gate, "p/k/m", 60, "quota").await;
    cool(&gate, "p/k/n", 20, "overloaded").await;
    let (_, answer) = went(&gate, &[free("m"), free("n")]).await;
    assert!(!is_go(&answer) && told_wait(&answer) <= Duration::from_secs(20), "{answer:?}");
    assert_eq!(reasons(&answer), ["quota -", "overloaded -"]);
    t.done().await;
}
