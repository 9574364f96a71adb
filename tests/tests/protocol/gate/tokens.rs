//! Tokens a minute, by reservations: calls of any size, from one token to all of a minute.

use std::time::Duration;

use windlass_shared::store::{Admission, Ask, Gate};

use super::{ask, burst, gate, go, new_call, sim::Sim, tokens, told_wait, went};
use crate::scene::Scene;

#[tokio::test]
async fn calls_of_mixed_sizes_stay_within_any_minute_and_each_gets_its_turn() {
    let (t, _) = gate().await;
    let mut sim = Sim::new(&t, Duration::from_secs(2)).await;
    for need in [5, 50, 100, 130, 400, 700, 1000] {
        sim.caller(tokens(1000, need), 2);
    }
    sim.run(Duration::from_mins(40)).await;
    let most = sim.fullest_minute(1);
    assert!(most <= 1000, "a minute held {most}");
    let granted: Vec<usize> = (0..7).map(|caller| sim.granted(caller)).collect();
    assert!(granted.iter().all(|calls| *calls >= 3), "{granted:?}");
    t.done().await;
}

#[tokio::test]
async fn small_calls_among_rare_large_ones_stay_within_any_minute() {
    for (large, pause) in [(1000, 90), (600, 40), (450, 100), (150, 20)] {
        let (t, _) = gate().await;
        let mut sim = Sim::new(&t, Duration::from_secs(2)).await;
        sim.callers(2, &tokens(1000, 20), 2);
        let large = (sim.now_and_then(tokens(1000, large), 2, Duration::from_secs(pause)), large);
        sim.run(Duration::from_mins(15)).await;
        let most = sim.fullest_minute(1);
        assert!(most <= 1000, "with calls of {}: a minute held {most}", large.1);
        assert!(sim.granted(large.0) >= 3, "calls of {}: {} went", large.1, sim.granted(large.0));
        t.done().await;
    }
}

/// What greedy callers of one size get of a limit.
async fn share(need: u64) -> f64 {
    let (t, _) = gate().await;
    let mut sim = Sim::new(&t, Duration::from_secs(2)).await;
    sim.callers(6, &tokens(10_000, need), 2);
    sim.run(Duration::from_mins(15)).await;
    let most = sim.fullest_minute(1);
    assert!(most <= 10_000, "calls of {need}: a minute held {most}");
    let total = sim.total(1) as f64;
    t.done().await;
    total / (10_000.0 * 15.0)
}

#[tokio::test]
async fn most_of_the_limit_is_used_by_calls_up_to_the_burst_and_a_fair_part_by_larger_ones() {
    for (need, least) in [(100, 0.88), (1000, 0.85), (2000, 0.72), (3300, 0.6), (5000, 0.43), (10_000, 0.85)]
    {
        let share = share(need).await;
        assert!(share >= least, "calls of {need}: {share}");
    }
}

/// A bucket of a thousand a minute in which a call of five hundred went: its burst is five hundred, it refills at five
/// hundred a minute.
async fn widened() -> (Scene, Gate) {
    let (t, gate) = gate().await;
    go(&gate, &tokens(1000, 10)).await;
    t.pass_gate_for(Duration::from_secs(62)).await;
    go(&gate, &tokens(1000, 500)).await;
    (t, gate)
}

#[tokio::test]
async fn one_large_call_does_not_slow_the_bucket_down_for_good() {
    let (t, gate) = widened().await;
    let (_, wait) = burst(&t, &gate, &tokens(1000, 10)).await;
    assert!((1.1..1.3).contains(&wait.as_secs_f64()), "500 a minute: {wait:?}");
    t.pass_gate_for(Duration::from_secs(61)).await;
    let (calls, wait) = burst(&t, &gate, &tokens(1000, 10)).await;
    assert!((10..=11).contains(&calls), "{calls}");
    assert!(wait <= Duration::from_millis(670), "900 a minute: {wait:?}");
    t.done().await;
}

/// While it is wide, the burst may be taken at once. When it is narrow again and refills faster, the minute in which
/// that happened must not hold more for it.
#[tokio::test]
async fn the_minute_in_which_a_burst_becomes_narrow_holds_no_more_than_the_limit() {
    let (t, gate) = widened().await;
    t.pass_gate_for(Duration::from_secs(50)).await;
    // One that would need it wide asks, and is kept back elsewhere.
    let mut other = tokens(1000, 500);
    other.cost = None;
    let (call, models) = (new_call(), [other]);
    let budgets = [super::budget::for_ever("fleet:", 1)];
    let answer = gate.admit(&Ask { budgets: &budgets, ..ask(&call, &models) }).await.unwrap();
    assert!(!super::is_go(&answer), "{answer:?}");
    t.pass_gate_for(Duration::from_secs(30)).await;
    let mut taken = 0;
    for _ in 0..60 {
        taken += 10 * burst(&t, &gate, &tokens(1000, 10)).await.0;
        t.pass_gate_for(Duration::from_secs(1)).await;
    }
    assert!((700..=1000).contains(&taken), "{taken}");
    t.done().await;
}

#[tokio::test]
async fn a_wide_burst_does_not_outlive_a_limit_that_is_lowered() {
    let (t, gate) = widened().await;
    t.pass_gate_for(Duration::from_secs(50)).await;
    let (calls, wait) = burst(&t, &gate, &tokens(300, 1)).await;
    assert!(calls <= 31 && wait < Duration::from_millis(300), "{calls}, {wait:?}");
    t.done().await;
}

#[tokio::test]
async fn a_call_as_large_as_the_limit_goes_after_a_quiet_minute_and_leaves_one() {
    let (t, gate) = gate().await;
    go(&gate, &tokens(1000, 1)).await;
    t.pass_gate_for(Duration::from_secs(62)).await;
    go(&gate, &tokens(1000, 1000)).await;
    let wait = told_wait(&went(&gate, &[tokens(1000, 1)]).await.1);
    assert!(wait >= Duration::from_secs(59), "{wait:?}");
    t.done().await;
}

#[tokio::test]
async fn a_first_large_call_is_let_through_when_it_was_told_so_even_if_nobody_was_before() {
    let (t, gate) = gate().await;
    let all = [tokens(1000, 1000)];
    let call = new_call();
    let patient = Duration::from_mins(5);
    let question = Ask { slot_wait: patient, ..ask(&call, &all) };
    let answer = gate.admit(&question).await.unwrap();
    let Admission::Wait { wait, scope, asked, .. } = answer else { panic!("{answer:?}") };
    let passed = wait.as_millis() as u64 + 1;
    t.pass_gate_for(Duration::from_millis(passed)).await;
    let again = Ask { waiting: &scope, asked: asked - passed, ..question };
    assert!(super::is_go(&gate.admit(&again).await.unwrap()));
    t.done().await;
}

#[tokio::test]
async fn what_never_fits_is_refused_and_says_so() {
    let (t, gate) = gate().await;
    let (_, answer) = went(&gate, &[tokens(1000, 1001)]).await;
    assert!(matches!(answer, Admission::Refused(_)), "{answer:?}");
    assert_eq!(super::reasons(&answer), ["too_large model:p/m"]);
    assert!(t.words("buckets", "model:p/m").await.is_empty(), "and changed nothing");
    t.done().await;
}
