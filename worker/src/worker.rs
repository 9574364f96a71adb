//! A worker process from its start to its end.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use windlass_shared::{
    config::{Config, ConfigFaults},
    model::{SandboxRecord, id::new_node_id},
    store::{Connect, Store, StoreError},
};

use crate::{
    admin,
    catalog::Catalog,
    dispatch::Dispatcher,
    executor::Executor,
    gateway::{Gateway, refresh},
    loops::{beat, bell, inbox, pod_cost},
    metrics::metrics,
    node::{Limits, Node, Phase},
    pulse::Pulses,
    push::Pusher,
    run_file::{self, RunFile},
    running::Running,
    sandbox::Host,
    shutdown::{Signals, supervise},
};

/// Why a worker did not start, or ended badly.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigFaults),
    /// Redis cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system refused something.
    #[error("the system refused: {0}")]
    System(#[from] std::io::Error),
    /// The admin port cannot be had.
    #[error("the admin port cannot be had: {0} (--admin, setting worker.admin)")]
    Admin(String),
    /// No node of this machine beats.
    #[error("{0}")]
    NotAlive(String),
    /// Redis did not take back what ran at the end. Nothing is lost: the leases run out.
    #[error(
        "left without handing back what ran, since Redis did not answer; the leases will run out instead"
    )]
    NotHandedBack,
    /// The dispatcher panicked.
    #[error(
        "the dispatcher broke, which is a bug of ours (its panic is above): leaving, so that the node can be started anew; the leases of what it ran will run out"
    )]
    Broken,
}

/// A worker: the built-in executors, the types of the configuration, and handlers of the program.
pub struct Worker {
    config: Config,
    handlers: BTreeMap<String, Arc<dyn Executor>>,
}

/// The runtime that a worker runs in. Two threads at least: an executor that blocks must not hold up the dispatcher (the
/// heartbeat has a thread of its own). No more than cores: they would only wake each other.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get).clamp(2, 4);
    tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build()
}

/// Checks what the configuration says of task types, templates included, as the start of a worker does.
pub fn check_types(config: &Config) -> Result<(), WorkerError> {
    let gateway = Arc::new(Gateway::new(config).map_err(ConfigFaults)?);
    Catalog::new(config, BTreeMap::new(), &gateway, &Host::unchecked())
        .map(drop)
        .map_err(|faults| ConfigFaults(faults).into())
}

/// For health checks: a worker runs on this machine, and its heartbeat reaches Redis.
pub async fn check_alive(config: &Config) -> Result<(), WorkerError> {
    let nodes = run_file::nodes(&config.worker.workspace);
    if nodes.is_empty() {
        return Err(WorkerError::NotAlive(format!(
            "no windlass-worker runs on this machine (none left a file in {}, setting worker.workspace)",
            config.worker.workspace.display()
        )));
    }
    let store = Connect::configured(config).open().await?;
    for node in &nodes {
        if store.is_alive(node).await? {
            return Ok(());
        }
    }
    Err(WorkerError::NotAlive(
        "a windlass-worker runs on this machine, but its heartbeat does not reach Redis".into(),
    ))
}

impl Worker {
    /// A worker with this configuration.
    pub fn new(config: Config) -> Self {
        Self { config, handlers: BTreeMap::new() }
    }

    /// Runs tasks of `task_type` with `handler`. Takes precedence over the configuration.
    #[must_use]
    pub fn handler(mut self, task_type: &str, handler: impl Executor) -> Self {
        self.handlers.insert(task_type.to_owned(), Arc::new(handler));
        self
    }

    /// Runs until told to leave by a signal or a command, and what it held is settled or handed back.
    pub async fn run(self) -> Result<(), WorkerError> {
        let mut signals = Signals::listen()?;
        let admin_port = self.config.worker.admin.map(admin::bind).transpose()?;
        let gateway = Arc::new(Gateway::new(&self.config).map_err(ConfigFaults)?);
        let Some(host) = unless_told(&mut signals, Host::probe(&self.config)).await else { return Ok(()) };
        let catalog = Catalog::new(&self.config, self.handlers, &gateway, &host).map_err(ConfigFaults)?;
        let connect = Connect::configured(&self.config);
        let Some(store) = unless_told(&mut signals, connect.open()).await.transpose()? else { return Ok(()) };
        let Some(fit) = unless_told(&mut signals, patiently(async || fit(&self.config, &store).await)).await
        else {
            return Ok(());
        };
        fit?;
        gateway.connect(store.gate());
        for why in gateway.unusable().values() {
            tracing::warn!(%why, "a provider of models cannot be called");
        }
        let (node, hints) = assemble(&self.config, catalog, store, host.record().clone()).await?;
        let pusher = self.config.metrics.push_gateway.as_ref().and_then(|url| Pusher::start(url, &node.id));
        if let Some(listener) = admin_port {
            admin::start(listener, Arc::clone(&node))?;
        }
        // Only the health check needs it: a worker without a writable folder still runs what needs none.
        let dir = &self.config.worker.workspace;
        let _run_file = RunFile::write(dir, &node.id).inspect_err(|error| {
            let dir = dir.display();
            tracing::warn!(%dir, %error, "cannot write there: `windlass-worker check` will not find this worker (setting worker.workspace)");
        });
        tracing::info!(
            node = %node.id,
            queues = ?self.config.worker.queues.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
            slots = node.limits.concurrency,
            "the worker is ready"
        );
        let catalog_of_models = tokio::spawn(refresh::run(Arc::clone(&gateway)));
        let kubernetes = &self.config.kubernetes;
        let pod_cost = kubernetes
            .pod_deletion_cost
            .then(|| tokio::spawn(pod_cost::run(Arc::clone(&node), kubernetes.api.clone())));
        let ended = live(node, connect, signals, hints).await;
        catalog_of_models.abort();
        pod_cost.inspect(JoinHandle::abort);
        gateway.told().await;
        if let Some(pusher) = pusher {
            pusher.end().await;
        }
        ended
    }
}

