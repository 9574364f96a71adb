//! A connection to one server that is given up when an answer does not come in time.
//!
//! The library's own connection mends itself when the system says that it is broken. Where the peer is gone and nobody says
//! so, the system takes minutes to notice (fifteen, by Linux's defaults), and each call meanwhile would time out on the same
//! dead connection. So the first that does makes way for a new one.

use std::sync::{Arc, PoisonError, RwLock};

use redis::{
    Client, RedisResult,
    aio::{ConnectionManager, ConnectionManagerConfig},
};

/// Clones share the connection.
#[derive(Clone)]
pub(super) struct Mended(Arc<Inner>);

struct Inner {
    client: Client,
    config: ConnectionManagerConfig,
    current: RwLock<Current>,
}

#[derive(Clone)]
struct Current {
    connection: ConnectionManager,
    /// How many there were before.
    number: u64,
}

impl Mended {
    /// Connects, and fails if the server does not answer.
    pub(super) async fn open(client: Client, config: ConnectionManagerConfig) -> RedisResult<Self> {
        let connection = client.get_connection_manager_with_config(config.clone()).await?;
        Ok(Self::of(client, config, connection))
    }

    /// Connects with the first call.
    pub(super) fn lazy(client: Client, config: ConnectionManagerConfig) -> RedisResult<Self> {
        let connection = client.get_connection_manager_lazy(config.clone())?;
        Ok(Self::of(client, config, connection))
    }

    fn of(client: Client, config: ConnectionManagerConfig, connection: ConnectionManager) -> Self {
        let current = RwLock::new(Current { connection, number: 0 });
        Self(Arc::new(Inner { client, config, current }))
    }

    fn current(&self) -> Current {
        self.0.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The number of the database.
    pub(super) fn db(&self) -> i64 {
        self.0.client.get_connection_info().redis_settings().db()
    }

    /// Sends something. What others sent before and wait for still comes by the connection that they used.
    pub(super) async fn send<T>(
        &self,
        send: impl AsyncFnOnce(&mut ConnectionManager) -> RedisResult<T>,
    ) -> RedisResult<T> {
        let Current { mut connection, number } = self.current();
        let answer = send(&mut connection).await;
        if answer.as_ref().is_err_and(redis::RedisError::is_timeout) {
            self.replace(number);
        }
        answer
    }

    /// Makes way for another connection, unless somebody else did so already.
    fn replace(&self, number: u64) {
        let mut current = self.0.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.number != number {
            return;
        }
        match self.0.client.get_connection_manager_lazy(self.0.config.clone()) {
            Ok(connection) => {
                tracing::debug!("an answer did not come in time: the connection is given up");
                *current = Current { connection, number: number + 1 };
            }
            Err(error) => tracing::warn!(%error, "another connection cannot be made"),
        }
    }
}
