//! Vectors of requests, for the semantic cache: from the encoder in the box, or from a provider's model, which passes
//! breakers, limits and budgets like any other call.

use std::{sync::Arc, time::Duration};

#[cfg(feature = "embedded")]
use async_trait::async_trait;
use windlass_llm::{EmbedAnswer, EmbedRequest, tokens::Tokenizer};
use windlass_shared::{
    model::id::new_id,
    store::{Admission, Ask, Gate},
};

use super::{
    Gateway, Ledger, Served, Who,
    call::cost_of,
    candidates::{Candidate, ask, hold, usd},
    ledger::{CallRecord, millis},
    report::{Report, Unsure},
};

/// What makes a vector of a text within the worker.
#[cfg(feature = "embedded")]
#[async_trait]
pub(crate) trait Embed: Send + Sync {
    async fn embed(&self, text: &str) -> Result<Vec<f32>, String>;
}

/// Where vectors come from.
pub(crate) enum Encoder {
    /// Of this worker.
    #[cfg(feature = "embedded")]
    BuiltIn(Arc<dyn Embed>),
    /// A provider's, by the catalog's name: it may cost money.
    Model(String),
}

/// What the record of a call for a vector calls itself.
const PURPOSE: &str = "embedding";

impl Gateway {
    /// The vector of a text. Without one the request is not compared: that is no reason to fail.
    pub(super) async fn embed(
        &self,
        text: &str,
        who: &Who,
        gate: &Gate,
        ledger: &mut Ledger,
    ) -> Option<Vec<f32>> {
        let vector = match self.encoder.get()? {
            #[cfg(feature = "embedded")]
            Encoder::BuiltIn(encoder) => encoder.embed(text).await,
            Encoder::Model(name) => self.embed_with(name, text, who, gate, ledger).await,
        };
        vector
            .map_err(|why| {
                // It may quote the request.
                let why = if gate.seals() { "why is not told, since requests are sealed" } else { &why };
                tracing::warn!(%why, "a request could not be compared");
            })
            .ok()
    }

    /// The candidates of a model: one for each key of its provider.
    fn encoders(&self, name: &str, input: u64) -> Result<(&Served, Vec<Candidate>), String> {
        let id = self.named(name).map_err(|failure| failure.message)?;
        let catalog = self.catalog();
        let model = catalog.find_among(&id, &self.provider_names()).map_err(|unknown| unknown.to_string())?;
        let served = self.served.get(&model.provider).ok_or_else(|| format!("{name} cannot be called"))?;
        let model = Arc::new(model.clone());
        let input = model.tokenizer.scaled(input);
        let of_key = |key: usize| Candidate {
            ask: ask(&model, served, key, input, 0, 0),
            name: model.name.clone(),
            model: Arc::clone(&model),
            key,
            max_tokens: 0,
            why: "compares the request with earlier ones (setting llm.embeddings)".into(),
        };
        Ok((served, (0..served.keys.len()).map(of_key).collect()))
    }

    async fn embed_with(
        &self,
        name: &str,
        text: &str,
        who: &Who,
        gate: &Gate,
        ledger: &mut Ledger,
    ) -> Result<Vec<f32>, String> {
        let (served, candidates) = self.encoders(name, Tokenizer::O200kBase.count(text))?;
        let models: Vec<_> = candidates.iter().map(|candidate| candidate.ask.clone()).collect();
        let id = new_id().to_string();
        let ask = Ask {
            call: &id,
            hold: hold(served),
            once: true,
            slot_wait: Duration::ZERO,
            rank: who.rank,
            asked: 0,
            returning: false,
            waiting: "",
            cache: "",
            flight: false,
            tenant: &who.tenant,
            batch: &who.batch,
            queue: &who.queue,
            budgets: &self.budgets,
            models: &models,
            breaker: self.rule,
        };
        let unsure = Unsure::new(gate, &id, name, self.rule);
        let admission = gate.admit(&ask).await.map_err(|error| error.to_string())?;
        unsure.known();
        let Admission::Go { index, .. } = admission else {
            return Err(format!("{name} may not be called now, by its limits or a budget"));
        };
        let candidate = candidates.get(index).ok_or("admit chose nobody")?;
        let request =
            EmbedRequest { model: candidate.name.clone(), input: vec![text.to_owned()], dimensions: None };
        let record = CallRecord {
            model: candidate.name.clone(),
            asked: candidate.model.id.clone(),
            provider: candidate.model.provider.clone(),
            attempt: ledger.attempt,
            purpose: Some(PURPOSE.into()),
            why: candidate.why.clone(),
            ..CallRecord::default()
        };
        ledger.under_way(&record);
        let report = Report::new(gate.clone(), &id, candidate, who, None, self, ledger).traced("embeddings");
        let started = tokio::time::Instant::now();
        match served.provider.embed(candidate.key, &request).await {
            Ok(answer) => {
                let vector = answer.vectors.first().cloned();
                vector_came(&answer, candidate, record, report, ledger);
                vector.ok_or_else(|| "the answer holds no vector".into())
            }
            Err(error) => {
                let mut record = record;
                record.failed(&error);
                record.duration_ms = millis(started.elapsed());
                record.cost_usd = if error.began { None } else { Some(0.0) };
                ledger.add(record);
                let policy = error.class.policy();
                let cool = error.retry_after.filter(|wait| !wait.is_zero()).map(|wait| (policy.cools, wait));
                ledger.report(report.failed(&error, policy, cool, started.elapsed()));
                Err(error.to_string())
            }
        }
    }
}

fn vector_came(
    answer: &EmbedAnswer,
    candidate: &Candidate,
    mut record: CallRecord,
    report: Report,
    ledger: &mut Ledger,
) {
    let usage = windlass_llm::Usage { output: Some(0), ..answer.usage };
    let cost = cost_of(answer.cost_usd, &usage, candidate);
    record.used(&usage);
    record.duration_ms = millis(answer.duration);
    record.cost_usd = usd(cost);
    ledger.add(record);
    ledger.report(report.succeeded(&answer.into(), cost, String::new()));
}
