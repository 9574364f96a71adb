//! Leaving: drain, then hand back, then say goodbye.

use std::{sync::Arc, time::Duration};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    node::{Node, Phase},
    running::Cause,
    worker::WorkerError,
};

/// After handing back, Redis gets this long to take it; then the leases do the rest.
const HAND_BACK_TIMEOUT: Duration = Duration::from_secs(5);

/// SIGTERM and SIGINT. The first drains, the second hands back at once.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Returns when the node is to leave for good: everything it held is settled or handed back, or why not.
pub(crate) async fn supervise(
    node: Arc<Node>,
    mut signals: Signals,
    mut dispatcher: tokio::task::JoinHandle<()>,
) -> Result<(), WorkerError> {
    let mut phase = node.phase.subscribe();
    // Until told to leave, by a signal or by a command.
    tokio::select! {
        () = signals.next() => node.enter(Phase::Draining),
        _ = phase.wait_for(|phase| *phase >= Phase::Draining) => {}
        // It may have heard of a command before us, and have nothing to do any more. Or it broke: a node that beats and
        // claims nothing would look alive for ever.
        ended = &mut dispatcher => return ended.map_err(|_| WorkerError::Broken),
    }
    tracing::info!(running = node.running.len(), timeout = ?node.limits.drain_timeout, "draining");
    tokio::select! {
        ended = &mut dispatcher => return ended.map_err(|_| WorkerError::Broken),
        () = signals.next() => tracing::info!("a second signal: handing back at once"),
        _ = phase.wait_for(|phase| *phase == Phase::Stopping) => {}
        () = tokio::time::sleep(node.limits.drain_timeout) => {
            tracing::info!(running = node.running.len(), "the drain time-out is over: handing back what runs");
        }
    }
    node.enter(Phase::Stopping);
    // A claim that was in flight may still bring tasks: stop those as well.
    let hand_back = async {
        loop {
            node.running.stop_all(Cause::HandBack);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        ended = dispatcher => ended.map_err(|_| WorkerError::Broken),
        () = hand_back => Ok(()),
        () = tokio::time::sleep(HAND_BACK_TIMEOUT) => {
            tracing::warn!(running = node.running.len(), "Redis did not take back what ran; the leases will run out instead");
            Err(WorkerError::NotHandedBack)
        }
    }
}
