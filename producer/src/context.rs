//! What commands have in common: the configuration, Redis, the output's format.

use std::time::Duration;

use tokio::sync::OnceCell;
use windlass_shared::{
    config::{Config, Flag, Sources, Who},
    model::{NewAction, QueueName, TaskRef, Trace},
    store::{Connect, Store},
};
use windlass_telemetry::otel::Span;

use crate::{
    cli::Global,
    exit::{Done, Failure},
    output::{Format, say},
};

/// How long a server waits for Redis when it starts.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a command works with.
pub(crate) struct Context {
    pub(crate) config: Config,
    pub(crate) format: Option<Format>,
    /// The trace that this command is a part of, as whoever runs it says.
    pub(crate) trace: Option<Trace>,
    /// Of a submission, where a collector is named.
    pub(crate) span: Span,
    queue: Option<QueueName>,
    store: OnceCell<Store>,
    /// What this command does to the fleet, if it does.
    action: OnceCell<NewAction>,
    /// The id under which that was noted.
    noted: OnceCell<String>,
}

impl Context {
    /// With what all commands may be told, and the settings that flags of this one stand for.
    pub(crate) fn new(global: &Global, mut flags: Vec<Flag>) -> Done<Self> {
        for (key, flag, value) in
            [("redis.url", "--redis-url", &global.redis_url), ("namespace", "--namespace", &global.namespace)]
        {
            if let Some(value) = value {
                flags.push((key, flag, value.clone()));
            }
        }
        if global.allow_eviction {
            flags.push(("redis.allow_eviction", "--allow-eviction", "true".into()));
        }
        let config =
            Config::load(Sources::from_process(global.config.clone(), flags).read_by(Who::Producer))?;
        for warning in &config.warnings {
            say!("windlass: {warning}");
        }
        let queue = global.queue.as_deref().map(QueueName::new).transpose()?;
        Ok(Self {
            config,
            format: global.output,
            trace: trace_of_environment(),
            span: Span::none(),
            queue,
            store: OnceCell::new(),
            action: OnceCell::new(),
            noted: OnceCell::new(),
        })
    }

    /// The queue that was named, or the configured one.
    pub(crate) fn queue(&self) -> QueueName {
        self.queue.clone().unwrap_or_else(|| self.config.submit.queue.clone())
    }

    /// The queue, only if one was named.
    pub(crate) fn named_queue(&self) -> Option<&QueueName> {
        self.queue.as_ref()
    }

    pub(crate) fn connect(&self) -> Connect {
        Connect { retries: 1, ..Connect::configured(&self.config) }
    }

    /// Connects once, and refuses a Redis that Windlass must not be used on.
    pub(crate) async fn store(&self) -> Done<Store> {
        self.store.get_or_try_init(|| self.open()).await.cloned()
    }

    /// The same for a server, which may be there before Redis is.
    pub(crate) async fn store_patiently(&self) -> Done<Store> {
        let (start, mut pause) = (tokio::time::Instant::now(), crate::steps::Pause::new());
        loop {
            let connect = Connect::configured(&self.config);
            match self.store.get_or_try_init(|| self.open_with(&connect)).await {
                Err(Failure::Redis(error)) if error.is_temporary() && start.elapsed() < PATIENCE => {
                    tracing::warn!(%error, "waiting for Redis");
                    pause.wait().await;
                }
                other => return other.cloned(),
            }
        }
    }

    async fn open(&self) -> Done<Store> {
        self.open_with(&self.connect()).await
    }

    async fn open_with(&self, connect: &Connect) -> Done<Store> {
        let store = connect.open().await?;
        store.check_servers(self.config.redis.allow_eviction).await?;
        store.check_durability().await?;
        store.agree_on_protocol().await?;
        self.note_action(&store).await?;
        Ok(store)
    }

    /// From now on this is what the command does; it is noted when it first turns to Redis.
    pub(crate) fn acts(&self, action: NewAction) {
        _ = self.action.set(action);
    }

    /// Notes what this command does before it is done: what cannot be noted is not done.
    pub(crate) async fn note_action(&self, store: &Store) -> Done {
        if let Some(action) = self.action.get() {
            self.noted.get_or_try_init(|| store.begin_action(action)).await?;
        }
        Ok(())
    }

    /// Notes how it ended, if it was begun.
    pub(crate) async fn note_end(&self, exit: u8) {
        let (Some(id), Some(store)) = (self.noted.get(), self.store.get()) else { return };
        if let Err(error) = store.end_action(id, exit).await {
            say!("windlass: how this ended could not be noted in the operators' log: {error}");
        }
    }

    /// Reads references: `QUEUE/ID`, or a bare id in the named queue.
    pub(crate) fn references(&self, texts: &[String]) -> Done<Vec<TaskRef>> {
        let queue = self.queue();
        texts.iter().map(|text| TaskRef::parse(text, &queue).map_err(Failure::from)).collect()
    }
}

/// What many tools pass to the programs that they run.
fn trace_of_environment() -> Option<Trace> {
    let parent = std::env::var("TRACEPARENT").ok()?;
    Trace::read(&parent, std::env::var("TRACESTATE").ok().as_deref())
}

/// Groups references by queue, keeping each one's place in the order they were given.
pub(crate) fn by_queue(references: &[TaskRef]) -> Vec<(QueueName, Vec<usize>)> {
    let mut groups: Vec<(QueueName, Vec<usize>)> = Vec::new();
    for (index, reference) in references.iter().enumerate() {
        match groups.iter_mut().find(|(queue, _)| *queue == reference.queue) {
            Some((_, indices)) => indices.push(index),
            None => groups.push((reference.queue.clone(), vec![index])),
        }
    }
    groups
}
