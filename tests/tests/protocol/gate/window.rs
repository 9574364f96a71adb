//! Requests a minute: no window holds more than the limit, and a greedy fleet gets nearly all of it.

use std::time::Duration;

use super::{burst, gate, go, model, requests, sim::Sim, told_wait, went};

/// Eight greedy callers for some minutes; the fullest minute, and the share of the limit that they got.
async fn greedy(limit: u64, time: Duration) -> (u64, f64) {
    let (t, _) = gate().await;
    let mut sim = Sim::new(&t, Duration::from_secs(2)).await;
    sim.callers(8, &requests(limit), 2);
    sim.run(time).await;
    let share = sim.total(0) as f64 / (limit as f64 * time.as_secs_f64() / 60.0);
    let most = sim.fullest_minute(0);
    t.done().await;
    (most, share)
}

#[tokio::test]
async fn a_greedy_fleet_gets_nearly_all_of_six_hundred_a_minute_and_never_more() {
    let (most, share) = greedy(600, Duration::from_mins(3)).await;
    assert!(most <= 600, "a minute held {most}");
    assert!(share >= 0.97, "{share}");
}

#[tokio::test]
async fn a_greedy_fleet_gets_nearly_all_of_six_thousand_a_minute_and_never_more() {
    let (most, share) = greedy(6000, Duration::from_secs(75)).await;
    assert!(most <= 6000, "a minute held {most}");
    assert!(share >= 0.97, "{share}");
}

/// Where one call is a large part of the limit, the burst is, too.
#[tokio::test]
async fn small_limits_are_kept_and_used() {
    for (limit, minutes, least) in [(1, 12, 0.9), (2, 8, 0.45), (7, 5, 0.8), (20, 4, 0.9), (60, 3, 0.95)] {
        let (most, share) = greedy(limit, Duration::from_mins(minutes)).await;
        assert!(most <= limit, "limit {limit}: a minute held {most}");
        assert!(share >= least, "limit {limit}: {share}");
    }
}

#[tokio::test]
async fn the_burst_is_a_hundredth_and_the_next_call_is_told_when() {
    let (t, gate) = gate().await;
    let (calls, wait) = burst(&t, &gate, &requests(600)).await;
    // The burst is a hundredth; 591 a minute come after it, one in 101.5 ms.
    assert!((6..=8).contains(&calls), "{calls}");
    assert!(wait <= Duration::from_millis(102), "{wait:?}");
    t.done().await;
}

#[tokio::test]
async fn a_rest_does_not_save_up_more_than_the_burst() {
    let (t, gate) = gate().await;
    go(&gate, &requests(600)).await;
    t.pass_gate_for(Duration::from_hours(5)).await;
    let (calls, _) = burst(&t, &gate, &requests(600)).await;
    assert!((6..=8).contains(&calls), "{calls}");
    t.done().await;
}

#[tokio::test]
async fn a_limit_that_is_lowered_raised_or_removed_holds_at_once() {
    let (t, gate) = gate().await;
    burst(&t, &gate, &requests(6000)).await;
    t.pass_gate_for(Duration::from_secs(30)).await;
    let (calls, wait) = burst(&t, &gate, &requests(60)).await;
    assert!(calls <= 1 && wait > Duration::from_millis(900), "lowered: {calls}, {wait:?}");
    t.pass_gate_for(Duration::from_secs(2)).await;
    let (calls, wait) = burst(&t, &gate, &requests(6000)).await;
    assert!(calls >= 1 && wait < Duration::from_millis(11), "raised: {calls}, {wait:?}");
    for _ in 0..100 {
        go(&gate, &requests(0)).await;
    }
    t.done().await;
}

#[tokio::test]
async fn nothing_is_taken_from_one_bucket_when_another_refuses() {
    let (t, gate) = gate().await;
    let scopes = |provider| {
        let mut model = requests(1000);
        model.buckets = vec![
            ("model:p/m".into(), [1000, 10_000, 10_000, 10]),
            ("key:p/k".into(), [1000, 10_000, 10_000, 10]),
            ("provider:p".into(), [provider, 0, 0, 0]),
        ];
        model.need = [1, 100, 100];
        model
    };
    let open = [go(&gate, &scopes(60)).await];
    let before = [t.words("buckets", "model:p/m").await, t.words("buckets", "key:p/k").await];
    for _ in 0..5 {
        assert!(told_wait(&went(&gate, &[scopes(60)]).await.1) > Duration::ZERO);
    }
    let after = [t.words("buckets", "model:p/m").await, t.words("buckets", "key:p/k").await];
    assert_eq!(before, after, "levels, bursts, calls in flight");
    gate.settle(&super::done(&open[0]), "").await.unwrap();
    for scope in ["model:p/m", "key:p/k", "provider:p"] {
        assert_eq!(t.in_flight(scope).await, 0, "{scope}");
    }
    t.done().await;
}

#[tokio::test]
async fn of_several_buckets_the_longest_wait_is_told_and_waited_for() {
    for order in [[60, 600], [600, 60]] {
        let (t, gate) = gate().await;
        let mut model = requests(0);
        model.buckets = order.map(|limit| (format!("model:{limit}"), [limit, 0, 0, 0])).into();
        go(&gate, &model).await;
        for _ in 0..5 {
            let mut other = requests(0);
            other.buckets = vec![("model:600".into(), [600, 0, 0, 0])];
            go(&gate, &other).await;
        }
        let (_, answer) = went(&gate, &[model]).await;
        let windlass_shared::store::Admission::Wait { wait, scope, .. } = answer else {
            panic!("{answer:?}")
        };
        assert_eq!(scope, "model:60");
        assert!(wait > Duration::from_millis(900), "{wait:?}");
        t.done().await;
    }
}

#[tokio::test]
async fn the_first_model_with_room_is_taken_and_why_not_the_others() {
    let (t, gate) = gate().await;
    burst(&t, &gate, &requests(60)).await;
    let models = [requests(60), model("n", [60, 0, 0, 0], [1, 0, 0], Some(0))];
    let (_, answer) = went(&gate, &models).await;
    let windlass_shared::store::Admission::Go { index, .. } = answer else { panic!("{answer:?}") };
    assert_eq!((index, super::reasons(&answer)), (1, vec!["limit model:p/m".to_owned()]));
    t.done().await;
}
