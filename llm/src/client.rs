//! A client of one endpoint that speaks the `OpenAI` chat-completions format.

use std::{
    fmt,
    time::{Duration, Instant},
};

use reqwest::{
    Response, StatusCode, Url,
    header::{AUTHORIZATION, HeaderMap, HeaderValue},
};
use serde_json::Value;

use crate::{
    ChatAnswer, ChatError, ChatRequest, Class, ErrorBody,
    chat::read_answer,
    classify,
    http::{ReadError, explain, read_limited, retry_after},
    redact,
};

/// No answer is larger: it bounds what a broken server can make us hold.
const LARGEST_ANSWER: usize = 16 * 1024 * 1024;

/// Where a model is served.
#[derive(Clone)]
pub struct Endpoint {
    /// The part of the address before `/chat/completions`, such as `https://api.openai.com/v1`.
    pub base_url: String,
    /// Sent as a bearer token. Local servers need none.
    pub api_key: Option<String>,
    /// What records and errors call the provider.
    pub provider: String,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("provider", &self.provider).finish_non_exhaustive()
    }
}

/// An endpoint that no call can be made to. Does not repeat the value, which may hold a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEndpoint {
    /// The base URL is not an address.
    #[error(
        "the base URL is not valid: use one such as https://api.openai.com/v1 or http://127.0.0.1:11434/v1"
    )]
    BaseUrl,
    /// The base URL holds a user name or a password.
    #[error("the base URL holds a user name or password: give the key by itself instead")]
    Credentials,
    /// The key cannot be sent.
    #[error("the API key is not valid: it is empty or holds a line break or another control character")]
    ApiKey,
}

/// Calls one endpoint. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    endpoint: Endpoint,
    url: Url,
    authorization: Option<HeaderValue>,
    http: reqwest::Client,
}

impl Client {
    /// A client of `endpoint` that calls through `http` (see [`crate::http_client`]).
    pub fn new(endpoint: Endpoint, http: reqwest::Client) -> Result<Self, InvalidEndpoint> {
        let url = completions_url(&endpoint.base_url)?;
        let authorization = endpoint.api_key.as_deref().map(bearer).transpose()?;
        Ok(Self { endpoint, url, authorization, http })
    }

    /// What records call the provider.
    pub fn provider(&self) -> &str {
        &self.endpoint.provider
    }

    /// Makes one call and does not retry. Dropping the future drops the call.
    pub async fn chat(&self, request: &ChatRequest) -> Result<ChatAnswer, ChatError> {
        let started = Instant::now();
        let response = self.send(request).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let context = Context { client: self, request, status, headers };
        let body = read_limited(response, LARGEST_ANSWER).await.map_err(|error| context.unread(&error))?;
        context.read(&body, started.elapsed())
    }

    async fn send(&self, request: &ChatRequest) -> Result<Response, ChatError> {
        let mut post = self.http.post(self.url.clone()).json(request);
        if let Some(authorization) = &self.authorization {
            post = post.header(AUTHORIZATION, authorization.clone());
        }
        post.send().await.map_err(|error| self.unsent(error))
    }

    fn unsent(&self, error: reqwest::Error) -> ChatError {
        let class = if error.is_builder() {
            Class::BadRequest
        } else if error.is_timeout() && !error.is_connect() {
            Class::Timeout
        } else {
            Class::Connection
        };
        let origin = self.url.origin().ascii_serialization();
        let message = format!("no answer from {} at {origin}: {}", self.provider(), explain(error));
        ChatError { class, status: None, message, retry_after: None }
    }
}

/// A call that was answered, while its answer is being read.
struct Context<'a> {
    client: &'a Client,
    request: &'a ChatRequest,
    status: StatusCode,
    headers: HeaderMap,
}

