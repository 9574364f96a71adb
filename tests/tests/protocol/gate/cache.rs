//! Answers that are known, and requests that are already on their way.

use std::time::Duration;

use windlass_shared::store::{Admission, Answered, Ask, CallVerdict, Gate, Judged};

use super::{answered, ask, done, free, gate, is_go, new_call};

const ANSWER: &str = r#"{"text":"hi"}"#;

/// Asks with a new call; the request's name is `name`.
async fn asks(gate: &Gate, name: &str) -> (String, Admission) {
    let (call, models) = (new_call(), [free("m")]);
    let answer = gate.admit(&Ask { cache: name, flight: true, ..ask(&call, &models) }).await.unwrap();
    (call, answer)
}

async fn lands(gate: &Gate, call: &str, name: &str) {
    let told = Answered { flight: name, cache: name, ..done(call) };
    gate.settle(&told, ANSWER).await.unwrap();
}

fn leader(answer: &Admission) -> &str {
    let Admission::Flight { call, .. } = answer else { panic!("{answer:?}") };
    call
}

#[tokio::test]
async fn ten_who_ask_the_same_send_it_once_and_all_get_the_answer() {
    let (t, gate) = gate().await;
    let (first, answer) = asks(&gate, "acme:abc").await;
    assert!(is_go(&answer));
    let mut followers = tokio::task::JoinSet::new();
    for _ in 0..9 {
        let (call, answer) = asks(&gate, "acme:abc").await;
        let (leader, wait) = (leader(&answer).to_owned(), super::told_wait(&answer));
        assert_eq!(leader, first);
        assert!(wait <= Duration::from_mins(1), "{wait:?}");
        let gate = t.server.store().await.gate();
        followers.spawn(async move {
            gate.landed(&leader, wait).await.unwrap();
            let models = [free("m")];
            gate.admit(&Ask { cache: "acme:abc", flight: true, ..ask(&call, &models) }).await.unwrap()
        });
    }
    lands(&gate, &first, "acme:abc").await;
    let started = std::time::Instant::now();
    while let Some(answer) = followers.join_next().await {
        assert_eq!(answer.unwrap(), Admission::Hit(ANSWER.into()));
    }
    assert!(
        started.elapsed() < Duration::from_secs(30),
        "all are woken, none waits for the leader's time to end"
    );
    t.done().await;
}

#[tokio::test]
async fn names_are_taken_as_they_are() {
    let (t, gate) = gate().await;
    for name in ["acme:abc", "acme:ab", "acme:abcd", "other:abc", ":abc", "abc", "a b|c:é", "ACME:abc"] {
        let (call, answer) = asks(&gate, name).await;
        assert!(is_go(&answer), "{name}: {answer:?}");
        lands(&gate, &call, name).await;
        assert_eq!(asks(&gate, name).await.1, Admission::Hit(ANSWER.into()));
    }
    let found: Option<String> = gate.cached("acme:abc").await.unwrap();
    assert_eq!(found.as_deref(), Some(ANSWER));
    t.done().await;
}

#[tokio::test]
async fn an_answer_is_known_for_its_time_and_a_hit_takes_nothing() {
    let (t, gate) = gate().await;
    let (call, _) = asks(&gate, "a").await;
    lands(&gate, &call, "a").await;
    let before = t.snapshot().await;
    assert_eq!(asks(&gate, "a").await.1, Admission::Hit(ANSWER.into()));
    t.expect_changes(&before, &[]).await;
    t.pass_gate_for(Duration::from_secs(59)).await;
    assert_eq!(asks(&gate, "a").await.1, Admission::Hit(ANSWER.into()));
    t.pass_gate_for(Duration::from_secs(2)).await;
    assert!(is_go(&asks(&gate, "a").await.1));
    t.done().await;
}

#[tokio::test]
async fn one_whose_leader_died_is_sent_again_after_half_a_minute_by_one() {
    let (t, gate) = gate().await;
    let (dead, _) = asks(&gate, "a").await;
    t.pass_gate_for(Duration::from_secs(28)).await;
    let (_, answer) = asks(&gate, "a").await;
    assert_eq!(leader(&answer), dead);
    assert!(super::told_wait(&answer) <= Duration::from_secs(2));
    t.pass_gate_for(Duration::from_secs(2)).await;
    let (next, answer) = asks(&gate, "a").await;
    assert!(is_go(&answer), "{answer:?}");
    assert_eq!(leader(&asks(&gate, "a").await.1), next);
    let late = Answered { flight: "a", ..answered(&dead, "p/m", CallVerdict::Failure) };
    gate.settle(&late, "").await.unwrap();
    assert_eq!(leader(&asks(&gate, "a").await.1), next, "the dead one's word takes nobody's turn");
    t.done().await;
}

