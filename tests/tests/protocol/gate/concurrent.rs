//! Calls at once.

use std::time::Duration;

use windlass_shared::store::{Admission, Ask, AskModel};

use super::{ask, done, gate, go, is_go, model, new_call, reasons, told_wait, went};

fn at_once(limit: u64) -> AskModel {
    model("m", [0, 0, 0, limit], [1, 0, 0], Some(0))
}

#[tokio::test]
async fn there_are_never_more_in_flight_than_allowed_and_a_settled_call_makes_room() {
    let (t, gate) = gate().await;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(go(&gate, &at_once(3)).await);
    }
    let (_, answer) = went(&gate, &[at_once(3)]).await;
    assert_eq!(reasons(&answer), ["limit model:p/m"]);
    assert!(told_wait(&answer) <= Duration::from_millis(500));
    t.pass_gate_for(Duration::from_secs(3)).await; // whoever asked last does not come back
    assert!(!is_go(&went(&gate, &[at_once(3)]).await.1), "time alone makes no room");
    t.pass_gate_for(Duration::from_secs(3)).await;
    gate.settle(&done(&open[0]), "").await.unwrap();
    go(&gate, &at_once(3)).await;
    assert_eq!(t.in_flight("model:p/m").await, 3);
    t.done().await;
}

#[tokio::test]
async fn a_call_that_lapses_makes_room() {
    let (t, gate) = gate().await;
    go(&gate, &at_once(1)).await;
    t.pass_gate_for(Duration::from_secs(61)).await;
    go(&gate, &at_once(1)).await;
    assert_eq!(t.in_flight("model:p/m").await, 1);
    t.done().await;
}

#[tokio::test]
async fn many_lapse_a_few_with_each_question() {
    let (t, gate) = gate().await;
    for _ in 0..50 {
        go(&gate, &at_once(50)).await;
    }
    t.pass_gate_for(Duration::from_secs(61)).await;
    for _ in 0..50 {
        go(&gate, &at_once(50)).await;
    }
    assert_eq!(t.in_flight("model:p/m").await, 50);
    t.done().await;
}

#[tokio::test]
async fn a_limit_of_calls_at_once_may_be_changed_while_calls_are_open() {
    let (t, gate) = gate().await;
    let open = [go(&gate, &at_once(3)).await, go(&gate, &at_once(3)).await];
    assert!(!is_go(&went(&gate, &[at_once(1)]).await.1), "lowered");
    t.pass_gate_for(Duration::from_secs(3)).await;
    go(&gate, &at_once(0)).await;
    for call in open {
        gate.settle(&done(&call), "").await.unwrap();
    }
    t.done().await;
}

/// Somebody deleted the records of open calls: their slots must not be lost for good.
#[tokio::test]
async fn slots_of_calls_whose_records_are_lost_come_back() {
    let (t, gate) = gate().await;
    for _ in 0..2 {
        go(&gate, &at_once(2)).await;
    }
    t.redis::<()>(&["DEL", &t.gate_key("calls"), &t.gate_key("deadlines")]).await;
    go(&gate, &at_once(2)).await;
    t.done().await;
}

/// Nobody knows when a call ends, so those who wait look again and again; the further back, the more seldom.
#[tokio::test]
async fn those_far_back_in_the_line_look_less_often() {
    let (t, gate) = gate().await;
    let models = [at_once(2)];
    for _ in 0..2 {
        go(&gate, &models[0]).await;
    }
    let mut waits = Vec::new();
    for _ in 0..12 {
        waits.push(told_wait(&went(&gate, &models).await.1).as_millis());
        tokio::time::sleep(Duration::from_millis(2)).await; // another millisecond
    }
    assert_eq!(waits, [100, 100, 200, 200, 300, 300, 400, 400, 500, 500, 600, 600]);
    t.done().await;
}

#[tokio::test]
async fn a_slot_goes_to_the_most_urgent_that_waits_and_then_to_the_first() {
    let (t, gate) = gate().await;
    let models = [at_once(1)];
    let open = go(&gate, &models[0]).await;
    let (low, first, second) = (new_call(), new_call(), new_call());
    let mut places = Vec::new();
    for (call, rank) in [(&low, 3), (&first, 1), (&second, 1)] {
        let answer = gate.admit(&Ask { rank, ..ask(call, &models) }).await.unwrap();
        let Admission::Wait { asked, scope, .. } = answer else { panic!("{answer:?}") };
        places.push((call, rank, asked, scope));
        tokio::time::sleep(Duration::from_millis(2)).await; // another millisecond
    }
    gate.settle(&done(&open), "").await.unwrap();
    let again = async |place: &(&String, u8, u64, String)| {
        let question = Ask { rank: place.1, asked: place.2, waiting: &place.3, ..ask(place.0, &models) };
        gate.admit(&question).await.unwrap()
    };
    assert!(!is_go(&again(&places[0]).await), "two more urgent ones wait");
    assert!(!is_go(&again(&places[2]).await), "one came before");
    assert!(!is_go(&went(&gate, &models).await.1), "a newcomer");
    assert!(is_go(&again(&places[1]).await));
    t.done().await;
}
