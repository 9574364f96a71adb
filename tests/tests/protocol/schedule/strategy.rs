//! How often each thing happens.

use proptest::{collection::vec, option, prelude::*, sample::select};
use windlass_shared::{
    model::{Priority, State},
    store::QueueSettings,
};

use super::{
    Schedule,
    op::{BATCHES, CALLS, GHOSTS, NODES, Op, Outcome, POOL, Shape, Verdict, Voice},
};

const DAY: u64 = 24 * 3600;
/// In settings, times are microseconds.
const SECOND: u64 = 1_000_000;
/// Far enough for a band to start again once it is empty.
const FAR: u64 = (1 << 50) - 2000;

fn id() -> impl Strategy<Value = u8> {
    0..POOL
}

fn some_ids() -> impl Strategy<Value = Vec<u8>> {
    vec(id(), 1..4)
}

fn priority() -> impl Strategy<Value = Priority> {
    select(&Priority::ALL[..])
}

fn shape() -> impl Strategy<Value = Shape> {
    (
        (id(), 0_u8..3, priority(), 0_u8..3, 1_u32..=10),
        prop_oneof![1 => Just(None), 3 => (0_u8..2).prop_map(Some)],
        option::of(0..BATCHES.len() as u8),
        prop_oneof![3 => Just(0), 1 => Just(5), 1 => Just(3600)],
        prop_oneof![4 => Just(0), 1 => Just(20), 1 => Just(2 * DAY)],
    )
        .prop_map(|((id, content, priority, tenant, weight), key, batch, delay, expires)| Shape {
            id,
            content,
            priority,
            tenant,
            weight,
            key,
            batch,
            delay,
            expires,
        })
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        4 => Just(Outcome::Completed),
        2 => Just(Outcome::Failed),
        1 => Just(Outcome::Exhausted),
        2 => select(&[0, 5, 3600][..]).prop_map(Outcome::Retrying),
        2 => Just(Outcome::Interrupted),
        1 => Just(Outcome::UnknownType),
        1 => select(&[0, 5, 3600][..]).prop_map(Outcome::RateLimited),
        1 => select(&[5, 3600][..]).prop_map(Outcome::OverBudget),
        2 => Just(Outcome::Escalated),
        1 => Just(Outcome::Cancelled),
    ]
}

fn voice() -> impl Strategy<Value = Voice> {
    prop_oneof![
        8 => Just(Voice::Owner),
        1 => Just(Voice::Stranger),
        1 => select(&[-1, 1][..]).prop_map(Voice::OffBy),
        1 => Just(Voice::Again),
    ]
}

fn settings() -> impl Strategy<Value = QueueSettings> {
    let limit = |n: std::ops::Range<u64>| option::of(option::of(n));
    let kept = || option::weighted(0.2, option::of(select(&[60 * SECOND, 3600 * SECOND][..])));
    let limits = (limit(1..3), limit(0..4), limit(0..6));
    (option::of(proptest::bool::weighted(0.3)), limits, kept(), kept()).prop_map(
        |(paused, (key_concurrency, concurrency, max_length), retention, dead_retention)| QueueSettings {
            paused,
            key_concurrency,
            concurrency,
            max_length,
            retention,
            dead_retention,
            ..QueueSettings::default()
        },
    )
}

/// One thing that happens.
fn op() -> impl Strategy<Value = Op> {
    // Mostly those that live.
    let node = || prop_oneof![5 => 0..NODES, 1 => NODES..NODES + GHOSTS];
    let settle = || vec((outcome(), voice()), 0..4);
    prop_oneof![
        10 => vec(shape(), 1..4).prop_map(Op::Submit),
        14 => (node(), settle(), 0_usize..4, proptest::bool::weighted(0.1))
            .prop_map(|(node, settle, want, lost)| Op::Call { node, settle, want, lost }),
        3 => (node(), 0..CALLS).prop_map(|(node, back)| Op::Repeat { node, back }),
        5 => (node(), proptest::bool::ANY).prop_map(|(node, progress)| Op::Extend { node, progress }),
        2 => (0..NODES).prop_map(|node| Op::Crash { node }),
        1 => Just(Op::Hear),
        3 => some_ids().prop_map(Op::Cancel),
        3 => some_ids().prop_map(Op::Retry),
        3 => (some_ids(), select(&[Verdict::Approve, Verdict::Edit, Verdict::Reject][..]))
            .prop_map(|(ids, verdict)| Op::Review(ids, verdict)),
        2 => (some_ids(), priority()).prop_map(|(ids, priority)| Op::Prioritise(ids, priority)),
        2 => select(State::ALL).prop_map(Op::Purge),
        4 => settings().prop_map(Op::Configure),
        2 => id().prop_map(Op::Lapse),
        5 => select(&[1, 6, 11, 61, 3600, DAY + 1, 31 * DAY][..]).prop_map(Op::Pass),
        1 => select(&[1, 6, 16, 3600][..]).prop_map(Op::Outage),
    ]
}

/// A schedule of up to `longest` steps.
pub(super) fn schedule(longest: usize) -> impl Strategy<Value = Schedule> {
    (prop_oneof![9 => Just(0), 1 => Just(FAR)], vec(op(), 1..=longest))
        .prop_map(|(turns, ops)| Schedule { turns, ops })
}