#[tokio::test]
async fn a_leader_that_failed_lets_the_next_one_go_at_once() {
    let (t, gate) = gate().await;
    let (first, _) = asks(&gate, "a").await;
    let (_, answer) = asks(&gate, "a").await;
    let waits = tokio::spawn({
        let (gate, call, wait) = (gate.clone(), leader(&answer).to_owned(), super::told_wait(&answer));
        async move { tokio::time::timeout(Duration::from_secs(30), gate.landed(&call, wait)).await }
    });
    gate.settle(&Answered { flight: "a", ..answered(&first, "p/m", CallVerdict::Failure) }, "")
        .await
        .unwrap();
    waits.await.unwrap().expect("woken").unwrap();
    let (next, answer) = asks(&gate, "a").await;
    assert!(is_go(&answer));
    assert_eq!(leader(&asks(&gate, "a").await.1), next);
    t.done().await;
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_leaves_no_word() {
    let (t, gate) = gate().await;
    let (first, _) = asks(&gate, "a").await;
    lands(&gate, &first, "a").await;
    let left: u32 = t.redis(&["EXISTS", &t.gate_key(&format!("landed:{first}"))]).await;
    assert_eq!(left, 0, "a stream for a minute after every call adds up");
    t.done().await;
}

#[tokio::test]
async fn who_waits_for_one_that_has_landed_already_does_not_wait() {
    let (t, gate) = gate().await;
    let (first, _) = asks(&gate, "a").await;
    asks(&gate, "a").await;
    lands(&gate, &first, "a").await;
    let landed = gate.landed(&first, Duration::from_mins(1));
    tokio::time::timeout(Duration::from_secs(30), landed).await.expect("at once").unwrap();
    let ttl: i64 = t.redis(&["PTTL", &t.gate_key(&format!("landed:{first}"))]).await;
    assert!((1..=60_000).contains(&ttl), "it goes by itself: {ttl}");
    t.done().await;
}

#[tokio::test]
async fn a_leader_may_ask_again_and_its_own_flight_does_not_stop_it() {
    let (t, gate) = gate().await;
    let (first, _) = asks(&gate, "a").await;
    let models = [free("m")];
    let again = gate.admit(&Ask { cache: "a", flight: true, ..ask(&first, &models) }).await.unwrap();
    assert!(is_go(&again), "{again:?}");
    t.done().await;
}

#[tokio::test]
async fn without_single_flight_each_goes() {
    let (t, gate) = gate().await;
    for _ in 0..3 {
        let (call, models) = (new_call(), [free("m")]);
        let answer = gate.admit(&Ask { cache: "a", ..ask(&call, &models) }).await.unwrap();
        assert!(is_go(&answer), "{answer:?}");
    }
    t.done().await;
}

#[tokio::test]
async fn an_answer_that_is_not_kept_leaves_nothing_and_any_time_to_live_is_taken() {
    for (ttl, kept) in [(0, false), (1_000_000, true), (u64::MAX, true)] {
        let (t, gate) = gate().await;
        let (call, _) = asks(&gate, "a").await;
        let told = Answered { flight: "a", cache: "a", ttl, ..done(&call) };
        assert!(gate.settle(&told, ANSWER).await.unwrap());
        assert_eq!(gate.cached("a").await.unwrap().is_some(), kept, "{ttl}");
        assert_eq!(is_go(&asks(&gate, "a").await.1), !kept, "nobody waits for a call that landed");
        t.done().await;
    }
}

#[tokio::test]
async fn an_answer_that_proved_wrong_is_forgotten() {
    let (t, gate) = gate().await;
    let (call, _) = asks(&gate, "a").await;
    lands(&gate, &call, "a").await;
    let judged = Judged {
        live: ("", "", 1, -1.0),
        forget: vec!["a", "never"],
        usage: ("", "", ""),
        counts: [].into(),
    };
    gate.judge(&judged).await.unwrap();
    assert!(is_go(&asks(&gate, "a").await.1));
    t.done().await;
}
