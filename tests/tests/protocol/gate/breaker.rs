//! Circuit breakers: of models (`admit`, `settle_call`) and of hosts (`guard`).

use std::time::Duration;

use windlass_shared::store::{Admission, Answered, Ask, BreakerRule, BreakerState, CallVerdict, Gate};

use super::{answered, ask, free, gate, is_go, new_call, reasons, told_wait};
use crate::scene::Scene;
use CallVerdict::{Failure, Neither, Success};

/// Five failures, a minute, three probes.
const RULE: BreakerRule = BreakerRule { threshold: 5, recovery: Duration::from_mins(1), probes: 3 };

/// Asks to call `p/m`; the call if it was let through, else for how long it is kept back.
async fn call(gate: &Gate) -> Result<String, Duration> {
    let call = new_call();
    let answer = gate
        .admit(&Ask { breaker: RULE, hold: Duration::from_hours(1), ..ask(&call, &[free("m")]) })
        .await
        .unwrap();
    if is_go(&answer) {
        return Ok(call);
    }
    assert_eq!(reasons(&answer), ["breaker p/m"]);
    let Admission::Wait { scope, .. } = &answer else { panic!("{answer:?}") };
    assert_eq!(scope, "breaker");
    Err(told_wait(&answer))
}

async fn tell(gate: &Gate, call: &str, verdict: CallVerdict) {
    gate.settle(&Answered { breaker: RULE, ..answered(call, "p/m", verdict) }, "").await.unwrap();
}

async fn calls(gate: &Gate, verdict: CallVerdict, n: usize) {
    for _ in 0..n {
        let call = call(gate).await.expect("let through");
        tell(gate, &call, verdict).await;
    }
}

async fn state(gate: &Gate) -> BreakerState {
    gate.breakers().await.unwrap().remove("p/m").expect("a breaker")
}

async fn is(gate: &Gate, word: &str, opens: u64) {
    let state = state(gate).await;
    assert_eq!((state.state, state.opens), (word, opens));
}

/// A breaker that has just opened.
async fn open() -> (Scene, Gate) {
    let (t, gate) = gate().await;
    calls(&gate, Failure, 5).await;
    is(&gate, "open", 1).await;
    (t, gate)
}

/// One that may be probed.
async fn recovered() -> (Scene, Gate) {
    let (t, gate) = open().await;
    t.pass_gate_for(RULE.recovery).await;
    (t, gate)
}

#[tokio::test]
async fn five_failures_open_it_for_a_minute_and_for_everybody() {
    let (t, gate) = gate().await;
    calls(&gate, Failure, 4).await;
    is(&gate, "closed", 0).await;
    calls(&gate, Failure, 1).await;
    is(&gate, "open", 1).await;
    let wait = call(&t.server.store().await.gate()).await.unwrap_err();
    assert!(wait > Duration::from_secs(59) && wait <= Duration::from_mins(1), "{wait:?}");
    t.pass_gate_for(Duration::from_secs(58)).await;
    assert!(call(&gate).await.unwrap_err() <= Duration::from_secs(2));
    t.done().await;
}

#[tokio::test]
async fn only_failures_in_a_row_count() {
    let (t, gate) = gate().await;
    for _ in 0..3 {
        calls(&gate, Failure, 4).await;
        calls(&gate, Success, 1).await;
    }
    calls(&gate, Failure, 4).await;
    calls(&gate, Neither, 10).await;
    is(&gate, "closed", 0).await;
    calls(&gate, Failure, 1).await;
    is(&gate, "open", 1).await;
    t.done().await;
}

#[tokio::test]
async fn a_healthy_model_leaves_nothing_behind() {
    let (t, gate) = gate().await;
    calls(&gate, Success, 3).await;
    calls(&gate, Neither, 3).await;
    assert!(gate.breakers().await.unwrap().is_empty());
    t.done().await;
}

#[tokio::test]
async fn it_opens_once_however_many_fail_at_the_same_time() {
    let (t, gate) = gate().await;
    let mut open = Vec::new();
    for _ in 0..50 {
        open.push(call(&gate).await.unwrap());
    }
    for call in &open {
        tell(&gate, call, Failure).await;
    }
    is(&gate, "open", 1).await;
    let opened = gate.events(100).await.unwrap();
    assert_eq!(
        opened.iter().filter(|(_, words)| words.contains(&("state".into(), "open".into()))).count(),
        1
    );
    t.done().await;
}

#[tokio::test]
async fn fifty_who_ask_at_once_get_three_probes_and_three_successes_close_it() {
    let (t, gate) = recovered().await;
    let mut probes = Vec::new();
    for _ in 0..50 {
        match call(&gate).await {
            Ok(probe) => probes.push(probe),
            Err(wait) => assert!(wait <= Duration::from_secs(1), "{wait:?}"),
        }
    }
    assert_eq!(probes.len(), 3);
    is(&gate, "half_open", 1).await;
    for (i, probe) in probes.iter().enumerate() {
        is(&gate, "half_open", 1).await;
        tell(&gate, probe, Success).await;
        assert_eq!(state(&gate).await.state == "closed", i == 2);
    }
    calls(&gate, Success, 10).await;
    t.done().await;
}

