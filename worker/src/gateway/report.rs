//! What the fleet is told after a call. A call that is dropped half way is told of, too: its reservation would else be
//! held until it lapses.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tokio_util::task::TaskTracker;
use windlass_llm::{ChatAnswer, ChatError, Cools, EmbedAnswer, Finish, LimitFacts, Policy, ToolCall, Usage};
use windlass_shared::{
    model::time::micros,
    store::{Answered as Told, BreakerRule, CallVerdict, Gate, Judged, Taught},
};
use windlass_telemetry::{otel::Span, worker::Call};

use super::{
    Gateway, Ledger,
    call::{Answered, Who, cost_of_usage},
    candidates::Candidate,
    ledger::CallRecord,
};
use crate::{executor::Carry, metrics::metrics, spans};

/// The weight of what the fleet learns halves in this time.
pub(crate) const HALF_LIFE: Duration = Duration::from_hours(1);

/// A report that is owed.
pub(crate) struct Report {
    gate: Gate,
    call: String,
    candidate: Candidate,
    who: Who,
    cache: String,
    ttl: Duration,
    rule: BreakerRule,
    /// Why the attempt ended, should it end before the call.
    carry: Carry,
    reports: TaskTracker,
    since: Instant,
    /// Of the call; it ends with the answer.
    span: Span,
    /// Told already, or being told.
    told: bool,
}

/// What an answer says besides its words.
pub(crate) struct Seen {
    pub(crate) usage: Usage,
    pub(crate) duration: Duration,
    pub(crate) first_token: Option<Duration>,
    pub(crate) limits: LimitFacts,
}

impl From<&ChatAnswer> for Seen {
    fn from(answer: &ChatAnswer) -> Self {
        let ChatAnswer { usage, duration, first_token, limits, .. } = *answer;
        Self { usage, duration, first_token, limits }
    }
}

impl From<&EmbedAnswer> for Seen {
    fn from(answer: &EmbedAnswer) -> Self {
        let EmbedAnswer { usage, duration, limits, .. } = *answer;
        Self { usage: Usage { output: Some(0), ..usage }, duration, first_token: None, limits }
    }
}

/// The variable part of a report.
struct Outcome<'a> {
    verdict: CallVerdict,
    class: &'a str,
    used: [i64; 2],
    cost: i64,
    cool: Vec<(&'a str, u64, &'a str)>,
    taught: Taught,
    keep: bool,
    latency: Duration,
    output: u64,
    counts: BTreeMap<&'a str, i64>,
}

impl Report {
    pub(crate) fn new(
        gate: Gate,
        call: &str,
        candidate: &Candidate,
        who: &Who,
        cache: Option<&str>,
        gateway: &Gateway,
        ledger: &Ledger,
    ) -> Self {
        Self {
            carry: ledger.carry().clone(),
            reports: gateway.reports.clone(),
            since: Instant::now(),
            span: Span::none(),
            gate,
            call: call.to_owned(),
            candidate: candidate.clone(),
            who: who.clone(),
            cache: cache.unwrap_or_default().to_owned(),
            ttl: gateway.settings.cache_ttl,
            rule: gateway.rule,
            told: false,
        }
    }

    /// The call is one of a trace: `chat` or `embeddings`.
    pub(crate) fn traced(mut self, operation: &'static str) -> Self {
        self.span = spans::call(operation, &self.candidate.model.provider, &self.candidate.name);
        self
    }

    /// What the answer says of itself, for its span.
    pub(crate) fn answers(&self, answer: &ChatAnswer) {
        self.span.set("gen_ai.response.model", answer.model.clone());
        self.span.set("gen_ai.response.finish_reasons", answer.finish.as_str());
    }

