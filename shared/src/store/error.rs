//! What can go wrong between us and Redis, in the kinds that callers treat differently.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::{
    model::{Durability, QueueName},
    objects::ObjectsError,
};

/// An error of the store. The message says what to do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// No connection, or it broke, or Redis did not answer in time.
    #[error(
        "Redis cannot be reached at {url}: {why}. Is it running, and is the URL right (--redis-url or WINDLASS_REDIS_URL)?"
    )]
    Unreachable {
        /// The URL, without its password.
        url: String,
        /// What the system said.
        why: String,
    },
    /// The user or password was refused, or the user may not do this.
    #[error("Redis refused us: {0}. Check the user and password of the URL, and the user's ACL rules")]
    Refused(String),
    /// Below 7.0.
    #[error("Redis is too old: it is version {0}, Windlass needs 7.0 or newer (Valkey: 7.2 or newer)")]
    TooOld(String),
    /// It deletes keys when memory runs out.
    #[error(
        "Redis may evict keys (maxmemory-policy is {0}), and would lose tasks: set `maxmemory-policy noeviction`, or say --allow-eviction if you accept the loss"
    )]
    Evicting(String),
    /// Another version of Windlass, with a newer protocol, uses this Redis.
    #[error("this fleet speaks protocol {theirs}, this program only {ours}: install a newer Windlass")]
    NewerProtocol {
        /// What the fleet speaks.
        theirs: u32,
        /// What this program speaks.
        ours: u32,
    },
    /// `maxmemory` is reached; nothing was written.
    #[error("Redis is out of memory (maxmemory): nothing was written; free memory or raise maxmemory")]
    OutOfMemory,
    /// It cannot write its files; nothing was written.
    #[error(
        "Redis cannot write to its disk, and takes nothing until it can: nothing was written. Is the disk of the Redis server full, or broken? It said: {0}"
    )]
    DiskFailed(String),
    /// Loading, failing over, read only: it passes.
    #[error("Redis cannot serve us now: {0}")]
    Unavailable(String),
    /// Written, but not yet as durable as was asked for.
    #[error(
        "written, but not confirmed as durable ({wanted} asked for, {got} confirmed in time): are the replicas connected, is the disk well? What was written stays; it is safe to try again"
    )]
    NotDurable {
        /// What was asked for.
        wanted: Durability,
        /// How many confirmed.
        got: u32,
    },
    /// What was asked for contradicts what is; nothing was done.
    #[error("{0}")]
    Impossible(String),
    /// The object store cannot be used now.
    #[error("{0}")]
    Objects(String),
    /// The queue was divided into partitions since the caller asked how many it has; nothing was done.
    #[error("the queue was divided into partitions just now: try again")]
    Divided,
    /// Not foreseen; a bug of ours or a foreign value under one of our keys.
    #[error("Redis answered in a way that Windlass did not expect: {0}")]
    Unexpected(String),
}

impl StoreError {
    /// It may pass by itself: try again.
    pub fn is_temporary(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Unavailable(_)
                | Self::OutOfMemory
                | Self::DiskFailed(_)
                | Self::Divided
                | Self::NotDurable { .. }
                | Self::Objects(_)
        )
    }

    /// What copies keys is told who may.
    pub(super) fn for_administrators(self) -> Self {
        match self {
            Self::Refused(why) => Self::Refused(format!(
                "{why}; `export` and `import` are for an administrator, who may DUMP and RESTORE keys (docs/disaster.md)"
            )),
            other => other,
        }
    }

    pub(super) fn divided_already(queue: &QueueName) -> Self {
        Self::Impossible(format!(
            "queue {queue} is divided already, and a task never changes its partition: use another queue"
        ))
    }

    pub(super) fn new(error: &RedisError, url: &str) -> Self {
        let told = Self::of(error, url);
        super::timing::failed(&told, error.is_timeout());
        told
    }

    fn of(error: &RedisError, url: &str) -> Self {
        let text = error.to_string();
        match error.kind() {
            ErrorKind::AuthenticationFailed | ErrorKind::Server(ServerErrorKind::NoPerm) => {
                Self::Refused(text.trim_end_matches('.').into())
            }
            ErrorKind::Io
            | ErrorKind::ClusterConnectionNotFound
            | ErrorKind::MasterNameNotFoundBySentinel
            | ErrorKind::EmptySentinelList => Self::Unreachable { url: url.into(), why: text },
            ErrorKind::Server(
                ServerErrorKind::BusyLoading
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ReadOnly
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::TryAgain
                | ServerErrorKind::Moved
                | ServerErrorKind::Ask,
            ) => Self::Unavailable(text),
            _ if error.is_timeout() || error.is_connection_dropped() || error.is_connection_refusal() => {
                Self::Unreachable { url: url.into(), why: text }
            }
            _ => Self::from_code(error.code().unwrap_or_default(), text),
        }
    }

    fn from_code(code: &str, text: String) -> Self {
        match code {
            "OOM" => Self::OutOfMemory,
            "DIVIDED" => Self::Divided,
            "NOAUTH" | "WRONGPASS" => Self::Refused(text),
            "MISCONF" => Self::DiskFailed(text),
            "LOADING" | "BUSY" | "NOREPLICAS" | "READONLY" | "UNBLOCKED" => Self::Unavailable(text),
            // Errors of commands inside a script come with their code within the text.
            _ if text.contains("user executing the script") || text.contains("ACL failure in script") => {
                Self::Refused(text)
            }
            _ if text.contains("OOM") && text.contains("command not allowed") => Self::OutOfMemory,
            _ => Self::Unexpected(text),
        }
    }
}

impl From<ObjectsError> for StoreError {
    fn from(error: ObjectsError) -> Self {
        Self::Objects(error.to_string())
    }
}

/// What every method of the store gives.
pub type Result<T> = std::result::Result<T, StoreError>;
