//! `submit --file`: a stream of tasks, in flat memory, that can be interrupted and run again.
//!
//! A thread reads and checks lines ([`read`]); chunks of them go to Redis with a few calls in flight ([`send`]).

pub(crate) mod read;
pub(crate) mod rehearsal;
pub(crate) mod rejects;
pub(crate) mod send;
pub(crate) mod types;

use std::collections::HashSet;

use futures_util::{Stream, StreamExt, stream};
use tokio::sync::mpsc;
use windlass_shared::{
    model::{BatchName, NewTask, QueueName},
    store::{Store, StoreError},
};

use self::{
    read::{Chunk, Reader},
    rejects::Rejects,
    send::{How, Sent, send},
};
use crate::{
    cli::{self, OnError, OnFull},
    commands,
    context::Context,
    exit::{Done, Failure},
    lay::Writer,
    output::{self, Format, say},
    steps::{bounded, patiently},
};

/// Chunks in flight: enough to keep Redis busy while we check the next lines.
const IN_FLIGHT: usize = 4;

/// What became of the lines so far.
#[derive(Debug, Default, Clone)]
struct Counts {
    accepted: u64,
    duplicates: u64,
    rejected: u64,
}

/// Makes the queue, and its part of the batch, known before the first task goes there.
pub(crate) async fn register(store: &Store, task: &NewTask) -> Result<(), StoreError> {
    store.register_queue(&task.queue).await?;
    if let Some(batch) = &task.batch {
        store.register_batch(batch, &task.queue).await?;
    }
    Ok(())
}

/// `windlass submit --file`.
pub(crate) async fn run(context: &Context, args: cli::Submit) -> Done {
    let batch = args.batch.as_deref().map(BatchName::new).transpose()?;
    if args.wait && batch.is_none() {
        return Err(Failure::Usage(
            "--wait with --file needs --batch, so that the tasks can be found again".into(),
        ));
    }
    let reader = Reader::open(context, &args, batch.clone())?;
    let rejects = Rejects::create(args.file.as_deref().unwrap_or("-"), args.rejects.as_deref())?;
    let budget = commands::budget(&args)?;
    if args.dry_run {
        return rehearsal::run(context, reader, rejects).await;
    }
    let store = context.store().await?;
    let writer = Writer::open(&args.write)?;
    if let (Some(batch), Some(limit)) = (&batch, budget) {
        commands::set_budget_of_batch(&store, batch, limit).await?;
    }
    let bar = reader.bar();
    let mut run = Run {
        store: store.clone(),
        counts: Counts::default(),
        rejects,
        on_error: args.on_error,
        on_full: args.on_full.unwrap_or(OnFull::Wait),
        registered: HashSet::new(),
        types: types::Known::new(args.strict),
        bar,
    };
    let ended = run.stream(reader).await;
    run.bar.finish_and_clear();
    run.rejects.flush()?;
    run.summary(context, batch.as_ref())?;
    let sent = run.counts.accepted + run.counts.duplicates;
    context.span.set("messaging.batch.message_count", i64::try_from(sent).unwrap_or(i64::MAX));
    context.span.finish();
    ended.map_err(|failure| resumable(failure, batch.is_some()))?;
    if let (true, Some(batch)) = (args.wait, &batch) {
        let counts = bounded(None, commands::wait_for_batch(&store, batch)).await?;
        let reported = commands::report_batch(context, batch, counts);
        commands::lay_down(context, &store, batch, writer).await?;
        reported?;
    }
    if run.counts.rejected > 0 {
        return Err(Failure::NotDone(format!("{} lines were rejected", run.counts.rejected)));
    }
    Ok(())
}

/// Says how to go on after an interruption.
fn resumable(failure: Failure, batch: bool) -> Failure {
    let hint = if batch {
        "run the same command again: what was submitted already is recognised"
    } else {
        "tasks without an id or key would be doubled if you ran it again; use --batch to make a submission resumable"
    };
    match failure {
        Failure::Interrupted(_) => Failure::Interrupted(format!("interrupted; {hint}")),
        Failure::Redis(error) => {
            say!("windlass: stopped half way; {hint}");
            Failure::Redis(error)
        }
        other => other,
    }
}

