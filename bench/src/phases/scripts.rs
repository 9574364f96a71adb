//! The longest run of each script while much is queued: for so long nobody else is served.
//!
//! `SLOWLOG` tells it. It also counts moments in which Redis had no core, so the median of the runs is told beside it.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use windlass_shared::{
    model::{
        NodeId, QueueName, TaskId,
        id::{new_id, new_node_id},
    },
    store::{Extend, Held, Partition, SettleAndClaim, Store},
};
use windlass_tests::fleet::keys;

use super::{Scene, drain::drain, growth::variant};
use crate::{
    bed::{Bed, PATIENCE},
    runtime,
    slow::{Slow, Took},
};

const QUEUED: u64 = 1_000_000;
const DRAINED: u64 = 200_000;
const LOST: u64 = 20_000;
/// Tasks that a worker's call claims, and that its beat extends, at the most.
const PER_CLAIM: usize = 100;
const PER_BEAT: usize = 500;
/// Time enough to claim and extend all that will be lost.
const LEASE: Duration = Duration::from_secs(5);
const MAX_CRASHES: u32 = 3;

pub(super) fn measure(scene: &Scene) -> Result<Vec<Value>> {
    let mut bed = Bed::new(scene.peer)?;
    let (queued, drained, lost) = (scene.tasks(QUEUED), scene.tasks(DRAINED), scene.tasks(LOST));
    Slow::watch(&mut bed.server)?;
    bed.enqueue(queued, "bulk", &[])?;
    let submit = Slow::read(&mut bed.server)?.scripts();

    Slow::watch(&mut bed.server)?;
    drain(&mut bed, 1, drained.min(queued / 2))?;
    // A claim has a key of its own besides those of the queue.
    let claim_keys = keys().queue(&QueueName::default_queue()).fixed.len() + 1;
    let settle_and_claim = Slow::read(&mut bed.server)?.scripts_with_keys(claim_keys);

    let (extend, recover) = runtime()?.block_on(lose(&mut bed, lost))?;

    Slow::watch(&mut bed.server)?;
    for state in ["completed", "pending"] {
        let output =
            bed.program("windlass").args(["purge", "--queue", "default", "--state", state]).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let purge = Slow::read(&mut bed.server)?.scripts();
    let all = [
        ("submit", submit),
        ("settle_and_claim", settle_and_claim),
        ("extend", extend),
        ("recover", recover),
        ("purge", purge),
    ];
    let told = |took: &Took| json!({ "n": queued, "longest_ms": took.longest, "usual_ms": took.usual });
    Ok(all.iter().map(|(name, took)| variant(told(took), name)).collect())
}

/// A node claims tasks, extends their leases once, and is never heard of again; another one's beats recover them.
/// Gives how long the beats of either took.
async fn lose(bed: &mut Bed<'_>, tasks: u64) -> Result<(Took, Took)> {
    let store: Store = bed.server.redis().store().await;
    let queue = store.first_partition(&QueueName::default_queue());
    let node = new_node_id();
    let held = claim(&queue, &node, tasks as usize).await?;
    Slow::watch(&mut bed.server)?;
    for held in held.chunks(PER_BEAT) {
        beat(&queue, &node, held).await?;
    }
    let extend = Slow::read(&mut bed.server)?.scripts();

    let (other, start) = (new_node_id(), Instant::now());
    let mut left = tasks;
    while left > 0 {
        ensure!(start.elapsed() < PATIENCE, "the leases are not recovered");
        if left == tasks {
            // Beats that find nothing to recover yet are not told.
            Slow::watch(&mut bed.server)?;
        }
        beat(&queue, &other, &[]).await?;
        left = queue.view().await?.running;
    }
    let view = queue.view().await?;
    ensure!(view.totals.get("recovered") == Some(&(held.len() as u64)), "not all were recovered: {view:?}");
    Ok((extend, Slow::read(&mut bed.server)?.scripts()))
}

async fn claim(queue: &Partition, node: &NodeId, tasks: usize) -> Result<Vec<Held>> {
    let mut held = Vec::new();
    while held.len() < tasks {
        let nonce = new_id();
        let (nonce, want) = (nonce.as_str(), PER_CLAIM.min(tasks - held.len()));
        let (lease, max_crashes) = (LEASE, MAX_CRASHES);
        let call = SettleAndClaim { node, number: 0, nonce, lease, want, max_crashes, settles: &[] };
        let claimed = queue.settle_and_claim(&call).await?.claimed;
        ensure!(!claimed.is_empty(), "nothing is left to claim");
        let hold = |id: TaskId, attempt: u32| Held { id, attempt, progress: String::new() };
        held.extend(claimed.into_iter().map(|claimed| hold(claimed.task.reference.id, claimed.task.attempt)));
    }
    Ok(held)
}

async fn beat(queue: &Partition, node: &NodeId, held: &[Held]) -> Result<()> {
    let extended = queue.extend(&Extend { node, lease: LEASE, max_crashes: MAX_CRASHES, held }).await?;
    ensure!(extended.lost.is_empty(), "leases were lost too early");
    Ok(())
}
