//! How often each thing happens.

use proptest::{collection::vec, option, prelude::*, sample::select};
use windlass_shared::{
    model::{Priority, State},
    store::QueueSettings,
};

use super::op::{BATCHES, NODES, Op, Outcome, POOL, Shape, Verdict, Voice};

const DAY: u64 = 24 * 3600;

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
    ]
}

fn settings() -> impl Strategy<Value = QueueSettings> {
    let limit = |n: std::ops::Range<u64>| option::of(option::of(n));
    (option::of(proptest::bool::ANY), limit(1..3), limit(0..4), limit(0..6)).prop_map(
        |(paused, key_concurrency, concurrency, max_length)| QueueSettings {
            paused,
            key_concurrency,
            concurrency,
            max_length,
            ..QueueSettings::default()
        },
    )
}

/// Anything.
pub(super) fn any() -> impl Strategy<Value = Op> {
    let node = || 0..NODES;
    prop_oneof![
        10 => vec(shape(), 1..4).prop_map(Op::Submit),
        14 => (node(), vec((outcome(), voice()), 0..3), 0_usize..4)
            .prop_map(|(node, settle, want)| Op::Call { node, settle, want }),
        2 => node().prop_map(|node| Op::Repeat { node }),
        4 => node().prop_map(|node| Op::Extend { node }),
        2 => node().prop_map(|node| Op::Crash { node }),
        3 => some_ids().prop_map(Op::Cancel),
        3 => some_ids().prop_map(Op::Retry),
        4 => (some_ids(), select(&[Verdict::Approve, Verdict::Edit, Verdict::Reject][..]))
            .prop_map(|(ids, verdict)| Op::Review(ids, verdict)),
        2 => (some_ids(), priority()).prop_map(|(ids, priority)| Op::Prioritise(ids, priority)),
        2 => select(State::ALL).prop_map(Op::Purge),
        4 => settings().prop_map(Op::Configure),
        2 => id().prop_map(Op::Lapse),
        5 => select(&[1, 6, 11, 3600, DAY + 1, 31 * DAY][..]).prop_map(Op::Pass),
        1 => select(&[1, 6, 3600][..]).prop_map(Op::Outage),
    ]
}