    /// It answered.
    pub(crate) fn succeeded(
        mut self,
        seen: &Seen,
        cost: Option<i64>,
        stored: String,
    ) -> impl Future<Output = ()> + Send + 'static {
        self.told = true;
        let Seen { usage, duration: latency, first_token: first, limits } = *seen;
        self.count(None, latency, &usage, cost);
        async move {
            let number = |n: Option<u64>| n.map_or(-1, |n| i64::try_from(n).unwrap_or(i64::MAX));
            let count = |n: Option<u64>| n.map_or(0, |n| i64::try_from(n).unwrap_or(0));
            let mut counts = BTreeMap::from([
                ("calls", 1),
                ("input_tokens", count(usage.input)),
                ("output_tokens", count(usage.output)),
                ("cached_tokens", count(usage.cached)),
                ("reasoning_tokens", count(usage.reasoning)),
                ("cost_nano", cost.unwrap_or(0)),
                ("cost_unknown", i64::from(cost.is_none())),
                ("duration_us", micros(latency)),
            ]);
            if let Some(first) = first {
                counts.insert("first_token_us", micros(first));
                counts.insert("first_tokens", 1);
            }
            let outcome = Outcome {
                verdict: CallVerdict::Success,
                class: "",
                used: [number(usage.input), number(usage.output)],
                cost: cost.unwrap_or(-1),
                cool: Vec::new(),
                taught: taught(&self.candidate, &limits),
                keep: !stored.is_empty(),
                latency,
                output: usage.output.unwrap_or(0),
                counts,
            };
            self.tell(outcome, &stored).await;
        }
    }

    /// It failed.
    pub(crate) fn failed(
        mut self,
        error: &ChatError,
        policy: Policy,
        cool: Option<(Cools, Duration)>,
        took: Duration,
    ) -> impl Future<Output = ()> + Send + 'static {
        self.told = true;
        let error = error.clone();
        let cost = if error.began { cost_of_usage(&error.usage, &self.candidate) } else { None };
        self.count(Some(error.class.as_str()), took, &error.usage, cost);
        async move {
            let candidate = self.candidate.clone();
            let class = error.class.as_str();
            let cool = cool.map(|(who, wait)| {
                let name = if who == Cools::Key { &candidate.ask.key } else { &candidate.ask.lane };
                (name.as_str(), micros(wait).unsigned_abs(), class)
            });
            // Nothing was produced unless the answer had begun; then what is not told counts as reserved.
            let nothing = if error.began { -1 } else { 0 };
            let number = |n: Option<u64>| n.map_or(nothing, |n| i64::try_from(n).unwrap_or(i64::MAX));
            let cost = if error.began { cost.unwrap_or(-1) } else { 0 };
            let class_count = format!("error_{class}");
            let outcome = Outcome {
                verdict: if policy.counts_for_breaker { CallVerdict::Failure } else { CallVerdict::Neither },
                class,
                used: [number(error.usage.input), number(error.usage.output)],
                cost,
                cool: cool.into_iter().collect(),
                taught: taught(&candidate, &error.limits),
                keep: false,
                latency: took,
                output: 0,
                counts: BTreeMap::from([
                    ("calls", 1),
                    ("errors", 1),
                    (class_count.as_str(), 1),
                    ("cost_nano", cost.max(0)),
                    ("cost_unknown", i64::from(cost < 0)),
                ]),
            };
            self.tell(outcome, "").await;
        }
    }

    /// For the metrics of this process, and the end of the span.
    fn count(&mut self, error: Option<&str>, took: Duration, usage: &Usage, cost: Option<i64>) {
        let tokens =
            [usage.input, usage.output, usage.cached, usage.reasoning].map(Option::unwrap_or_default);
        let (model, trace) = (self.candidate.model.id.as_str(), self.who.trace);
        metrics().called(&Call { model, error, took, tokens, cost, trace });
        spans::called(&std::mem::take(&mut self.span), error, usage, cost);
    }

    async fn tell(&self, outcome: Outcome<'_>, stored: &str) {
        let model = &self.candidate.model;
        let told = Told {
            call: &self.call,
            model: &self.candidate.ask.breaker,
            verdict: outcome.verdict,
            class: outcome.class,
            used: outcome.used,
            cost: outcome.cost,
            cool: outcome.cool,
            taught: outcome.taught,
            flight: &self.cache,
            cache: if outcome.keep { &self.cache } else { "" },
            ttl: u64::try_from(self.ttl.as_millis()).unwrap_or(u64::MAX),
            breaker: self.rule,
            live: (
                &model.id,
                &self.who.category,
                micros(HALF_LIFE).unsigned_abs(),
                micros(outcome.latency).unsigned_abs(),
                outcome.output,
            ),
            batch: &self.who.batch,
            usage: (&model.id, &self.who.task_type, &self.who.tenant),
            counts: outcome.counts,
        };
        match self.gate.settle(&told, stored).await {
            Ok(true) => {}
            Ok(false) => {
                tracing::warn!(model = %model.id, "a call outlasted its reservation, which stays spent");
            }
            Err(error) => {
                tracing::warn!(%error, model = %model.id, "a call could not be told of; its reservation will lapse");
            }
        }
    }
}

