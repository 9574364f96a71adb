//! What providers tell in the headers of their answers.

use std::time::Duration;

use windlass_shared::store::{Answered, Taught};

use super::{burst, done, free, gate, go, model, told_wait, went};
use crate::scene::Scene;

fn taught(limits: [u64; 3], remaining: [i64; 3]) -> Taught {
    Taught { scope: "lane:p/k/m".into(), limits, remaining }
}

/// A scene in which one call told of limits.
async fn after(limits: [u64; 3], remaining: [i64; 3]) -> (Scene, windlass_shared::store::Gate) {
    let (t, gate) = gate().await;
    let call = go(&gate, &free("m")).await;
    gate.settle(&Answered { taught: taught(limits, remaining), ..done(&call) }, "").await.unwrap();
    (t, gate)
}

#[tokio::test]
async fn a_limit_that_was_told_holds_where_none_is_configured() {
    let (t, gate) = after([60, 0, 0], [-1; 3]).await;
    let (calls, wait) = burst(&t, &gate, &free("m")).await;
    assert!(calls <= 1 && wait > Duration::from_millis(900), "{calls}, {wait:?}");
    t.done().await;
}

#[tokio::test]
async fn a_configured_limit_goes_before_one_that_was_told() {
    let (t, gate) = after([60, 0, 0], [-1; 3]).await;
    let mut own = free("m");
    own.buckets[1].1 = [6000, 0, 0, 0];
    let (calls, _) = burst(&t, &gate, &own).await;
    assert!(calls >= 60, "{calls}");
    t.done().await;
}

#[tokio::test]
async fn nothing_left_empties_the_bucket_with_the_first_answer_already() {
    let (t, gate) = after([60, 0, 0], [0, -1, -1]).await;
    let wait = told_wait(&went(&gate, &[free("m")]).await.1);
    assert!((0.9..1.1).contains(&wait.as_secs_f64()), "{wait:?}");
    t.done().await;
}

#[tokio::test]
async fn nothing_left_empties_a_bucket_that_was_full_long_ago() {
    let (t, gate) = after([60, 0, 0], [-1; 3]).await;
    let call = go(&gate, &free("m")).await;
    t.pass_gate_for(Duration::from_secs(70)).await; // a long call
    gate.settle(&Answered { taught: taught([60, 0, 0], [0, -1, -1]), ..done(&call) }, "").await.unwrap();
    let wait = told_wait(&went(&gate, &[free("m")]).await.1);
    assert!((0.9..1.1).contains(&wait.as_secs_f64()), "{wait:?}");
    t.done().await;
}

#[tokio::test]
async fn nothing_left_empties_a_bucket_whose_limit_is_configured() {
    let (t, gate) = gate().await;
    let mut own = free("m");
    own.buckets[1].1 = [600, 0, 0, 0];
    let call = go(&gate, &own).await;
    gate.settle(&Answered { taught: taught([0; 3], [0, -1, -1]), ..done(&call) }, "").await.unwrap();
    assert!(told_wait(&went(&gate, &[own]).await.1) > Duration::from_millis(80));
    t.done().await;
}

#[tokio::test]
async fn more_left_than_we_thought_gives_nothing() {
    let (t, gate) = after([60, 0, 0], [-1; 3]).await;
    let call = go(&gate, &free("m")).await;
    gate.settle(&Answered { taught: taught([60, 0, 0], [60, -1, -1]), ..done(&call) }, "").await.unwrap();
    assert!(told_wait(&went(&gate, &[free("m")]).await.1) > Duration::from_millis(800));
    t.done().await;
}

#[tokio::test]
async fn an_answer_that_tells_less_does_not_take_back_what_is_known() {
    let (t, gate) = after([60, 0, 0], [-1; 3]).await;
    let call = go(&gate, &free("m")).await;
    gate.settle(&Answered { taught: taught([0, 5000, 0], [-1; 3]), ..done(&call) }, "").await.unwrap();
    assert_eq!(&t.words("learned", "lane:p/k/m").await[..3], &[60.0, 5000.0, 0.0]);
    t.done().await;
}

/// A provider may tell a limit that is wrong for us. A call larger than that is made after a quiet minute all the same:
/// the provider decides, and tells anew.
#[tokio::test]
async fn a_limit_that_was_told_rules_nothing_out_for_good() {
    let (t, gate) = after([0, 100, 0], [-1; 3]).await;
    let large = model("m", [0; 4], [1, 5000, 0], Some(0));
    let (_, answer) = went(&gate, std::slice::from_ref(&large)).await;
    assert!(matches!(answer, windlass_shared::store::Admission::Wait { park: true, .. }), "{answer:?}");
    assert!(told_wait(&answer) > Duration::from_secs(30));
    let next = told_wait(&went(&gate, &[free("m")]).await.1);
    assert!(next < Duration::from_secs(150), "those behind it do not wait for all that it asks: {next:?}");
    t.pass_gate_for(Duration::from_secs(62)).await;
    let call = go(&gate, &large).await;
    // All of a minute was taken, so not five thousand tokens come back, but forty.
    gate.settle(&Answered { used: [60, 0], ..done(&call) }, "").await.unwrap();
    assert!(told_wait(&went(&gate, &[free("m")]).await.1) > Duration::from_secs(30));
    t.done().await;
}

#[tokio::test]
async fn what_was_told_an_hour_ago_says_nothing_any_more() {
    let (t, gate) = after([60, 0, 0], [-1; 3]).await;
    t.pass_gate_for(Duration::from_mins(61)).await;
    for _ in 0..20 {
        go(&gate, &free("m")).await;
    }
    t.done().await;
}
