//! One call on its way: asks whether it may go, tries a candidate, and goes on as the class of a failure says.

mod gave_up;

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use windlass_llm::{
    ChatAnswer, ChatError, ChatRequest, Class, Cools, Finish, Policy, Provider,
    select::{Live as _, LiveFigures, Requirements, Weights, rank},
};
use windlass_shared::{
    model::{ErrorClass, id::new_id},
    store::{Admission, Ask, Gate, Skipped},
};

use self::gave_up::{failure, said};
use super::{
    Gateway, Ledger,
    call::{Answered, Call, cost_of, who_may_answer},
    candidates::{Candidate, hold},
    hash,
    ledger::{CallRecord, millis},
    mode,
    report::{Report, Stored, Unsure},
};
use crate::{executor::Failure, metrics::metrics};

/// A call that others wait for is renewed this often; it is given up after 30 s.
const RENEW: Duration = Duration::from_secs(10);

/// A model that its provider does not know is not asked again for so long.
const NO_SUCH_MODEL: Duration = Duration::from_hours(1);

/// A call on its way.
pub(super) struct Run<'a> {
    gateway: &'a Gateway,
    call: &'a Call<'a>,
    gate: &'a Gate,
    candidates: Vec<Candidate>,
    /// Candidates that are not asked again.
    out: HashSet<usize>,
    /// Failures of each candidate.
    failures: HashMap<usize, u32>,
    /// Failures of each class that had another model asked.
    rotations: HashMap<Class, u32>,
    last: Option<ChatError>,
    /// Time spent waiting within the slot.
    waited: Duration,
    /// Calls of others that asked the same and ended.
    flights_seen: u32,
    asked: u64,
    waiting: String,
    /// Why the models before were not asked or did not answer.
    story: Vec<String>,
}

impl<'a> Run<'a> {
    pub(super) async fn start(
        gateway: &'a Gateway,
        call: &'a Call<'a>,
        gate: &'a Gate,
    ) -> Result<Self, Failure> {
        let catalog = gateway.catalog();
        let live = gateway.live.get(gate).await;
        let weights = Weights::of(mode(call.mode));
        let ranked = |need: &Requirements| {
            rank(&catalog, need, &*live, gateway, &weights)
                .map_err(|unknown| Failure::bad_request(unknown.to_string()))
        };
        let mut story = Vec::new();
        // The server that a type has for itself is not for other types.
        let mut need = call.need.clone();
        if need.models.is_empty() && need.providers.is_empty() {
            need.providers = gateway.common_providers();
        }
        let mut ranking = ranked(&need)?;
        if let Some(quality) = call.prefer_quality
            && need.models.is_empty()
            && need.quality.is_none_or(|needed| needed < quality)
        {
            // Those that are expected to be good enough go first.
            let good = ranked(&Requirements { quality: Some(quality), ..need.clone() })?.ranked;
            if good.is_empty() {
                story.push(format!("no model that may be called is expected to reach quality {quality}"));
            }
            let is_good = |id: &str| good.iter().any(|good| good.model.id == id);
            ranking.ranked.sort_by_key(|ranked| !is_good(&ranked.model.id));
        }
        if ranking.ranked.is_empty() {
            return Err(nothing_fits(gateway, &ranking));
        }
        let category = call.need.category.as_deref();
        let figures = |id: &str| -> Option<LiveFigures> { live.of(id, category) };
        let candidates =
            gateway.candidates(&catalog, &ranking.ranked, call.request, call.need.input_tokens, figures);
        Ok(Self {
            gateway,
            call,
            gate,
            candidates,
            out: HashSet::new(),
            failures: HashMap::new(),
            rotations: HashMap::new(),
            last: None,
            waited: Duration::ZERO,
            flights_seen: 0,
            asked: 0,
            waiting: String::new(),
            story,
        })
    }

    pub(super) fn cache_name(&self) -> String {
        let (realm, route) = (self.gateway.realm(self.call.who), who_may_answer(self.call));
        hash::of_request(&realm, &route, self.call.request, |hash| self.gate.hashed(hash))
    }

