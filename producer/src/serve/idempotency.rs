//! `Idempotency-Key`: a request that comes twice is carried out once, and answered the same.
//!
//! Submissions do not need this: the ids of their tasks are derived from the key. Everything else that changes the fleet
//! goes through here.

use std::future::Future;

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use windlass_shared::store::{ANSWER_ALIVE_EVERY, Asked};

use super::{
    app::App,
    auth::Caller,
    extract::in_time,
    problem::{Answer, Kind, Problem},
};
use crate::steps::patiently;

/// Longest key.
const LONGEST: usize = 255;
/// An answer that is longer is not kept; none of ours is.
const LARGEST_ANSWER: usize = 1 << 20;

/// The key of a request, if it has one.
pub(super) fn key(headers: &HeaderMap) -> Answer<Option<String>> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let text = value.to_str().map(str::trim).unwrap_or_default();
    if text.is_empty() || text.len() > LONGEST {
        let detail = format!("Idempotency-Key: use 1 to {LONGEST} visible characters");
        return Err(Problem::malformed(detail));
    }
    Ok(Some(text.to_owned()))
}

/// An answer as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    status: u16,
    body: String,
}

/// Carries a request out once.
pub(super) async fn once(State(app): State<App>, request: Request, next: Next) -> Answer<Response> {
    let safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    let key = key(request.headers())?;
    if safe {
        return Ok(next.run(request).await);
    }
    let Some(key) = key else { return Ok(app.to_the_end(next.run(request)).await) };
    let caller = request.extensions().get::<Caller>().map(|caller| caller.name.to_string());
    let key = format!("{}\n{key}", caller.unwrap_or_default());
    let (parts, body) = request.into_parts();
    let body = read(body, app.context.config.serve.max_body).await?;
    let print = print(&parts.method, &parts.uri.to_string(), &body);
    match app.store.begin_answer(&key, &print).await? {
        Asked::First => {}
        Asked::InProgress => {
            return Err(Problem::new(Kind::InProgress, "the same request is being worked on; ask again"));
        }
        Asked::Otherwise => {
            return Err(Problem::new(
                Kind::KeyReused,
                "another request came with this Idempotency-Key; use a new one",
            ));
        }
        Asked::Answered(text) => return replay(&text),
    }
    let known = app.clone();
    let work = async move {
        let work = next.run(Request::from_parts(parts, Body::from(body)));
        let response = said_to_go_on(&known, &key, work).await;
        keep(&known, &key, &print, response).await.unwrap_or_else(IntoResponse::into_response)
    };
    Ok(app.to_the_end(work).await)
}

/// Nobody else begins while this goes on, however long that is.
async fn said_to_go_on(app: &App, key: &str, work: impl Future<Output = Response>) -> Response {
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(ANSWER_ALIVE_EVERY) => {
                if let Err(error) = app.store.prolong_answer(key).await {
                    tracing::warn!(%error, "a request that goes on could not say so");
                }
            }
        }
    }
}

async fn read(body: Body, most: usize) -> Answer<Bytes> {
    let too_large = |_| Problem::new(Kind::TooLarge, "the body is larger than setting serve.max_body allows");
    in_time(to_bytes(body, most)).await?.map_err(too_large)
}

/// What tells a request from others.
fn print(method: &Method, uri: &str, body: &[u8]) -> String {
    let mut hash = blake3::Hasher::new();
    hash.update(method.as_str().as_bytes()).update(b"\n").update(uri.as_bytes()).update(b"\n").update(body);
    hash.finalize().to_hex().to_string()
}

/// Keeps an answer that says what was done. One that says that nothing could be done is forgotten: ask again.
async fn keep(app: &App, key: &str, print: &str, response: Response) -> Answer<Response> {
    let (parts, body) = response.into_parts();
    if parts.status.is_server_error() {
        app.store.drop_answer(key).await?;
        return Ok(Response::from_parts(parts, body));
    }
    let body = read(body, LARGEST_ANSWER).await?;
    let kept = Kept { status: parts.status.as_u16(), body: String::from_utf8_lossy(&body).into_owned() };
    let text =
        serde_json::to_string(&kept).map_err(|error| Problem::new(Kind::Internal, error.to_string()))?;
    // It was done, and its client is told so whatever happens here.
    let kept = patiently(|| app.store.keep_answer(key, print, &text)).await.map_err(Problem::from);
    if let Err(problem) = kept {
        tracing::warn!(
            detail = problem.detail(),
            "an answer could not be kept: the same request would be carried out again"
        );
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

fn replay(text: &str) -> Answer<Response> {
    let unreadable =
        |error: String| Problem::new(Kind::Internal, format!("the kept answer cannot be read: {error}"));
    let kept: Kept = serde_json::from_str(text).map_err(|error| unreadable(error.to_string()))?;
    let status = StatusCode::from_u16(kept.status).map_err(|error| unreadable(error.to_string()))?;
    let mut response = (status, kept.body).into_response();
    let kind = if status.is_success() { "application/json" } else { "application/problem+json" };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    Ok(response)
}