#[tokio::test]
async fn a_probe_that_fails_opens_it_again_for_the_whole_time() {
    let (t, gate) = recovered().await;
    let probes = [call(&gate).await.unwrap(), call(&gate).await.unwrap(), call(&gate).await.unwrap()];
    tell(&gate, &probes[0], Success).await;
    tell(&gate, &probes[1], Failure).await;
    is(&gate, "open", 2).await;
    assert!(call(&gate).await.unwrap_err() > Duration::from_secs(59));
    tell(&gate, &probes[2], Failure).await;
    is(&gate, "open", 2).await;
    t.done().await;
}

#[tokio::test]
async fn a_probe_that_says_nothing_makes_room_for_another() {
    let (t, gate) = recovered().await;
    for _ in 0..10 {
        let probe = call(&gate).await.unwrap();
        tell(&gate, &probe, Neither).await;
    }
    is(&gate, "half_open", 1).await;
    t.done().await;
}

#[tokio::test]
async fn probes_that_are_lost_are_given_up_after_a_recovery_time() {
    let (t, gate) = recovered().await;
    for _ in 0..3 {
        call(&gate).await.unwrap();
    }
    t.pass_gate_for(Duration::from_secs(59)).await;
    assert!(call(&gate).await.is_err());
    t.pass_gate_for(Duration::from_secs(1)).await;
    for _ in 0..3 {
        call(&gate).await.unwrap();
    }
    assert!(call(&gate).await.is_err());
    t.done().await;
}

/// Slow calls from before it opened come back while it is open, while it is probed, and after it closed.
#[tokio::test]
async fn calls_from_before_it_opened_neither_close_nor_open_it() {
    let (t, gate) = gate().await;
    let mut slow = Vec::new();
    for _ in 0..15 {
        slow.push(call(&gate).await.unwrap());
    }
    calls(&gate, Failure, 5).await;
    tell(&gate, &slow.pop().unwrap(), Success).await;
    is(&gate, "open", 1).await;
    t.pass_gate_for(Duration::from_mins(1)).await;
    let probe = call(&gate).await.unwrap();
    for verdict in [Success, Success, Success, Failure] {
        tell(&gate, &slow.pop().unwrap(), verdict).await;
        is(&gate, "half_open", 1).await;
    }
    tell(&gate, &probe, Success).await;
    calls(&gate, Success, 2).await;
    is(&gate, "closed", 1).await;
    for _ in 0..6 {
        tell(&gate, &slow.pop().unwrap(), Failure).await;
    }
    is(&gate, "closed", 1).await;
    t.done().await;
}

#[tokio::test]
async fn another_model_is_called_meanwhile_and_the_story_says_why() {
    let (t, gate) = open().await;
    let call = new_call();
    let answer = gate.admit(&ask(&call, &[free("m"), free("n")])).await.unwrap();
    let Admission::Go { index: 1, .. } = answer else { panic!("{answer:?}") };
    assert_eq!(reasons(&answer), ["breaker p/m"]);
    t.done().await;
}

#[tokio::test]
async fn a_call_that_a_limit_keeps_back_is_no_probe() {
    let (t, gate) = recovered().await;
    let mut limited = free("m");
    limited.buckets[0].1 = [60, 0, 0, 0];
    super::burst(&t, &gate, &limited).await;
    t.pass_gate_for(Duration::from_millis(1500)).await;
    let first = call(&gate).await;
    assert!(first.is_ok(), "one probe was let through by the limit, two more may go: {first:?}");
    t.done().await;
}

#[tokio::test]
async fn the_breaker_of_a_host_does_the_same() {
    let (t, gate) = gate().await;
    let may = async || gate.may_call("http:host:80", RULE).await.unwrap();
    let told = async |verdict| gate.called("http:host:80", verdict, "timeout", RULE).await.unwrap();
    for _ in 0..4 {
        assert_eq!(may().await, None);
        told(Failure).await;
    }
    told(Success).await;
    for _ in 0..20 {
        told(Failure).await;
    }
    let opens = async || gate.breakers().await.unwrap()["http:host:80"].opens;
    assert_eq!(opens().await, 1);
    assert!(may().await.unwrap() > Duration::from_secs(59));
    told(Success).await;
    assert!(may().await.is_some(), "a success from before it opened");
    t.pass_gate_for(RULE.recovery).await;
    let mut probes = 0;
    for _ in 0..50 {
        probes += usize::from(may().await.is_none());
    }
    assert_eq!(probes, 3);
    told(Failure).await;
    assert_eq!(opens().await, 2);
    t.pass_gate_for(RULE.recovery).await;
    for _ in 0..3 {
        assert_eq!(may().await, None);
        told(Success).await;
    }
    for _ in 0..20 {
        assert_eq!(may().await, None, "it is closed");
    }
    t.done().await;
}

#[tokio::test]
async fn no_word_counts_where_no_probe_is_out() {
    let (t, gate) = gate().await;
    let told = async |verdict| gate.called("host", verdict, "timeout", RULE).await.unwrap();
    for _ in 0..5 {
        told(Failure).await;
    }
    t.pass_gate_for(RULE.recovery).await;
    assert_eq!(gate.may_call("host", RULE).await.unwrap(), None);
    told(Neither).await;
    for _ in 0..5 {
        told(Success).await;
    }
    assert_eq!(gate.breakers().await.unwrap()["host"].state, "half_open");
    told(Failure).await;
    assert_eq!(gate.breakers().await.unwrap()["host"].opens, 1);
    t.done().await;
}
