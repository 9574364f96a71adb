//! The stand-in's errors, in the shape in which `OpenAI` sends them.

use axum::{
    Json,
    http::{StatusCode, header::RETRY_AFTER},
    response::{IntoResponse, Response},
};
use serde_json::json;

/// One error answer.
#[derive(Debug)]
pub(super) struct Failure {
    status: StatusCode,
    kind: &'static str,
    code: Option<&'static str>,
    param: Option<&'static str>,
    message: String,
}

impl Failure {
    fn new(status: StatusCode, kind: &'static str, code: Option<&'static str>, message: &str) -> Self {
        Self { status, kind, code, param: None, message: message.to_owned() }
    }

    /// The request is wrong; `param` names the field.
    pub(super) fn invalid(param: Option<&'static str>, code: Option<&'static str>, message: &str) -> Self {
        let failure = Self::new(StatusCode::BAD_REQUEST, "invalid_request_error", code, message);
        Self { param, ..failure }
    }

    pub(super) fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "invalid_request_error", None, "The request is too large.")
    }

    pub(super) fn unknown_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, "invalid_request_error", Some("unknown_url"), "Unknown request URL.")
    }

    /// The failure that a model's name asks for.
    pub(super) fn wanted(model: &str) -> Option<Self> {
        let overloaded = StatusCode::from_u16(529).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        let (status, kind, code) = match model {
            "error-401" => (StatusCode::UNAUTHORIZED, "invalid_request_error", Some("invalid_api_key")),
            "error-403" => (StatusCode::FORBIDDEN, "permission_error", None),
            "error-429" => (StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", Some("rate_limit_exceeded")),
            "error-quota" => {
                (StatusCode::TOO_MANY_REQUESTS, "insufficient_quota", Some("insufficient_quota"))
            }
            "error-context" => {
                (StatusCode::BAD_REQUEST, "invalid_request_error", Some("context_length_exceeded"))
            }
            "error-500" => (StatusCode::INTERNAL_SERVER_ERROR, "server_error", None),
            "error-503" => (StatusCode::SERVICE_UNAVAILABLE, "server_error", None),
            "error-529" => (overloaded, "overloaded_error", None),
            _ => return None,
        };
        Some(Self::new(status, kind, code, "The stand-in fails because the model's name asks for it."))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let error =
            json!({"message": self.message, "type": self.kind, "param": self.param, "code": self.code});
        let mut response = (self.status, Json(json!({ "error": error }))).into_response();
        if self.code == Some("rate_limit_exceeded") {
            response.headers_mut().insert(RETRY_AFTER, 1.into());
        }
        response
    }
}
