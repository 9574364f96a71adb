//! `export`: queues into a file, whole or not at all.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use windlass_shared::{
    model::QueueName,
    store::{Partition, Queue, QueueSettings, Standing, Store},
};

use crate::{
    archive::{self, Exported, FORMAT, Header, Since, Writer},
    cli,
    context::Context,
    exit::{Done, Failure},
    output::{self, Format, say},
    steps::duration,
};

/// Keys that one call copies. Each may hold a payload or a result, of 1 MiB at most.
const PAGE: usize = 50;
/// How often what changed meanwhile is copied again before we give up.
const ROUNDS: usize = 50;
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Settings of each partition of a queue.
type Settings = Vec<BTreeMap<String, String>>;

/// `windlass export`.
pub(crate) async fn run(context: &Context, args: cli::Export) -> Done {
    let patience = duration("--timeout", &args.timeout)?;
    let store = context.store().await?;
    let left = if args.resume && args.file.exists() { archive::header_of(&args.file)? } else { None };
    let header = match left {
        Some(header) => header,
        None => {
            if args.resume && args.file.exists() {
                std::fs::remove_file(&args.file)?; // not even its first line was written
            }
            first_line(context, &store, &names(context, &store, &args).await?).await?
        }
    };
    let mut queues = Vec::new();
    for exported in &header.queues {
        store.check_export(&exported.queue).await?;
        queues.push(store.queue(&exported.queue).await?);
    }
    for queue in &queues {
        refuse_unless_still(queue, args.pause).await?;
    }
    let begun = if args.resume && args.file.exists() {
        Writer::reopen(&args.file)?
    } else {
        (Writer::create(&args.file, &header)?, None)
    };
    let copied = tokio::select! {
        copied = copy_all(&header, &queues, begun, args.pause.then_some(patience)) => copied,
        _ = tokio::signal::ctrl_c() => Err(Failure::Interrupted("the export is not complete: go on with --resume".into())),
    };
    if args.pause {
        for (queue, exported) in queues.iter().zip(&header.queues).filter(|(_, exported)| !exported.paused) {
            pause(queue, false).await?;
            say!("windlass: queue {} goes on", exported.queue);
        }
    }
    let (keys, bytes) = copied?;
    tell(context, &args, &header, keys, bytes)
}

fn tell(context: &Context, args: &cli::Export, header: &Header, keys: u64, bytes: u64) -> Done {
    let file = args.file.display().to_string();
    let names: Vec<&str> = header.queues.iter().map(|exported| exported.queue.as_str()).collect();
    match context.format {
        Some(Format::Json | Format::Jsonl) => {
            output::json(&serde_json::json!({ "file": file, "queues": names, "keys": keys, "bytes": bytes }))
        }
        _ => {
            say!("windlass: exported {} to {file}: {keys} keys, {bytes} bytes", names.join(", "));
            Ok(())
        }
    }
}

async fn names(context: &Context, store: &Store, args: &cli::Export) -> Done<Vec<QueueName>> {
    let mut names = args.queues.iter().map(QueueName::new).collect::<Result<Vec<_>, _>>()?;
    names.extend(context.named_queue().cloned());
    if args.all {
        names = store.queues().await?;
    }
    names.sort();
    names.dedup();
    if names.is_empty() {
        return Err(Failure::Usage("name queues, or say --all".into()));
    }
    let known = store.queues().await?;
    match names.iter().find(|name| !known.contains(name)) {
        Some(unknown) => Err(Failure::NotDone(format!("there is no queue {unknown}: see `windlass queues`"))),
        None => Ok(names),
    }
}

async fn first_line(context: &Context, store: &Store, names: &[QueueName]) -> Done<Header> {
    let mut queues = Vec::new();
    for name in names {
        let queue = store.queue(name).await?;
        let standing = queue.standing().await?;
        if standing.iter().any(|partition| partition.settings.contains_key("importing")) {
            return Err(Failure::Refused(format!("queue {name} is being imported: finish that first")));
        }
        let partitions = u16::try_from(standing.len()).unwrap_or(u16::MAX);
        let paused = standing.iter().all(Standing::is_paused);
        queues.push(Exported { queue: name.clone(), partitions, paused });
    }
    let servers = store.servers().await?;
    let server = servers.first().map(|facts| format!("{} {}", facts.server, facts.version));
    Ok(Header {
        format: FORMAT,
        namespace: context.config.namespace.to_string(),
        server: server.unwrap_or_default(),
        exported_at: store.now().await?.to_string(),
        queues,
    })
}

async fn refuse_unless_still(queue: &Queue, pausing: bool) -> Done {
    let name = queue.name();
    let standing = queue.standing().await?;
    if !pausing && !standing.iter().all(Standing::is_paused) {
        return Err(Failure::Refused(format!(
            "queue {name} is not paused: say --pause, or run `windlass pause {name}` and wait until nothing runs"
        )));
    }
    match standing.iter().map(|partition| partition.running).sum::<u64>() {
        running if running > 0 && !pausing => Err(Failure::Refused(format!(
            "{running} tasks of queue {name} still run: wait until they ended, or say --pause, which waits"
        ))),
        _ => Ok(()),
    }
}

