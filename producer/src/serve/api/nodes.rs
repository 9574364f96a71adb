//! Nodes: who is alive, what each one runs, steering.

use axum::{Json as Send, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};
use windlass_shared::{
    model::NodeId,
    store::{NodeCommand, inspect::NodeView},
};

use crate::serve::{
    app::App,
    auth::Caller,
    cursor::{self, Page},
    extract::{Limit, Path, Query},
    problem::{Answer, Problem},
};

pub(super) fn looking() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(one))
}

pub(super) fn acting() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(quiet))
        .routes(routes!(drain))
        .routes(routes!(resume))
        .routes(routes!(stop))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Search {
    /// In this state.
    #[param(inline)]
    pub(crate) state: Option<NodeState>,
    /// With this label: `zone=a`, or `zone` with any value.
    pub(crate) label: Option<String>,
    /// The id or the host contains this.
    pub(crate) q: Option<String>,
    #[serde(default)]
    #[param(value_type = Option<u16>, minimum = 1, maximum = 1000)]
    limit: Limit,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// What a node is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NodeState {
    Starting,
    Active,
    Quiet,
    Draining,
    /// Its heartbeat is gone, for less than a day.
    Lost,
}

impl NodeState {
    pub(crate) fn as_str(self) -> &'static str {
        ["starting", "active", "quiet", "draining", "lost"][self as usize]
    }
}

impl Search {
    pub(crate) fn is(&self, node: &NodeView) -> bool {
        let label = |label: &String| match label.split_once('=') {
            Some((name, value)) => node.labels.get(name).is_some_and(|is| is == value),
            None => node.labels.contains_key(label),
        };
        self.state.is_none_or(|state| state.as_str() == node.state)
            && self.label.as_ref().is_none_or(label)
            && self.q.as_ref().is_none_or(|part| {
                node.id.as_str().contains(part.as_str()) || node.host.contains(part.as_str())
            })
    }
}

/// List nodes, by id
#[utoipa::path(get, path = "/v1/nodes", tag = "nodes", params(Search), responses((status = 200, body = Page<NodeView>)))]
async fn list(State(app): State<App>, Query(search): Query<Search>) -> Answer<Send<Page<NodeView>>> {
    let look = app.fleet.look().await?;
    // By what does not change between two pages.
    let last: Option<NodeId> = cursor::decode(search.cursor.as_deref())?;
    let after = |node: &&NodeView| last.as_ref().is_none_or(|last| node.id > *last);
    let mut wanted: Vec<&NodeView> = look.nodes.iter().filter(|node| search.is(node)).filter(after).collect();
    wanted.sort_by(|one, other| one.id.cmp(&other.id));
    let more = wanted.len() > search.limit.0;
    wanted.truncate(search.limit.0);
    let next_cursor = wanted.last().filter(|_| more).map(|node| cursor::encode(&node.id));
    Ok(Send(Page { items: wanted.into_iter().cloned().collect(), next_cursor }))
}

fn unknown(node: &NodeId) -> Problem {
    Problem::not_found(format!("no node {node}: GET /v1/nodes lists them, lost ones for a day"))
}

/// A node
#[utoipa::path(get, path = "/v1/nodes/{node}", tag = "nodes", params(("node" = NodeId, Path)), responses((status = 200, body = NodeView)))]
async fn one(State(app): State<App>, Path(node): Path<NodeId>) -> Answer<Send<NodeView>> {
    let look = app.fleet.look().await?;
    let found = look.nodes.iter().find(|known| known.id == node).cloned();
    found.map(Send).ok_or_else(|| unknown(&node))
}

/// What a node was told.
#[derive(Debug, Serialize, ToSchema)]
struct Told {
    node: NodeId,
    told: String,
}

/// Claim nothing, finish what runs, stay
#[utoipa::path(post, path = "/v1/nodes/{node}/quiet", tag = "nodes", params(("node" = NodeId, Path)), responses((status = 200, body = Told)))]
async fn quiet(State(app): State<App>, caller: Caller, Path(node): Path<NodeId>) -> Answer<Send<Told>> {
    told(&app, &caller, node, NodeCommand::Quiet).await
}

/// Claim nothing, finish what runs, leave
#[utoipa::path(post, path = "/v1/nodes/{node}/drain", tag = "nodes", params(("node" = NodeId, Path)), responses((status = 200, body = Told)))]
async fn drain(State(app): State<App>, caller: Caller, Path(node): Path<NodeId>) -> Answer<Send<Told>> {
    told(&app, &caller, node, NodeCommand::Drain).await
}

/// Claim again
#[utoipa::path(post, path = "/v1/nodes/{node}/resume", tag = "nodes", params(("node" = NodeId, Path)), responses((status = 200, body = Told)))]
async fn resume(State(app): State<App>, caller: Caller, Path(node): Path<NodeId>) -> Answer<Send<Told>> {
    told(&app, &caller, node, NodeCommand::Resume).await
}

/// Hand back what runs, leave
#[utoipa::path(post, path = "/v1/nodes/{node}/stop", tag = "nodes", params(("node" = NodeId, Path)), responses((status = 200, body = Told)))]
async fn stop(State(app): State<App>, caller: Caller, Path(node): Path<NodeId>) -> Answer<Send<Told>> {
    told(&app, &caller, node, NodeCommand::Stop).await
}

async fn told(app: &App, caller: &Caller, node: NodeId, command: NodeCommand) -> Answer<Send<Told>> {
    tell(app, caller, &node, &command).await?;
    Ok(Send(Told { node, told: command.to_string() }))
}

/// Tells a live node.
pub(crate) async fn tell(app: &App, caller: &Caller, node: &NodeId, command: &NodeCommand) -> Answer<()> {
    if !app.store.is_alive(node).await? {
        return Err(unknown(node));
    }
    let work = async { Ok(app.store.tell(node, command).await?) };
    app.act(caller, &format!("node {command}"), vec![node.to_string()], &[], work).await
}
