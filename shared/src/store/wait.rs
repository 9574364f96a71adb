//! Waiting without polling, each wait on a connection of its own. What a wait brings is only a hint: it may be lost
//! with the connection, and the beat finds what a lost hint would have told.

use std::time::Duration;

use deadpool_redis::Connection;

use super::{Queue, Result, Store, StoreError};
use crate::model::NodeId;

/// How long the server holds a wait. With two waits a node this is 0.03 commands a second.
const WAIT: Duration = Duration::from_secs(60);
/// The client gives up a wait that the server should have ended: the connection is half open.
const GRACE: Duration = Duration::from_secs(5);

/// A connection that waits.
pub struct Waiter {
    store: Store,
    connection: Option<Connection>,
}

impl Store {
    /// A waiter; it connects when it first waits.
    pub fn waiter(&self) -> Waiter {
        Waiter { store: self.clone(), connection: None }
    }
}

impl Waiter {
    async fn wait(&mut self, command: &redis::Cmd) -> Result<redis::Value> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.store.pool.get().await.map_err(|e| StoreError::Unreachable {
                url: self.store.url.to_string(),
                why: e.to_string(),
            })?,
        };
        match tokio::time::timeout(WAIT + GRACE, command.query_async(&mut connection)).await {
            Ok(Ok(value)) => {
                self.connection = Some(connection);
                Ok(value)
            }
            // A connection whose wait failed must not go back into the pool: the server may still own the wait.
            Ok(Err(error)) => {
                drop(Connection::take(connection));
                Err(self.store.error(&error))
            }
            Err(_) => {
                drop(Connection::take(connection));
                Err(StoreError::Unreachable {
                    url: self.store.url.to_string(),
                    why: "a waiting connection fell silent".into(),
                })
            }
        }
    }

    /// Waits until the queue's bell rings. False after a minute without.
    pub async fn bell(&mut self, queue: &Queue) -> Result<bool> {
        let value = self.wait(redis::cmd("BZPOPMIN").arg(queue.keys.bell()).arg(WAIT.as_secs())).await?;
        Ok(!matches!(value, redis::Value::Nil))
    }

    /// Waits for a command to the node. None after a minute without.
    pub async fn inbox(&mut self, node: &NodeId) -> Result<Option<String>> {
        let key = self.store.keys.inbox(node);
        let value = self.wait(redis::cmd("BLPOP").arg(key).arg(WAIT.as_secs())).await?;
        let reply: Option<(String, String)> =
            redis::from_redis_value(value).map_err(|e| StoreError::Unexpected(e.to_string()))?;
        Ok(reply.map(|(_, command)| command))
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        // Closing the socket ends the wait on the server; a pooled connection would stay blocked.
        if let Some(connection) = self.connection.take() {
            drop(Connection::take(connection));
        }
    }
}

impl Queue {
    /// Passes on a bell that rang for a node which has no free slot.
    pub async fn ring(&self) -> Result<()> {
        self.store.command(redis::cmd("ZADD").arg(self.keys.bell()).arg(0).arg("ring")).await
    }
}
