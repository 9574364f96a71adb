//! The server's clock was set back: what Redis noted lies in the future, and nothing may stand still until then.

use std::time::Duration;

use windlass_shared::store::{Admission, Answered, Ask, BreakerRule, CallVerdict};

use super::{
    answered, ask, burst, done, drained, free, gate, go, is_go, new_call, requests, tokens, told_wait, went,
};
use crate::scene::Scene;

impl Scene {
    async fn clock_goes_back(&self, time: Duration) {
        self.pass_gate(-(time.as_micros() as i64)).await;
    }
}

const HOUR: Duration = Duration::from_hours(1);

#[tokio::test]
async fn a_bucket_goes_on_as_it_was_and_those_who_were_in_line_hold_up_nobody() {
    let (t, gate) = drained().await;
    let models = [requests(60)];
    let (call, urgent) = (new_call(), new_call());
    gate.admit(&Ask { rank: 0, ..ask(&urgent, &models) }).await.unwrap();
    t.clock_goes_back(HOUR).await;
    let Admission::Wait { wait, scope, asked, .. } = gate.admit(&ask(&call, &models)).await.unwrap() else {
        panic!()
    };
    assert!(wait <= Duration::from_millis(1030), "{wait:?}");
    t.pass_gate_for(Duration::from_millis(1030)).await;
    let again = Ask { waiting: &scope, asked: asked - 1030, ..ask(&call, &models) };
    assert!(is_go(&gate.admit(&again).await.unwrap()));
    t.done().await;
}

#[tokio::test]
async fn what_is_kept_quiet_for_a_large_call_stays_so_and_no_longer() {
    let (t, gate) = gate().await;
    let all = [tokens(1000, 1000)];
    go(&gate, &tokens(1000, 10)).await;
    let call = new_call();
    let Admission::Wait { park: true, wait, .. } = gate.admit(&ask(&call, &all)).await.unwrap() else {
        panic!()
    };
    t.clock_goes_back(HOUR).await;
    let (call, small) = (new_call(), [tokens(1000, 10)]);
    assert!(!is_go(&gate.admit(&Ask { returning: true, ..ask(&call, &small) }).await.unwrap()));
    t.pass_gate_for(wait + Duration::from_secs(2)).await;
    go(&gate, &tokens(1000, 10)).await;
    t.done().await;
}

#[tokio::test]
async fn tasks_that_were_told_to_come_are_not_awaited_for_an_hour() {
    let (t, gate) = gate().await;
    let models = [requests(600)];
    burst(&t, &gate, &models[0]).await;
    let call = new_call();
    gate.admit(&Ask { slot_wait: Duration::ZERO, ..ask(&call, &models) }).await.unwrap();
    t.clock_goes_back(HOUR).await;
    burst(&t, &gate, &models[0]).await;
    t.pass_gate_for(Duration::from_millis(350)).await;
    go(&gate, &models[0]).await;
    t.done().await;
}

#[tokio::test]
async fn a_quiet_minute_is_a_minute() {
    let (t, gate) = gate().await;
    go(&gate, &requests(1)).await;
    t.clock_goes_back(HOUR).await;
    assert!(told_wait(&went(&gate, &[requests(1)]).await.1) <= Duration::from_secs(62));
    t.pass_gate_for(Duration::from_secs(62)).await;
    go(&gate, &requests(1)).await;
    t.done().await;
}

#[tokio::test]
async fn a_breaker_that_is_open_or_waits_for_probes_lets_calls_through() {
    let (t, gate) = gate().await;
    let rule = BreakerRule { threshold: 1, ..BreakerRule::default() };
    gate.called("host", CallVerdict::Failure, "server", rule).await.unwrap();
    assert!(gate.may_call("host", rule).await.unwrap().is_some());
    t.clock_goes_back(HOUR).await;
    for _ in 0..3 {
        assert_eq!(gate.may_call("host", rule).await.unwrap(), None);
    }
    assert!(gate.may_call("host", rule).await.unwrap().is_some(), "its probes are out");
    t.clock_goes_back(HOUR).await;
    assert_eq!(gate.may_call("host", rule).await.unwrap(), None);
    t.done().await;
}

#[tokio::test]
async fn a_cooldown_ends_and_can_be_set_anew() {
    let (t, gate) = gate().await;
    let cool = async |us| {
        let call = new_call();
        let told = answered(&call, "p/m", CallVerdict::Neither);
        gate.settle(&Answered { cool: vec![("p/k/m", us, "rate_limit")], ..told }, "").await.unwrap();
    };
    cool(60_000_000).await;
    assert!(!is_go(&went(&gate, &[free("m")]).await.1));
    t.clock_goes_back(HOUR).await;
    go(&gate, &free("m")).await;
    cool(2_000_000).await;
    let wait = told_wait(&went(&gate, &[free("m")]).await.1);
    assert!(wait <= Duration::from_secs(2), "{wait:?}");
    t.done().await;
}

#[tokio::test]
async fn statistics_and_what_was_learned_do_no_harm() {
    let (t, gate) = gate().await;
    let settle = async || {
        let call = go(&gate, &free("m")).await;
        gate.settle(&Answered { live: ("m", "c", 3_600_000_000, 1000, 5), ..done(&call) }, "").await.unwrap();
    };
    settle().await;
    t.clock_goes_back(HOUR).await;
    settle().await;
    let live = gate.live().await.unwrap();
    let record = &live[&("m".to_owned(), "c".to_owned())];
    assert!(record.calls > 1.99 && record.calls < 2.01, "{record:?}");
    assert!(record.at <= t.store.now().await.unwrap());
    t.done().await;
}
