//! The web page: HTML made here, a little JavaScript, one style sheet. All of it is in the binary, and no page asks anybody else.
//!
//! A page takes the cookie and nothing else, the API the bearer token and nothing else: so a page of another origin, which a
//! browser may send with the cookie, never reaches the API.

mod assets;
mod filters;
mod form;
mod live;
mod page;
mod session;
mod views;

use std::sync::Arc;

use axum::{
    Extension, Router,
    http::{HeaderName, HeaderValue, header},
    middleware::{from_fn, from_fn_with_state},
    response::Response,
    routing::{get, post},
};

use self::{
    live::Live,
    session::Desk,
    views::{actions, batches, dead, login, models, nodes, overview, queues, reviews, task, tasks},
};
pub(super) use self::{page::nowhere, session::is_foreign};
use super::app::App;

/// All pages, with what guards them.
pub(super) fn routes(app: App) -> Router<App> {
    let live = Live::new(app.clone());
    looking()
        .merge(acting())
        .route_layer(from_fn_with_state((app, Arc::new(Desk::new())), session::enter))
        .merge(open())
        .layer(Extension(live))
        .layer(from_fn(guarded))
}

/// For those who have no session yet.
fn open() -> Router<App> {
    Router::new()
        .route("/login", get(login::form).post(login::enter))
        .route("/assets/{name}", get(assets::serve))
        .route("/favicon.ico", get(assets::icon))
}

fn looking() -> Router<App> {
    Router::new()
        .route("/", get(overview::page))
        .route("/live", get(live::stream))
        .route("/nodes", get(nodes::list))
        .route("/nodes/{node}", get(nodes::one))
        .route("/queues", get(queues::list))
        .route("/queues/{queue}", get(queues::one))
        .route("/tasks", get(tasks::list))
        .route("/tasks/{queue}/{id}", get(task::page))
        .route("/tasks/{queue}/{id}/raw/{field}", get(task::raw))
        .route("/tasks/{queue}/{id}/files/{*path}", get(task::file))
        .route("/batches", get(batches::list))
        .route("/batches/{batch}", get(batches::one))
        .route("/batches/{batch}/results.jsonl", get(batches::results))
        .route("/models", get(models::page))
        .route("/dead", get(dead::page))
        .route("/reviews", get(reviews::list))
        .route("/reviews/{queue}/{id}", get(reviews::one))
        .route("/actions", get(actions::page))
}

/// Each asks for the role `operate` and for a form of our own: `session::enter` does, for every POST.
fn acting() -> Router<App> {
    Router::new()
        .route("/logout", post(login::leave))
        .route("/nodes/{node}/{command}", post(nodes::tell))
        .route("/queues/{queue}/pause", post(queues::pause))
        .route("/queues/{queue}/resume", post(queues::resume))
        .route("/queues/{queue}/purge", post(queues::purge))
        .route("/tasks/{queue}/{id}/retry", post(task::retry))
        .route("/tasks/{queue}/{id}/cancel", post(task::cancel))
        .route("/tasks/{queue}/{id}/priority", post(task::priority))
        .route("/batches/{batch}/retry", post(batches::retry))
        .route("/models/reset", post(models::reset))
        .route("/dead/retry", post(dead::retry))
        .route("/reviews/{queue}/{id}", post(reviews::decide))
}

/// Nothing but our own files, nothing inside a page, nobody around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

async fn guarded(request: axum::extract::Request, next: axum::middleware::Next) -> Response {
    let mut response = next.run(request).await;
    guard(&mut response);
    response
}

/// Tells browsers what a page of ours may do.
fn guard(response: &mut Response) {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_FRAME_OPTIONS, "DENY"),
        // With `no-referrer` browsers would send our own forms without their origin.
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("permissions-policy"), "camera=(), geolocation=(), microphone=()"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}
