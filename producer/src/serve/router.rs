//! Which path leads where, and what every request goes through.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Body,
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::get,
};
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tower_http::{catch_panic::CatchPanicLayer, cors::CorsLayer};
use tracing::Instrument;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use windlass_shared::config::Role;
use windlass_telemetry::{Trace, http::record};

use super::{
    api,
    app::App,
    auth, idempotency, metrics, openapi,
    problem::{Kind, Problem},
    traced::{trace_of, within_span},
    web,
};

/// The API's routes for a role, each of which asks for it.
fn guarded(app: &App, routes: OpenApiRouter<App>, role: Role) -> (Router<App>, OpenApi) {
    let (router, mut document) = routes.split_for_parts();
    openapi::needs(&mut document, role);
    let router = if role == Role::Operate {
        router.route_layer(from_fn_with_state(app.clone(), idempotency::once))
    } else {
        router
    };
    (router.route_layer(from_fn_with_state((app.clone(), role), auth::need)), document)
}

/// The document, without a server.
pub(crate) fn document() -> OpenApi {
    let routes = api::routes();
    let mut whole = OpenApi::default();
    for (routes, role) in
        [(routes.submit, Role::Submit), (routes.read, Role::Read), (routes.operate, Role::Operate)]
    {
        let mut document = routes.into_openapi();
        openapi::needs(&mut document, role);
        whole.merge(document);
    }
    openapi::finish(&mut whole);
    whole
}

/// The whole server.
pub(super) fn build(app: App) -> Router {
    let routes = api::routes();
    let mut router = Router::new();
    for (routes, role) in
        [(routes.submit, Role::Submit), (routes.read, Role::Read), (routes.operate, Role::Operate)]
    {
        router = router.merge(guarded(&app, routes, role).0);
    }
    let document = serde_json::to_value(document()).unwrap_or_default();
    let room = Room {
        known: Arc::new(Semaphore::new(app.context.config.serve.max_requests)),
        unknown: Arc::new(Semaphore::new(STRANGERS)),
    };
    let bounded = router
        .layer(DefaultBodyLimit::max(app.context.config.serve.max_body))
        .merge(measured(&app))
        .merge(web::routes(app.clone()))
        .layer(from_fn_with_state(room, within_room));
    Router::new()
        .merge(bounded)
        .route("/livez", get(async || Json(json!({ "ok": true }))))
        .route("/readyz", get(readyz))
        .route("/openapi.json", get(async || Json(document)))
        .fallback(web::nowhere)
        .method_not_allowed_fallback(async || Problem::new(Kind::MethodNotAllowed, "see the header Allow"))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(cors(&app.context.config.serve.cors_origins))
        .layer(middleware::from_fn(named))
        .layer(middleware::from_fn(within_span))
        .with_state(app)
}

/// The metrics, which are for those who may read unless configured otherwise.
fn measured(app: &App) -> Router<App> {
    let router = Router::new().route("/metrics", get(metrics::page));
    if app.context.config.serve.open_metrics {
        return router;
    }
    router.route_layer(from_fn_with_state((app.clone(), Role::Read), auth::need))
}

/// 503 while Redis does not answer, or the server is about to leave.
async fn readyz(State(app): State<App>) -> (StatusCode, Json<Value>) {
    let redis = tokio::time::timeout(std::time::Duration::from_secs(2), app.store.now()).await;
    let (redis, leaving) = (matches!(redis, Ok(Ok(_))), app.leaving.is_cancelled());
    let code = if redis && !leaving { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(json!({ "ok": code == StatusCode::OK, "redis": redis, "leaving": leaving })))
}

/// Requests at once of those who have not said who they are: they must not keep the others out.
const STRANGERS: usize = 64;

/// Places for requests.
#[derive(Clone)]
struct Room {
    known: Arc<Semaphore>,
    unknown: Arc<Semaphore>,
}

/// No more than so many requests at once: what comes above is told at once, and does not wait in a queue that nobody sees.
async fn within_room(State(room): State<Room>, request: Request, next: Next) -> Result<Response, Problem> {
    let room = if request.uri().path() == "/login" { room.unknown } else { room.known };
    let Ok(place) = room.try_acquire_owned() else {
        return Err(Problem::new(
            Kind::TooMany,
            "too many requests at once (setting serve.max_requests); come again",
        ));
    };
    let response = next.run(request).await;
    let kind = response.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    if !kind.is_some_and(|kind| STREAMS.contains(&kind)) {
        return Ok(response);
    }
    // A stream is worked on for as long as it is read.
    let (parts, body) = response.into_parts();
    let body = body.into_data_stream().inspect(move |_| _ = &place);
    Ok(Response::from_parts(parts, Body::from_stream(body)))
}

/// Answers that go on.
const STREAMS: [&[u8]; 2] = [b"text/event-stream", b"application/x-ndjson"];

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Gives each request an id, that of the client if it has a sound one, and tells it in the answer.
async fn named(mut request: Request, next: Next) -> Response {
    host(&mut request);
    let sound = |id: &&HeaderValue| id.len() <= 128 && id.to_str().is_ok();
    let given = request.headers().get(REQUEST_ID).filter(sound).cloned();
    let id = given.or_else(|| HeaderValue::from_str(&uuid::Uuid::now_v7().to_string()).ok());
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    // The pattern, since there is no end of paths.
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned());
    let trace = trace_of(request.headers()).and_then(|trace| trace.parent());
    let start = std::time::Instant::now();
    // So that what is logged about it can be found by its id.
    let span = tracing::info_span!("request", id = id.as_ref().and_then(|id| id.to_str().ok()));
    let mut response = next.run(request).instrument(span).await;
    let exemplar = trace.filter(|parent| parent.is_sampled()).and_then(|parent| Trace::new(parent.trace));
    record(method.as_str(), &route, response.status().as_u16(), start.elapsed(), exemplar);
    if let Some(id) = id {
        tracing::debug!(%method, path, status = response.status().as_u16(), elapsed = ?start.elapsed(), request_id = ?id, "answered");
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// HTTP/2 says the host in the address; everything else looks for it among the headers.
fn host(request: &mut Request) {
    let authority = request.uri().authority().and_then(|authority| authority.as_str().parse().ok());
    if let (None, Some(host)) = (request.headers().get(header::HOST), authority) {
        request.headers_mut().insert(header::HOST, host);
    }
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> Response {
    Problem::new(Kind::Internal, "a bug of ours; the server's log has more").into_response()
}

/// Nothing is allowed to pages of other origins unless they are configured; those bring a token, never a cookie.
fn cors(origins: &[String]) -> CorsLayer {
    let origins: Vec<HeaderValue> = origins.iter().filter_map(|origin| origin.parse().ok()).collect();
    if origins.is_empty() {
        return CorsLayer::new();
    }
    let headers = [
        header::AUTHORIZATION,
        header::CONTENT_TYPE,
        HeaderName::from_static("idempotency-key"),
        HeaderName::from_static("last-event-id"),
        HeaderName::from_static("traceparent"),
        HeaderName::from_static("tracestate"),
    ];
    CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers(headers)
        .expose_headers([REQUEST_ID, header::LOCATION, header::RETRY_AFTER])
}
