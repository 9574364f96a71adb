//! Runs schedules on one server, one after the other, and shrinks what fails.

use std::{
    env,
    hash::{BuildHasher, Hasher, RandomState},
};

use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngSeed, TestCaseError, TestRunner},
};
use tokio::runtime::{Builder, Runtime};

use super::{Check, LONGEST, PARTS, Schedule, strategy::schedule, world::World};
use crate::scene::Scene;

pub(super) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime can be made")
}

/// One schedule, on an empty server.
pub(super) async fn live(t: &Scene, schedule: &Schedule) -> Check {
    let mut world = World::new(t, schedule.turns).await;
    for (i, op) in schedule.ops.iter().enumerate() {
        world.apply(op).await.map_err(|why| format!("after step {i}, {op:?}: {why}"))?;
    }
    world.work_off().await.map_err(|why| format!("working off what is left: {why}"))
}

fn number<N: std::str::FromStr>(name: &str) -> Option<N> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

/// What proptest is told: how many schedules, and which.
pub(super) fn config(cases: u32, seed: u64, shrinks: u32) -> Config {
    Config {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        max_shrink_iters: shrinks,
        ..Config::default()
    }
}

/// A part of all schedules.
pub(super) fn run_part(part: u32) {
    let cases = number("WINDLASS_PROPTEST_CASES").unwrap_or(1000_u32).div_ceil(PARTS);
    let seed: u64 = number("WINDLASS_PROPTEST_SEED").unwrap_or_else(any_number);
    let how = format!("WINDLASS_PROPTEST_SEED={seed}, part {part} of {PARTS}, {cases} schedules");
    println!("{how}");
    let runtime = runtime();
    let t = runtime.block_on(Scene::new());
    let config = config(cases, seed.wrapping_add(u64::from(part) << 32), 3000);
    let answer = TestRunner::new(config).run(&schedule(LONGEST), |schedule| {
        runtime.block_on(live(&t, &schedule)).map_err(TestCaseError::fail)
    });
    if let Err(error) = answer {
        panic!("{how}: {error}");
    }
}

/// Another number at each run.
fn any_number() -> u64 {
    RandomState::new().build_hasher().finish() >> 32
}

/// Schedules with this seed, until one fails: its number, and why.
pub(super) async fn first_failure(t: &Scene, seed: u64, most: u32) -> Option<(u32, String)> {
    let mut runner = TestRunner::new(config(most, seed, 0));
    for number in 1..=most {
        let tree = schedule(LONGEST).new_tree(&mut runner).expect("schedules can be made");
        if let Err(why) = live(t, &tree.current()).await {
            return Some((number, why));
        }
    }
    None
}
