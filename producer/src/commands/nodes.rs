//! `nodes` and `node`: who is alive, and steering.

use std::{io::IsTerminal, time::Duration};

use windlass_shared::{
    model::{NodeId, time::human},
    store::{NodeCommand, Store, inspect::NodeView},
};

use crate::{
    cli::NodeVerb,
    context::Context,
    exit::{Done, Failure},
    output::{self, Format, say},
    steps::bounded,
};

const HEAD: [&str; 9] = ["NODE", "STATE", "HOST", "PID", "SLOTS", "QUEUES", "LAST BEAT", "RUNNING", "LABELS"];

fn row(node: &NodeView) -> Vec<String> {
    let joined = |map: &std::collections::BTreeMap<String, String>| {
        map.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",")
    };
    let queues: Vec<String> =
        node.queues.iter().map(|(q, w)| if *w == 1 { q.clone() } else { format!("{q}={w}") }).collect();
    let running = node.running.iter().take(3).map(|task| {
        format!("{} {} {}", task.task_type, task.id, human(Duration::from_millis(task.elapsed_ms)))
    });
    let more = node.running_count.saturating_sub(3);
    let mut running: Vec<String> = running.collect();
    if more > 0 {
        running.push(format!("and {more} more"));
    }
    vec![
        node.id.to_string(),
        node.state.clone(),
        node.host.clone(),
        node.pid.to_string(),
        format!("{}/{}", node.running_count, node.slots),
        queues.join(","),
        format!("{} ago", human(Duration::from_millis(node.last_beat_ms))),
        running.join("; "),
        joined(&node.labels),
    ]
}

async fn read(store: &Store) -> Done<Vec<NodeView>> {
    let (nodes, now) = store.nodes().await?;
    // One by one, so that not all are there twice.
    Ok(nodes.into_iter().map(|node| node.view(now)).collect())
}

/// `windlass nodes`.
pub(crate) async fn list(context: &Context, watch: bool) -> Done {
    let format = context.format.unwrap_or(Format::Table);
    let store = context.store().await?;
    if !watch {
        let nodes = read(&store).await?;
        output::list(format, &nodes, &HEAD, row)?;
        if nodes.iter().all(|node| node.state == "lost") {
            say!("no node is alive: start windlass-worker, or `windlass dev`");
        }
        return Ok(());
    }
    bounded(None, async {
        loop {
            let nodes = read(&store).await?;
            if format == Format::Table && std::io::stdout().is_terminal() {
                // Home, and clear what is below.
                output::line("\u{1b}[H\u{1b}[2J")?;
            }
            output::list(format, &nodes, &HEAD, row)?;
            output::flush()?;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    })
    .await
}

/// `windlass node quiet|drain|resume|stop`.
pub(crate) async fn tell(context: &Context, verb: NodeVerb) -> Done {
    let (command, node) = match verb {
        NodeVerb::Quiet(arg) => (NodeCommand::Quiet, arg.node),
        NodeVerb::Drain(arg) => (NodeCommand::Drain, arg.node),
        NodeVerb::Resume(arg) => (NodeCommand::Resume, arg.node),
        NodeVerb::Stop(arg) => (NodeCommand::Stop, arg.node),
    };
    let node = NodeId::new(node)?;
    let store = context.store().await?;
    tell_live(&store, &node, &command).await?;
    match context.format {
        Some(Format::Json | Format::Jsonl) => {
            output::json(&serde_json::json!({ "node": node.as_str(), "told": command.to_string() }))
        }
        _ => {
            say!("node {node} is told to {command}");
            Ok(())
        }
    }
}

/// Tells a node something, if it is there to hear it.
pub(crate) async fn tell_live(store: &Store, node: &NodeId, command: &NodeCommand) -> Done {
    if !store.is_alive(node).await? {
        return Err(Failure::NotDone(format!("no live node {node}: `windlass nodes` lists them")));
    }
    Ok(store.tell(node, command).await?)
}
