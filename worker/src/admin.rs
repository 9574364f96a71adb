//! The admin port: `/livez` and `/readyz`, for Kubernetes and for people, and `/metrics` for Prometheus. On a thread of its own, so that it answers while
//! every other one is blocked.

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use axum::{
    Json, Router,
    extract::State,
    http::{
        HeaderMap, StatusCode,
        header::{ACCEPT, CONTENT_TYPE},
    },
    response::IntoResponse,
    routing::get,
};
use serde_json::{Value, json};

use crate::{
    metrics::page,
    node::{Node, Phase},
    worker::WorkerError,
};

/// Listens. Fails if the address cannot be had.
pub(crate) fn bind(address: SocketAddr) -> Result<TcpListener, WorkerError> {
    let bound = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    bound.map_err(|error| WorkerError::Admin(format!("{address}: {error}")))
}

/// Answers until the process ends.
pub(crate) fn start(listener: TcpListener, node: Arc<Node>) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let serve = async move {
        let routes = Router::new().route("/livez", get(livez)).route("/readyz", get(readyz));
        let routes = routes.route("/metrics", get(metrics)).with_state(node);
        axum::serve(tokio::net::TcpListener::from_std(listener)?, routes).await
    };
    let run = move || {
        if let Err(error) = runtime.block_on(serve) {
            tracing::error!(%error, "the admin port is gone");
        }
    };
    std::thread::Builder::new().name("admin".into()).spawn(run).map(drop)
}

/// What the process counted, in the form that the scraper asks for.
async fn metrics(headers: HeaderMap) -> impl IntoResponse {
    let page = page(headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()));
    ([(CONTENT_TYPE, page.content_type)], page.body)
}

type Answer = (StatusCode, Json<Value>);

fn answer(well: bool, node: &Node) -> Answer {
    let code = if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let pulses = &node.pulses;
    let ms = |pulse: &crate::pulse::Pulse| pulse.age().as_millis() as u64;
    let body = json!({
        "ok": well,
        "node": node.id.as_str(),
        "state": node.phase().state().to_string(),
        "dispatcher_turned_ms": ms(&pulses.dispatcher),
        "heartbeat_turned_ms": ms(&pulses.heartbeat),
        "redis_answered_ms": ms(&pulses.redis),
        "running": node.running.list(0).0,
    });
    (code, Json(body))
}

/// 503 if a loop stands still: only a new process helps.
async fn livez(State(node): State<Arc<Node>>) -> Answer {
    answer(node.pulses.are_there(), &node)
}

/// 503 if Redis cannot be reached, or the node is about to leave or has not begun.
async fn readyz(State(node): State<Arc<Node>>) -> Answer {
    let stays = matches!(node.phase(), Phase::Active | Phase::Quiet);
    answer(stays && node.pulses.redis.age() <= node.rhythm().ttl() && node.pulses.are_there(), &node)
}
