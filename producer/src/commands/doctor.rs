//! `doctor`: is Redis fit for tasks, is the fleet alive, is the data sound.

mod llm;
mod sealing;
mod server;

use std::{collections::BTreeMap, future::Future, time::Instant};

use serde::Serialize;
use windlass_shared::{
    model::{NodeRecord, Protection},
    store::{ServerFacts, Store, inspect::SeenNode},
};

use crate::{
    cli,
    context::Context,
    exit::{Done, Failure},
    output::{self, Format},
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Ok,
    /// Good to know.
    Note,
    Warn,
    Fail,
}

#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Check {
    #[serde(rename = "check")]
    name: &'static str,
    status: Status,
    detail: String,
}

fn check(name: &'static str, status: Status, detail: impl Into<String>) -> Check {
    Check { name, status, detail: detail.into() }
}

/// `windlass doctor`.
pub(crate) async fn run(context: &Context, args: &cli::Doctor) -> Done {
    // An unreachable Redis ends here, with its own exit code. Who repairs is noted, who only looks may do so anywhere.
    let store = if args.yes { context.store().await? } else { context.connect().open().await? };
    let (checks, servers) = diagnose(context, &store, args).await?;
    output::list(
        context.format.unwrap_or(Format::Table),
        &checks,
        &["CHECK", "STATUS", "DETAIL"],
        |check| {
            let status = ["ok", "note", "warn", "FAIL"][check.status as usize];
            vec![check.name.to_owned(), status.to_owned(), check.detail.clone()]
        },
    )?;
    servers.iter().try_for_each(|facts| facts.check(context.config.redis.allow_eviction))?;
    match checks.iter().filter(|check| check.status == Status::Fail).count() {
        0 => Ok(()),
        failed => Err(Failure::NotDone(format!("{failed} checks failed"))),
    }
}

/// Looks at everything; and at the servers.
pub(crate) async fn diagnose(
    context: &Context,
    store: &Store,
    args: &cli::Doctor,
) -> Done<(Vec<Check>, Vec<ServerFacts>)> {
    let servers = store.servers().await?;
    let mut checks = vec![check("reachable", Status::Ok, format!("{:?}", context.config.redis.url))];
    checks.extend(server::checks(context, store, &servers).await);
    checks.push(match store.agree_on_protocol().await {
        Ok(()) => check("protocol", Status::Ok, format!("version {}", windlass_shared::PROTOCOL_VERSION)),
        Err(error) => check("protocol", Status::Fail, error.to_string()),
    });
    checks.push(latency(store).await?);
    checks.push(clock(store).await?);
    checks.push(scripts(store).await);
    let (nodes, _) = store.nodes().await?;
    checks.extend(fleet(store, &nodes).await?);
    checks.extend(llm::checks(context, store, &nodes).await?);
    checks.extend(object_store(store).await);
    checks.extend(sealing::checks(context, store, &nodes).await?);
    if args.repair {
        checks.extend(repair(store, args.yes).await?);
    }
    if args.verify {
        checks.extend(audit(store).await?);
    }
    Ok((checks, servers))
}

/// Asks for an object that nobody wrote.
async fn object_store(store: &Store) -> Option<Check> {
    Some(match store.objects()?.get("doctor", 0).await {
        Ok(_) => check("object store", Status::Ok, "it answers"),
        Err(error) => check("object store", Status::Fail, error.to_string()),
    })
}

/// How long each of ten round trips takes; the median, in milliseconds.
async fn latency(store: &Store) -> Done<Check> {
    let mut times = Vec::new();
    for _ in 0..10 {
        times.push(timed(store.now()).await?.0);
    }
    times.sort_by(f64::total_cmp);
    let median = times[times.len() / 2];
    let status = if median < 50.0 { Status::Ok } else { Status::Warn };
    Ok(check("latency", status, format!("median round trip {median:.2} ms")))
}

async fn timed<T>(call: impl Future<Output = windlass_shared::store::Result<T>>) -> Done<(f64, T)> {
    let start = Instant::now();
    let value = call.await?;
    Ok((start.elapsed().as_secs_f64() * 1000.0, value))
}

/// The difference of the clocks, for people who compare logs. No decision uses this machine's clock.
async fn clock(store: &Store) -> Done<Check> {
    let theirs = store.now().await?;
    let ours = jiff::Timestamp::now().as_microsecond();
    let apart = (ours - theirs.0).abs() / 1000;
    let status = if apart < 5_000 { Status::Ok } else { Status::Warn };
    Ok(check(
        "clock",
        status,
        format!("this machine and Redis are {apart} ms apart (only Redis's clock decides anything)"),
    ))
}

