//! Waits for the bell of one queue while the node has a free slot and found the queue empty.

use std::sync::Arc;

use crate::node::{Hint, Node};

pub(crate) async fn run(node: Arc<Node>, index: usize) {
    let served = &node.served[index];
    let mut hungry = served.hungry.subscribe();
    let mut waiter = node.store.waiter();
    // Ends when the node is dropped; a wait on the server ends with its connection.
    while hungry.wait_for(|hungry| *hungry).await.is_ok() {
        match waiter.bell(&served.queue).await {
            Ok(true) if *hungry.borrow() => _ = node.hints.send(Hint::Work(index)),
            // It rang while the slots were filled from elsewhere: pass it on to a node that waits.
            Ok(true) => _ = served.queue.ring().await,
            Ok(false) => {}
            Err(error) => {
                tracing::debug!(queue = %served.queue.name(), %error, "cannot wait for the bell; the beat finds what rings meanwhile");
                super::pause().await;
            }
        }
        // The dispatcher takes a hint in its own time; do not wait again before it did.
        tokio::task::yield_now().await;
    }
}