    pub(super) async fn until_answered(
        &mut self,
        cache: Option<&str>,
        ledger: &mut Ledger,
    ) -> Result<Answered, Failure> {
        // The same in every question until a call is let through: it holds the place in line.
        let mut id = new_id().to_string();
        loop {
            let open: Vec<usize> = (0..self.candidates.len()).filter(|i| !self.out.contains(i)).collect();
            if open.is_empty() || ledger.is_full() {
                return Err(self.gave_up(ledger));
            }
            match self.ask(&id, &open, cache).await? {
                Admission::Hit(text) => {
                    let stored = Stored::read(&text).ok_or_else(|| {
                        Failure::internal("a cached answer cannot be read; it ends by itself")
                    })?;
                    let why = "the same request was answered before".to_owned();
                    return Ok(stored.hit(ledger, cache.unwrap_or_default(), "exact", why));
                }
                Admission::Flight { call, wait } => {
                    match self.gate.landed(&call, wait).await {
                        // If that call left no answer, this one need not wait for others that ask the same.
                        Ok(()) => self.flights_seen += 1,
                        Err(error) => {
                            tracing::debug!(%error, "waiting for the same request elsewhere failed");
                            tokio::time::sleep(Duration::from_millis(250)).await;
                        }
                    }
                }
                Admission::Go { index, skipped } => {
                    self.note(&open, &skipped);
                    let chosen = *open.get(index).ok_or_else(|| Failure::internal("admit chose nobody"))?;
                    (self.asked, self.waiting) = (0, String::new());
                    let let_through = std::mem::replace(&mut id, new_id().to_string());
                    if let Some(answered) = self.try_one(&let_through, chosen, cache, ledger).await? {
                        return Ok(answered);
                    }
                }
                Admission::Wait { wait, park: false, scope, asked, .. } => {
                    (self.asked, self.waiting) = (asked, scope);
                    self.waited += wait;
                    tokio::time::sleep(wait).await;
                }
                Admission::Wait { wait, skipped, .. } => return Err(self.parked(&open, wait, &skipped)),
                Admission::Refused(skipped) => return Err(self.refused(&open, &skipped)),
            }
        }
    }

    async fn ask(&self, id: &str, open: &[usize], cache: Option<&str>) -> Result<Admission, Failure> {
        let who = self.call.who;
        let models: Vec<_> = open.iter().map(|index| self.candidates[*index].ask.clone()).collect();
        let longest =
            open.iter().filter_map(|i| self.gateway.served.get(&self.candidates[*i].model.provider));
        let ask = Ask {
            call: id,
            hold: longest.map(hold).max().unwrap_or(Duration::from_mins(10)),
            once: false,
            slot_wait: self.gateway.settings.slot_wait.saturating_sub(self.waited),
            rank: who.rank,
            asked: self.asked,
            returning: who.returning,
            waiting: &self.waiting,
            cache: cache.unwrap_or_default(),
            flight: cache.is_some() && self.flights_seen < 2,
            tenant: &who.tenant,
            batch: &who.batch,
            queue: &who.queue,
            budgets: &self.gateway.budgets,
            models: &models,
            breaker: self.gateway.rule,
        };
        // Dropped half way, or without a reply, it may have reserved something.
        let unsure = Unsure::new(self.gate, id, &self.candidates[open[0]].ask.breaker, self.gateway.rule);
        let admission = self.gate.admit(&ask).await;
        if let Ok(admission) = &admission {
            unsure.known();
            self.seen(open, admission);
        }
        admission.map_err(|error| {
            // Nobody may spend without asking: the task is tried again when Redis answers.
            Failure::new(ErrorClass::Connection, format!("limits and budgets cannot be asked for: {error}"))
        })
    }

    /// Which breakers were open and which not, for the metrics.
    fn seen(&self, open: &[usize], admission: &Admission) {
        let candidate = |at: usize| open.get(at).map(|index| &self.candidates[*index].ask.breaker);
        let (skipped, chosen) = match admission {
            Admission::Go { index, skipped } => (skipped, candidate(*index)),
            Admission::Wait { skipped, .. } | Admission::Refused(skipped) => (skipped, None),
            Admission::Hit(_) | Admission::Flight { .. } => return,
        };
        let shut = skipped.iter().filter(|skip| skip.reason == "breaker");
        shut.filter_map(|skip| candidate(skip.index)).for_each(|name| metrics().breaker(name, true));
        if let Some(name) = chosen {
            metrics().breaker(name, false);
        }
    }

