//! The result of an `llm` task: the answer, what was made of it, and how it came about.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use windlass_llm::ToolCall;

use crate::{
    gateway::{Answered, Ledger, ledger::CallRecord},
    pipeline::{Draft, Verdict},
};

#[derive(Serialize)]
pub(super) struct Output<'a> {
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    json: Option<&'a Value>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    files: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    validation: Option<&'a Verdict>,
    /// The model of the answer, as the catalog names it.
    model: &'a str,
    /// `stop`, `tool_calls`, or `length` for an answer that was cut.
    finish_reason: &'static str,
    /// All calls together; null if the price of one is not known.
    cost_usd: Option<f64>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    notes: &'a [String],
    calls: &'a [CallRecord],
}

impl<'a> Output<'a> {
    pub(super) fn of(
        draft: &'a Draft,
        verdict: Option<&'a Verdict>,
        answered: &'a Answered,
        ledger: &'a Ledger,
    ) -> Self {
        let calls = ledger.calls();
        Self {
            text: &draft.output,
            json: draft.json.as_ref(),
            files: &draft.files,
            tool_calls: answered.tool_calls.iter().map(tool_call).collect(),
            validation: verdict.filter(|verdict| !verdict.checks.is_empty()),
            model: &answered.model,
            finish_reason: answered.finish.as_str(),
            cost_usd: calls.iter().map(|call| call.cost_usd).sum(),
            notes: &draft.notes,
            calls,
        }
    }
}

fn tool_call(call: &ToolCall) -> Value {
    serde_json::json!({
        "id": call.id, "type": "function", "function": { "name": call.name, "arguments": call.arguments },
    })
}
