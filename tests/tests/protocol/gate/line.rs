//! The line of those who wait for one bucket: who goes first, and what each is told.

use std::time::Duration;

use windlass_shared::store::{Admission, Ask, AskModel, Gate};

use super::{PATIENT, ask, drained, gate, go, is_go, new_call, requests, sim::Sim, tokens, told_wait, went};

/// One who stands in line.
struct Place {
    call: String,
    rank: u8,
    returning: bool,
    asked: u64,
    scope: String,
    wait: Duration,
}

/// Asks for the first time; it must be told to wait.
async fn stands(gate: &Gate, models: &[AskModel], rank: u8, returning: bool) -> Place {
    let call = new_call();
    let answer =
        gate.admit(&Ask { rank, returning, slot_wait: PATIENT, ..ask(&call, models) }).await.unwrap();
    let Admission::Wait { wait, park: false, asked, scope, .. } = answer else { panic!("{answer:?}") };
    // Whoever asks in another millisecond comes later.
    tokio::time::sleep(Duration::from_millis(2)).await;
    // Scores are in milliseconds: time must pass in whole ones.
    let wait = Duration::from_millis(wait.as_millis() as u64 + 1);
    Place { call, rank, returning, asked, scope, wait }
}

impl Place {
    /// Asks again. Time that passed in between shifted what Redis knows of its first question.
    async fn again(&self, gate: &Gate, models: &[AskModel], passed: Duration) -> Admission {
        let question = Ask {
            rank: self.rank,
            returning: self.returning,
            slot_wait: PATIENT,
            asked: self.asked - passed.as_millis() as u64,
            waiting: &self.scope,
            ..ask(&self.call, models)
        };
        gate.admit(&question).await.unwrap()
    }
}

#[tokio::test]
async fn the_more_urgent_goes_first_and_within_a_rank_the_earlier() {
    let (t, gate) = drained().await;
    let models = [requests(60)];
    let low = stands(&gate, &models, 3, false).await;
    let first = stands(&gate, &models, 1, false).await;
    let second = stands(&gate, &models, 1, false).await;
    let critical = stands(&gate, &models, 0, false).await;
    let mut passed = Duration::ZERO;
    let mut order = Vec::new();
    for _ in 0..4 {
        passed += Duration::from_millis(1030);
        t.pass_gate_for(Duration::from_millis(1030)).await;
        // The least urgent asks first, each time.
        for (name, place) in [("low", &low), ("second", &second), ("first", &first), ("critical", &critical)]
        {
            if !order.contains(&name) && is_go(&place.again(&gate, &models, passed).await) {
                order.push(name);
            }
        }
    }
    assert_eq!(order, ["critical", "first", "second", "low"]);
    t.done().await;
}

#[tokio::test]
async fn a_newcomer_does_not_pass_those_who_wait_but_a_more_urgent_one_does() {
    let (t, gate) = drained().await;
    let models = [requests(60)];
    let place = stands(&gate, &models, 2, false).await;
    t.pass_gate_for(place.wait).await;
    let newcomer = new_call();
    assert!(!is_go(&gate.admit(&Ask { rank: 3, ..ask(&newcomer, &models) }).await.unwrap()));
    let urgent = new_call();
    assert!(is_go(&gate.admit(&Ask { rank: 1, ..ask(&urgent, &models) }).await.unwrap()));
    t.done().await;
}

#[tokio::test]
async fn each_is_told_its_own_moment_and_is_let_through_then() {
    let (t, gate) = drained().await;
    let models = [requests(60)];
    let mut places = Vec::new();
    for _ in 0..5 {
        places.push(stands(&gate, &models, 2, false).await);
    }
    let mut passed = Duration::ZERO;
    for (i, place) in places.iter().enumerate().skip(1) {
        let between = place.wait.saturating_sub(places[i - 1].wait).as_secs_f64();
        assert!((0.9..1.1).contains(&between), "place {i} is told {between} s after the one before it");
    }
    for place in &places {
        let mut left = place.wait.saturating_sub(passed);
        for again in 0.. {
            left = Duration::from_millis(left.as_millis() as u64 + 1);
            t.pass_gate_for(left).await;
            passed += left;
            let answer = place.again(&gate, &models, passed).await;
            if is_go(&answer) {
                break;
            }
            // Whoever goes a little late makes those behind a little later.
            left = told_wait(&answer);
            assert!(again < 3 && left < Duration::from_millis(300), "{answer:?}");
        }
    }
    t.done().await;
}