/// How long the start waits for a Redis that took our connection and then fails us.
const PATIENCE: Duration = Duration::from_secs(30);
const TRY_EVERY: Duration = Duration::from_millis(500);

/// Whether Redis may be trusted with tasks, and knows our queues.
async fn fit(config: &Config, store: &Store) -> Result<(), StoreError> {
    store.check_servers(config.redis.allow_eviction).await?;
    store.check_durability().await?;
    store.agree_on_protocol().await?;
    for (queue, _) in &config.worker.queues {
        store.register_queue(queue).await?;
    }
    Ok(())
}

/// A step of the start that Redis may refuse for a moment: a connection that was cut, no memory, a failover.
async fn patiently<T>(step: impl AsyncFn() -> Result<T, StoreError>) -> Result<T, StoreError> {
    let start = tokio::time::Instant::now();
    loop {
        match step().await {
            Err(error) if error.is_temporary() && start.elapsed() < PATIENCE => {
                tracing::warn!(%error, "cannot start yet; trying again");
                tokio::time::sleep(TRY_EVERY).await;
            }
            other => return other,
        }
    }
}

/// A step of the start, which may take long; nothing if we are told to leave before it is done.
async fn unless_told<T>(signals: &mut Signals, step: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        done = step => Some(done),
        () = signals.next() => {
            tracing::info!("the worker is told to leave before it has started");
            None
        }
    }
}

async fn assemble(
    config: &Config,
    catalog: Catalog,
    store: Store,
    sandbox: SandboxRecord,
) -> Result<(Arc<Node>, mpsc::UnboundedReceiver<crate::node::Hint>), WorkerError> {
    let (hints, hints_taken) = mpsc::unbounded_channel();
    metrics().state(&Phase::Starting.state().to_string());
    metrics().slots(config.worker.concurrency);
    let node = Node {
        id: new_node_id(),
        served: watch::Sender::default(),
        catalog,
        limits: Limits {
            concurrency: config.worker.concurrency,
            lease: config.worker.lease,
            drain_timeout: config.worker.drain_timeout,
            max_result: config.worker.max_result,
            max_crashes: config.worker.max_crashes,
            max_interruptions: config.worker.max_interruptions,
        },
        labels: config.worker.labels.clone(),
        sandbox,
        running: Running::default(),
        phase: watch::Sender::new(Phase::Starting),
        hints,
        pulses: Pulses::new(config.worker.lease),
        rhythm: watch::Sender::new(windlass_shared::store::Rhythm::new(config.worker.lease)),
        stale_commits: AtomicU64::new(0),
        started_at: patiently(async || store.now().await).await?,
        store,
    };
    for (queue, weight) in &config.worker.queues {
        patiently(async || node.serve(queue, *weight).await).await?;
    }
    Ok((Arc::new(node), hints_taken))
}

/// Starts the loops, waits for the end, and stops them in reverse: the dispatcher first, since it is what takes work;
/// the waits next; the beat last, because what is still running needs its leases until it is handed back.
async fn live(
    node: Arc<Node>,
    connect: Connect,
    signals: Signals,
    hints: mpsc::UnboundedReceiver<crate::node::Hint>,
) -> Result<(), WorkerError> {
    let (stop_beat, beat_stopped) = watch::channel(false);
    // A beat that hangs must fail in time for another one before the leases end.
    let response_timeout = connect.response_timeout.min(node.rhythm().base());
    let beat = beat::start(Arc::clone(&node), Connect { response_timeout, ..connect }, beat_stopped)?;
    let mut waits = tokio::task::JoinSet::new();
    waits.spawn(inbox::run(Arc::clone(&node)));
    waits.spawn(bell::run(Arc::clone(&node)));
    node.enter(Phase::Active);
    let dispatcher = tokio::spawn(Dispatcher::new(Arc::clone(&node)).run(hints));

    let ended = supervise(Arc::clone(&node), signals, dispatcher).await;
    waits.shutdown().await;
    _ = stop_beat.send(true);
    _ = tokio::task::spawn_blocking(move || beat.join()).await;
    match node.store.leave(&node.id).await {
        Ok(()) => tracing::info!(node = %node.id, "the worker leaves"),
        Err(error) => tracing::warn!(%error, "cannot deregister; the heartbeat key will run out"),
    }
    ended
}
