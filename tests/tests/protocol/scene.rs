//! What a test works with: a server of its own, a store and a queue on it, and a plain connection beside them.

use std::{cell::Cell, rc::Rc, thread, time::Duration};

use redis::{AsyncConnectionConfig, FromRedisValue, aio::MultiplexedConnection};
use windlass_shared::{
    model::{QueueName, TaskRecord, TaskRef},
    store::{Accepted, Partition, QueueSettings, Store, audit::Fault},
};
use windlass_tests::redis::RedisServer;

use crate::{
    draft::{Draft, QUEUE, id},
    node::Node,
    snapshot::{Snapshot, assert_lines},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// A server, and what is needed to speak to it. A test must end with [`done`](Self::done).
pub(crate) struct Scene {
    pub(crate) server: RedisServer,
    pub(crate) store: Store,
    pub(crate) queue: Partition,
    plain: MultiplexedConnection,
    /// Calls of all nodes, for their nonces.
    calls: Rc<Cell<u32>>,
    audited: Cell<bool>,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::on(RedisServer::start()).await
    }

    pub(crate) async fn on(server: RedisServer) -> Self {
        let store = server.store().await;
        let queue = store.first_partition(&QueueName::new(QUEUE).expect("a valid queue"));
        let plain = connect(&server).await;
        Self { server, store, queue, plain, calls: Rc::default(), audited: Cell::new(false) }
    }

    /// The same server, which the store and its queue reach at `url` from now on.
    pub(crate) async fn through(mut self, url: String) -> Self {
        self.store = self.server.store_at(url).await;
        self.queue = self.store.first_partition(self.queue.name());
        self
    }

    /// Kills the server, starts it again, and connects anew.
    pub(crate) async fn restart(&mut self) {
        self.server.restart();
        self.store = self.server.store().await;
        self.queue = self.store.first_partition(self.queue.name());
        self.plain = connect(&self.server).await;
    }

    /// Runs one command, given as words.
    pub(crate) async fn redis<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command
            .query_async(&mut self.plain.clone())
            .await
            .unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// Runs a Lua script of a test.
    pub(crate) async fn lua<T: FromRedisValue>(&self, source: &str, args: &[&str]) -> T {
        let mut command = redis::cmd("EVAL");
        command.arg(source).arg(0).arg(args);
        command.query_async(&mut self.plain.clone()).await.unwrap_or_else(|error| panic!("{error}"))
    }

    /// A key of the queue, such as `wl:{q}:running`.
    pub(crate) fn key(&self, name: &str) -> String {
        format!("wl:{{{}}}:{name}", self.queue.name())
    }

    /// How many members one of the queue's sorted sets has.
    pub(crate) async fn size(&self, name: &str) -> usize {
        self.redis(&["ZCARD", &self.key(name)]).await
    }

    /// A member's score in one of the queue's sorted sets.
    pub(crate) async fn score(&self, name: &str, member: &str) -> Option<f64> {
        self.redis(&["ZSCORE", &self.key(name), member]).await
    }

    /// A counter or figure of the queue; 0 if it was never written.
    pub(crate) async fn stat(&self, name: &str) -> i64 {
        self.redis::<Option<i64>>(&["HGET", &self.key("stats"), name]).await.unwrap_or(0)
    }

    /// Whether the doorbell is rung; silences it.
    pub(crate) async fn bell(&self) -> bool {
        self.redis::<Vec<String>>(&["ZPOPMIN", &self.key("bell")])
            .await
            .first()
            .is_some_and(|mark| mark == "ring")
    }

    pub(crate) async fn submit(&self, drafts: impl IntoIterator<Item = Draft>) -> Vec<Accepted> {
        self.try_submit(drafts).await.expect("submit")
    }

    pub(crate) async fn try_submit(
        &self,
        drafts: impl IntoIterator<Item = Draft>,
    ) -> windlass_shared::store::Result<Vec<Accepted>> {
        let drafts: Vec<Draft> = drafts.into_iter().collect();
        let tasks: Vec<_> = drafts.iter().map(Draft::new_task).collect();
        self.queue.submit(&tasks).await
    }

    /// Submits any number of tasks, in full calls.
    pub(crate) async fn submit_all(&self, drafts: Vec<Draft>) {
        for call in drafts.chunks(500) {
            self.submit(call.to_vec()).await;
        }
    }

    pub(crate) async fn configure(&self, settings: QueueSettings) {
        self.queue.configure(&settings).await.expect("configure");
    }

    /// A node that serves the queue.
    pub(crate) fn node(&self, name: &str) -> Node {
        Node::new(self.queue.clone(), name, self.calls.clone())
    }

    /// A node that serves another partition.
    pub(crate) fn node_of(&self, partition: Partition, name: &str) -> Node {
        Node::new(partition, name, self.calls.clone())
    }

    /// A task's record, if there is one.
    pub(crate) async fn find(&self, name: &str) -> Option<TaskRecord> {
        let reference = TaskRef { queue: self.queue.name().clone(), id: id(name) };
        self.store.tasks(&[reference]).await.expect("tasks").remove(0)
    }

    /// A task's record.
    pub(crate) async fn record(&self, name: &str) -> TaskRecord {
        self.find(name).await.unwrap_or_else(|| panic!("there is no task {name}"))
    }

    /// A task's state, as a word; `none` without a record.
    pub(crate) async fn state(&self, name: &str) -> String {
        let state: Option<String> = self.redis(&["HGET", &self.key(&format!("task:{name}")), "state"]).await;
        let submitted: bool = self.redis(&["EXISTS", &self.key(&format!("spec:{name}"))]).await;
        state.unwrap_or_else(|| if submitted { "pending" } else { "none" }.into())
    }

    /// Ids of one of the queue's sorted sets, in order.
    pub(crate) async fn members(&self, name: &str) -> Vec<String> {
        self.redis(&["ZRANGE", &self.key(name), "0", "-1"]).await
    }

    /// Everything that is in Redis.
    pub(crate) async fn snapshot(&self) -> Snapshot {
        Snapshot::take(&mut self.plain.clone(), &self.key("")).await
    }

    /// Holds what changed since `before`, in every key, against `expected` (in any order).
    pub(crate) async fn expect_changes(&self, before: &Snapshot, expected: &[&str]) {
        assert_lines(before.changes(&self.snapshot().await), expected);
    }

    /// What the audit finds.
    pub(crate) async fn faults(&self) -> Vec<Fault> {
        self.audited.set(true);
        self.queue.audit().await.expect("audit").faults
    }

    /// Ends the test: the audit must find nothing.
    pub(crate) async fn done(self) {
        assert_eq!(self.faults().await, []);
    }
}

async fn connect(server: &RedisServer) -> MultiplexedConnection {
    let client = redis::Client::open(server.url()).expect("a valid URL");
    // The client's own limits are short, and a busy machine is no fault of the protocol.
    let patient = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE));
    client.get_multiplexed_async_connection_with_config(&patient).await.expect("the server takes connections")
}

impl Drop for Scene {
    fn drop(&mut self) {
        assert!(self.audited.get() || thread::panicking(), "a test must end with `done` or look at `faults`");
    }
}
