//! Running `windlass` in a fleet, and looking at what it did: through the program, or straight into Redis.

use std::{fmt::Write as _, io::Write as _, process::Stdio, time::Duration};

use serde_json::Value;
use windlass_shared::{
    model::{Micros, NodeId, NodeRecord, QueueName, TaskId},
    store::QueueKeys,
};

use super::{Fleet, PATIENCE, keys};
use crate::{
    process::{Output, Process, eventually, run, until},
    redis::RedisServer,
};

impl Fleet {
    /// Workspaces of attempts that are still there.
    pub fn workspaces_left(&self) -> usize {
        let entries = std::fs::read_dir(self.workspaces()).expect("a worker made it");
        entries.flatten().filter(|entry| entry.path().is_dir()).count()
    }

    /// Runs `windlass` to its end.
    pub fn windlass(&self, args: &[&str]) -> Output {
        self.windlass_within(PATIENCE, args)
    }

    /// Runs `windlass` with another configuration than the fleet's.
    pub fn windlass_with_config(&self, config: &str, args: &[&str]) -> Output {
        let path = self.file("other.toml", config);
        let mut command = self.command("windlass");
        command.env("WINDLASS_CONFIG", path).args(args);
        run(command, self.dir(), &self.name(), PATIENCE)
    }

    /// The same with a deadline of its own.
    pub fn windlass_within(&self, deadline: Duration, args: &[&str]) -> Output {
        let mut command = self.command("windlass");
        command.args(args);
        run(command, self.dir(), &self.name(), deadline)
    }

    /// Runs `windlass`, or another one of that kind, through a program that changes its own process and becomes it.
    pub fn windlass_through(&self, through: &[&str], program: &str, args: &[&str]) -> Output {
        let mut command = self.command_through(through, program);
        command.args(args);
        run(command, self.dir(), &self.name(), PATIENCE)
    }

    /// Runs `windlass` with `input` as its standard input, through a pipe.
    pub fn windlass_with_input(&self, input: &str, args: &[&str]) -> Output {
        let mut command = self.command("windlass");
        command.args(args).stdin(Stdio::piped());
        let mut process = Process::start(command, self.dir(), &self.name());
        let mut stdin = process.stdin().expect("it is piped");
        // Small enough for the pipe to take at once.
        stdin.write_all(input.as_bytes()).expect("the program reads its input");
        drop(stdin);
        process.wait(PATIENCE)
    }

    /// Starts `windlass` and does not wait.
    pub fn start_windlass(&self, args: &[&str]) -> Process {
        let mut command = self.command("windlass");
        command.args(args).stdin(Stdio::null());
        Process::start(command, self.dir(), &self.name())
    }

    fn name(&self) -> String {
        self.commands.set(self.commands.get() + 1);
        format!("windlass-{}", self.commands.get())
    }

    /// Submits lines of a file. Fails the test unless all are accepted.
    pub fn submit_lines(&self, lines: &[Value], args: &[&str]) {
        let mut text = String::new();
        for line in lines {
            _ = writeln!(text, "{line}");
        }
        let path = self.file("tasks.jsonl", &text);
        let path = path.to_str().expect("a plain path");
        let output = self.windlass(&[&["submit", "--file", path, "-o", "json"], args].concat()).ok();
        assert_eq!(output.json()["accepted"], lines.len(), "{output}");
    }

    /// Submits one task and gives its reference.
    pub fn submit(&self, task_type: &str, payload: &Value, args: &[&str]) -> String {
        let payload = payload.to_string();
        let first = ["submit", "--type", task_type, "--payload", &payload];
        self.windlass(&[&first[..], args].concat()).ok().stdout.trim().to_owned()
    }

    /// A task, whole.
    pub fn status(&self, task: &str) -> Value {
        self.windlass(&["status", task, "-o", "json"]).ok().json()
    }

    /// Waits until all tasks of a batch are finished, and gives them in order of finishing.
    pub fn finish_batch(&self, batch: &str, deadline: Duration) -> Vec<Value> {
        let seconds = format!("{}ms", deadline.as_millis());
        let wait = ["wait", "--batch", batch, "--timeout", &seconds, "-o", "json"];
        let output = self.windlass_within(deadline + PATIENCE, &wait);
        assert!(output.code <= 1, "{output}");
        self.windlass(&["results", "--batch", batch]).ok().jsonl()
    }

    /// A field of a task's record, straight from Redis. One that nothing befell has no record, and is pending.
    pub fn field(&self, queue: &str, id: &str, name: &str) -> Option<String> {
        let (keys, id) = (self.queue_keys(queue), TaskId::new(id).expect("a valid id"));
        let mut connection = self.connection();
        let mut get = |name: &str| -> Option<String> {
            redis::cmd("HGET")
                .arg(keys.task(&id))
                .arg(name)
                .query(&mut connection)
                .expect("a record can be read")
        };
        let word = match name {
            "attempt" => Some(0),
            "node" => Some(1),
            "started_at" => Some(2),
            _ => None,
        };
        if let Some(word) = word
            && let Some(lease) = get("lease")
        {
            return lease.split(' ').nth(word).map(str::to_owned);
        }
        let value = get(name);
        let spec: bool =
            redis::cmd("EXISTS").arg(keys.spec(&id)).query(&mut connection).expect("a key can be looked for");
        value.or_else(|| (name == "state" && spec).then(|| "pending".to_owned()))
    }