    /// Calls one model; an answer, or nothing if another one is to be asked.
    async fn try_one(
        &mut self,
        id: &str,
        chosen: usize,
        cache: Option<&str>,
        ledger: &mut Ledger,
    ) -> Result<Option<Answered>, Failure> {
        let candidate = self.candidates[chosen].clone();
        let Some(served) = self.gateway.served.get(&candidate.model.provider) else { return Ok(None) };
        let request = ChatRequest {
            model: candidate.name.clone(),
            max_tokens: Some(candidate.max_tokens),
            ..self.call.request.clone()
        };
        let record = CallRecord {
            model: candidate.name.clone(),
            asked: candidate.model.id.clone(),
            provider: candidate.model.provider.clone(),
            attempt: ledger.attempt,
            why: self.why(&candidate),
            ..CallRecord::default()
        };
        ledger.under_way(&record);
        let report =
            Report::new(self.gate.clone(), id, &candidate, self.call.who, cache, self.gateway, ledger)
                .traced("chat");
        let started = tokio::time::Instant::now();
        let outcome = self.chat(served.provider.as_ref(), candidate.key, &request, id, cache).await;
        match outcome {
            Ok(answer) => Ok(Some(answered(&answer, &candidate, record, report, cache, ledger))),
            Err(error) => {
                let policy = error.class.policy();
                let mut record = record;
                record.failed(&error);
                record.duration_ms = millis(started.elapsed());
                record.cost_usd = if error.began { None } else { Some(0.0) };
                ledger.add(record);
                let cool = self.cool(&error, policy);
                self.story.push(format!("{} failed ({})", candidate.model.id, error.class));
                ledger.report(report.failed(&error, policy, cool, started.elapsed()));
                // Whoever asks next must know what this call taught.
                ledger.reported().await;
                self.go_on(chosen, &candidate, error, policy).await.map(|()| None)
            }
        }
    }

    /// Makes the call. Others who wait for the same answer are told now and then that it is on its way.
    async fn chat(
        &self,
        provider: &dyn Provider,
        key: usize,
        request: &ChatRequest,
        id: &str,
        cache: Option<&str>,
    ) -> Result<ChatAnswer, ChatError> {
        let Some(cache) = cache else { return provider.chat(key, request).await };
        let call = provider.chat(key, request);
        tokio::pin!(call);
        loop {
            tokio::select! {
                outcome = &mut call => return outcome,
                () = tokio::time::sleep(RENEW) => {
                    if let Err(error) = self.gate.renew(cache, id).await {
                        tracing::debug!(%error, "others could not be told that a call is on its way");
                    }
                }
            }
        }
    }

    /// How long the candidate is left alone, and who.
    fn cool(&self, error: &ChatError, policy: Policy) -> Option<(Cools, Duration)> {
        // A wait of nothing is no word: without a pause the same call would be made again and again.
        let told = error.retry_after.or_else(|| error.limits.exhausted_for()).filter(|wait| !wait.is_zero());
        if error.status == Some(404) {
            return Some((Cools::Lane, NO_SUCH_MODEL));
        }
        match policy.cools {
            Cools::Nothing => {
                // One that says when to come back is believed, whatever its class.
                error.retry_after.filter(|wait| !wait.is_zero()).map(|wait| (Cools::Lane, wait))
            }
            who => {
                let again = self.rotations.get(&error.class).copied().unwrap_or(0).min(4);
                Some((who, told.unwrap_or(policy.cool_for * 2_u32.pow(again))))
            }
        }
    }

