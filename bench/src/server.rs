//! The Redis of one measurement, one server or a cluster, and what it says of itself.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use redis::{Connection, ErrorKind, FromRedisValue, RedisResult, ServerErrorKind};
use windlass_bench::usage;
use windlass_tests::{cluster, redis::RedisServer};

/// A server of its own on the loopback, or the primaries of a cluster. It ends with the measurement.
pub(crate) struct Server {
    nodes: Vec<Node>,
    /// What we asked the first node ourselves, by command.
    asked: BTreeMap<String, u64>,
}

struct Node {
    redis: RedisServer,
    connection: Connection,
}

impl Node {
    fn new(redis: RedisServer) -> Result<Self> {
        let connection = redis::Client::open(redis.url())?.get_connection()?;
        Ok(Self { redis, connection })
    }

    fn ask<T: FromRedisValue>(&mut self, words: &[&str]) -> RedisResult<T> {
        redis::cmd(words[0]).arg(&words[1..]).query(&mut self.connection)
    }
}

impl Server {
    /// Without persistence, or with an append-only file that is synced every second.
    pub(crate) fn start(append_only: bool) -> Result<Self> {
        let args: &[&str] = if append_only {
            &["--appendonly", "yes", "--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0"]
        } else {
            &[]
        };
        Self::of(vec![RedisServer::with_args(args)])
    }

    /// A cluster of so many primaries, without persistence.
    pub(crate) fn cluster(primaries: usize) -> Result<Self> {
        Self::of(cluster::start(primaries, 0))
    }

    fn of(servers: Vec<RedisServer>) -> Result<Self> {
        let nodes = servers.into_iter().map(Node::new).collect::<Result<_>>()?;
        Ok(Self { nodes, asked: BTreeMap::new() })
    }

    pub(crate) fn url(&self) -> String {
        self.redis().url()
    }

    pub(crate) fn port(&self) -> u16 {
        self.redis().port()
    }

    /// The server behind it, for the library's own ways; of a cluster, the first primary.
    pub(crate) fn redis(&self) -> &RedisServer {
        &self.nodes[0].redis
    }

    /// Runs one command, given as words; of a cluster, on the first primary.
    pub(crate) fn ask<T: FromRedisValue>(&mut self, words: &[&str]) -> Result<T> {
        let verb = words.first().context("a command has a name")?;
        *self.asked.entry(verb.to_lowercase()).or_default() += 1;
        Ok(self.nodes[0].ask(words)?)
    }

    /// The same on any of the primaries.
    pub(crate) fn ask_at<T: FromRedisValue>(&mut self, primary: usize, words: &[&str]) -> Result<T> {
        if primary == 0 { self.ask(words) } else { Ok(self.nodes[primary].ask(words)?) }
    }

    /// The primary that has a key: those that have it not say so.
    pub(crate) fn primary_of(&mut self, key: &str) -> Result<usize> {
        for (index, node) in self.nodes.iter_mut().enumerate() {
            match node.ask::<u64>(&["EXISTS", key]) {
                Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::Moved) => {}
                other => return Ok(other.map(|_| index)?),
            }
        }
        bail!("no primary has {key}")
    }

    /// The figures of a section of `INFO`.
    pub(crate) fn info(&mut self, section: &str) -> Result<BTreeMap<String, String>> {
        self.info_at(0, section)
    }

    fn info_at(&mut self, primary: usize, section: &str) -> Result<BTreeMap<String, String>> {
        let text: String = self.ask_at(primary, &["INFO", section])?;
        let pairs = text.lines().filter_map(|line| line.split_once(':'));
        Ok(pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect())
    }

    /// One figure of `INFO`.
    pub(crate) fn figure(&mut self, section: &str, name: &str) -> Result<f64> {
        self.figure_at(0, section, name)
    }

    fn figure_at(&mut self, primary: usize, section: &str, name: &str) -> Result<f64> {
        let info = self.info_at(primary, section)?;
        Ok(info.get(name).with_context(|| format!("INFO {section} has no {name}"))?.parse()?)
    }

    /// Bytes that its data takes, in all primaries.
    pub(crate) fn memory(&mut self) -> Result<f64> {
        (0..self.nodes.len()).map(|primary| self.figure_at(primary, "memory", "used_memory")).sum()
    }

    /// Seconds of CPU so far, of all primaries.
    pub(crate) fn cpu(&self) -> Result<f64> {
        Ok(self.cpu_of_each()?.iter().sum())
    }

    /// Seconds of CPU so far, of each primary.
    pub(crate) fn cpu_of_each(&self) -> Result<Vec<f64>> {
        self.nodes.iter().map(|node| usage::cpu(node.redis.pid())).collect()
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
