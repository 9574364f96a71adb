//! A connection to the primary that Sentinels name, wherever it moves.
//!
//! The connection mends itself while the primary stays. When a call fails in a way that a failover may be the cause of,
//! the Sentinels are asked again, and later calls go where they point. The failed call is not repeated here: whoever
//! made it knows whether it may be.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use redis::{
    ConnectionInfo, ErrorKind, RedisError, RedisResult, ServerErrorKind,
    aio::{ConnectionManager, ConnectionManagerConfig},
    sentinel::SentinelClient,
};
use tokio::{sync::Mutex, time::timeout};

use super::mended::Mended;

/// For one question to the Sentinels, each of which may be away.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);

/// Clones follow together.
#[derive(Clone)]
pub(super) struct Followed(Arc<Inner>);

struct Inner {
    sentinels: Mutex<SentinelClient>,
    config: ConnectionManagerConfig,
    primary: RwLock<Primary>,
}

#[derive(Clone)]
struct Primary {
    connection: Mended,
    info: ConnectionInfo,
}

impl Followed {
    /// Asks the Sentinels and connects.
    pub(super) async fn open(
        mut sentinels: SentinelClient,
        config: ConnectionManagerConfig,
    ) -> RedisResult<Self> {
        let info = ask(&mut sentinels).await?;
        let client = redis::Client::open(info.clone())?;
        let connection = Mended::open(client, config.clone()).await?;
        let primary = RwLock::new(Primary { connection, info });
        Ok(Self(Arc::new(Inner { sentinels: Mutex::new(sentinels), config, primary })))
    }

    /// Where the primary is, as far as is known.
    pub(super) fn info(&self) -> ConnectionInfo {
        self.primary().info
    }

    fn primary(&self) -> Primary {
        self.0.primary.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends something to the primary.
    pub(super) async fn send<T>(
        &self,
        send: impl AsyncFnOnce(&mut ConnectionManager) -> RedisResult<T>,
    ) -> RedisResult<T> {
        let answer = self.primary().connection.send(send).await;
        if answer.as_ref().is_err_and(may_have_moved) {
            self.look_again().await;
        }
        answer
    }

    /// Asks the Sentinels where the primary is now. One caller asks, the others go on with their errors.
    pub(super) async fn look_again(&self) {
        let Ok(mut sentinels) = self.0.sentinels.try_lock() else { return };
        let found = ask(&mut sentinels).await;
        match found {
            Ok(info) if info.addr() != self.primary().info.addr() => {
                tracing::warn!(primary = %info.addr(), "the primary moved");
                let connect = || {
                    let client = redis::Client::open(info.clone())?;
                    Mended::lazy(client, self.0.config.clone())
                };
                match connect() {
                    Ok(connection) => {
                        let mut primary = self.0.primary.write().unwrap_or_else(PoisonError::into_inner);
                        *primary = Primary { connection, info };
                    }
                    Err(error) => tracing::warn!(%error, "the new primary cannot be used"),
                }
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "the Sentinels do not tell where the primary is"),
        }
    }
}

/// The primary, which said itself that it is one.
async fn ask(sentinels: &mut SentinelClient) -> RedisResult<ConnectionInfo> {
    // The library's own time-outs for each Sentinel are shorter; this one is ours, and bounds them all.
    match timeout(ASK_TIMEOUT, sentinels.async_get_client()).await {
        Ok(client) => Ok(client?.get_connection_info().clone()),
        Err(_) => Err((ErrorKind::Io, "no Sentinel answered in time").into()),
    }
}

fn may_have_moved(error: &RedisError) -> bool {
    use ServerErrorKind::{MasterDown, ReadOnly};
    error.is_io_error()
        || error.is_timeout()
        || error.is_connection_dropped()
        || matches!(error.kind(), ErrorKind::Server(ReadOnly | MasterDown))
}