    /// What the class of the error says: the same model again after a moment, another one, or the end.
    async fn go_on(
        &mut self,
        chosen: usize,
        candidate: &Candidate,
        error: ChatError,
        policy: Policy,
    ) -> Result<(), Failure> {
        let failures = self.failures.entry(chosen).or_default();
        *failures += 1;
        let failures = *failures;
        let told_to_wait = error.retry_after.is_some_and(|wait| wait > self.gateway.settings.slot_wait);
        if failures <= policy.same_model_retries && !told_to_wait {
            let bound = (policy.backoff * 2_u32.pow(failures - 1)).min(policy.longest_backoff);
            let wait = bound.min(self.gateway.settings.slot_wait).mul_f64(fastrand::f64());
            self.last = Some(error);
            tokio::time::sleep(wait).await;
            return Ok(());
        }
        let gone = error.status == Some(404);
        let may_rotate =
            (policy.rotate || gone) && (error.class != Class::ContentPolicy || self.call.rotate_on_refusal);
        if !may_rotate {
            return Err(failure(&error));
        }
        let rotations = self.rotations.entry(error.class).or_default();
        *rotations += 1;
        let spent = policy.rotations.is_some_and(|most| *rotations > most);
        self.exclude(chosen, candidate, &error, policy);
        if spent {
            self.out.extend(0..self.candidates.len());
        }
        self.last = Some(error);
        Ok(())
    }

    /// Takes out of the route what the error speaks of. What cools down is kept out by its cooldown.
    fn exclude(&mut self, chosen: usize, candidate: &Candidate, error: &ChatError, policy: Policy) {
        let same = |other: &Candidate| match error.class {
            Class::ContextLength => other.model.context <= candidate.model.context,
            Class::ContentPolicy => other.model.provider == candidate.model.provider,
            Class::Authentication => other.ask.key == candidate.ask.key,
            Class::Permission => other.ask.lane == candidate.ask.lane,
            // The other keys lead to the same sick model.
            _ if policy.cools == Cools::Nothing => other.model.id == candidate.model.id,
            _ => false,
        };
        let out: Vec<usize> =
            self.candidates.iter().enumerate().filter(|(_, other)| same(other)).map(|(i, _)| i).collect();
        if policy.cools == Cools::Nothing {
            self.out.insert(chosen);
        }
        self.out.extend(out);
    }

    fn note(&mut self, open: &[usize], skipped: &[Skipped]) {
        for skip in skipped {
            let Some(candidate) = open.get(skip.index).map(|index| &self.candidates[*index]) else {
                continue;
            };
            self.story.push(format!("{} was not asked ({})", candidate.model.id, said(skip)));
        }
    }

    fn why(&self, candidate: &Candidate) -> String {
        // The first reason of each model is enough.
        let mut told = HashSet::new();
        let mut words = vec![candidate.why.clone()];
        words.extend(self.story.iter().filter(|line| told.insert(line.as_str())).cloned());
        words.join("; ")
    }
}

/// Takes an answer: into the ledger, to the fleet, and into the cache if it is whole.
fn answered(
    answer: &ChatAnswer,
    candidate: &Candidate,
    mut record: CallRecord,
    report: Report,
    cache: Option<&str>,
    ledger: &mut Ledger,
) -> Answered {
    record.answered(answer);
    let cost = cost_of(answer.cost_usd, &answer.usage, candidate);
    record.cost_usd = super::candidates::usd(cost);
    let keep = cache.filter(|_| answer.finish == Finish::Stop && answer.tool_calls.is_empty());
    let answered = Answered {
        text: answer.text.clone(),
        tool_calls: answer.tool_calls.clone(),
        model: candidate.model.id.clone(),
        finish: answer.finish,
        kept_as: keep.map(str::to_owned),
        known: false,
    };
    let stored = keep.map(|_| Stored::of(&record, &answered).to_json()).unwrap_or_default();
    ledger.add(record);
    report.answers(answer);
    ledger.report(report.succeeded(&answer.into(), cost, stored));
    answered
}

fn nothing_fits(gateway: &Gateway, ranking: &windlass_llm::select::Ranking) -> Failure {
    if let Some(why) = gateway.nothing_to_call() {
        return Failure::bad_request(why);
    }
    let why = ranking.refusal().unwrap_or_else(|| "no model satisfies the requirements".into());
    Failure::bad_request(why)
}
