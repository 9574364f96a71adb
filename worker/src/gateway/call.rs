//! One logical call: what is asked, and what may spare it: others that ask the same, and the caches.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use windlass_llm::{ChatRequest, Finish, ToolCall, Usage, select::Requirements};
use windlass_shared::{config::CacheKind, store::Gate};
use windlass_telemetry::Trace;

use super::{
    Gateway, Ledger,
    candidates::Candidate,
    report::Stored,
    run::Run,
    semantic::{Question, Subject},
};
use crate::executor::Failure;

/// Whose call it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Who {
    pub(crate) tenant: String,
    pub(crate) batch: String,
    pub(crate) queue: String,
    pub(crate) task_type: String,
    pub(crate) category: String,
    /// 0 (critical) to 3 (low).
    pub(crate) rank: u8,
    /// The task gave its slot back before.
    pub(crate) returning: bool,
    /// The trace that it is a part of, for exemplars.
    pub(crate) trace: Option<Trace>,
}

/// What is asked.
pub(crate) struct Call<'a> {
    pub(crate) request: &'a ChatRequest,
    pub(crate) need: &'a Requirements,
    pub(crate) who: &'a Who,
    pub(crate) cache: CacheKind,
    /// `balanced`, `cheapest`, ...
    pub(crate) mode: &'a str,
    /// Another provider is asked when one refuses for content.
    pub(crate) rotate_on_refusal: bool,
    /// A model that is expected to reach this is preferred; without one any may answer.
    pub(crate) prefer_quality: Option<f64>,
}

/// What came of it.
#[derive(Debug, Clone)]
pub(crate) struct Answered {
    pub(crate) text: String,
    pub(crate) tool_calls: Vec<ToolCall>,
    /// The catalog's name of the model.
    pub(crate) model: String,
    pub(crate) finish: Finish,
    /// Its name in the cache, if it is kept there.
    pub(crate) kept_as: Option<String>,
    /// It was known: nobody was asked.
    pub(crate) known: bool,
}

/// One at a time of the calls of this node that ask the same; the second finds the answer of the first.
#[derive(Debug, Default)]
pub(crate) struct Flights(Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>);

impl Flights {
    fn of(&self, name: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(flight) = flights.get(name).and_then(Weak::upgrade) {
            return flight;
        }
        flights.retain(|_, flight| flight.strong_count() > 0);
        let flight = Arc::default();
        flights.insert(name.to_owned(), Arc::downgrade(&flight));
        flight
    }
}

impl Gateway {
    /// Asks the models that may answer, in order, until one did.
    pub(crate) async fn call(&self, call: &Call<'_>, ledger: &mut Ledger) -> Result<Answered, Failure> {
        let gate = self.gate()?.clone();
        let mut run = Run::start(self, call, &gate).await?;
        let cacheable = super::needs_cache(call.cache, call.need) && call.request.tools.is_empty();
        let name = cacheable.then(|| run.cache_name());
        let flight = name.as_ref().map(|name| self.flights.of(name));
        let _one_at_a_time = match &flight {
            None => None,
            Some(flight) => match flight.try_lock() {
                Ok(first) => Some(first),
                // After the first of this node has its answer, the others need not go one by one.
                Err(_) => {
                    drop(flight.lock().await);
                    None
                }
            },
        };
        let question = match &name {
            Some(name) if call.cache == CacheKind::Semantic => self.question(call, name, &gate, ledger).await,
            _ => None,
        };
        if let Some(question) = &question
            && let Some(answered) = self.recall(call, question, &gate, ledger).await
        {
            return Ok(answered);
        }
        let answered = run.until_answered(name.as_deref(), ledger).await?;
        if let Some(question) = &question
            && !answered.known
            && let Some(name) = &answered.kept_as
        {
            self.semantic.keep(&gate, &self.realm(call.who), question, name).await;
        }
        Ok(answered)
    }

    /// Answers are kept apart by tenant unless they may be shared.
    pub(crate) fn realm(&self, who: &Who) -> String {
        if self.settings.cache_shared { String::new() } else { who.tenant.clone() }
    }

    /// The request as others are compared with it, unless the very same was asked before.
    async fn question(
        &self,
        call: &Call<'_>,
        name: &str,
        gate: &Gate,
        ledger: &mut Ledger,
    ) -> Option<Question> {
        let subject = Subject::of(&who_may_answer(call), call.request)?;
        // The exact cache answers; and nobody pays for a comparison while Redis is silent.
        if gate.cached(name).await.ok()?.is_some() {
            return None;
        }
        let vector = self.embed(&subject.text, call.who, gate, ledger).await?;
        Some(Question::new(subject, vector, gate))
    }

    /// An answer to a request that means the same.
    async fn recall(
        &self,
        call: &Call<'_>,
        question: &Question,
        gate: &Gate,
        ledger: &mut Ledger,
    ) -> Option<Answered> {
        let found = self.semantic.find(gate, &self.realm(call.who), question).await?;
        let stored = Stored::read(&found.answer)?;
        let why =
            format!("a request that means the same was answered before (likeness {:.3})", found.likeness);
        Some(stored.hit(ledger, &found.name, "semantic", why))
    }
}

/// What decides about the models that may answer, for the names of answers.
pub(super) fn who_may_answer(call: &Call<'_>) -> serde_json::Value {
    let need = Requirements { input_tokens: 0, output_tokens: 0, ..call.need.clone() };
    serde_json::json!({ "need": need, "prefer": call.prefer_quality, "mode": call.mode })
}

/// What a call cost, nano-dollars: what the provider says, else by the catalog's price; unknown if neither knows.
pub(crate) fn cost_of(told_usd: Option<f64>, usage: &Usage, candidate: &Candidate) -> Option<i64> {
    if let Some(cost) = told_usd.and_then(windlass_llm::Nano::from_usd) {
        return Some(cost.get());
    }
    cost_of_usage(usage, candidate)
}

pub(crate) fn cost_of_usage(usage: &Usage, candidate: &Candidate) -> Option<i64> {
    let price = candidate.model.price.as_ref()?;
    let used = windlass_llm::cost::TokenUsage {
        input: usage.input?,
        output: usage.output?,
        cached: usage.cached.unwrap_or(0),
        cache_written: usage.cache_written.unwrap_or(0),
    };
    Some(price.cost(&used).get())
}
