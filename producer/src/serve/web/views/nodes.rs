//! Nodes: a page of them at a time, however many there are.

use axum::{Extension, extract::State, response::Response};
use serde_json::{Value, json};
use windlass_shared::{
    model::NodeId,
    store::{NodeCommand, inspect::NodeView},
};

use crate::serve::{
    api::nodes::{Search, tell as tell_node},
    app::App,
    problem::Problem,
    web::{
        form::{Form, segment},
        page::{Ask, Path, Shown, value},
        session::{Sent, Visitor, Who},
    },
};

const PAGE: usize = 100;
/// Running tasks that a row names.
const NAMED: usize = 1;

/// What needs attention comes first; within that the order stays, so that rows do not jump.
fn rank(node: &NodeView) -> usize {
    ["lost", "draining", "quiet", "starting"].iter().position(|state| *state == node.state).unwrap_or(4)
}

fn search(query: &Form) -> Search {
    let mut search = Search::default();
    search.state = query.get("state").and_then(|state| serde_json::from_value(json!(state)).ok());
    search.label = query.get("label").map(str::to_owned);
    search.q = query.get("q").map(str::to_owned);
    search
}

pub(in crate::serve::web) async fn list(State(app): State<App>, Extension(visitor): Who) -> Shown {
    let look = app.fleet.look().await?;
    let search = search(&visitor.query);
    let mut found: Vec<&NodeView> = look.nodes.iter().filter(|node| search.is(node)).collect();
    found.sort_by(|a, b| (rank(a), &a.id).cmp(&(rank(b), &b.id)));
    let pages = found.len().div_ceil(PAGE).max(1);
    let asked: usize = visitor.query.get("page").and_then(|page| page.parse().ok()).unwrap_or(1);
    let number = asked.clamp(1, pages);
    let rows: Vec<Value> = found.iter().skip((number - 1) * PAGE).take(PAGE).map(|node| row(node)).collect();
    let (slots, used) = look.slots();
    let link = |to: usize| visitor.query.without(&["part", "did", "mark"]).with("page", &to).url("/nodes");
    let states: Vec<Value> = look
        .nodes_by_state()
        .into_iter()
        .map(|(state, count)| {
            let url =
                visitor.query.without(&["part", "did", "mark", "page"]).with("state", &state).url("/nodes");
            json!({ "state": state, "count": count, "url": url })
        })
        .collect();
    visitor.page(
        "nodes.html",
        "Nodes",
        json!({
            "rows": rows, "found": found.len(), "all": look.nodes.len(), "states": states, "slots": slots, "used": used,
            "page": number, "pages": pages, "first": (number - 1) * PAGE + 1, "last": (number - 1) * PAGE + rows.len(),
            "previous": (number > 1).then(|| link(number - 1)), "next": (number < pages).then(|| link(number + 1)),
            "q": visitor.query.get("q"), "label": visitor.query.get("label"), "state": search.state.map(crate::serve::api::nodes::NodeState::as_str),
            "everything": visitor.query.without(&["part", "did", "mark", "page", "state"]).url("/nodes"),
        }),
    )
}

fn row(node: &NodeView) -> Value {
    let mut row = value(node);
    row["shown"] = value(&node.running.iter().take(NAMED).collect::<Vec<_>>());
    row["more"] = (node.running_count as usize).saturating_sub(NAMED.min(node.running.len())).into();
    // The whole of these would make a page of a hundred nodes large.
    for large in ["running", "types", "sandbox", "keys"] {
        row[large] = Value::Null;
    }
    row
}

fn unknown(node: &NodeId) -> Problem {
    Problem::not_found(format!("no node {node}: it left, or was lost more than a day ago"))
}

pub(in crate::serve::web) async fn one(
    State(app): State<App>,
    Extension(visitor): Who,
    Path(node): Path<NodeId>,
) -> Shown {
    let look = app.fleet.look().await?;
    let found = look.nodes.iter().find(|known| known.id == node).ok_or_else(|| unknown(&node))?;
    visitor.page("node.html", &format!("Node {node}"), json!({ "node": value(found) }))
}

fn question(node: &NodeId, command: &NodeCommand) -> Option<(&'static str, String)> {
    Some(match command {
        NodeCommand::Quiet => (
            "Quiet",
            format!(
                "{node} claims no more tasks, finishes what it runs, and stays. Resume lets it claim again."
            ),
        ),
        NodeCommand::Drain => (
            "Drain",
            format!(
                "{node} claims no more tasks, finishes what it runs, and leaves. What started it may start it again."
            ),
        ),
        NodeCommand::Stop => (
            "Stop",
            format!(
                "{node} hands back what it runs, at no attempt's cost, and leaves at once. Other nodes begin those tasks anew."
            ),
        ),
        NodeCommand::Resume | NodeCommand::Cancel(_) => return None,
    })
}

pub(in crate::serve::web) async fn tell(
    State(app): State<App>,
    Extension(visitor): Who,
    Extension(form): Sent,
    Path((node, word)): Path<(NodeId, String)>,
) -> Shown {
    let command = match word.as_str() {
        "quiet" => NodeCommand::Quiet,
        "drain" => NodeCommand::Drain,
        "resume" => NodeCommand::Resume,
        "stop" => NodeCommand::Stop,
        _ => return Err(Problem::not_found("a node is told quiet, drain, resume or stop").into()),
    };
    if let Some(asked) = ask(&visitor, &form, &node, &command)? {
        return Ok(asked);
    }
    tell_node(&app, &visitor.caller, &node, &command).await?;
    Ok(visitor.back(
        &form,
        &format!("/nodes/{}", segment(node.as_str())),
        &format!("{node} was told: {word}. It shows with its next beat."),
    ))
}

fn ask(visitor: &Visitor, form: &Form, node: &NodeId, command: &NodeCommand) -> Shown<Option<Response>> {
    let Some((verb, text)) = question(node, command) else { return Ok(None) };
    visitor.asks(form, &Ask { title: format!("{verb} {node}?"), text, verb, typed: None })
}