struct Run {
    store: Store,
    counts: Counts,
    rejects: Rejects,
    on_error: OnError,
    on_full: OnFull,
    registered: HashSet<(QueueName, Option<BatchName>)>,
    types: types::Known,
    bar: indicatif::ProgressBar,
}

impl Run {
    async fn stream(&mut self, reader: Reader) -> Done {
        let (chunks, mut checked) = mpsc::channel::<Done<Chunk>>(IN_FLIGHT);
        let reading = std::thread::Builder::new().name("read".into()).spawn(move || reader.run(&chunks))?;
        let done = self.consume(&mut checked).await;
        drop(checked);
        // Reading from a terminal or a slow pipe may never end; its thread dies with the process.
        if done.is_ok() {
            _ = tokio::task::spawn_blocking(move || reading.join()).await;
        }
        done
    }

    /// Keeps a few chunks in flight, in order, and takes their answers in order.
    async fn consume(&mut self, checked: &mut mpsc::Receiver<Done<Chunk>>) -> Done {
        let mut in_flight = stream::FuturesOrdered::new();
        let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
        let mut open = true;
        while open || !in_flight.is_empty() {
            tokio::select! {
                biased;
                _ = &mut interrupted => return self.interrupted(in_flight).await,
                Some(sent) = in_flight.next(), if !in_flight.is_empty() => if let Err(stopped) = self.take(sent) {
                    // What is on its way goes into the summary; only the first reason to stop is told.
                    while let Some(sent) = in_flight.next().await {
                        _ = self.take(sent);
                    }
                    return Err(stopped);
                },
                chunk = checked.recv(), if open && in_flight.len() < IN_FLIGHT => match chunk {
                    Some(chunk) => {
                        // It may wait for Redis, but not for longer than somebody wants it to.
                        let chunk = tokio::select! {
                            chunk = self.prepare(chunk?) => chunk?,
                            _ = &mut interrupted => return self.interrupted(in_flight).await,
                        };
                        in_flight.push_back(send(self.store.clone(), chunk, How { on_full: self.on_full, each: false }));
                    }
                    None => open = false,
                },
            }
        }
        Ok(())
    }

    /// What is on its way is taken into account, so that the summary is true.
    async fn interrupted(&mut self, mut in_flight: impl Stream<Item = Done<Sent>> + Unpin) -> Done {
        while let Some(sent) = in_flight.next().await {
            self.take(sent)?;
        }
        Err(Failure::Interrupted(String::new()))
    }

    /// Registers new queues, and refuses or warns of types that nobody knows.
    async fn prepare(&mut self, mut chunk: Chunk) -> Done<Chunk> {
        self.types.check(&self.store, &mut chunk).await?;
        for (_, task) in &chunk.tasks {
            let place = (task.queue.clone(), task.batch.clone());
            if !self.registered.contains(&place) {
                patiently(|| register(&self.store, task)).await?;
                self.registered.insert(place);
            }
        }
        Ok(chunk)
    }

    fn take(&mut self, sent: Done<Sent>) -> Done {
        let sent = sent?;
        self.counts.accepted += sent.accepted;
        self.counts.duplicates += sent.duplicates;
        for reject in sent.rejects {
            self.counts.rejected += 1;
            self.rejects.write(&reject)?;
            if self.on_error == OnError::Stop {
                return Err(Failure::NotDone(format!("stopped at line {} (--on-error stop)", reject.line)));
            }
        }
        self.bar.set_position(sent.read);
        self.bar.set_message(format!("{} accepted", self.counts.accepted + self.counts.duplicates));
        Ok(())
    }

    fn summary(&self, context: &Context, batch: Option<&BatchName>) -> Done {
        let Counts { accepted, duplicates, rejected } = self.counts;
        match context.format {
            Some(Format::Json | Format::Jsonl) => output::json(&serde_json::json!({
                "batch": batch.map(BatchName::as_str),
                "accepted": accepted,
                "duplicates": duplicates,
                "rejected": rejected,
            })),
            _ => {
                let name = batch.map(|batch| format!("batch {batch}: ")).unwrap_or_default();
                say!("{name}{accepted} accepted, {duplicates} duplicates, {rejected} rejected");
                Ok(())
            }
        }
    }
}
