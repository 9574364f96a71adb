//! `queues`, `pause`, `resume`.

use std::time::Duration;

use windlass_shared::{
    model::{
        QueueName,
        time::{human, micros},
    },
    store::{QueueSettings, Store, inspect::QueueView},
};

use crate::{
    cli::{self, QueueSet, QueuesCommand},
    context::Context,
    exit::{Done, Failure},
    output::{self, Format, say},
    steps::duration,
};

const HEAD: [&str; 13] = [
    "QUEUE",
    "STATE",
    "CRITICAL",
    "HIGH",
    "NORMAL",
    "LOW",
    "SCHEDULED",
    "RUNNING",
    "PARKED",
    "BLOCKED",
    "FAILED",
    "COMPLETED",
    "OLDEST",
];

fn row(queue: &QueueView) -> Vec<String> {
    let mut row = vec![queue.queue.to_string(), if queue.paused { "paused".into() } else { "open".into() }];
    row.extend(
        ["critical", "high", "normal", "low"].map(|p| queue.pending.get(p).copied().unwrap_or(0).to_string()),
    );
    row.extend(
        [queue.scheduled, queue.running, queue.parked, queue.blocked, queue.failed].map(|n| n.to_string()),
    );
    row.push(queue.totals.get("completed").copied().unwrap_or(0).to_string());
    row.push(queue.oldest_pending_ms.map(|ms| human(Duration::from_millis(ms))).unwrap_or_default());
    row
}

/// `windlass queues`.
pub(crate) async fn run(context: &Context, args: cli::Queues) -> Done {
    if let Some(QueuesCommand::Set(set)) = args.command {
        return self::set(context, &set).await;
    }
    let mut names = args.names.iter().map(QueueName::new).collect::<Result<Vec<_>, _>>()?;
    names.extend(context.named_queue().cloned());
    let one = names.len() == 1;
    let store = context.store().await?;
    if names.is_empty() {
        names = store.queues().await?;
    }
    let mut views = Vec::new();
    for name in &names {
        views.push(store.queue(name).await?.view().await?);
    }
    output::asked(context.format.unwrap_or(Format::Table), one, &views, &HEAD, row)
}

/// `windlass pause` and `windlass resume`.
pub(crate) async fn pause(context: &Context, name: &str, paused: bool) -> Done {
    let name = QueueName::new(name)?;
    set_paused(&context.store().await?, &name, paused).await?;
    match context.format {
        Some(Format::Json | Format::Jsonl) => {
            output::json(&serde_json::json!({ "queue": name.as_str(), "paused": paused }))
        }
        _ => {
            say!("queue {name} {}", if paused { "is paused: nothing is claimed from it" } else { "goes on" });
            Ok(())
        }
    }
}

/// Lets claims from a queue stop, or go on.
pub(crate) async fn set_paused(store: &Store, name: &QueueName, paused: bool) -> Done {
    let settings = QueueSettings { paused: Some(paused), ..QueueSettings::default() };
    store.register_queue(name).await?;
    Ok(store.queue(name).await?.configure(&settings).await?)
}

async fn set(context: &Context, set: &QueueSet) -> Done {
    let name = QueueName::new(&set.name)?;
    let settings = QueueSettings {
        paused: None,
        max_length: number("--max-length", set.max_length.as_deref())?,
        concurrency: number("--concurrency", set.concurrency.as_deref())?,
        key_concurrency: number("--key-concurrency", set.key_concurrency.as_deref())?,
        retention: time("--retention", set.retention.as_deref())?,
        dead_retention: time("--dead-retention", set.dead_retention.as_deref())?,
        events: number("--events", set.events.as_deref())?,
    };
    let store = context.store().await?;
    store.register_queue(&name).await?;
    let mut queue = store.queue(&name).await?;
    match set.partitions {
        Some(count) => queue = queue.divide(count, &settings).await?,
        None => queue.configure(&settings).await?,
    }
    let view = queue.view().await?;
    output::asked(context.format.unwrap_or(Format::Table), true, &[view], &HEAD, row)
}

type Change = Option<Option<u64>>;

fn number(flag: &str, text: Option<&str>) -> Done<Change> {
    match text {
        None => Ok(None),
        Some("default") => Ok(Some(None)),
        Some(text) => match text.parse::<u64>() {
            Ok(n) if n > 0 => Ok(Some(Some(n))),
            _ => Err(Failure::Usage(format!(
                "{flag}: {text:?} is not valid: use a number above zero, or default"
            ))),
        },
    }
}

fn time(flag: &str, text: Option<&str>) -> Done<Change> {
    match text {
        None => Ok(None),
        Some("default") => Ok(Some(None)),
        Some(text) => Ok(Some(Some(u64::try_from(micros(duration(flag, text)?)).unwrap_or(u64::MAX)))),
    }
}