    /// Waits until a task is in a state.
    pub fn wait_for_state(&self, queue: &str, id: &str, state: &str, deadline: Duration) {
        eventually(&format!("{queue}/{id} is {state}"), deadline, || {
            self.field(queue, id, "state").as_deref() == Some(state)
        });
    }

    /// How many tasks run in a queue.
    pub fn running(&self, queue: &str) -> usize {
        let key = self.queue_keys(queue).running().to_owned();
        redis::cmd("ZCARD").arg(key).query(&mut self.connection()).expect("a set can be counted")
    }

    /// One of a queue's totals (`completed`, `stale`, …), straight from Redis.
    pub fn total(&self, queue: &str, name: &str) -> u64 {
        let key = self.queue_keys(queue).stats().to_owned();
        let total: Option<u64> =
            redis::cmd("HGET").arg(key).arg(name).query(&mut self.connection()).expect("a total can be read");
        total.unwrap_or(0)
    }

    /// The queue as `windlass queues` shows it.
    pub fn queue(&self, queue: &str) -> Value {
        self.windlass(&["queues", queue, "-o", "json"]).ok().json()
    }

    /// The nodes as `windlass nodes` shows them.
    pub fn nodes(&self) -> Vec<Value> {
        let nodes = self.windlass(&["nodes", "-o", "json"]).ok().json();
        nodes.as_array().expect("a list").clone()
    }

    /// A worker's node id.
    pub fn node_id(&self, index: usize) -> String {
        self.record_of(index).expect("the worker is registered").id.to_string()
    }

    /// What a worker said of itself last, while its heartbeat key lives.
    pub fn state_of(&self, index: usize) -> Option<String> {
        self.record_of(index).map(|record| record.state.to_string())
    }

    fn record_of(&self, index: usize) -> Option<NodeRecord> {
        let pid = self.workers[index].pid();
        let keys = keys();
        // Of a cluster, one primary has the nodes; the others refuse.
        let mut servers =
            std::iter::once(&self.redis).chain(&self.others).filter(|server| server.is_running());
        let (mut connection, ids) = servers.find_map(|server| {
            let mut connection = self.connect(server);
            let mut ask = redis::cmd("ZRANGE");
            let ids: Vec<String> = ask.arg(keys.nodes()).arg(0).arg(-1).query(&mut connection).ok()?;
            Some((connection, ids))
        })?;
        ids.iter().find_map(|id| {
            let key = keys.node(&NodeId::new(id).ok()?);
            let json: Option<String> = redis::cmd("GET").arg(key).query(&mut connection).ok()?;
            serde_json::from_str::<NodeRecord>(&json?).ok().filter(|record| record.pid == pid)
        })
    }

    /// A connection of the test's own.
    pub fn connection(&self) -> redis::Connection {
        self.connect(self.primary())
    }

    /// The server that takes writes; of a cluster, the first one.
    pub fn primary(&self) -> &RedisServer {
        let Some(sentinels) = &self.sentinels else { return &self.redis };
        let port = until("the Sentinels agree on a primary", PATIENCE, || sentinels.primary());
        let mut servers = std::iter::once(&self.redis).chain(&self.others);
        servers.find(|server| server.port() == port).expect("it is one of ours")
    }

    /// The keys of a queue.
    pub fn queue_keys(&self, queue: &str) -> QueueKeys {
        keys().queue(&QueueName::new(queue).expect("a valid name"))
    }

    /// Redis's clock.
    pub fn now(&self) -> Micros {
        let (seconds, micros): (i64, i64) =
            redis::cmd("TIME").query(&mut self.connection()).expect("Redis has a clock");
        Micros(seconds * 1_000_000 + micros)
    }

    /// Proves that every task is in exactly one place. The last line of every test.
    pub fn verify(&self) {
        let output = self.windlass(&["doctor", "--verify", "-o", "json"]).ok();
        let checks = output.json();
        let verified = checks.as_array().expect("a list").iter().filter(|check| check["check"] == "verify");
        assert!(verified.count() > 0, "nothing was verified: {output}");
    }

    fn connect(&self, server: &RedisServer) -> redis::Connection {
        let at = if self.user.is_empty() { "" } else { "@" };
        let url = server.url().replace("redis://", &format!("redis://{}{at}", self.user));
        let client = redis::Client::open(url).expect("a valid URL");
        client.get_connection_with_timeout(Duration::from_secs(5)).expect("Redis takes connections")
    }
}
