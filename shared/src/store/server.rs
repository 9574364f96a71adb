//! What kind of Redis is on the other side, and whether Windlass may trust it with tasks.

use std::collections::HashMap;

use super::{Result, Store, StoreError};
use crate::model::Micros;

/// What `INFO` says that matters to us.
#[derive(Debug, Clone, serde::Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
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
    /// Those of them that have all data and were heard of within [`IN_STEP`].
    pub in_step: u32,
    /// Whether it refuses writes when replicas are missing (`min-replicas-to-write`).
    pub needs_replicas: bool,
    /// Clients that are connected.
    pub clients: u64,
    /// The server's process id.
    pub pid: u64,
}

/// A replica that is silent for so many seconds is not in step.
pub const IN_STEP: u64 = 10;

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

    /// When each server brings its append-only file to disk (`appendfsync`), by the address that [`ServerFacts`] has. Only
    /// administrators may ask, and not everywhere: nothing where it is not told.
    pub async fn appendfsync(&self) -> HashMap<String, String> {
        let mut ask = redis::cmd("CONFIG");
        ask.arg("GET").arg("appendfsync");
        let replies = self.connection.clone().everywhere(ask).await.unwrap_or_default();
        let told = replies.into_iter().filter_map(|(address, reply)| {
            let mut pairs: HashMap<String, String> = redis::from_redis_value(reply).ok()?;
            Some((address, pairs.remove("appendfsync")?))
        });
        told.collect()
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
    /// Reads what `INFO` says.
    pub fn read(address: String, info: &str) -> Self {
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
            in_step: in_step(&fields),
            // It says how many are good only where it cares.
            needs_replicas: fields.contains_key("min_slaves_good_slaves"),
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

/// Of lines such as `slave0:ip=10.0.0.2,port=6379,state=online,offset=1,lag=0`, those that are in step.
fn in_step(fields: &HashMap<&str, &str>) -> u32 {
    let replica = |name: &str| name.strip_prefix("slave").is_some_and(|number| number.parse::<u32>().is_ok());
    let good = |facts: &str| {
        let of = |name: &str| facts.split(',').find_map(|fact| fact.strip_prefix(name)?.strip_prefix('='));
        let lag = of("lag").and_then(|lag| lag.parse::<u64>().ok());
        of("state") == Some("online") && lag.is_some_and(|lag| lag <= IN_STEP)
    };
    let count = fields.iter().filter(|(name, facts)| replica(name) && good(facts)).count();
    u32::try_from(count).unwrap_or(u32::MAX)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_replicas_that_have_all_and_were_heard_of_are_in_step() {
        let info = "role:master\r\nconnected_slaves:4\r\nmin_slaves_good_slaves:1\r\n\
            slave0:ip=10.0.0.2,port=1,state=online,offset=5,lag=0\r\n\
            slave1:ip=10.0.0.3,port=1,state=online,offset=5,lag=11,type=replica\r\n\
            slave2:ip=10.0.0.4,port=1,state=send_bulk,offset=0,lag=0\r\n\
            slave3:garbage\r\nslave_read_only:1\r\n";
        let facts = ServerFacts::read(String::new(), info);
        assert_eq!((facts.replicas, facts.in_step, facts.needs_replicas), (4, 1, true));
        let alone = ServerFacts::read(String::new(), "role:master\r\nconnected_slaves:0\r\n");
        assert_eq!((alone.in_step, alone.needs_replicas), (0, false));
    }
}
