//! The Redis of one measurement, and what it says of itself.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use redis::{Connection, FromRedisValue};
use windlass_tests::redis::RedisServer;

use crate::usage;

/// A server of its own on the loopback. It ends with the measurement.
pub(crate) struct Server {
    redis: RedisServer,
    connection: Connection,
    /// What we asked ourselves, by command.
    asked: BTreeMap<String, u64>,
}

impl Server {
    /// Without persistence, or with an append-only file that is synced every second.
    pub(crate) fn start(append_only: bool) -> Result<Self> {
        let args: &[&str] = if append_only {
            &["--appendonly", "yes", "--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0"]
        } else {
            &[]
        };
        let redis = RedisServer::with_args(args);
        let connection = redis::Client::open(redis.url())?.get_connection()?;
        Ok(Self { redis, connection, asked: BTreeMap::new() })
    }

    pub(crate) fn url(&self) -> String {
        self.redis.url()
    }

    pub(crate) fn port(&self) -> u16 {
        self.redis.port()
    }

    /// The server behind it, for the library's own ways.
    pub(crate) fn redis(&self) -> &RedisServer {
        &self.redis
    }

    /// Runs one command, given as words.
    pub(crate) fn ask<T: FromRedisValue>(&mut self, words: &[&str]) -> Result<T> {
        let (verb, args) = words.split_first().context("a command has a name")?;
        *self.asked.entry(verb.to_lowercase()).or_default() += 1;
        Ok(redis::cmd(verb).arg(args).query(&mut self.connection)?)
    }

    /// The figures of a section of `INFO`.
    pub(crate) fn info(&mut self, section: &str) -> Result<BTreeMap<String, String>> {
        let text: String = self.ask(&["INFO", section])?;
        let pairs = text.lines().filter_map(|line| line.split_once(':'));
        Ok(pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect())
    }

    /// One figure of `INFO`.
    pub(crate) fn figure(&mut self, section: &str, name: &str) -> Result<f64> {
        let info = self.info(section)?;
        Ok(info.get(name).with_context(|| format!("INFO {section} has no {name}"))?.parse()?)
    }

    /// Bytes that its data takes.
    pub(crate) fn memory(&mut self) -> Result<f64> {
        self.figure("memory", "used_memory")
    }

    /// Seconds of CPU so far.
    pub(crate) fn cpu(&self) -> Result<f64> {
        usage::cpu(self.redis.pid())
    }

    /// Counts from zero what is asked from now on.
    pub(crate) fn count_from_here(&mut self) -> Result<()> {
        self.ask::<()>(&["CONFIG", "RESETSTAT"])?;
        self.asked.clear();
        Ok(())
    }

    /// What ran since then by name, in scripts too; without what we asked ourselves.
    pub(crate) fn commands(&mut self) -> Result<BTreeMap<String, u64>> {
        let calls = |value: &str| value.strip_prefix("calls=")?.split(',').next()?.parse::<u64>().ok();
        let stats = self.info("commandstats")?;
        let mut commands = BTreeMap::new();
        for (name, value) in &stats {
            let name = name.trim_start_matches("cmdstat_");
            let ours = self.asked.get(name).copied().unwrap_or(0);
            let left = calls(value).unwrap_or(0).saturating_sub(ours);
            if left > 0 && name != "info" && !name.starts_with("config") {
                commands.insert(name.to_owned(), left);
            }
        }
        Ok(commands)
    }

    /// How often it read from a socket since then; each of our own questions was one.
    pub(crate) fn reads(&mut self) -> Result<f64> {
        let ours: u64 = self.asked.values().sum();
        Ok((self.figure("stats", "total_reads_processed")? - ours as f64).max(0.0))
    }
}
