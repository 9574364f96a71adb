//! `dev`: a whole fleet on one machine, for trying out: a private Redis and some workers, as real processes.

pub(crate) mod child;
mod page;
mod redis;
mod scripted;

use std::{
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use self::{child::Child, redis::PrivateRedis};
use crate::{
    cli::{self, Global},
    commands::load_scenario,
    context::Context,
    exit::{Done, Failure},
    output::{self, say},
    steps::duration,
};

/// How long children get to leave.
const PATIENCE: Duration = Duration::from_secs(40);

/// `windlass dev`.
pub(crate) async fn run(context: &Context, global: &Global, args: cli::Dev) -> Done {
    let limit = args.duration.as_deref().map(seconds_or_duration).transpose()?;
    // A scenario that cannot be used is told before anything starts.
    let scenario = match &args.scripted {
        Some(file) => Some(file.as_deref().map(load_scenario).transpose()?),
        None => None,
    };
    let worker = find_worker()?;
    let logs = args.dir.join("logs");
    std::fs::create_dir_all(&logs)
        .map_err(|error| Failure::Usage(format!("--dir {}: {error}", args.dir.display())))?;
    // Two fleets on the same files would spoil them. The lock ends with this process.
    let lock = std::fs::File::create(args.dir.join("lock"))?;
    if lock.try_lock().is_err() {
        return Err(Failure::Usage(format!(
            "another `windlass dev` runs in {}: stop it, or give this one a directory of its own with --dir",
            args.dir.display()
        )));
    }
    let private = if is_configured(context) { None } else { Some(PrivateRedis::start(&args.dir).await?) };
    let redis_url = match &private {
        Some(redis) => redis.url.clone(),
        None => context.config.redis.url.expose().to_owned(),
    };
    let scripted = match scenario {
        Some(scenario) => Some(scripted::start(scenario).await?),
        None => None,
    };
    // A URL may hold a password, and a process's arguments are for everyone to see: children get it by variable.
    // A file that holds it would be a second one; an empty variable counts as none.
    let mut env = vec![
        ("WINDLASS_REDIS_URL".to_owned(), redis_url.clone()),
        ("WINDLASS_REDIS_URL_FILE".to_owned(), String::new()),
    ];
    env.extend(scripted.as_ref().map(scripted::Scripted::environment).unwrap_or_default());
    let mut workers = Vec::new();
    for index in 1..=args.workers {
        let argv = worker_argv(&worker, index, global, &args);
        workers.push(Child::spawn(&argv, &env, &logs.join(format!("worker-{index}.log")))?);
    }
    let page = match args.page.as_str() {
        "none" => None,
        address => Some(page::start(address, global, &env, &logs)?),
    };
    announce(&redis_url, &workers, &logs, scripted.as_ref(), page.as_ref())?;
    let ended = watch(&mut workers, limit).await;
    say!("stopping: workers finish what runs");
    child::stop_all(&mut workers, PATIENCE).await;
    if let Some(page) = page {
        child::stop_all(&mut [page.child], PATIENCE).await;
    }
    if let Some(redis) = private {
        redis.stop().await;
    }
    ended
}

/// Told which Redis to use: use that one. Otherwise a private one, which ends with us.
fn is_configured(context: &Context) -> bool {
    let settings = context.config.effective(windlass_shared::config::Who::Both);
    settings.into_iter().any(|setting| setting.key == "redis.url" && setting.origin != "default")
}

fn worker_argv(worker: &Path, index: u16, global: &Global, args: &cli::Dev) -> Vec<String> {
    let mut argv =
        vec![worker.display().to_string(), "--die-with-parent".into(), std::process::id().to_string()];
    let mut flag = |name: &str, value: Option<String>| {
        argv.extend(value.map(|value| [name.to_owned(), value]).into_iter().flatten());
    };
    flag("--concurrency", Some(args.concurrency.to_string()));
    flag("--labels", Some(format!("dev={index}")));
    flag("--queues", args.queues.clone());
    flag("--config", global.config.as_ref().map(|path| path.display().to_string()));
    flag("--namespace", global.namespace.clone());
    argv
}

/// The seeds' command took plain seconds.
fn seconds_or_duration(text: &str) -> Done<Duration> {
    match text.parse::<u64>() {
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
        Err(_) => duration("--duration", text),
    }
}

/// Beside this program, else on the PATH.
fn find_worker() -> Done<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|exe| Some(exe.parent()?.join("windlass-worker")));
    let path = std::env::var_os("PATH").unwrap_or_default();
    beside
        .into_iter()
        .chain(std::env::split_paths(&path).map(|dir| dir.join("windlass-worker")))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| Failure::Usage("windlass-worker is neither beside this program nor on the PATH: build it with `cargo build --release`".into()))
}

fn announce(
    url: &str,
    workers: &[Child],
    logs: &Path,
    scripted: Option<&scripted::Scripted>,
    page: Option<&page::Page>,
) -> Done {
    let shown = windlass_shared::config::redact_url(url);
    say!("{} workers on {shown}, logs in {}", workers.len(), logs.display());
    if let Some(scripted) = scripted {
        say!(
            "`llm` tasks go to a scripted stand-in for a model, at {}: its answers are no model's",
            scripted.url
        );
    }
    if let Some(page) = page {
        say!("the fleet in your browser, live: {}", page.url);
    }
    say!("in another terminal:\n");
    // On stdout, so that a script can take it; a private Redis has no password.
    output::line(&format!("export WINDLASS_REDIS_URL={shown}"))?;
    std::io::stdout().flush()?;
    say!(
        "\n  windlass nodes\n  windlass submit --type command --payload '{{\"argv\":[\"date\"]}}' --wait\n\nCtrl-C stops everything."
    );
    Ok(())
}

/// Until Ctrl-C, SIGTERM, the time is over, or all workers are gone. A worker that dies is told, and the rest goes on.
async fn watch(workers: &mut Vec<Child>, limit: Option<Duration>) -> Done {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let over = async {
        match limit {
            Some(limit) => tokio::time::sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    let mut over = std::pin::pin!(over);
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            () = &mut over => return Ok(()),
            (index, status) = child::any_ended(workers) => {
                let gone = workers.remove(index);
                say!("worker {} ended: {status}; its log: {}", gone.pid, gone.log.display());
                if workers.is_empty() {
                    return Err(Failure::NotDone("all workers are gone".into()));
                }
            }
        }
    }
}
