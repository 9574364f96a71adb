//! Tasks that must wait longer than a slot should: they give it back and are told when to come again.

use std::time::Duration;

use windlass_shared::store::{Admission, Ask, AskModel, Gate};

use super::{
    ask, burst, drained, gate, go, is_go, new_call, requests,
    sim::{Clock, Sim},
    tokens, went,
};

/// Gives its slot back; answers for how long.
async fn parks(gate: &Gate, models: &[AskModel], rank: u8) -> Duration {
    let call = new_call();
    let answer = gate.admit(&Ask { rank, slot_wait: Duration::ZERO, ..ask(&call, models) }).await.unwrap();
    let Admission::Wait { wait, park: true, .. } = answer else { panic!("{answer:?}") };
    wait
}

async fn returns(gate: &Gate, models: &[AskModel], rank: u8) -> bool {
    let call = new_call();
    is_go(&gate.admit(&Ask { rank, returning: true, ..ask(&call, models) }).await.unwrap())
}

#[tokio::test]
async fn tasks_that_give_their_slots_back_are_spread_at_the_rate_of_the_limit() {
    let (t, gate) = drained().await;
    let models = [requests(60)];
    let mut waits = Vec::new();
    for _ in 0..20 {
        waits.push(parks(&gate, &models, 2).await);
    }
    for (i, pair) in waits.windows(2).enumerate().skip(2) {
        let between = pair[1].saturating_sub(pair[0]).as_secs_f64();
        assert!((0.95..1.05).contains(&between), "{i}: {between} s, {waits:?}");
    }
    t.done().await;
}

/// A comparison for the cache is made now or never: no room is kept for its return.
#[tokio::test]
async fn a_call_that_is_made_once_or_not_at_all_keeps_no_place() {
    let (t, gate) = drained().await;
    let models = [requests(60)];
    let before = t.words("buckets", "model:p/m").await[8..].to_vec();
    let call = new_call();
    let answer = gate.admit(&Ask { once: true, ..ask(&call, &models) }).await.unwrap();
    assert!(matches!(answer, Admission::Refused(_)), "{answer:?}");
    assert_eq!(t.words("buckets", "model:p/m").await[8..], before);
    let line: u32 = t.redis(&["ZCARD", &t.gate_key("waiting:model:p/m")]).await;
    assert_eq!(line, 0);
    t.done().await;
}

#[tokio::test]
async fn each_rank_is_spread_by_itself_behind_the_more_urgent() {
    let (t, gate) = drained().await;
    let models = [requests(60)];
    for _ in 0..10 {
        parks(&gate, &models, 2).await;
    }
    let high = parks(&gate, &models, 1).await;
    assert!(high <= Duration::from_secs(3), "a more urgent one does not wait for ten others: {high:?}");
    let low = parks(&gate, &models, 3).await;
    assert!(low >= Duration::from_secs(10), "{low:?}");
    t.done().await;
}

#[tokio::test]
async fn those_who_return_when_told_are_let_through() {
    let (t, gate) = drained().await;
    let models = [requests(60)];
    let mut clock = Clock::new(&t).await;
    let mut due = Vec::new();
    for _ in 0..5 {
        let wait = parks(&gate, &models, 2).await;
        due.push(t.server_time().await + wait.as_micros() as i64);
    }
    for moment in due {
        clock.set(clock.now.max(moment)).await;
        for again in 0.. {
            let call = new_call();
            let answer = gate.admit(&Ask { returning: true, ..ask(&call, &models) }).await.unwrap();
            if is_go(&answer) {
                break;
            }
            // Whoever comes a little late makes those behind a little later.
            let wait = super::told_wait(&answer);
            assert!(again < 3 && wait < Duration::from_millis(300), "{answer:?}");
            t.redis::<()>(&["DEL", &t.gate_key("waiting:model:p/m")]).await;
            clock.pass(wait + Duration::from_millis(1)).await;
        }
    }
    t.done().await;
}

