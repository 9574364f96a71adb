//! Errors of calls: their class, what the provider asks for, and words that can be shown.

use std::time::Duration;

use reqwest::{
    Response,
    header::{CONTENT_TYPE, DATE, HeaderValue},
};

use super::call::{Asked, Call, Clock};
use crate::{
    ChatError, Class, LimitFacts, Preset, Usage,
    draft::Fault,
    failure::{ErrorBody, classify},
    http::{self, LONGEST_WAIT},
    redact,
};

/// A limit that lifts later than this is no matter of pace. On OpenRouter it is the day's share of free calls.
const LONGEST_PACE: Duration = Duration::from_mins(10);

/// What an answer's head says, kept while its body is read.
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) limits: LimitFacts,
    pub(super) event_stream: bool,
    retry_after: Option<Duration>,
    date: Option<HeaderValue>,
}

impl Head {
    pub(super) fn of(response: &Response) -> Self {
        let headers = response.headers();
        let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        Self {
            status: response.status().as_u16(),
            limits: LimitFacts::of_headers(headers),
            event_stream: kind.to_ascii_lowercase().starts_with("text/event-stream"),
            retry_after: http::retry_after(headers),
            date: headers.get(DATE).cloned(),
        }
    }
}

impl Call<'_> {
    /// No answer came. Unless there was no connection, the request may have been worked on.
    pub(super) fn unsent(&self, error: reqwest::Error) -> ChatError {
        let class = if error.is_builder() {
            Class::BadRequest
        } else if error.is_timeout() {
            Class::Timeout
        } else {
            Class::Connection
        };
        let origin = error.url().map(|url| url.origin().ascii_serialization()).unwrap_or_default();
        let name = &self.provider.options.name;
        let began = !error.is_builder() && !error.is_connect();
        let message = format!("no answer from {name} at {origin}: {}", http::explain(error));
        ChatError { began, ..ChatError::new(class, message) }
    }

    /// It takes too long. What was asked for is being worked on, and may be billed.
    pub(super) fn late(&self, clock: Clock, head: Option<&Head>, usage: Usage) -> ChatError {
        let options = &self.provider.options;
        let (what, limit, setting) = match clock {
            Clock::FirstToken => {
                ("nothing of the answer", options.first_token_timeout, "first_token_timeout")
            }
            Clock::Idle => ("no more of the answer", options.idle_timeout, "idle_timeout"),
            Clock::Total => ("no end of the answer", options.total_timeout, "total_timeout"),
        };
        let message = format!("{}: {what} within {limit:?} ({setting})", options.name);
        let limits = head.map(|head| head.limits).unwrap_or_default();
        let status = head.map(|head| head.status);
        ChatError { status, limits, usage, began: true, ..ChatError::new(Class::Timeout, message) }
    }

    /// The connection broke within the answer.
    pub(super) fn cut(&self, head: &Head, why: &str, usage: Usage, began: bool) -> ChatError {
        self.error(head, Class::Connection, &format!("the answer broke off: {why}"), usage, began)
    }

    /// What came with a status of success is no answer.
    pub(super) fn faulty(&self, head: &Head, fault: &Fault, usage: Usage, began: bool) -> ChatError {
        match fault {
            Fault::Told(error) => self.told(head, error, usage, began),
            Fault::Found(class, why) => self.error(head, *class, why, usage, began),
        }
    }

    /// The same where tokens were not written but read.
    pub(super) fn useless(&self, head: &Head, fault: &Fault) -> ChatError {
        let began = matches!(self.asked, Asked::Embed(_)) && matches!(fault, Fault::Found(..));
        self.faulty(head, fault, Usage::default(), began)
    }

    /// The provider says that the call failed.
    pub(super) fn told(&self, head: &Head, error: &ErrorBody, usage: Usage, began: bool) -> ChatError {
        let mut limits = head.limits;
        if !error.headers.is_empty() {
            limits.add_quoted(&error.headers, http::now_millis(head.date.as_ref()));
        }
        let loaded = error.estimated_time.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let retry_after = head.retry_after.or(loaded.map(|wait| wait.min(LONGEST_WAIT)));
        let class = classify(head.status, head.retry_after.is_some(), error);
        let exhausted = limits.exhausted_for().filter(|_| class == Class::RateLimit);
        let retry_after = retry_after.or(exhausted);
        let free_for_today = self.provider.options.preset == Preset::OpenRouter
            && class == Class::RateLimit
            && retry_after.is_some_and(|wait| wait > LONGEST_PACE);
        let class = if free_for_today { Class::Quota } else { class };
        let error = self.error(head, class, &self.said(error), usage, began);
        ChatError { retry_after, limits, ..error }
    }

    /// What can be shown of an error: its words, and its text unless that repeats what was asked.
    fn said(&self, error: &ErrorBody) -> String {
        let words = error.words().filter(|word| word.parse::<u16>().is_err()).filter_map(redact::word);
        let text = error.message.as_deref().map(|text| {
            redact::shown(text, &self.key.secrets, &self.asked.texts())
                .unwrap_or_else(|| "(its text repeats the request and is withheld)".into())
        });
        let mut said: Vec<&str> = words.chain(text.as_deref()).collect();
        said.dedup();
        if said.is_empty() { "it gave no reason".into() } else { said.join(", ") }
    }

    fn error(&self, head: &Head, class: Class, why: &str, usage: Usage, began: bool) -> ChatError {
        let message = format!("{} answered with HTTP {}: {why}", self.provider.options.name, head.status);
        ChatError {
            status: Some(head.status),
            retry_after: head.retry_after,
            limits: head.limits,
            usage,
            began,
            ..ChatError::new(class, message)
        }
    }
}
