//! The scripts: one Lua file per atomic change, composed with the parts that it needs.

use std::{sync::LazyLock, time::Instant};

use redis::{ErrorKind, FromRedisValue, RedisError, ServerErrorKind, ToRedisArgs, aio::ConnectionLike};

use super::{Store, StoreError, connection::Connection, keys, timing::Times};

/// A script that Redis runs as one step.
#[derive(Debug)]
pub struct Script {
    /// The name of its file and of the method that calls it.
    pub name: &'static str,
    /// Its own file, with the header.
    pub own: &'static str,
    source: String,
    sha: String,
    /// From sending it to its answer.
    pub(super) took: Times,
}

impl Script {
    fn new(name: &'static str, parts: &[&str], own: &'static str) -> Self {
        let source = parts.iter().copied().chain([own]).collect::<Vec<_>>().join("\n");
        let sha = redis::Script::new(&source).get_hash().to_owned();
        Self { name, own, source, sha, took: Times::new() }
    }
}

const QUEUE: &str = include_str!("lua/queue.lua");
const TASKS: &str = include_str!("lua/tasks.lua");
const UPKEEP: &str = include_str!("lua/upkeep.lua");
const LLM: &str = include_str!("lua/llm.lua");
const LIMITS: &str = include_str!("lua/limits.lua");

macro_rules! scripts {
    ($($name:ident = $text:literal, [$($part:expr),*];)*) => {
        $(pub(super) static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new($text, &[$($part),*], include_str!(concat!($text, ".lua"))));)*

        /// Every script.
        pub fn all() -> Vec<&'static Script> {
            vec![$(&$name),*]
        }
    };
}

scripts! {
    ADMIT = "llm/admit", [LLM, LIMITS];
    AUDIT = "audit", [];
    BEAT = "beat", [];
    CANCEL = "cancel", [QUEUE, TASKS];
    CONFIGURE = "configure", [QUEUE, TASKS];
    GUARD = "llm/guard", [LLM];
    JUDGE = "llm/judge", [LLM];
    NOTE_ACTION = "note_action", [];
    EXTEND = "extend", [QUEUE, TASKS, UPKEEP];
    PRIORITISE = "prioritise", [QUEUE, TASKS];
    PURGE = "purge", [QUEUE, TASKS];
    REPAIR = "repair", [QUEUE, TASKS];
    RETRY = "retry", [QUEUE, TASKS];
    RENEW = "llm/renew", [LLM];
    REVIEW = "review", [QUEUE, TASKS];
    SETTLE_CALL = "llm/settle_call", [LLM, LIMITS];
    SETTLE_AND_CLAIM = "settle_and_claim", [QUEUE, TASKS, UPKEEP];
    SUBMIT = "submit", [QUEUE];
    TELL = "tell", [];
}

impl Store {
    /// Runs `script`; where Redis does not have it (first use, restart, `SCRIPT FLUSH`), sends it whole.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        script: &'static Script,
        keys: &[&str],
        args: &(impl ToRedisArgs + Sync),
    ) -> Result<T, StoreError> {
        let mut connection = self.connection.clone();
        let answer = match connection {
            // One key more, which never exists. While a slot moves between servers, a script whose declared keys are
            // all still here would run, and break off half way at one that is not; with a key missing, it is refused.
            Connection::Cluster(_) => {
                let missing = keys::moving(keys.first().copied().unwrap_or_default());
                let keys: Vec<&str> = keys.iter().copied().chain([missing.as_str()]).collect();
                script.run_on(&mut connection, &keys, args).await
            }
            _ => script.run_on(&mut connection, keys, args).await,
        };
        answer.map_err(|error| self.error(&error))
    }
}

impl Script {
    /// Runs it on a connection; where the server does not have it, sends it whole.
    pub(super) async fn run_on<T: FromRedisValue>(
        &self,
        connection: &mut impl ConnectionLike,
        keys: &[&str],
        args: &(impl ToRedisArgs + Sync),
    ) -> Result<T, RedisError> {
        let command = |verb: &str, script: &str| {
            let mut command = redis::cmd(verb);
            command.arg(script).arg(keys.len()).arg(keys).arg(args);
            command
        };
        let start = Instant::now();
        let answer = match command("EVALSHA", &self.sha).query_async(connection).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                command("EVAL", &self.source).query_async(connection).await
            }
            other => other,
        };
        self.took.record(start.elapsed());
        answer
    }
}

impl Store {
    /// How many of the scripts Redis holds, and how many there are. One that it lacks is sent with its first use.
    pub async fn scripts_loaded(&self) -> Result<(usize, usize), StoreError> {
        let mut command = redis::cmd("SCRIPT");
        command.arg("EXISTS");
        let scripts = all();
        for script in &scripts {
            command.arg(&script.sha);
        }
        let loaded: Vec<bool> = self.command(&command).await?;
        Ok((loaded.iter().filter(|loaded| **loaded).count(), scripts.len()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::{event::parse_transition, state};

    fn transitions(script: &Script) -> BTreeSet<&'static str> {
        script.own.lines().filter_map(|line| line.strip_prefix("--   transition: ")).map(str::trim).collect()
    }

    #[test]
    fn the_headers_and_the_state_table_tell_the_same() {
        let in_headers: BTreeSet<&str> = all().into_iter().flat_map(transitions).collect();
        let in_table: BTreeSet<String> = state::TABLE
            .iter()
            .map(|row| format!("{}>{} {}", state::word(row.from), state::word(row.to), row.reason))
            .collect();
        assert_eq!(in_headers, in_table.iter().map(String::as_str).collect());
        assert!(in_headers.iter().all(|field| parse_transition(field).is_some()));
    }

    #[test]
    fn every_header_says_what_a_caller_must_know() {
        for script in all() {
            for part in ["-- KEYS ", "-- ARGV ", "-- reply ", "-- cost "] {
                assert!(script.own.contains(part), "{}.lua has no line `{part}`", script.name);
            }
        }
    }

    #[test]
    fn no_script_opts_into_features_of_newer_servers_or_builds_keys_by_hand() {
        for script in all() {
            assert!(
                !script.source.contains("#!lua"),
                "{}: at maxmemory such a script is refused whole",
                script.name
            );
            assert!(!script.own.contains("'wl:"), "{}: a key is spelled out", script.name);
        }
    }
}
