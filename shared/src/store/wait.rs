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
        if self.connection.is_none() {
            self.connection =
                Some(self.store.pool.get().await.map_err(|error| self.unreachable(error.to_string()))?);
        }
        // It stays in `self` while it waits, so that whoever drops us half way closes it (see `drop`).
        let Some(connection) = &mut self.connection else { return Ok(redis::Value::Nil) };
        let answer = tokio::time::timeout(WAIT + GRACE, command.query_async(connection)).await;
        if !matches!(answer, Ok(Ok(_))) {
            self.close();
        }
        match answer {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => Err(self.store.error(&error)),
            Err(_) => Err(self.unreachable("a waiting connection fell silent".into())),
        }
    }

    fn unreachable(&self, why: String) -> StoreError {
        StoreError::Unreachable { url: self.store.url.to_string(), why }
    }

    /// Closing the socket ends the wait on the server; in the pool the connection would stay blocked.
    fn close(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(Connection::take(connection));
        }
    }

    /// Waits until the queue's bell rings. False after a minute without.
    pub async fn bell(&mut self, queue: &Queue) -> Result<bool> {
        let value = self.wait(redis::cmd("BZPOPMIN").arg(queue.keys.bell()).arg(WAIT.as_secs())).await?;
        Ok(!matches!(value, redis::Value::Nil))
    }

    /// Waits for an entry in a stream, at most this long.
    pub(super) async fn landed(&mut self, stream: &str, wait: Duration) -> Result<()> {
        let wait = wait.min(WAIT).as_millis().max(1) as u64;
        let mut command = redis::cmd("XREAD");
        command.arg("COUNT").arg(1).arg("BLOCK").arg(wait).arg("STREAMS").arg(stream).arg(0);
        self.wait(&command).await.map(drop)
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
        self.close();
    }
}

impl Queue {
    /// Passes on a bell that rang for a node which has no free slot.
    pub async fn ring(&self) -> Result<()> {
        self.store.command(redis::cmd("ZADD").arg(self.keys.bell()).arg(0).arg("ring")).await
    }
}
