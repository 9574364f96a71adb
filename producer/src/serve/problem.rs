//! What went wrong, for programs and for people: `application/problem+json` (RFC 9457).

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;
use windlass_shared::{model::name::InvalidName, store::StoreError};

use crate::exit::Failure;

/// The kinds of problems: a stable name, its status, its title.
macro_rules! kinds {
    ($($kind:ident = $name:literal, $status:ident, $title:literal;)*) => {
        /// What kind of problem it is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Kind { $($kind),* }

        impl Kind {
            fn name(self) -> &'static str {
                match self { $(Self::$kind => $name),* }
            }
            fn status(self) -> StatusCode {
                match self { $(Self::$kind => StatusCode::$status),* }
            }
            fn title(self) -> &'static str {
                match self { $(Self::$kind => $title),* }
            }
        }
    };
}

kinds! {
    Unauthorized = "unauthorized", UNAUTHORIZED, "A token is needed";
    Forbidden = "forbidden", FORBIDDEN, "The token's roles do not allow this";
    NotFound = "not-found", NOT_FOUND, "There is no such thing";
    MethodNotAllowed = "method-not-allowed", METHOD_NOT_ALLOWED, "The method is not allowed here";
    Conflict = "conflict", CONFLICT, "It contradicts what is there";
    InProgress = "in-progress", CONFLICT, "The same request is being worked on";
    TooLarge = "too-large", PAYLOAD_TOO_LARGE, "It is too large";
    UnsupportedMediaType = "unsupported-media-type", UNSUPPORTED_MEDIA_TYPE, "The body's type is not one that is read here";
    Malformed = "invalid-request", BAD_REQUEST, "The request is not valid";
    Invalid = "invalid-request", UNPROCESSABLE_ENTITY, "The request is not valid";
    KeyReused = "key-reused", UNPROCESSABLE_ENTITY, "The idempotency key was used for another request";
    QueueFull = "queue-full", TOO_MANY_REQUESTS, "The queue is full";
    TooMany = "too-many-requests", SERVICE_UNAVAILABLE, "Too many requests at once";
    TooSlow = "request-timeout", REQUEST_TIMEOUT, "The request did not come in time";
    Internal = "internal", INTERNAL_SERVER_ERROR, "A bug of ours";
    Redis = "redis-unavailable", SERVICE_UNAVAILABLE, "Redis cannot be used now";
}

/// One problem.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    kind: Kind,
    detail: String,
}

/// As it is sent.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    /// Stable; programs decide by it.
    #[serde(rename = "type")]
    #[schema(example = "urn:windlass:problem:not-found")]
    kind: String,
    /// What the type means.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What happened, and what to do about it.
    detail: String,
}

pub(crate) const TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// After how many seconds one should come again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// What handlers give.
pub(crate) type Answer<T> = Result<T, Problem>;

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }

    pub(crate) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, detail)
    }

    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(Kind::Malformed, detail)
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, detail)
    }

    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.kind.status()
    }

    /// The exit code that the command line has for such an end, for the operators' log.
    pub(crate) fn exit(&self) -> u8 {
        match self.kind {
            Kind::Redis => 3,
            Kind::Conflict | Kind::QueueFull | Kind::KeyReused => 4,
            Kind::Malformed | Kind::Invalid => 2,
            _ => 1,
        }
    }

    pub(crate) fn body(&self) -> ProblemBody {
        ProblemBody {
            kind: format!("urn:windlass:problem:{}", self.kind.name()),
            title: self.kind.title(),
            status: self.kind.status().as_u16(),
            detail: self.detail.clone(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.kind.status();
        if status.is_server_error() {
            tracing::warn!(status = status.as_u16(), problem = self.kind.name(), detail = %self.detail, "a request failed");
        }
        let mut response = (status, Json(self.body())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, TYPE);
        if matches!(self.kind, Kind::QueueFull | Kind::TooMany | Kind::Redis | Kind::InProgress) {
            headers.insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        if self.kind == Kind::Unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let kind = match &error {
            StoreError::Impossible(_) => Kind::Conflict,
            StoreError::Unexpected(_) => Kind::Internal,
            _ => Kind::Redis,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<InvalidName> for Problem {
    fn from(error: InvalidName) -> Self {
        Self::invalid(error.to_string())
    }
}

/// What the commands tell, told to programs.
impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Redis(error) => error.into(),
            Failure::Usage(why) => Self::invalid(why),
            Failure::NotDone(why) => Self::new(Kind::NotFound, why),
            Failure::Refused(why) => Self::new(Kind::Conflict, why),
            Failure::TimedOut(why) | Failure::Interrupted(why) => Self::new(Kind::TooMany, why),
            Failure::ClosedPipe => Self::new(Kind::Internal, "the output is closed"),
        }
    }
}
