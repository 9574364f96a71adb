//! Connecting: one shared connection for the scripts, and a pool for waits.

use std::{sync::Arc, time::Duration};

use deadpool_redis::redis::{self, AsyncConnectionConfig, IntoConnectionInfo, aio::ConnectionManagerConfig};

use super::{Keys, Result, Store, StoreError};
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

/// Connections that may wait at the same time: one a served queue, one for the inbox, some for scans.
const POOL_SIZE: usize = 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A node that lost Redis tries again at least this often, so that it extends its leases as soon as Redis is back.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

impl Connect {
    /// Connects, and fails if Redis does not answer.
    pub async fn open(&self) -> Result<Store> {
        let shown = redact_url(&self.url);
        let error = |e: &redis::RedisError| StoreError::new(e, &shown);
        let info =
            self.info().map_err(|e| StoreError::Unreachable { url: shown.clone(), why: e.to_string() })?;
        let client = redis::Client::open(info.clone()).map_err(|e| error(&e))?;
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(self.response_timeout))
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_min_delay(Duration::from_millis(20))
            .set_max_delay(LONGEST_PAUSE)
            .set_number_of_retries(self.retries);
        let connection = client.get_connection_manager_with_config(config).await.map_err(|e| error(&e))?;
        // Waits bound themselves (the server's time-out); an answer time-out of the client would drop a wake-up.
        let waits = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_connection_timeout(Some(CONNECT_TIMEOUT));
        let manager = deadpool_redis::Manager::new_with_config(info, waits).map_err(|e| error(&e))?;
        let pool = deadpool_redis::Pool::builder(manager)
            .max_size(POOL_SIZE)
            .wait_timeout(Some(CONNECT_TIMEOUT))
            .create_timeout(Some(CONNECT_TIMEOUT))
            .recycle_timeout(Some(CONNECT_TIMEOUT))
            .runtime(deadpool_redis::Runtime::Tokio1)
            .build()
            .map_err(|e| StoreError::Unexpected(e.to_string()))?;
        let keys = Arc::new(Keys::new(self.namespace.clone()));
        Ok(Store { connection, pool, keys, url: shown.into() })
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
