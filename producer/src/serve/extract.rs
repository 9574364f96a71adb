//! What a request holds, read strictly: what cannot be read is a problem that says so.

use std::{future::Future, time::Duration};

use axum::{
    body::Bytes,
    extract::{
        FromRequest, FromRequestParts, Request,
        rejection::{BytesRejection, PathRejection, QueryRejection},
    },
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::error::Category;
use windlass_shared::model::time::parse_duration;

use super::problem::{Answer, Kind, Problem};

/// How long the whole of a body may take that is not worked on as it comes.
const BODY: Duration = Duration::from_secs(60);

/// Reads a body, which must come in time: until then it holds a place that others want.
pub(super) async fn in_time<T>(read: impl Future<Output = T>) -> Answer<T> {
    let late = |_| Problem::new(Kind::TooSlow, format!("the body did not come within {} s", BODY.as_secs()));
    tokio::time::timeout(BODY, read).await.map_err(late)
}

/// A JSON body.
pub(super) struct Json<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            let detail = "send JSON, with `Content-Type: application/json`";
            return Err(Problem::new(Kind::UnsupportedMediaType, detail));
        }
        let bytes = in_time(Bytes::from_request(request, state)).await?;
        let bytes = bytes.map_err(|rejection| unread(&rejection))?;
        // Fields in an array, by their order, would be taken for an object's.
        if bytes.trim_ascii_start().first().is_some_and(|first| *first != b'{') {
            return Err(Problem::malformed("the body must be a JSON object"));
        }
        let mut text = serde_json::Deserializer::from_slice(&bytes);
        // With the name of the field that is wrong.
        let value = serde_path_to_error::deserialize(&mut text).map_err(|error| {
            if error.inner().classify() == Category::Data {
                return Problem::invalid(error.to_string());
            }
            Problem::malformed(format!("the body is not JSON: {}", error.inner()))
        })?;
        text.end().map_err(|error| Problem::malformed(format!("the body is not JSON: {error}")))?;
        Ok(Self(value))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    given.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

fn unread(rejection: &BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        return Problem::new(Kind::TooLarge, "the body is larger than setting serve.max_body allows");
    }
    Problem::malformed(rejection.body_text())
}

/// The query of the URL.
pub(super) struct Query<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = axum::extract::Query::from_request_parts(parts, state).await;
        read.map(|axum::extract::Query(value)| Self(value))
            .map_err(|error: QueryRejection| Problem::malformed(source(&error)))
    }
}

/// The parts of the URL's path.
pub(super) struct Path<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = axum::extract::Path::from_request_parts(parts, state).await;
        read.map(|axum::extract::Path(value)| Self(value))
            .map_err(|error: PathRejection| Problem::malformed(source(&error)))
    }
}

/// The innermost reason; the outer ones only name our functions.
fn source(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(next) = inner.source() {
        inner = next;
    }
    inner.to_string()
}

/// A duration as people write it, of at most a minute: how long an answer may wait.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wait(Duration);

/// Longer waits are asked for again: proxies in between end them anyway.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

impl Wait {
    pub(super) fn deadline(self) -> tokio::time::Instant {
        tokio::time::Instant::now() + self.0
    }
}

impl<'de> Deserialize<'de> for Wait {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wait = parse_duration(&text).map_err(|why| serde::de::Error::custom(format!("wait: {why}")))?;
        if wait > LONGEST_WAIT {
            return Err(serde::de::Error::custom("wait: at most 60s; ask again for more"));
        }
        Ok(Self(wait))
    }
}

/// How many entries a page may have, and how many it has unless asked otherwise.
pub(super) const MOST: usize = 1000;
const USUAL: usize = 100;

/// The size of a page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit(pub(super) usize);

impl Default for Limit {
    fn default() -> Self {
        Self(USUAL)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.parse() {
            Ok(number @ 1..=MOST) => Ok(Self(number)),
            _ => Err(serde::de::Error::custom(format!("limit: {text:?} is not a number from 1 to {MOST}"))),
        }
    }
}