/// Thirty callers come back when they were told to: nearly each is let through then, and none waits for ever.
#[tokio::test]
async fn a_crowd_does_not_come_at_once_and_nobody_starves() {
    let (t, _) = gate().await;
    let mut sim = Sim::new(&t, Duration::from_mins(1));
    sim.callers(30, &requests(600), 2);
    sim.run(Duration::from_mins(2)).await;
    let calls = sim.grants.len();
    assert!(sim.asks as f64 <= 2.4 * calls as f64, "{} questions for {calls} calls", sim.asks);
    let (least, most) =
        (0..30).map(|i| sim.granted(i)).fold((usize::MAX, 0), |(l, m), n| (l.min(n), m.max(n)));
    assert!(most - least <= 4, "between {least} and {most} calls each");
    assert!(sim.fullest_minute(0) <= 600 && sim.total(0) as f64 >= 0.97 * 1200.0, "{}", sim.total(0));
    t.done().await;
}

#[tokio::test]
async fn one_that_vanished_holds_up_the_line_for_a_second_at_most() {
    let (t, gate) = drained().await;
    let models = [requests(60)];
    let vanished = stands(&gate, &models, 2, false).await;
    let place = stands(&gate, &models, 2, false).await;
    t.pass_gate_for(vanished.wait).await;
    assert!(!is_go(&place.again(&gate, &models, vanished.wait).await), "its moment has just come");
    t.pass_gate_for(Duration::from_millis(1001)).await;
    assert!(is_go(&place.again(&gate, &models, vanished.wait + Duration::from_millis(1001)).await));
    let line: usize = t.redis(&["ZCARD", &t.gate_key("waiting:model:p/m")]).await;
    assert_eq!(line, 0, "nothing is left of either");
    t.done().await;
}

#[tokio::test]
async fn who_was_let_through_elsewhere_or_knows_the_answer_leaves_the_line() {
    let (t, gate) = drained().await;
    let models = [requests(60)];
    t.redis::<()>(&["SET", &t.gate_key("cache:known"), "answer"]).await;
    let place = stands(&gate, &models, 2, false).await;
    let line = t.gate_key("waiting:model:p/m");
    let waiting = async || t.redis::<Vec<String>>(&["ZRANGE", &line, "0", "-1"]).await;
    assert!(waiting().await.iter().any(|member| member.starts_with(&place.call)));
    let question =
        Ask { cache: "known", asked: place.asked, waiting: &place.scope, ..ask(&place.call, &models) };
    assert_eq!(gate.admit(&question).await.unwrap(), Admission::Hit("answer".into()));
    assert!(!waiting().await.iter().any(|member| member.starts_with(&place.call)));
    t.done().await;
}

#[tokio::test]
async fn those_who_gave_their_slot_back_go_before_newcomers_of_their_rank() {
    let (t, gate) = drained().await;
    let models = [requests(60)];
    let newcomer = stands(&gate, &models, 2, false).await;
    let returning = stands(&gate, &models, 2, true).await;
    assert!(returning.wait < newcomer.wait + Duration::from_millis(100), "it is told as if it stood before");
    let passed = Duration::from_millis(1030);
    t.pass_gate_for(passed).await;
    assert!(!is_go(&newcomer.again(&gate, &models, passed).await));
    assert!(is_go(&returning.again(&gate, &models, passed).await));
    t.done().await;
}

#[tokio::test]
async fn a_large_call_in_line_is_not_starved_by_small_newcomers() {
    let (t, _) = gate().await;
    let mut sim = Sim::new(&t, Duration::from_mins(5));
    sim.callers(4, &tokens(1000, 10), 2);
    let large = sim.caller(tokens(1000, 900), 2);
    sim.run(Duration::from_mins(10)).await;
    assert!(sim.granted(large) >= 2, "{}", sim.granted(large));
    assert!(sim.granted(0) >= 4 && sim.fullest_minute(1) <= 1000, "{}", sim.fullest_minute(1));
    t.done().await;
}

#[tokio::test]
async fn the_line_of_one_bucket_is_not_that_of_another() {
    let (t, gate) = drained().await;
    stands(&gate, &[requests(60)], 0, false).await;
    let other = super::model("n", [60, 0, 0, 0], [1, 0, 0], Some(0));
    go(&gate, &other).await;
    assert!(told_wait(&went(&gate, &[other]).await.1) <= Duration::from_millis(1030));
    t.done().await;
}
