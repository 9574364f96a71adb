//! Waiting without polling, each wait on a connection of its own. What a wait brings is only a hint: it may be lost
//! with the connection, and the beat finds what a lost hint would have told.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use deadpool_redis::{Connection, Pool};
use redis::{AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, RedisError};

use super::{
    Partition, Result, Store, StoreError, connect::CONNECT_TIMEOUT, connection::Connection as Shared,
    slot::slot_of_key,
};
use crate::model::NodeId;

/// How long the server holds a wait. With two waits a node this is 0.03 commands a second.
const WAIT: Duration = Duration::from_secs(60);
/// The client gives up a wait that the server should have ended: the connection is half open.
const GRACE: Duration = Duration::from_secs(5);

/// Connections to one server that may wait at the same time: one a served queue, one for the inbox.
const POOL_SIZE: usize = 1024;

/// Host and port.
pub(super) type Address = (String, u16);

/// The connections that wait: a pool for the server, or for each one of several, since a wait blocks its connection.
pub(super) struct Waits {
    info: ConnectionInfo,
    pools: Mutex<HashMap<Option<Address>, Pool>>,
}

impl Waits {
    pub(super) fn new(info: ConnectionInfo) -> Self {
        Self { info, pools: Mutex::default() }
    }

    pub(super) fn pool(&self, node: Option<Address>) -> std::result::Result<Pool, RedisError> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pools.get(&node) {
            return Ok(pool.clone());
        }
        let info = node.clone().map_or_else(|| self.info.clone(), |node| self.info_of(node));
        // Waits bound themselves (the server's time-out); an answer time-out of the client would drop a wake-up.
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_connection_timeout(Some(CONNECT_TIMEOUT));
        let manager = deadpool_redis::Manager::new_with_config(info, config)?;
        let pool = Pool::builder(manager)
            .max_size(POOL_SIZE)
            .wait_timeout(Some(CONNECT_TIMEOUT))
            .create_timeout(Some(CONNECT_TIMEOUT))
            .recycle_timeout(Some(CONNECT_TIMEOUT))
            .runtime(deadpool_redis::Runtime::Tokio1)
            .build()
            .map_err(|e| {
                RedisError::from((redis::ErrorKind::InvalidClientConfig, "a pool", e.to_string()))
            })?;
        pools.insert(node, pool.clone());
        Ok(pool)
    }

    /// A node is reached as the server of the URL is, but for its address. One that does not know its host has ours.
    fn info_of(&self, (host, port): Address) -> ConnectionInfo {
        let ours = |host: String, ours: &str| if host.is_empty() { ours.to_owned() } else { host };
        let addr = match self.info.addr().clone() {
            ConnectionAddr::Tcp(seed, _) => ConnectionAddr::Tcp(ours(host, &seed), port),
            ConnectionAddr::TcpTls { host: seed, insecure, tls_params, .. } => {
                ConnectionAddr::TcpTls { host: ours(host, &seed), port, insecure, tls_params }
            }
            other => other,
        };
        self.info.clone().set_addr(addr)
    }
}

impl Store {
    /// The server that has a key; none where there is only one.
    pub(super) async fn node_of(&self, key: &str) -> Result<Option<Address>> {
        match &self.connection {
            Shared::Single(_) => Ok(None),
            Shared::Followed(primary) => Ok(match primary.info().addr() {
                ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                    Some((host.clone(), *port))
                }
                _ => None,
            }),
            Shared::Cluster(_) => self.primary_of(key).await.map(Some),
        }
    }

    async fn primary_of(&self, key: &str) -> Result<Address> {
        let ranges: Vec<Vec<redis::Value>> = self.command(redis::cmd("CLUSTER").arg("SLOTS")).await?;
        let slot = slot_of_key(key);
        let address = ranges.iter().find_map(|range| match range.as_slice() {
            [first, last, redis::Value::Array(primary), ..] => {
                let number = |value| redis::from_redis_value_ref::<u16>(value).ok();
                let host = redis::from_redis_value_ref::<Option<String>>(primary.first()?).ok()?;
                (number(first)?..=number(last)?)
                    .contains(&slot)
                    .then_some((host.unwrap_or_default(), number(primary.get(1)?)?))
            }
            _ => None,
        });
        match address {
            Some(address) => Ok(address),
            None => Err(StoreError::Unavailable("no node of the cluster has the slot of a wait".into())),
        }
    }
}

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
    /// Runs a command that waits for `key`.
    async fn wait(&mut self, key: &str, command: &redis::Cmd) -> Result<redis::Value> {
        if self.connection.is_none() {
            let node = self.store.node_of(key).await?;
            let pool = self.store.waits.pool(node).map_err(|error| self.store.error(&error))?;
            self.connection =
                Some(pool.get().await.map_err(|error| self.store.unreachable(error.to_string()))?);
        }
        // It stays in `self` while it waits, so that whoever drops us half way closes it (see `drop`).
        let Some(connection) = &mut self.connection else { return Ok(redis::Value::Nil) };
        let answer = tokio::time::timeout(WAIT + GRACE, command.query_async(connection)).await;
        if !matches!(answer, Ok(Ok(_))) {
            self.close();
        }
        match answer {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                // An idle node has nothing else that would notice that the primary moved.
                if let Shared::Followed(primary) = &self.store.connection {
                    primary.look_again().await;
                }
                Err(self.store.error(&error))
            }
            Err(_) => Err(self.store.unreachable("a waiting connection fell silent".into())),
        }
    }

    /// Closing the socket ends the wait on the server; in the pool the connection would stay blocked.
    fn close(&mut self) {
        if let Some(connection) = self.connection.take() {
            drop(Connection::take(connection));
        }
    }

    /// Waits until the queue's bell rings. False after a minute without.
    pub async fn bell(&mut self, queue: &Partition) -> Result<bool> {
        let key = queue.keys.bell();
        let value = self.wait(key, redis::cmd("BZPOPMIN").arg(key).arg(WAIT.as_secs())).await?;
        Ok(!matches!(value, redis::Value::Nil))
    }

    /// Waits for an entry in a stream, at most this long.
    pub(super) async fn landed(&mut self, stream: &str, wait: Duration) -> Result<()> {
        let wait = wait.min(WAIT).as_millis().max(1) as u64;
        let mut command = redis::cmd("XREAD");
        command.arg("COUNT").arg(1).arg("BLOCK").arg(wait).arg("STREAMS").arg(stream).arg(0);
        self.wait(stream, &command).await.map(drop)
    }

    /// Waits for a command to the node. None after a minute without.
    pub async fn inbox(&mut self, node: &NodeId) -> Result<Option<String>> {
        let key = self.store.keys.inbox(node);
        let value = self.wait(&key, redis::cmd("BLPOP").arg(&key).arg(WAIT.as_secs())).await?;
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

impl Partition {
    /// Passes on a bell that rang for a node which has no free slot.
    pub async fn ring(&self) -> Result<()> {
        self.store.command(redis::cmd("ZADD").arg(self.keys.bell()).arg(0).arg("ring")).await
    }
}
