//! Submissions and results that must outlive the server that took them: `WAIT` and `WAITAOF`.
//!
//! Both tell of what their own connection wrote, and block it; so such a call has a connection of its own. A call that is
//! repeated may write nothing, because its effect is there already; therefore something small is written besides, which
//! replicas get, and files hold, after all that came before it.

use redis::{FromRedisValue, ToRedisArgs, aio::ConnectionLike};
use tokio::time::timeout;

use super::{Partition, Result, Script, Store, StoreError, keys};
use crate::model::Durability;

impl Partition {
    /// Runs a script whose effect counts only when it is as durable as was configured.
    pub(super) async fn run_durably<T: FromRedisValue>(
        &self,
        script: &'static Script,
        keys: &[&str],
        args: &(impl ToRedisArgs + Sync),
    ) -> Result<T> {
        if self.store.durability == Durability::None {
            return self.store.run(script, keys, args).await;
        }
        // As `Store::run` does, for a cluster whose slots move.
        let missing = keys::moving(self.keys.meta());
        let keys: Vec<&str> = keys.iter().copied().chain([missing.as_str()]).collect();
        let node = self.store.node_of(self.keys.meta()).await?;
        let pool = self.store.waits.pool(node).map_err(|error| self.store.error(&error))?;
        let mut connection = pool.get().await.map_err(|error| self.store.unreachable(error.to_string()))?;
        let limit = self.store.response_timeout + self.store.durability_timeout;
        let work = async {
            let reply = script.run_on(&mut connection, &keys, args).await?;
            self.mark(&mut connection).await?;
            Ok((reply, self.store.confirmed(&mut connection).await?))
        };
        match timeout(limit, work).await {
            Ok(Ok((reply, got))) if got >= self.store.durability.wanted() => Ok(reply),
            Ok(Ok((_, got))) => Err(StoreError::NotDurable { wanted: self.store.durability, got }),
            failed => {
                // It may still be blocked: not to be used again.
                drop(deadpool_redis::Connection::take(connection));
                match failed {
                    Ok(Err(error)) => Err(self.store.error(&error)),
                    _ => Err(self.store.unreachable("no answer in time".into())),
                }
            }
        }
    }

    async fn mark(&self, connection: &mut impl ConnectionLike) -> redis::RedisResult<()> {
        let written = redis::cmd("SET").arg(self.keys.written()).arg(1).exec_async(connection).await;
        match written {
            // At maxmemory only what frees memory passes, and that wrote something itself.
            Err(error) if error.code() == Some("OOM") => Ok(()),
            other => other,
        }
    }
}

impl Store {
    /// How many replicas have what the connection wrote, or whether the server's file has it.
    async fn confirmed(&self, connection: &mut impl ConnectionLike) -> redis::RedisResult<u32> {
        let limit = u64::try_from(self.durability_timeout.as_millis()).unwrap_or(u64::MAX);
        match self.durability {
            Durability::None => Ok(0),
            Durability::Replicas(replicas) => {
                redis::cmd("WAIT").arg(replicas).arg(limit).query_async(connection).await
            }
            Durability::Fsync => {
                let mut wait = redis::cmd("WAITAOF");
                let (local, _): (u32, u32) = wait.arg(1).arg(0).arg(limit).query_async(connection).await?;
                Ok(local)
            }
        }
    }

    /// Refuses a server that can never give the durability that was configured.
    pub async fn check_durability(&self) -> Result<()> {
        if self.durability != Durability::Fsync {
            return Ok(());
        }
        let mut ask = redis::cmd("WAITAOF");
        ask.arg(0).arg(0).arg(1);
        match self.connection.clone().everywhere(ask).await {
            Err(error) if error.to_string().contains("unknown command") => {
                let version = self.server().await?.version;
                Err(StoreError::Impossible(format!(
                    "durability `fsync` needs WAITAOF (Redis 7.2 or newer, Valkey): this is version {version}. Use `replicas=N`, or `appendfsync always` without this setting"
                )))
            }
            Err(error) => Err(self.error(&error)),
            Ok(_) if self.servers().await?.iter().all(|server| server.aof) => Ok(()),
            Ok(_) => Err(StoreError::Impossible(
                "durability `fsync` needs the append-only file: start Redis with `appendonly yes`".into(),
            )),
        }
    }
}
