//! The loops that run beside the dispatcher, one file each.

pub(crate) mod beat;
pub(crate) mod bell;
pub(crate) mod inbox;
pub(crate) mod pod_cost;

use std::time::Duration;

/// A pause after a failure of Redis, with jitter, so that a fleet does not come back as one.
async fn pause() {
    tokio::time::sleep(Duration::from_millis(fastrand::u64(100..500))).await;
}