impl Drop for Report {
    /// The call was dropped: the task was cancelled, or ran out of time. A model that lets it run out of time is ill.
    fn drop(&mut self) {
        if std::mem::replace(&mut self.told, true) {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let tracker = self.reports.clone();
        let report = Self {
            gate: self.gate.clone(),
            call: self.call.clone(),
            candidate: self.candidate.clone(),
            who: self.who.clone(),
            cache: self.cache.clone(),
            ttl: self.ttl,
            rule: self.rule,
            carry: self.carry.clone(),
            reports: self.reports.clone(),
            since: self.since,
            span: Span::none(),
            told: true,
        };
        let took = self.since.elapsed();
        let (verdict, class, count) = if self.carry.was_late(took) {
            (CallVerdict::Failure, "timeout", "error_timeout")
        } else {
            (CallVerdict::Neither, "cancelled", "error_cancelled")
        };
        self.count(Some(class), took, &Usage::default(), None);
        _ = tracker.spawn_on(
            async move {
                let outcome = Outcome {
                    verdict,
                    class,
                    used: [-1, -1],
                    cost: -1,
                    cool: Vec::new(),
                    taught: Taught::default(),
                    keep: false,
                    latency: took,
                    output: 0,
                    counts: BTreeMap::from([("calls", 1), ("errors", 1), (count, 1), ("cost_unknown", 1)]),
                };
                report.tell(outcome, "").await;
            },
            &runtime,
        );
    }
}

/// Tells what validation thought of an answer. One that is not valid is not used again.
pub(super) async fn judged(gate: Gate, who: Who, answered: Answered, score: Option<(f64, bool)>, hit: bool) {
    let passed = score.is_none_or(|(_, passed)| passed);
    let milli = |(score, _): (f64, bool)| (score * 1000.0).round() as i64;
    let judged = Judged {
        // A known answer was judged when it was given.
        live: (
            if hit { "" } else { &answered.model },
            &who.category,
            micros(HALF_LIFE).unsigned_abs(),
            score.map_or(-1.0, |s| s.0),
        ),
        forget: answered.kept_as.as_deref().filter(|_| !passed).into_iter().collect(),
        usage: (&answered.model, &who.task_type, &who.tenant),
        counts: BTreeMap::from([
            ("cache_hits", i64::from(hit)),
            ("validated", i64::from(score.is_some())),
            ("passed", i64::from(score.is_some_and(|(_, passed)| passed))),
            ("score_milli", score.map_or(0, milli)),
        ]),
    };
    if let Err(error) = gate.judge(&judged).await {
        tracing::warn!(%error, model = %answered.model, "a verdict could not be told of");
    }
}

/// A question whose reply is not known yet. If it never is (the task was cancelled, Redis fell silent), what it may have
/// reserved is given back: nobody was called.
pub(crate) struct Unsure {
    gate: Gate,
    call: String,
    model: String,
    rule: BreakerRule,
    known: bool,
}

impl Unsure {
    pub(crate) fn new(gate: &Gate, call: &str, model: &str, rule: BreakerRule) -> Self {
        Self { gate: gate.clone(), call: call.to_owned(), model: model.to_owned(), rule, known: false }
    }

    pub(crate) fn known(mut self) {
        self.known = true;
    }
}

impl Drop for Unsure {
    fn drop(&mut self) {
        let (false, Ok(runtime)) = (self.known, tokio::runtime::Handle::try_current()) else { return };
        let (gate, call, model, rule) = (self.gate.clone(), self.call.clone(), self.model.clone(), self.rule);
        runtime.spawn(async move {
            let told = Told {
                call: &call,
                model: &model,
                verdict: CallVerdict::Neither,
                class: "cancelled",
                used: [0, 0],
                cost: 0,
                cool: Vec::new(),
                taught: Taught::default(),
                flight: "",
                cache: "",
                ttl: 0,
                breaker: rule,
                live: ("", "", 0, 0, 0),
                batch: "",
                usage: ("", "", ""),
                counts: BTreeMap::new(),
            };
            if let Err(error) = gate.settle(&told, "").await {
                tracing::debug!(%error, "what a question may have reserved lapses by itself");
            }
        });
    }
}

fn taught(candidate: &Candidate, facts: &LimitFacts) -> Taught {
    let limit = |fact: windlass_llm::LimitFact| fact.limit.unwrap_or(0);
    let left = |fact: windlass_llm::LimitFact| {
        fact.remaining.map_or(-1, |left| i64::try_from(left).unwrap_or(i64::MAX))
    };
    // One limit for all tokens is told as one of the input, which is the larger part.
    let input = if facts.input_tokens.limit.is_some() { facts.input_tokens } else { facts.tokens };
    let told = [facts.requests, input, facts.output_tokens];
    if told.iter().all(|fact| fact.limit.is_none() && fact.remaining.is_none()) {
        return Taught::default();
    }
    Taught {
        scope: format!("lane:{}", candidate.ask.lane),
        limits: told.map(limit),
        remaining: told.map(left),
    }
}

/// An answer as the cache keeps it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Stored {
    text: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<ToolCall>,
    model: String,
    asked: String,
    provider: String,
}

impl Stored {
    pub(crate) fn of(record: &CallRecord, answered: &Answered) -> Self {
        Self {
            text: answered.text.clone(),
            tool_calls: Vec::new(),
            model: record.model.clone(),
            asked: record.asked.clone(),
            provider: record.provider.clone(),
        }
    }

    pub(crate) fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The answer as if it had been given now, at no cost.
    pub(crate) fn hit(self, ledger: &mut Ledger, name: &str, how: &str, why: String) -> Answered {
        metrics().cache_hit(&self.asked);
        ledger.add(CallRecord {
            model: self.model,
            asked: self.asked.clone(),
            provider: self.provider,
            attempt: ledger.attempt,
            input_tokens: Some(0),
            output_tokens: Some(0),
            cost_usd: Some(0.0),
            cached: true,
            cache: Some(how.to_owned()),
            finish_reason: Some(Finish::Stop.as_str().to_owned()),
            why,
            ..CallRecord::default()
        });
        Answered {
            text: self.text,
            tool_calls: self.tool_calls,
            model: self.asked,
            finish: Finish::Stop,
            kept_as: Some(name.to_owned()),
            known: true,
        }
    }
}
