//! How the adapter reaches its fleet: what `REDIS_URL` names, with everything else as it is by default.

use std::{env, path::Path};

use anyhow::{Context, Result};
use serde_json::value::RawValue;
use windlass_bench::record::{self, Work};
use windlass_shared::{
    config::{Config, Sources},
    model::{BatchName, Expiry, NewTask, Priority, QueueName, Start, TenantName, TypeName, id},
    store::{Queue, Store},
};

/// The type that the worker's handler runs.
pub(crate) const TYPE: &str = "bench";

/// The configuration of a worker, or of whoever submits.
pub(crate) fn config(concurrency: usize) -> Result<Config> {
    let url = env::var("REDIS_URL").context("REDIS_URL is not set")?;
    let log = env::var("BENCH_LOG").unwrap_or_default();
    let mut flags = vec![
        ("redis.url", "REDIS_URL", url),
        ("worker.concurrency", "--conc", concurrency.to_string()),
        ("log.level", "the log's level", "warn".to_owned()),
    ];
    // A worker that is killed leaves a file where it works: beside the log, which goes with the benchmark.
    if let Some(folder) = Path::new(&log).parent().filter(|folder| !folder.as_os_str().is_empty()) {
        flags.push(("worker.workspace", "BENCH_LOG", folder.join("work").display().to_string()));
    }
    Ok(Config::load(Sources { flags, ..Sources::default() })?)
}

/// A connection of its own.
pub(crate) async fn store() -> Result<Store> {
    Ok(windlass_shared::store::Connect::configured(&config(1)?).open().await?)
}

/// The queue, and the tasks for it.
pub(crate) struct Tasks {
    pub(crate) queue: Queue,
    pub(crate) task_type: TypeName,
    pub(crate) batch: Option<BatchName>,
    pub(crate) bytes: usize,
    pub(crate) tenants: u64,
    /// Of several priorities, as `record::priority` tells.
    pub(crate) priorities: bool,
}

impl Tasks {
    /// Makes the queue and the batch known, as every producer does before its first task.
    pub(crate) async fn register(store: &Store, task_type: &str, bytes: usize, tenants: u64) -> Result<Self> {
        let queue = QueueName::default_queue();
        let batch =
            env::var("BENCH_BATCH").ok().filter(|name| !name.is_empty()).map(BatchName::new).transpose()?;
        store.register_queue(&queue).await?;
        if let Some(batch) = &batch {
            store.register_batch(batch, &queue).await?;
        }
        Ok(Self {
            queue: store.queue(&queue).await?,
            task_type: TypeName::new(task_type)?,
            batch,
            bytes,
            tenants,
            priorities: false,
        })
    }

    /// A task with an id of its own.
    pub(crate) fn task(&self, work: Work) -> Result<NewTask> {
        let tenant = (self.tenants > 0).then(|| TenantName::new(format!("t{}", work.idx % self.tenants)));
        Ok(NewTask {
            queue: self.queue.name().clone(),
            id: id::new_id(),
            digest: String::new(),
            task_type: self.task_type.clone(),
            payload: RawValue::from_string(work.payload(self.bytes))?,
            priority: if self.priorities { record::priority(work.idx) } else { Priority::default() },
            tenant: tenant.transpose()?,
            weight: 1,
            start: Start::Now,
            expiry: Expiry::Never,
            batch: self.batch.clone(),
            concurrency_key: None,
            options: String::new(),
        })
    }
}
