//! `submit`: one task. A file of tasks is in `bulk`.

use serde_json::value::RawValue;
use windlass_shared::{
    model::{
        BatchName, ConcurrencyKey, NewTask, State, TaskId, TaskRef, TenantName, TypeName,
        submission::{Inherited, Submission},
    },
    store::{Accepted, Store},
};

use super::{budgets, wait};
use crate::{
    bulk,
    cli::{self, OnFull},
    context::Context,
    exit::{Done, Failure},
    lay::Writer,
    output::{self, Format, say},
    steps::{Pause, bounded},
};

/// `windlass submit`.
pub(crate) async fn run(context: &Context, args: cli::Submit) -> Done {
    if args.write.root.is_some() && !args.wait {
        return Err(Failure::Usage("--write needs --wait: files are there when the task is finished".into()));
    }
    if args.file.is_some() {
        return bulk::run(context, args).await;
    }
    let task = task(context, &args)?;
    context.span.set("messaging.message.id", task.id.to_string());
    let limit = budget(&args)?;
    if args.dry_run {
        bulk::rehearsal::tell_undeclared(context, &task.task_type);
        say!("windlass: nothing is wrong with it; it would go to queue {}", task.queue);
        return Ok(());
    }
    let store = context.store().await?;
    let writer = Writer::open(&args.write)?;
    if let (Some(batch), Some(limit)) = (&task.batch, limit) {
        budgets::set_for_batch(&store, batch, limit).await?;
    }
    bulk::types::check_one(&store, &task.task_type, args.strict).await?;
    bulk::register(&store, &task).await?;
    let accepted = submit(&store, &task, args.on_full.unwrap_or(OnFull::Fail)).await?;
    let reference = TaskRef { queue: task.queue.clone(), id: task.id.clone() };
    let (state, duplicate) = taken(&reference, accepted)?;
    context.span.set("windlass.duplicate", duplicate);
    context.span.finish();
    if !args.wait {
        return print(context, &reference, state, duplicate);
    }
    // One command prints one thing: whoever waits gets the finished task, and its reference meanwhile.
    say!("windlass: waiting for {reference}");
    let references = [reference];
    let found = bounded(None, wait::tasks(&store, &references)).await?;
    let reported = wait::report(context, &references, &found);
    wait::lay_down(&found, writer)?;
    reported
}

/// What the batch's calls to models may cost, nano-dollars.
pub(crate) fn budget(args: &cli::Submit) -> Done<Option<i64>> {
    args.budget.as_deref().map(|text| budgets::amount("--budget", text)).transpose()
}

/// The task that the flags describe.
fn task(context: &Context, args: &cli::Submit) -> Done<NewTask> {
    let task_type = TypeName::new(args.task_type.as_deref().unwrap_or_default())?;
    let (payload, most) = (payload(args)?, context.config.submit.max_payload);
    if payload.get().len() > most {
        return Err(Failure::Refused(format!(
            "payload: it has {} bytes, at most {most} are allowed (settings submit.max_payload, claim_check)",
            payload.get().len()
        )));
    }
    let mut submission = Submission::new(task_type.clone(), payload);
    submission.id = args.id.as_deref().map(TaskId::new).transpose()?;
    submission.key.clone_from(&args.key);
    submission.queue = context.named_queue().cloned();
    submission.batch = args.batch.as_deref().map(BatchName::new).transpose()?;
    submission.inherit(&from_flags(args)?);
    let inherited = inherited(context, &task_type);
    submission.resolve(&inherited, context.config.submit.max_payload).map_err(Failure::Usage)
}

/// What flags say that a file's lines may say as well.
pub(crate) fn from_flags(args: &cli::Submit) -> Done<Submission> {
    let mut flags = Submission::new(TypeName::new("any")?, RawValue::NULL.to_owned());
    flags.tenant = args.tenant.as_deref().map(TenantName::new).transpose()?;
    flags.concurrency_key = args.concurrency_key.as_deref().map(ConcurrencyKey::new).transpose()?;
    flags.priority = args.priority.as_deref().map(|text| text.parse().map_err(Failure::Usage)).transpose()?;
    flags.weight = args.weight;
    flags.delay.clone_from(&args.delay);
    flags.run_at.clone_from(&args.run_at);
    flags.expires.clone_from(&args.expires);
    flags.timeout.clone_from(&args.timeout);
    flags.max_attempts = args.max_attempts;
    flags.metadata = metadata(&args.metadata)?;
    // Faults of the flags are told once, and not with every line.
    flags.clone().resolve(&Inherited::default(), usize::MAX).map_err(Failure::Usage)?;
    Ok(flags)
}

