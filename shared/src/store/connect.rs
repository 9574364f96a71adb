//! Connecting: one shared connection for the scripts, and pools for waits. Whether a cluster is on the other side is
//! asked, not configured.

use std::{sync::Arc, time::Duration};

use redis::{
    ConnectionInfo, IntoConnectionInfo, RedisResult,
    aio::{ConnectionManager, ConnectionManagerConfig},
    cluster::ClusterClient,
};

use super::{Keys, Result, Store, StoreError, connection::Connection, queue::Known, wait::Waits};
use crate::{config::redact_url, model::Namespace};

/// How to reach Redis.
#[derive(Clone)]
pub struct Connect {
    /// `redis://`, `rediss://` or `redis+unix://`.
    pub url: String,
    /// Put into the URL where it has none.
    pub password: Option<String>,
    /// First part of every key.
    pub namespace: Namespace,
    /// How long an answer may take. Waits have their own bound.
    pub response_timeout: Duration,
    /// How often a lost connection is tried again before a call fails.
    pub retries: usize,
}

pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A node that lost Redis tries again at least this often, so that it extends its leases as soon as Redis is back.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
/// A call to a cluster follows so many hints at where its slot went, whatever else is tried again.
const REDIRECTIONS: u32 = 4;

impl Connect {
    /// Connects, and fails if Redis does not answer.
    pub async fn open(&self) -> Result<Store> {
        let shown = redact_url(&self.url);
        let error = |e: &redis::RedisError| StoreError::new(e, &shown);
        let info =
            self.info().map_err(|e| StoreError::Unreachable { url: shown.clone(), why: e.to_string() })?;
        let connection = self.shared(&info).await.map_err(|e| error(&e))?;
        let waits = Waits::new(info, matches!(connection, Connection::Cluster(_)));
        let keys = Arc::new(Keys::new(self.namespace.clone()));
        Ok(Store { connection, waits: Arc::new(waits), keys, known: Known::default(), url: shown.into() })
    }

    async fn shared(&self, info: &ConnectionInfo) -> RedisResult<Connection> {
        let single = self.single(info).await?;
        if !is_cluster(&mut single.clone()).await? {
            return Ok(Connection::Single(single));
        }
        let pause = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let client = ClusterClient::builder([info.clone()])
            .response_timeout(self.response_timeout)
            .connection_timeout(CONNECT_TIMEOUT)
            .min_retry_wait(pause(SHORTEST_PAUSE))
            .max_retry_wait(pause(LONGEST_PAUSE))
            .retries(u32::try_from(self.retries).unwrap_or(u32::MAX).max(REDIRECTIONS))
            .build()?;
        client.get_async_connection().await.map(Connection::Cluster)
    }

    async fn single(&self, info: &ConnectionInfo) -> RedisResult<ConnectionManager> {
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(self.response_timeout))
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_min_delay(SHORTEST_PAUSE)
            .set_max_delay(LONGEST_PAUSE)
            .set_number_of_retries(self.retries);
        redis::Client::open(info.clone())?.get_connection_manager_with_config(config).await
    }

    fn info(&self) -> redis::RedisResult<redis::ConnectionInfo> {
        let info = self.url.as_str().into_connection_info()?;
        let settings = info.redis_settings();
        match &self.password {
            Some(password) if settings.password().is_none() => {
                let settings = settings.clone().set_password(password);
                Ok(info.set_redis_settings(settings))
            }
            _ => Ok(info),
        }
    }
}

/// Every user may ask this; a server of a cluster says that it is one.
async fn is_cluster(connection: &mut ConnectionManager) -> RedisResult<bool> {
    let facts: std::collections::HashMap<String, redis::Value> =
        redis::cmd("HELLO").query_async(connection).await?;
    Ok(matches!(facts.get("mode"), Some(redis::Value::BulkString(mode)) if mode == b"cluster"))
}
