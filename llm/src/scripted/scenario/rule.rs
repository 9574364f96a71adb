//! One rule of a scenario file: which requests it is for, and what they get.

use serde::Deserialize;

use super::{
    answer::Answer,
    words::{Header, Name, Numbers, Pattern, Time},
};
use crate::scripted::ask::{Format, PATHS};

/// A rule. The first that matches a request answers it.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Raw")]
pub(crate) struct Rule {
    /// Empty until the scenario numbers those without a name.
    pub(crate) name: String,
    pub(crate) when: When,
    pub(crate) limit: Option<Limit>,
    /// Tokens that fit the model's window; more get the context-length error.
    pub(crate) context: Option<u64>,
    pub(crate) answers: Vec<Answer>,
    pub(crate) order: Order,
    pub(crate) then: Then,
    pub(crate) per: Per,
}

/// What a request must be like. What is not given may be anything.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct When {
    pub(crate) model: Option<Name>,
    pub(crate) format: Option<Format>,
    pub(crate) path: Option<Path>,
    /// The last user message.
    pub(crate) last: Option<Pattern>,
    /// All messages together.
    pub(crate) text: Option<Pattern>,
    /// System and developer messages together.
    pub(crate) system: Option<Pattern>,
    pub(crate) header: Option<Header>,
    /// The whole API key.
    pub(crate) key: Option<String>,
    pub(crate) stream: Option<bool>,
    pub(crate) tools: Option<bool>,
    pub(crate) call: Option<Numbers>,
}

/// A path that the stand-in knows.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Path(pub(crate) String);

impl TryFrom<String> for Path {
    type Error = String;

    fn try_from(path: String) -> Result<Self, String> {
        if PATHS.contains(&path.as_str()) {
            Ok(Self(path))
        } else {
            Err(format!("a path is one of {}", PATHS.join(", ")))
        }
    }
}

/// In which order several answers are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    #[default]
    Sequence,
    Random,
}

/// What comes after the last answer of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Then {
    /// The last one again.
    #[default]
    Repeat,
    /// The first one again.
    Cycle,
    /// HTTP 500 that says so.
    Error,
    /// The rules that follow.
    Next,
}

/// What has a count, and so a sequence, of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Per {
    #[default]
    Rule,
    Model,
    Key,
    /// The first user message: a conversation that grows stays the same one.
    Prompt,
}

/// A rate limit. Requests above it get a true 429.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "RawLimit")]
pub(crate) struct Limit {
    pub(crate) requests: Option<u64>,
    pub(crate) tokens: Option<u64>,
    pub(crate) concurrent: Option<u64>,
    pub(crate) window: std::time::Duration,
    pub(crate) by: Per,
    /// Whether answers say what is left, in `x-ratelimit-*`.
    pub(crate) headers: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLimit {
    requests: Option<u64>,
    tokens: Option<u64>,
    concurrent: Option<u64>,
    per: Option<Time>,
    #[serde(default)]
    by: Per,
    headers: Option<bool>,
}

impl TryFrom<RawLimit> for Limit {
    type Error = String;

    fn try_from(raw: RawLimit) -> Result<Self, String> {
        let RawLimit { requests, tokens, concurrent, per, by, headers } = raw;
        if [requests, tokens, concurrent].iter().all(Option::is_none) {
            return Err("a limit has requests, tokens or concurrent".into());
        }
        let window = per.map_or(std::time::Duration::from_secs(60), |time| time.0);
        if window.is_zero() {
            return Err("`per` is above 0".into());
        }
        if requests == Some(0) || tokens == Some(0) || concurrent == Some(0) {
            return Err("a limit is at least 1".into());
        }
        Ok(Self { requests, tokens, concurrent, window, by, headers: headers.unwrap_or(true) })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: Option<String>,
    #[serde(default)]
    when: When,
    limit: Option<Limit>,
    context: Option<u64>,
    answer: Option<Answer>,
    answers: Option<Vec<Answer>>,
    order: Option<Order>,
    then: Option<Then>,
    #[serde(default)]
    per: Per,
}

impl TryFrom<Raw> for Rule {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        let answers = match (raw.answer, raw.answers) {
            (Some(_), Some(_)) => return Err("a rule has `answer` or `answers`, not both".into()),
            (Some(answer), None) => vec![answer],
            (None, Some(answers)) if answers.is_empty() => return Err("`answers` is empty".into()),
            (None, answers) => answers.unwrap_or_default(),
        };
        let order = raw.order.unwrap_or_default();
        if raw.then.is_some() && order == Order::Random {
            return Err("`then` belongs to answers in sequence: answers at random have no end".into());
        }
        if raw.name.as_ref().is_some_and(String::is_empty) {
            return Err("`name` is empty".into());
        }
        Ok(Self {
            name: raw.name.unwrap_or_default(),
            when: raw.when,
            limit: raw.limit,
            context: raw.context,
            answers,
            order,
            then: raw.then.unwrap_or_default(),
            per: raw.per,
        })
    }
}