/// What a type's configuration gives its tasks, where they say nothing.
pub(crate) fn inherited(context: &Context, task_type: &TypeName) -> Inherited {
    let spec = context.config.type_spec(task_type);
    let queue = context.named_queue().or(spec.as_ref().and_then(|spec| spec.queue.as_ref())).cloned();
    Inherited {
        queue: Some(queue.unwrap_or_else(|| context.queue())),
        priority: spec.and_then(|spec| spec.priority),
        trace: context.trace.clone(),
        ..Inherited::default()
    }
}

fn payload(args: &cli::Submit) -> Done<Box<RawValue>> {
    if let Some(text) = &args.payload {
        return serde_json::from_str(text)
            .map_err(|error| Failure::Usage(format!("--payload: it is not JSON: {error}")));
    }
    let mut fields = serde_json::Map::new();
    for (name, value) in [
        ("description", &args.description),
        ("target_file", &args.target_file),
        ("complexity", &args.complexity),
    ] {
        if let Some(value) = value {
            fields.insert(name.to_owned(), value.clone().into());
        }
    }
    let mut files = serde_json::Map::new();
    for path in args.target_file.iter().chain(&args.with_file) {
        if let Some(text) = text_of(path, args.with_file.contains(path))? {
            files.insert(path.clone(), text.into());
        }
    }
    if !files.is_empty() {
        fields.insert("files".to_owned(), files.into());
    }
    if let Some(threshold) = args.quality_threshold {
        fields.insert("quality_threshold".to_owned(), threshold.into());
    }
    let payload = if fields.is_empty() { serde_json::Value::Null } else { fields.into() };
    serde_json::value::to_raw_value(&payload).map_err(|error| Failure::Usage(error.to_string()))
}

/// The text of a file that goes along with the task, since a worker may be on another machine. A target that is not
/// here may be where the workers read files (`llm.source_root`); one that was asked for by itself must be here.
fn text_of(path: &str, must: bool) -> Done<Option<String>> {
    let relative = std::path::Path::new(path)
        .components()
        .all(|part| matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir));
    match std::fs::read(path) {
        Ok(_) if !relative && must => Err(Failure::Usage(format!(
            "--with-file: {path:?} is not a path below this folder: go there first"
        ))),
        Ok(bytes) if relative => String::from_utf8(bytes).map(Some).map_err(|_| {
            Failure::Usage(format!("{path:?} is no text (UTF-8), and cannot go along with a task"))
        }),
        Err(error) if must => Err(Failure::Usage(format!("--with-file: {path:?} cannot be read: {error}"))),
        _ => Ok(None),
    }
}

fn metadata(pairs: &[String]) -> Done<Option<Box<RawValue>>> {
    if pairs.is_empty() {
        return Ok(None);
    }
    let mut fields = serde_json::Map::new();
    for pair in pairs {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(Failure::Usage(format!("--metadata: {pair:?} is not KEY=VALUE")));
        };
        fields.insert(key.to_owned(), value.into());
    }
    serde_json::value::to_raw_value(&fields).map(Some).map_err(|error| Failure::Usage(error.to_string()))
}

async fn submit(store: &Store, task: &NewTask, on_full: OnFull) -> Done<Accepted> {
    let queue = store.queue(&task.queue).await?;
    let mut pause = Pause::new();
    loop {
        let accepted = queue.submit(&[task]).await?.into_iter().next();
        match accepted {
            Some(Accepted::Full) if on_full == OnFull::Wait => pause.wait().await,
            Some(accepted) => return Ok(accepted),
            None => return Err(Failure::NotDone("Redis answered nothing; is a proxy in between?".into())),
        }
    }
}

/// The task's state and whether it was there before, or why it was refused.
fn taken(reference: &TaskRef, accepted: Accepted) -> Done<(Option<State>, bool)> {
    match accepted {
        Accepted::New(state) => Ok((Some(state), false)),
        Accepted::Duplicate(state) => Ok((state, true)),
        Accepted::Conflict(_) => Err(Failure::Refused(format!(
            "{reference} exists with other content: use another --id or --key, or look at it with `windlass status {reference}`"
        ))),
        Accepted::Full => Err(Failure::Refused(format!(
            "queue {} is full: try later, or wait for room with --on-full wait (its limit: windlass queues {})",
            reference.queue, reference.queue
        ))),
    }
}

fn print(context: &Context, reference: &TaskRef, state: Option<State>, duplicate: bool) -> Done {
    match context.format {
        Some(Format::Json | Format::Jsonl) => output::json(&serde_json::json!({
            "ref": reference.to_string(),
            "id": reference.id.as_str(),
            "queue": reference.queue.as_str(),
            "state": state,
            "duplicate": duplicate,
        })),
        _ => {
            if duplicate {
                say!("windlass: {reference} was submitted before; it is one task");
            }
            output::line(&reference.to_string())
        }
    }
}