async fn pause(queue: &Queue, paused: bool) -> Done {
    Ok(queue.configure(&QueueSettings { paused: Some(paused), ..QueueSettings::default() }).await?)
}

/// Pauses the queues and waits until nothing of them runs.
async fn still(queues: &[Queue], patience: Duration) -> Done {
    for queue in queues {
        pause(queue, true).await?;
    }
    let wait = async {
        for queue in queues {
            while queue.standing().await?.iter().any(|partition| partition.running > 0) {
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
        Ok(())
    };
    tokio::time::timeout(patience, wait).await.unwrap_or_else(|_| {
        Err(Failure::TimedOut(
            "tasks still run: give --timeout more time, or cancel them; then go on with --resume".into(),
        ))
    })
}

async fn copy_all(
    header: &Header,
    queues: &[Queue],
    (mut writer, begun): (Writer, Option<Since>),
    patience: Option<Duration>,
) -> Done<(u64, u64)> {
    if let Some(patience) = patience {
        still(queues, patience).await?;
    }
    let mut begun = begun;
    loop {
        let since = match begun.take() {
            Some(since) => since,
            None => {
                let since = Since { since: newest(queues).await? };
                writer.since(&since)?;
                since
            }
        };
        let mut settings = Vec::new();
        for (index, (queue, since)) in queues.iter().zip(&since.since).enumerate() {
            let mut copy = Copy { index, queue, writer: &mut writer };
            let Some(of_queue) = copy.run(since).await? else { break };
            settings.push(of_queue);
        }
        if settings.len() == queues.len() {
            return writer.close(settings);
        }
        say!("windlass: the queue changed too much since the export began: it begins anew");
        writer.restart(header)?;
    }
}

async fn newest(queues: &[Queue]) -> Done<Vec<Vec<String>>> {
    let mut all = Vec::new();
    for queue in queues {
        all.push(queue.standing().await?.into_iter().map(|partition| partition.newest_event).collect());
    }
    Ok(all)
}

/// One queue's way into the file.
struct Copy<'a> {
    index: usize,
    queue: &'a Queue,
    writer: &'a mut Writer,
}

impl Copy<'_> {
    /// Copies the queue, and gives its settings; none if the event log does not tell all that changed since.
    async fn run(&mut self, since: &[String]) -> Done<Option<Settings>> {
        let mut others = vec![BTreeSet::new(); since.len()];
        let queue = self.queue;
        queue
            .each_key(async |partition: &Partition, names: Vec<String>| -> Done {
                let (tasks, rest): (Vec<String>, Vec<String>) = names
                    .into_iter()
                    .partition(|name| name.starts_with("spec:") || name.starts_with("task:"));
                others[usize::from(partition.index())].extend(rest.into_iter().filter(|name| name != "meta"));
                let (index, of) = (self.index, partition.index());
                let new: Vec<String> =
                    tasks.into_iter().filter(|name| !self.writer.has(index, of, name)).collect();
                self.copy(partition, &new).await
            })
            .await?;
        // What changed meanwhile, and the places: until nothing changes while they are copied.
        let mut since = since.to_vec();
        for _ in 0..ROUNDS {
            let before = self.standing().await?;
            for ((partition, others), since) in queue.partitions().iter().zip(&others).zip(&since) {
                let Some(mut names) = partition.changed_since(since).await? else { return Ok(None) };
                names.extend(others.iter().cloned());
                self.copy(partition, &names.into_iter().collect::<Vec<_>>()).await?;
            }
            if self.standing().await? == before {
                return Ok(Some(before.into_iter().map(|partition| partition.settings).collect()));
            }
            since = before.into_iter().map(|partition| partition.newest_event).collect();
        }
        Err(Failure::Refused(format!(
            "queue {} changes all the time, so no copy of it fits together: stop what submits to it, and go on with --resume",
            queue.name()
        )))
    }

    /// Where the queue stands, which must stay paused.
    async fn standing(&self) -> Done<Vec<Standing>> {
        let standing = self.queue.standing().await?;
        if standing.iter().all(|partition| partition.is_paused() && partition.running == 0) {
            return Ok(standing);
        }
        Err(Failure::Refused(format!(
            "queue {} was resumed during its export: pause it, and go on with --resume",
            self.queue.name()
        )))
    }

    async fn copy(&mut self, partition: &Partition, names: &[String]) -> Done {
        for page in names.chunks(PAGE) {
            let dumps = partition.dump(page).await?;
            for (name, dump) in page.iter().zip(dumps) {
                self.writer.key(self.index, partition.index(), name.clone(), dump.as_deref())?;
            }
            self.writer.flush()?;
        }
        Ok(())
    }
}