#[tokio::test]
async fn newcomers_let_those_go_first_who_gave_their_slots_back() {
    let (t, gate) = gate().await;
    let models = [requests(600)];
    burst(&t, &gate, &models[0]).await;
    for _ in 0..50 {
        parks(&gate, &models, 2).await;
    }
    t.pass_gate_for(Duration::from_millis(300)).await;
    let newcomer = new_call();
    let answer = gate.admit(&ask(&newcomer, &models)).await.unwrap();
    assert!(!is_go(&answer), "there is room, but others are expected");
    assert!(returns(&gate, &models, 2).await);
    let urgent = new_call();
    assert!(
        is_go(&gate.admit(&Ask { rank: 1, ..ask(&urgent, &models) }).await.unwrap()),
        "none of its rank is"
    );
    t.done().await;
}

/// Parked tasks that were cancelled never come: the bucket must not wait for them.
#[tokio::test]
async fn ghosts_do_not_idle_the_bucket() {
    let (t, gate) = gate().await;
    let models = [requests(600)];
    burst(&t, &gate, &models[0]).await;
    for _ in 0..1000 {
        parks(&gate, &models, 2).await;
    }
    let mut sim = Sim::new(&t, Duration::from_secs(2)).await;
    sim.callers(8, &models[0], 2);
    sim.run(Duration::from_mins(1)).await;
    assert!(sim.total(0) >= 540, "newcomers got {} of 600", sim.total(0));
    t.done().await;
}

#[tokio::test]
async fn a_fleet_that_overflows_gets_the_whole_limit() {
    let (t, _) = gate().await;
    let mut sim = Sim::new(&t, Duration::from_millis(500)).await;
    sim.callers(60, &requests(600), 2);
    sim.run(Duration::from_mins(3)).await;
    assert!(sim.parks > 100, "{}", sim.parks);
    assert!(sim.fullest_minute(0) <= 600);
    assert!(sim.total(0) as f64 >= 0.97 * 1800.0, "{}", sim.total(0));
    t.done().await;
}

#[tokio::test]
async fn a_large_call_that_gave_its_slot_back_finds_it_quiet_when_it_returns() {
    let (t, _) = gate().await;
    let mut sim = Sim::new(&t, Duration::from_secs(2)).await;
    sim.callers(4, &tokens(1000, 10), 2);
    let large = sim.caller(tokens(1000, 900), 2);
    sim.run(Duration::from_mins(12)).await;
    assert!(sim.granted(large) >= 3, "{}", sim.granted(large));
    assert!(sim.fullest_minute(1) <= 1000, "{}", sim.fullest_minute(1));
    t.done().await;
}

#[tokio::test]
async fn a_large_call_that_never_returns_does_not_hush_the_bucket_for_ever() {
    let (t, gate) = gate().await;
    go(&gate, &tokens(1000, 10)).await;
    let wait = parks(&gate, &[tokens(1000, 1000)], 2).await;
    t.pass_gate_for(Duration::from_secs(10)).await;
    assert!(!is_go(&went(&gate, &[tokens(1000, 10)]).await.1), "it is kept quiet for the large one");
    t.pass_gate_for(wait.saturating_sub(Duration::from_secs(9)) + Duration::from_millis(10)).await;
    go(&gate, &tokens(1000, 10)).await;
    t.done().await;
}

#[tokio::test]
async fn large_calls_are_told_to_come_a_minute_apart_and_the_first_keeps_its_quiet() {
    let (t, gate) = gate().await;
    let large = [tokens(1000, 1000)];
    go(&gate, &tokens(1000, 10)).await;
    let (first, second) = (parks(&gate, &large, 2).await, parks(&gate, &large, 2).await);
    let between = second.saturating_sub(first).as_secs_f64();
    assert!((60.0..62.0).contains(&between), "{between}");
    t.pass_gate_for(Duration::from_secs(30)).await;
    let (call, small) = (new_call(), [tokens(1000, 10)]);
    let answer = gate.admit(&Ask { returning: true, ..ask(&call, &small) }).await.unwrap();
    assert!(!is_go(&answer), "{answer:?}");
    t.pass_gate_for(first.saturating_sub(Duration::from_secs(30))).await;
    assert!(returns(&gate, &large, 2).await);
    t.done().await;
}

#[tokio::test]
async fn nobody_gives_its_slot_back_for_less_than_a_second() {
    let (t, gate) = gate().await;
    // The next one may go in 0.6 s: sooner than a second, and not before this asks.
    burst(&t, &gate, &requests(100)).await;
    assert!(parks(&gate, &[requests(100)], 2).await >= Duration::from_secs(1));
    t.done().await;
}
