//! Waits for commands to this node, so that a cancel reaches it at once. The beat is the fall-back.

use std::sync::Arc;

use windlass_shared::store::NodeCommand;

use crate::{
    node::{Node, Phase},
    running::Cause,
};

pub(crate) async fn run(node: Arc<Node>) {
    let mut waiter = node.store.waiter();
    loop {
        match waiter.inbox(&node.id).await {
            Ok(Some(command)) => obey(&node, &command),
            Ok(None) => {}
            Err(error) => {
                tracing::debug!(%error, "cannot wait for commands; the beat brings them");
                super::pause().await;
            }
        }
    }
}

/// Carries out a command.
pub(crate) fn obey(node: &Node, command: &str) {
    match command.parse() {
        Ok(NodeCommand::Cancel(task)) => {
            let running = node.running.stop(&task, Cause::Cancelled);
            tracing::info!(%task, running, "told to cancel");
        }
        Ok(NodeCommand::Quiet) => node.enter(Phase::Quiet),
        Ok(NodeCommand::Resume) => node.enter(Phase::Active),
        Ok(NodeCommand::Drain) => node.enter(Phase::Draining),
        Ok(NodeCommand::Stop) => node.enter(Phase::Stopping),
        Err(error) => tracing::warn!(%error, "a command to this node is not understood"),
    }
}
