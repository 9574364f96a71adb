//! Random lives of a queue: whatever people, nodes and time do in whatever order, each task stays in exactly one
//! place, is completed at most once, and in the end nothing is stuck.
//!
//! `WINDLASS_PROPTEST_CASES` sets the number of cases (200 unless said otherwise).

mod check;
mod history;
mod op;
mod strategy;
mod world;

use std::env;

use proptest::{
    collection::vec,
    test_runner::{Config, TestCaseError, TestRunner},
};
use tokio::runtime::Builder;

use crate::scene::Scene;
use op::Op;
use world::World;

/// What a check says: nothing, or what is wrong.
type Check = Result<(), String>;

const LONGEST: usize = 60;

fn cases() -> u32 {
    let text = env::var("WINDLASS_PROPTEST_CASES").unwrap_or_else(|_| "200".into());
    text.parse().expect("WINDLASS_PROPTEST_CASES is a number")
}

#[test]
fn any_order_of_events_keeps_every_promise() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let t = runtime.block_on(Scene::new());
    let config =
        Config { cases: cases(), failure_persistence: None, max_shrink_iters: 3000, ..Config::default() };
    let answer = TestRunner::new(config).run(&vec(strategy::any(), 1..=LONGEST), |ops| {
        runtime.block_on(live(&t, &ops)).map_err(TestCaseError::fail)
    });
    if let Err(error) = answer {
        panic!("{error}");
    }
}

/// One case, on an empty server.
async fn live(t: &Scene, ops: &[Op]) -> Check {
    t.redis::<()>(&["FLUSHALL"]).await;
    let mut world = World::new(t);
    for (i, op) in ops.iter().enumerate() {
        world.apply(op).await.map_err(|why| format!("after step {i}, {op:?}: {why}"))?;
    }
    world.work_off().await.map_err(|why| format!("working off what is left: {why}"))
}