impl Context<'_> {
    fn read(&self, body: &[u8], duration: Duration) -> Result<ChatAnswer, ChatError> {
        let body: Option<Value> = serde_json::from_slice(body).ok();
        let error = body.as_ref().and_then(ErrorBody::find);
        if error.is_some() || !self.status.is_success() {
            return Err(self.failed(&error.unwrap_or_default()));
        }
        let body = body.ok_or_else(|| self.rejected(Class::MalformedOutput, "the answer is not JSON"))?;
        read_answer(body, &self.request.model, duration).map_err(|(class, why)| self.rejected(class, why))
    }

    /// The provider says that the call failed.
    fn failed(&self, error: &ErrorBody) -> ChatError {
        let words = [&error.error_type, &error.code, &error.kind];
        let words = words.into_iter().filter_map(|word| redact::word(word.as_deref()?));
        let key = self.client.endpoint.api_key.as_deref();
        let text = (error.message.as_deref()).map(|text| {
            redact::shown(text, key, &self.request.messages)
                .unwrap_or_else(|| "(its text repeats the request and is withheld)".into())
        });
        let said: Vec<&str> = words.chain(text.as_deref()).collect();
        let said = if said.is_empty() { "it gave no reason".into() } else { said.join(", ") };
        self.rejected(classify(self.status, &self.headers, error), &said)
    }

    fn unread(&self, error: &ReadError) -> ChatError {
        let class = match error {
            ReadError::TooLarge(_) => Class::MalformedOutput,
            ReadError::Broken(error) if error.is_timeout() => Class::Timeout,
            // `is_decode` is no help: reqwest says so of a body that was cut off, too.
            ReadError::Broken(_) => Class::Connection,
        };
        self.rejected(class, &error.to_string())
    }

    fn rejected(&self, class: Class, why: &str) -> ChatError {
        let status = self.status.as_u16();
        let message = format!("{} answered with HTTP {status}: {why}", self.client.provider());
        ChatError { class, status: Some(status), message, retry_after: retry_after(&self.headers) }
    }
}

fn completions_url(base: &str) -> Result<Url, InvalidEndpoint> {
    let mut url = Url::parse(base.trim()).map_err(|_| InvalidEndpoint::BaseUrl)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(InvalidEndpoint::BaseUrl);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(InvalidEndpoint::Credentials);
    }
    let mut segments = url.path_segments_mut().map_err(|()| InvalidEndpoint::BaseUrl)?;
    segments.pop_if_empty().extend(["chat", "completions"]);
    drop(segments);
    Ok(url)
}

fn bearer(key: &str) -> Result<HeaderValue, InvalidEndpoint> {
    let key = key.trim();
    let header = (!key.is_empty()).then(|| HeaderValue::from_str(&format!("Bearer {key}")).ok()).flatten();
    let mut header = header.ok_or(InvalidEndpoint::ApiKey)?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_appended_and_a_query_is_kept() {
        for (base, expected) in [
            ("http://h/v1", "http://h/v1/chat/completions"),
            ("http://h/v1/", "http://h/v1/chat/completions"),
            ("https://h/d/m?api-version=1", "https://h/d/m/chat/completions?api-version=1"),
        ] {
            assert_eq!(completions_url(base).unwrap().as_str(), expected);
        }
        assert_eq!(completions_url("not a url"), Err(InvalidEndpoint::BaseUrl));
        assert_eq!(completions_url("ftp://h/v1"), Err(InvalidEndpoint::BaseUrl));
        assert_eq!(completions_url("https://me:pw@h/v1"), Err(InvalidEndpoint::Credentials));
    }

    #[test]
    fn a_key_shows_in_no_debug_output_and_a_bad_one_is_refused() {
        assert!(!format!("{:?}", bearer("sk-secret").unwrap()).contains("secret"));
        assert!(bearer("a\nb").is_err() && bearer(" ").is_err());
        let endpoint =
            Endpoint { base_url: "http://h".into(), api_key: Some("sk-secret".into()), provider: "p".into() };
        assert!(!format!("{endpoint:?}").contains("secret"));
    }
}
