//! Waits for the bell of each partition while the node has a free slot and found it empty.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::node::{Hint, Node, Served};

pub(crate) async fn run(node: Arc<Node>) {
    let mut served = node.served.subscribe();
    let mut bells = JoinSet::new();
    loop {
        let all = served.borrow_and_update().clone();
        for (index, served) in all.into_iter().enumerate().skip(bells.len()) {
            bells.spawn(listen(Arc::clone(&node), index, served));
        }
        if served.changed().await.is_err() {
            return;
        }
    }
}

async fn listen(node: Arc<Node>, index: usize, served: Arc<Served>) {
    let mut hungry = served.hungry.subscribe();
    let mut waiter = node.store.waiter();
    // Ends when the node is dropped; a wait on the server ends with its connection.
    while hungry.wait_for(|hungry| *hungry).await.is_ok() {
        match waiter.bell(&served.partition).await {
            Ok(true) if *hungry.borrow() => _ = node.hints.send(Hint::Work(index)),
            // It rang while the slots were filled from elsewhere: pass it on to a node that waits.
            Ok(true) => _ = served.partition.ring().await,
            Ok(false) => {}
            Err(error) => {
                tracing::debug!(queue = %served.partition.name(), %error, "cannot wait for the bell; the beat finds what rings meanwhile");
                super::pause().await;
            }
        }
        // The dispatcher takes a hint in its own time; do not wait again before it did.
        tokio::task::yield_now().await;
    }
}
