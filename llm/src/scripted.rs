//! A stand-in for a hosted model, for tests and dry runs. It is no model and never pretends to be one.
//!
//! It speaks `POST /v1/chat/completions` (without streaming) and `GET /v1/models` as `OpenAI` does, over real HTTP.
//! The same request always gets the same answer, which begins with [`MARK`], says what was counted in the last
//! message, and repeats its first line. `max_tokens` cuts it. Wrong requests get the error body that `OpenAI` sends.
//!
//! Failures are asked for by the model's name:
//!
//! | model | answer |
//! | --- | --- |
//! | `error-401`, `error-403`, `error-500`, `error-503`, `error-529` | that status and its error body |
//! | `error-429` | the same, with `Retry-After: 1` |
//! | `error-quota` | 429 with `insufficient_quota`: waiting does not help |
//! | `error-context` | 400 with `context_length_exceeded` |
//! | `malformed` | HTTP 200 with JSON that breaks off |
//! | any other | an answer from a model of that name |

mod answer;
mod failure;

use std::{io, time::Duration};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State, rejection::BytesRejection},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use failure::Failure;

/// What every text of the stand-in begins with.
pub const MARK: &str = "[scripted stand-in]";

/// Name of the model that `GET /v1/models` lists.
pub const MODEL: &str = "scripted";

const LARGEST_REQUEST: usize = 16 * 1024 * 1024;

/// How the stand-in behaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScriptedOptions {
    /// How long it takes over each answer.
    pub latency: Duration,
}

/// Serves until the future is dropped. Bind the listener to loopback: there is no authentication.
pub async fn serve(listener: TcpListener, options: ScriptedOptions) -> io::Result<()> {
    let router = Router::new()
        .route("/v1/chat/completions", post(complete))
        .route("/v1/models", get(models))
        .fallback(|| async { Failure::unknown_path() })
        .layer(DefaultBodyLimit::max(LARGEST_REQUEST))
        .with_state(options);
    axum::serve(listener, router).await
}

async fn models() -> Json<Value> {
    let model = json!({"id": MODEL, "object": "model", "created": 0, "owned_by": "windlass"});
    Json(json!({"object": "list", "data": [model]}))
}

async fn complete(State(options): State<ScriptedOptions>, body: Result<Bytes, BytesRejection>) -> Response {
    tokio::time::sleep(options.latency).await;
    let request = body.map_err(|_| Failure::too_large()).and_then(|body| answer::Request::read(&body));
    match request.and_then(|request| Failure::wanted(&request.model).map_or(Ok(request), Err)) {
        Ok(request) if request.model == "malformed" => broken(),
        Ok(request) => Json(request.answer()).into_response(),
        Err(failure) => failure.into_response(),
    }
}

/// HTTP 200 with half an answer, as a dying server sends it.
fn broken() -> Response {
    let half = r#"{"id": "chatcmpl-0", "object": "chat.completion", "choices": [{"index": 0, "mess"#;
    ([("content-type", "application/json")], half).into_response()
}

#[cfg(test)]
mod tests;
