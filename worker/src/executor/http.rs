//! `http`: one call to a service.
//!
//! | field | meaning |
//! | --- | --- |
//! | `method` | `GET` if absent |
//! | `url` | `http` or `https`; the host must be allowed if the configuration names allowed ones |
//! | `headers` | names and values |
//! | `body` | sent as JSON; a string is sent as it is, as text unless `headers` name a type |
//! | `expect_status` | statuses that mean success; every 2xx if absent |
//!
//! The class of a failure comes from the status, or from where the call broke. A message shows scheme, host and path
//! of the address; never its query, a user name or password in it, or the value of a header.

mod guard;
mod hosts;
mod target;

use std::collections::BTreeMap;

use async_trait::async_trait;
use reqwest::{
    Client, RequestBuilder, Response, StatusCode,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use windlass_llm::{
    BuildError,
    http::{ReadError, explain, http_client, read_limited, retry_after},
};
use windlass_shared::model::{ErrorClass, Trace};
use windlass_telemetry::otel::Span;

pub(crate) use self::guard::Guard;
use self::{hosts::Hosts, target::Target};
use super::{Executor, Failure, Job, json};
use crate::spans;

/// What is called, whether it may be, and what is shown of a failed answer.
#[cfg(feature = "fuzz")]
pub(super) fn read(method: Option<&str>, url: &str, headers: &BTreeMap<String, String>, body: &[u8]) {
    let hosts = Hosts::new(Some(vec!["api.example.com".into(), "*.internal".into()]));
    let Ok(target) = Target::read(method, url, headers) else { return };
    let _ = hosts.check(&target.url);
    target.failed(&target.excerpt(body));
}

/// How services are called.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// Hosts that may be called: `api.example.com`, or `*.example.com` for all below it. If absent, any.
    pub allowed_hosts: Option<Vec<String>>,
    /// Bytes of the answer's body, beyond which it is a failure.
    pub max_response: usize,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self { allowed_hosts: None, max_response: 1024 * 1024 }
    }
}

/// Calls services.
#[derive(Debug, Clone)]
pub struct HttpExecutor {
    client: Client,
    hosts: Hosts,
    max_response: usize,
    guard: Option<Guard>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    method: Option<String>,
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<Box<RawValue>>,
    expect_status: Option<Vec<u16>>,
}

#[derive(Serialize)]
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Box<RawValue>,
}

#[async_trait]
impl Executor for HttpExecutor {
    async fn execute(&self, job: &Job) -> Result<Box<RawValue>, Failure> {
        let payload: Payload = job.read_payload()?;
        let target = Target::read(payload.method.as_deref(), &payload.url, &payload.headers)?;
        self.hosts.check(&target.url).map_err(|refused| Failure::bad_request(target.failed(&refused)))?;
        let span = spans::request(target.method.as_str(), &target.url);
        let trace = span.at().map(Trace::from).or_else(|| job.trace.clone());
        let call = span.around(self.call(&target, &payload, trace.as_ref(), &span));
        let called = match &self.guard {
            Some(guard) => guard.around(&target.url, &job.carry, call).await,
            None => call.await,
        };
        called.inspect_err(|failure| span.fail(failure.class.as_str(), ""))
    }
}

/// Tells the service which trace it is called in, unless the task says so itself.
fn with_trace(mut headers: HeaderMap, trace: Option<&Trace>) -> HeaderMap {
    if headers.contains_key("traceparent") {
        return headers;
    }
    for (name, value) in trace.into_iter().flat_map(Trace::headers) {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    headers
}

impl HttpExecutor {
    async fn call(
        &self,
        target: &Target,
        payload: &Payload,
        trace: Option<&Trace>,
        span: &Span,
    ) -> Result<Box<RawValue>, Failure> {
        let request = self.client.request(target.method.clone(), target.url.clone());
        let headers = with_trace(target.headers.clone(), trace);
        let request = with_body(request.headers(headers), payload.body.as_deref(), target);
        let response = request.send().await.map_err(|error| unsent(target, error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        span.set("http.response.status_code", i64::from(status.as_u16()));
        let body = self.read(response, target).await?;
        if !expected(status, payload.expect_status.as_deref()) {
            let message = target.failed(&format!("HTTP {}{}", status.as_u16(), target.excerpt(&body)));
            return Err(Failure::new(class_of(status), message).retry_after(retry_after(&headers)));
        }
        let body = json::parse(&body).map_or_else(|| json::text(&body), Ok)?;
        json::result(&Answer { status: status.as_u16(), headers: listed(&headers), body })
    }

    /// Calls services as `options` say.
    pub fn new(options: HttpOptions) -> Result<Self, BuildError> {
        let hosts = Hosts::new(options.allowed_hosts);
        let client = http_client(hosts.redirects())?;
        Ok(Self { client, hosts, max_response: options.max_response, guard: None })
    }

    /// Leaves hosts alone that fail, as the whole fleet does.
    #[must_use]
    pub(crate) fn guarded(self, guard: Guard) -> Self {
        Self { guard: Some(guard), ..self }
    }

    async fn read(&self, response: Response, target: &Target) -> Result<Vec<u8>, Failure> {
        read_limited(response, self.max_response).await.map_err(|error| {
            let class = match &error {
                ReadError::TooLarge(_) => ErrorClass::ResultTooLarge,
                ReadError::Broken(error) if error.is_timeout() => ErrorClass::Timeout,
                ReadError::Broken(_) => ErrorClass::Connection,
            };
            Failure::new(class, target.failed(&error))
        })
    }
}

fn with_body(request: RequestBuilder, body: Option<&RawValue>, target: &Target) -> RequestBuilder {
    let Some(body) = body else { return request };
    let (body, content_type) = match serde_json::from_str::<String>(body.get()) {
        Ok(text) => (text, "text/plain; charset=utf-8"),
        Err(_) => (body.get().to_owned(), "application/json"),
    };
    let request = request.body(body);
    if target.headers.contains_key(CONTENT_TYPE) {
        request
    } else {
        request.header(CONTENT_TYPE, content_type)
    }
}

fn unsent(target: &Target, error: reqwest::Error) -> Failure {
    if let Some(refused) = hosts::refused(&error) {
        return Failure::bad_request(target.failed(refused));
    }
    let class = if error.is_connect() {
        ErrorClass::Connection
    } else if error.is_timeout() {
        ErrorClass::Timeout
    } else if error.is_builder() || error.is_redirect() {
        ErrorClass::BadRequest
    } else {
        ErrorClass::Connection
    };
    Failure::new(class, target.failed(&explain(error)))
}

fn expected(status: StatusCode, wanted: Option<&[u16]>) -> bool {
    wanted.map_or(status.is_success(), |wanted| wanted.contains(&status.as_u16()))
}

/// What an unwanted status means. One below 400 is unwanted because the payload expects another.
fn class_of(status: StatusCode) -> ErrorClass {
    match status.as_u16() {
        401 => ErrorClass::Authentication,
        403 => ErrorClass::Permission,
        408 => ErrorClass::Timeout,
        429 => ErrorClass::RateLimit,
        503 | 529 => ErrorClass::Overloaded,
        500.. => ErrorClass::Server,
        _ => ErrorClass::BadRequest,
    }
}

/// Headers by name; several of one name become a list, as HTTP has it.
fn listed(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut listed = BTreeMap::<String, String>::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        listed
            .entry(name.as_str().to_owned())
            .and_modify(|list| {
                list.push_str(", ");
                list.push_str(&value);
            })
            .or_insert_with(|| value.to_string());
    }
    listed
}

#[cfg(test)]
mod tests;
