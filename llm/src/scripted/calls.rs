//! What was asked, when, and how it ended: the stand-in is the judge of limits and budgets, so it counts for itself.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;
use serde_json::Value;

/// What was asked so far.
#[derive(Debug, Clone, Serialize)]
pub struct Calls {
    /// The window that the peaks are for, in milliseconds.
    pub window_ms: u64,
    /// All calls together.
    pub all: Group,
    /// Calls by the rule that answered; `none` if no rule did, `invalid` if the request was refused before.
    pub by_rule: BTreeMap<String, Group>,
    /// Calls by the model that was asked.
    pub by_model: BTreeMap<String, Group>,
    /// Calls by API key. Keys that the scenario does not name are shown as a hash.
    pub by_key: BTreeMap<String, Group>,
    /// Calls by HTTP status; 0 if the connection was closed without one.
    pub by_status: BTreeMap<u16, u64>,
    /// Calls too old to be in the peaks: more than a million came after them.
    pub forgotten: u64,
    /// The last calls, the latest last.
    pub last: Vec<Call>,
}

/// Figures of some calls.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Group {
    /// How many came.
    pub calls: u64,
    /// How many run now.
    pub running: u64,
    /// The most that ran at once.
    pub max_concurrent: u64,
    /// How many were dropped by the client before the answer was sent.
    pub aborted: u64,
    /// How many got a status of 400 and above.
    pub refused: u64,
    /// The most that came in any window.
    pub max_in_window: u64,
    /// The most of those with a status below 400 that came in any window.
    pub max_answered_in_window: u64,
    /// The most tokens, in and out, of calls that came in one window.
    pub max_tokens_in_window: u64,
    /// Tokens of the prompts that were answered.
    pub input_tokens: u64,
    /// Tokens of the answers.
    pub output_tokens: u64,
    /// US dollars that the answers said they cost.
    pub cost: f64,
}

/// One call.
#[derive(Debug, Clone, Serialize)]
pub struct Call {
    /// Counted from 1.
    pub number: u64,
    /// When it came, in milliseconds since the stand-in started.
    pub at_ms: f64,
    /// How long it took; absent while it runs.
    pub took_ms: Option<f64>,
    /// The path.
    pub path: &'static str,
    /// The model that was asked.
    pub model: String,
    /// The rule that answered.
    pub rule: String,
    /// The API key's name.
    pub key: String,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// The HTTP status that was sent; 0 for none.
    pub status: u16,
    /// Whether the client dropped it.
    pub aborted: bool,
    /// Tokens of the prompt, if it was answered.
    pub input_tokens: u64,
    /// Tokens of the answer.
    pub output_tokens: u64,
    /// The request's body, if that was asked for and is still there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<Value>,
}

/// What to show.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Show {
    pub(crate) window: Duration,
    pub(crate) last: usize,
    pub(crate) prompts: bool,
}

impl Default for Show {
    fn default() -> Self {
        Self { window: Duration::from_secs(60), last: 100, prompts: false }
    }
}
