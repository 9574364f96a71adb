//! Random schedules: whatever people, nodes and time do in whatever order, Redis does what the reference model does
//! (`tests/src/model`). After each step the answers, all that can be seen of the queue and the invariants are checked;
//! in the end, nothing may be stuck. What fails is shrunk. docs/verification.md tells more.
//!
//! `WINDLASS_PROPTEST_CASES` sets the number of schedules (1000 unless said otherwise), `WINDLASS_PROPTEST_SEED` the seed
//! (a new one unless said otherwise; it is printed).

mod keyspace;
mod mutation;
mod op;
mod runner;
mod seen;
mod strategy;
mod swap;
mod world;

pub(crate) use keyspace::confined_to;
use op::Op;

/// What a check says: nothing, or what is wrong.
type Check = Result<(), String>;

/// What happens, in order, to a queue that has given so many turns in each band before.
#[derive(Debug, Clone)]
struct Schedule {
    turns: u64,
    ops: Vec<Op>,
}

const LONGEST: usize = 60;

/// The schedules are shared out to so many tests, which run side by side.
const PARTS: u32 = 4;

#[test]
fn redis_does_what_the_model_does_1() {
    runner::run_part(1);
}

#[test]
fn redis_does_what_the_model_does_2() {
    runner::run_part(2);
}

#[test]
fn redis_does_what_the_model_does_3() {
    runner::run_part(3);
}

#[test]
fn redis_does_what_the_model_does_4() {
    runner::run_part(4);
}
