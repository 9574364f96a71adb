//! The line of those who wait for one bucket: who goes first, and what each is told.

use std::time::Duration;

use windlass_shared::store::{Admission, Ask, Gate};

use super::{
    PATIENT, ask, drained, gate, go, is_go, new_call, requests,
    sim::{Clock, Sim},
    tokens, told_wait, went,
};

/// One who stands in line.
struct Place {
    call: String,
    rank: u8,
    returning: bool,
    /// As it heard.
    asked: i64,
    scope: String,
    /// When it was told to come.
    due: i64,
}

/// Asks for the first time, a moment after the one before; it must be told to wait.
async fn stands(clock: &mut Clock<'_>, gate: &Gate, rank: u8, returning: bool) -> Place {
    clock.pass(Duration::from_millis(2)).await;
    let (call, models) = (new_call(), [requests(60)]);
    let answer =
        gate.admit(&Ask { rank, returning, slot_wait: PATIENT, ..ask(&call, &models) }).await.unwrap();
    let Admission::Wait { wait, park: false, asked, scope, .. } = answer else { panic!("{answer:?}") };
    let due = clock.now + wait.as_micros() as i64;
    Place { call, rank, returning, asked: clock.heard(asked), scope, due }
}

impl Place {
    async fn again(&self, clock: &Clock<'_>, gate: &Gate) -> Admission {
        let models = [requests(60)];
        let question = Ask {
            rank: self.rank,
            returning: self.returning,
            slot_wait: PATIENT,
            asked: clock.said(self.asked),
            waiting: &self.scope,
            ..ask(&self.call, &models)
        };
        gate.admit(&question).await.unwrap()
    }
}

#[tokio::test]
async fn the_more_urgent_goes_first_and_within_a_rank_the_earlier() {
    let (t, gate) = drained().await;
    let mut clock = Clock::new(&t).await;
    let low = stands(&mut clock, &gate, 3, false).await;
    let first = stands(&mut clock, &gate, 1, false).await;
    let second = stands(&mut clock, &gate, 1, false).await;
    let critical = stands(&mut clock, &gate, 0, false).await;
    let mut order = Vec::new();
    for _ in 0..4 {
        clock.pass(Duration::from_millis(1100)).await;
        // The least urgent asks first, each time.
        for (name, place) in [("low", &low), ("second", &second), ("first", &first), ("critical", &critical)]
        {
            if !order.contains(&name) && is_go(&place.again(&clock, &gate).await) {
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
    let mut clock = Clock::new(&t).await;
    let place = stands(&mut clock, &gate, 2, false).await;
    clock.set(place.due + 2000).await;
    let (newcomer, urgent, models) = (new_call(), new_call(), [requests(60)]);
    assert!(!is_go(&gate.admit(&Ask { rank: 3, ..ask(&newcomer, &models) }).await.unwrap()));
    assert!(is_go(&gate.admit(&Ask { rank: 1, ..ask(&urgent, &models) }).await.unwrap()));
    t.done().await;
}

#[tokio::test]
async fn each_is_told_its_own_moment_and_is_let_through_then() {
    let (t, gate) = drained().await;
    let mut clock = Clock::new(&t).await;
    let mut places = Vec::new();
    for _ in 0..5 {
        places.push(stands(&mut clock, &gate, 2, false).await);
    }
    for pair in places.windows(2) {
        let between = pair[1].due - pair[0].due;
        assert!((900_000..1_200_000).contains(&between), "{between} us between two");
    }
    for place in &places {
        clock.set(clock.now.max(place.due)).await;
        for again in 0.. {
            let answer = place.again(&clock, &gate).await;
            if is_go(&answer) {
                break;
            }
            // Whoever goes a little late makes those behind a little later.
            assert!(again < 3 && told_wait(&answer) < Duration::from_millis(300), "{answer:?}");
            clock.pass(told_wait(&answer) + Duration::from_millis(1)).await;
        }
    }
    t.done().await;
}

/// Thirty callers come back when they were told to: nearly each is let through then, and none waits for ever.
#[tokio::test]
async fn a_crowd_does_not_come_at_once_and_nobody_starves() {
    let (t, _) = gate().await;
    let mut sim = Sim::new(&t, Duration::from_mins(1)).await;
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
    let mut clock = Clock::new(&t).await;
    let vanished = stands(&mut clock, &gate, 2, false).await;
    let place = stands(&mut clock, &gate, 2, false).await;
    clock.set(vanished.due).await;
    assert!(!is_go(&place.again(&clock, &gate).await), "its moment has just come");
    clock.set(vanished.due + 1_050_000).await;
    assert!(is_go(&place.again(&clock, &gate).await));
    let line: usize = t.redis(&["ZCARD", &t.gate_key("waiting:model:p/m")]).await;
    assert_eq!(line, 0, "nothing is left of either");
    t.done().await;
}

#[tokio::test]
async fn who_knows_the_answer_by_now_leaves_the_line() {
    let (t, gate) = drained().await;
    let mut clock = Clock::new(&t).await;
    t.redis::<()>(&["SET", &t.gate_key("cache:known"), "answer"]).await;
    let place = stands(&mut clock, &gate, 2, false).await;
    let line = t.gate_key("waiting:model:p/m");
    assert_eq!(t.redis::<usize>(&["ZCARD", &line]).await, 1);
    let models = [requests(60)];
    let asked = clock.said(place.asked);
    let question = Ask { cache: "known", asked, waiting: &place.scope, ..ask(&place.call, &models) };
    assert_eq!(gate.admit(&question).await.unwrap(), Admission::Hit("answer".into()));
    assert_eq!(t.redis::<usize>(&["ZCARD", &line]).await, 0);
    t.done().await;
}

#[tokio::test]
async fn those_who_gave_their_slot_back_go_before_newcomers_of_their_rank() {
    let (t, gate) = drained().await;
    let mut clock = Clock::new(&t).await;
    let newcomer = stands(&mut clock, &gate, 2, false).await;
    let returning = stands(&mut clock, &gate, 2, true).await;
    assert!(returning.due < newcomer.due + 100_000, "it is told as if it stood before");
    clock.set(returning.due + 20_000).await;
    assert!(!is_go(&newcomer.again(&clock, &gate).await));
    assert!(is_go(&returning.again(&clock, &gate).await));
    t.done().await;
}

#[tokio::test]
async fn a_large_call_in_line_is_not_starved_by_small_newcomers() {
    let (t, _) = gate().await;
    let mut sim = Sim::new(&t, Duration::from_mins(5)).await;
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
    let mut clock = Clock::new(&t).await;
    stands(&mut clock, &gate, 0, false).await;
    let other = super::model("n", [60, 0, 0, 0], [1, 0, 0], Some(0));
    go(&gate, &other).await;
    assert!(told_wait(&went(&gate, &[other]).await.1) <= Duration::from_millis(1030));
    t.done().await;
}