/// Runs a script that changes nothing, so that missing rights show.
async fn scripts(store: &Store) -> Check {
    let queue = store.first_partition(&windlass_shared::model::QueueName::default_queue());
    match (queue.probe().await, store.scripts_loaded().await) {
        (Ok(()), Ok((loaded, all))) => check(
            "scripts",
            Status::Ok,
            format!("they run; {loaded} of {all} are loaded, the others load with their first use"),
        ),
        // A user without the right to ask may still run them.
        (Ok(()), Err(_)) => check("scripts", Status::Ok, "they run"),
        (Err(error), _) => check("scripts", Status::Fail, error.to_string()),
    }
}

async fn fleet(store: &Store, nodes: &[SeenNode]) -> Done<Vec<Check>> {
    let alive: Vec<&NodeRecord> =
        nodes.iter().filter(|n| n.alive).filter_map(|n| n.record.as_ref()).collect();
    let lost = nodes.iter().filter(|node| !node.alive).count();
    let status = if alive.is_empty() || lost > 0 { Status::Warn } else { Status::Ok };
    let mut checks = vec![check("nodes", status, format!("{} alive, {lost} lost within a day", alive.len()))];
    for name in store.queues().await? {
        let view = store.queue(&name).await?.view().await?;
        let waiting = view.pending_count() + view.scheduled;
        if waiting > 0 && !alive.iter().any(|node| node.queues.contains_key(&name)) {
            checks.push(check(
                "served",
                Status::Warn,
                format!("{waiting} tasks wait in queue {name}, and no live node serves it"),
            ));
        }
        if view.paused {
            checks.push(check("paused", Status::Warn, format!("queue {name} is paused")));
        }
    }
    checks.extend(sandboxes(&alive));
    Ok(checks)
}

/// What the nodes keep commands from, each protection by itself; what some of them lack is a warning.
fn sandboxes(alive: &[&NodeRecord]) -> Vec<Check> {
    let runs = |node: &&&NodeRecord| {
        node.types.iter().any(|name| !["noop", "sleep", "http"].contains(&name.as_str()))
    };
    let mut lacking: BTreeMap<(Protection, &str), Vec<&str>> = BTreeMap::new();
    let mut told = 0;
    for node in alive.iter().filter(runs) {
        let Some(sandbox) = &node.sandbox else { continue };
        told += 1;
        // Isolation is an extra that few hosts have.
        for protection in
            Protection::ALL.into_iter().filter(|protection| *protection != Protection::Isolation)
        {
            if let Some(why) = sandbox.missing.get(protection.name()) {
                lacking.entry((protection, why)).or_default().push(node.id.as_str());
            }
        }
    }
    if told > 0 && lacking.is_empty() {
        let detail = format!(
            "all {told} nodes that run commands enforce files, network, limits, processes, privileges"
        );
        return vec![check("sandbox", Status::Ok, detail)];
    }
    let warning = |((protection, why), nodes): ((Protection, &str), Vec<&str>)| {
        let named = nodes.iter().take(3).copied().collect::<Vec<_>>().join(", ");
        let more = if nodes.len() > 3 { format!(" and {} more", nodes.len() - 3) } else { String::new() };
        let detail = format!("{named}{more} cannot enforce `{protection}`: {why} (docs/sandbox.md)");
        check("sandbox", Status::Warn, detail)
    };
    lacking.into_iter().map(warning).collect()
}

/// Repairs every queue, or only tells how. What is still to do is a failed check.
async fn repair(store: &Store, apply: bool) -> Done<Vec<Check>> {
    let mut checks = Vec::new();
    for name in store.queues().await? {
        for repair in store.queue(&name).await?.repair(apply).await? {
            let (status, what) =
                if apply { (Status::Ok, "done") } else { (Status::Fail, "to do, with --yes") };
            let detail = format!("queue {name}: {}: {}: {}", repair.subject, what, repair.repair);
            checks.push(check("repair", status, detail));
        }
    }
    if checks.is_empty() {
        checks.push(check("repair", Status::Ok, "nothing to repair"));
    }
    Ok(checks)
}

async fn audit(store: &Store) -> Done<Vec<Check>> {
    let mut checks = Vec::new();
    for name in store.queues().await? {
        let audit = store.queue(&name).await?.audit().await?;
        if audit.faults.is_empty() {
            checks.push(check(
                "verify",
                Status::Ok,
                format!("queue {name}: {} tasks, each in exactly one place", audit.tasks),
            ));
        }
        for fault in audit.faults {
            checks.push(check(
                "verify",
                Status::Fail,
                format!("queue {name}: {} {}", fault.subject, fault.fault),
            ));
        }
    }
    Ok(checks)
}
