//! What kind of Redis is on the other side, and whether Windlass may trust it with tasks.

use std::collections::HashMap;

use super::{Result, Store, StoreError};
use crate::model::Micros;

/// What `INFO` says that matters to us.
#[derive(Debug, Clone, serde::Serialize)]
pub struct ServerFacts {
    /// Host and port, if it is a node of a cluster.
    pub address: String,
    /// `redis` or `valkey`.
    pub server: String,
    /// Its own version.
    pub version: String,
    /// The Redis version that it is compatible with (they differ for Valkey).
    pub redis_version: String,
    /// What it does when memory runs out; must be `noeviction`.
    pub eviction: String,
    /// Limit in bytes, 0 for none.
    pub maxmemory: u64,
    /// Bytes in use.
    pub used_memory: u64,
    /// Whether the append-only file is on.
    pub aof: bool,
    /// Whether its last write to the append-only file failed: it refuses whatever changes something until one succeeds.
    pub aof_failed: bool,
    /// Whether its last snapshot failed. It may refuse whatever changes something until one succeeds.
    pub snapshot_failed: bool,
    /// Seconds since it last wrote a snapshot; none if it was told not to, or it cannot be known.
    pub last_snapshot: Option<i64>,
    /// `master` or `slave`.
    pub role: String,
    /// Replicas that are connected.
    pub replicas: u32,
    /// Clients that are connected.
    pub clients: u64,
    /// The server's process id.
    pub pid: u64,
}

impl Store {
    /// Asks the server about itself, or each primary of a cluster.
    pub async fn servers(&self) -> Result<Vec<ServerFacts>> {
        let replies = self.connection.clone().everywhere(redis::cmd("INFO")).await;
        let read = |(address, reply)| {
            let info: String =
                redis::from_redis_value(reply).map_err(|error| StoreError::Unexpected(error.to_string()))?;
            Ok(ServerFacts::read(address, &info))
        };
        replies.map_err(|error| self.error(&error))?.into_iter().map(read).collect()
    }

    /// Asks the server about itself; of a cluster, one primary.
    pub async fn server(&self) -> Result<ServerFacts> {
        let first = self.servers().await?.into_iter().next();
        first.ok_or_else(|| StoreError::Unexpected("no server told about itself".into()))
    }

    /// Refuses servers that Windlass must not be used on: see [`ServerFacts::check`].
    pub async fn check_servers(&self, allow_eviction: bool) -> Result<()> {
        self.servers().await?.iter().try_for_each(|facts| facts.check(allow_eviction))
    }

    /// Redis's clock.
    pub async fn now(&self) -> Result<Micros> {
        Ok(Micros::of_time(self.command(&redis::cmd("TIME")).await?))
    }
}

impl ServerFacts {
    pub(super) fn read(address: String, info: &str) -> Self {
        let fields: HashMap<&str, &str> = info.lines().filter_map(|line| line.split_once(':')).collect();
        let text = |name: &str| fields.get(name).map_or_else(String::new, |value| (*value).to_owned());
        let number = |name: &str| fields.get(name).and_then(|value| value.parse().ok()).unwrap_or(0);
        let redis_version = text("redis_version");
        let valkey = fields.get("valkey_version");
        Self {
            address,
            server: if valkey.is_some() { "valkey".into() } else { "redis".into() },
            version: valkey.map_or_else(|| redis_version.clone(), |version| (*version).to_owned()),
            redis_version,
            eviction: text("maxmemory_policy"),
            maxmemory: number("maxmemory"),
            used_memory: number("used_memory"),
            aof: text("aof_enabled") == "1",
            aof_failed: text("aof_last_write_status") == "err",
            snapshot_failed: text("rdb_last_bgsave_status") == "err",
            last_snapshot: fields.get("rdb_last_save_time").and_then(|value| value.parse().ok()),
            role: text("role"),
            replicas: u32::try_from(number("connected_slaves")).unwrap_or(u32::MAX),
            clients: number("connected_clients"),
            pid: number("process_id"),
        }
    }

    /// Refuses a server below 7.0, or one that evicts keys unless `allow_eviction`.
    pub fn check(&self, allow_eviction: bool) -> Result<()> {
        let major = self.redis_version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        if major.is_none_or(|major| major < 7) {
            return Err(StoreError::TooOld(self.version.clone()));
        }
        if self.eviction != "noeviction" && !self.eviction.is_empty() && !allow_eviction {
            return Err(StoreError::Evicting(self.eviction.clone()));
        }
        Ok(())
    }
}

impl Store {
    /// Notes the protocol that this fleet speaks, and refuses to join one that speaks a newer one.
    pub async fn agree_on_protocol(&self) -> Result<()> {
        let ours = crate::PROTOCOL_VERSION;
        let key = self.keys.protocol();
        let noted: Option<u32> = self.command(redis::cmd("GET").arg(&key)).await?;
        match noted {
            Some(theirs) if theirs > ours => Err(StoreError::NewerProtocol { theirs, ours }),
            Some(_) => Ok(()),
            // There may be no room for the note, in memory or on the disk; who comes later makes it.
            None => match self.command::<()>(redis::cmd("SET").arg(&key).arg(ours).arg("NX")).await {
                Err(StoreError::OutOfMemory | StoreError::DiskFailed(_)) => Ok(()),
                other => other,
            },
        }
    }
}
