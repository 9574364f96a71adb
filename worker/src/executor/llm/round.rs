//! The rounds of one attempt: ask a model, make something of its answer, judge it; if it is not valid, let the model
//! mend it, then ask the next model.

use std::{collections::BTreeMap, ffi::OsString, path::Path, sync::Arc};

use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::Mutex;
use windlass_llm::{ChatRequest, Finish, Message, Role, select::Requirements, tokens::Tokenizer};
use windlass_shared::{
    config::{CacheKind, PipelineSpec},
    model::ErrorClass,
};

use super::{Failure, Job, LlmExecutor, asker::Asker, is_of_the_answer, output::Output, payload::Payload};
use crate::{
    executor::{Next, json},
    gateway::{Answered, Call, Ledger, Who},
    pipeline::{self, Draft, Env, Pipeline, Verdict},
    workspace::Workspace,
};

/// Models that may try to give a valid answer in one attempt.
const MODELS: usize = 3;

/// Tokens of a conversation, for the choice of a model. Exact for models that count as OpenAI's do; close otherwise.
pub(super) fn tokens(messages: &[Message]) -> u64 {
    let texts = messages.iter().map(|message| match &message.content {
        windlass_llm::Content::Text(text) => std::borrow::Cow::Borrowed(text.as_str()),
        windlass_llm::Content::Parts(parts) => {
            std::borrow::Cow::Owned(parts.iter().filter_map(|part| part["text"].as_str()).collect::<String>())
        }
    });
    let texts: Vec<_> = texts.collect();
    Tokenizer::O200kBase.count_messages(texts.iter().map(AsRef::as_ref))
}

/// An answer is expected to have so many tokens, unless it may not.
const EXPECTED: u64 = 1024;

/// Tokens of what is sent beside the messages' texts: tools, their calls, a schema. An image counts as a thousand.
fn tokens_beside(request: &ChatRequest) -> u64 {
    let json = |value: serde_json::Result<String>| {
        value.map_or(0, |text| if text.len() > 4 { Tokenizer::O200kBase.count(&text) } else { 0 })
    };
    let calls =
        request.messages.iter().map(|message| json(serde_json::to_string(&message.tool_calls))).sum::<u64>();
    let images = request.messages.iter().map(|message| match &message.content {
        windlass_llm::Content::Parts(parts) => {
            parts.iter().filter(|part| part["type"] != "text").count() as u64
        }
        windlass_llm::Content::Text(_) => 0,
    });
    calls
        + 1000 * images.sum::<u64>()
        + json(serde_json::to_string(&request.tools))
        + json(serde_json::to_string(&request.format))
}

pub(super) struct Rounds<'a> {
    executor: &'a LlmExecutor,
    job: &'a Job,
    payload: Payload,
    who: Arc<Who>,
    ledger: Arc<Mutex<Ledger>>,
    need: Requirements,
    request: ChatRequest,
    cache: CacheKind,
    /// Made for the task, where its type has none.
    own_pipeline: Option<Pipeline>,
}

/// An answer that is not valid.
struct Invalid {
    answered: Answered,
    draft: Draft,
    verdict: Option<Verdict>,
    /// What the model is told.
    feedback: String,
    failure: Failure,
}

enum Judged {
    Valid(Option<Verdict>),
    Invalid(Box<Invalid>),
}

impl<'a> Rounds<'a> {
    pub(super) fn new(
        executor: &'a LlmExecutor,
        job: &'a Job,
        payload: Payload,
        who: Who,
        ledger: Arc<Mutex<Ledger>>,
    ) -> Result<Self, Failure> {
        let options = &executor.options;
        let mut need = payload.requirements(&executor.gateway, options, job.crashes)?;
        need.category = need.category.take().or_else(|| Some(who.category.clone()).filter(|c| !c.is_empty()));
        let request = payload.request(job, options)?;
        let cache = if payload.cache == Some(false) { CacheKind::Off } else { options.cache };
        let own_pipeline = if options.pipeline.is_none() { Some(plain_pipeline(&request)?) } else { None };
        let who = Arc::new(who);
        Ok(Self { executor, job, payload, who, ledger, need, request, cache, own_pipeline })
    }

    fn pipeline(&self) -> Result<&Pipeline, Failure> {
        let of_type = self.executor.options.pipeline.as_ref();
        of_type.or(self.own_pipeline.as_ref()).ok_or_else(|| Failure::internal("a task without a pipeline"))
    }

    pub(super) async fn run(self) -> Result<Box<RawValue>, Failure> {
        let options = &self.executor.options;
        // Only a type with stages of its own may write files or run something.
        let workspace = match &options.pipeline {
            Some(_) => Some(Workspace::create(&options.workspace_root)?),
            None => None,
        };
        let folder = workspace.as_ref().map_or(options.workspace_root.as_path(), Workspace::path).to_owned();
        let outcome = self.in_workspace(&folder).await;
        if let Some(workspace) = workspace {
            workspace.remove().await;
        }
        outcome
    }

    async fn in_workspace(&self, workspace: &Path) -> Result<Box<RawValue>, Failure> {
        let environment = pipeline::environment(&self.executor.options.env_allow);
        let asker = self.asker();
        let room = self.executor.gateway.room(&self.need, self.request.max_tokens);
        let env = self.env(workspace, &environment, &asker, room);
        let mut draft = self.payload.draft()?;
        let outcome = match self.models(&mut draft, &env).await {
            // The window was smaller than the catalog or our count said: once more with less.
            Err(failure) if failure.class == ErrorClass::ContextLength && self.can_shrink() => {
                draft = self.payload.draft()?;
                let less = room.map(|room| room * 2 / 3);
                self.models(&mut draft, &Env { context_tokens: less, ..env }).await
            }
            outcome => outcome,
        };
        if let Err(failure) = &outcome
            && let Ok(pipeline) = self.pipeline()
        {
            pipeline.failed(&draft, failure, &env).await;
        }
        outcome
    }

    fn can_shrink(&self) -> bool {
        self.executor.options.fits
    }

    fn asker(&self) -> Asker<'a> {
        Asker {
            gateway: &self.executor.gateway,
            ledger: Arc::clone(&self.ledger),
            who: Arc::clone(&self.who),
            models: self.need.models.clone(),
            cache: self.cache,
            mode: &self.executor.options.mode,
        }
    }

    fn env<'e>(
        &'e self,
        workspace: &'e Path,
        environment: &'e BTreeMap<OsString, OsString>,
        asker: &'e Asker<'e>,
        context_tokens: Option<usize>,
    ) -> Env<'e> {
        let options = &self.executor.options;
        Env {
            workspace,
            source: options.source_root.as_deref(),
            tokens: &count,
            context_tokens,
            threshold: self.payload.quality_threshold,
            timeout: options.timeout,
            environment,
            sandbox: &options.sandbox,
            progress: &self.job.progress,
            seals: self.executor.gateway.gate().is_ok_and(windlass_shared::store::Gate::seals),
            ask: asker,
        }
    }

    /// One model after the other until one gives a valid answer.
    async fn models(&self, draft: &mut Draft, env: &Env<'_>) -> Result<Box<RawValue>, Failure> {
        let pipeline = self.pipeline()?;
        pipeline.before(draft, env).await?;
        pipeline.preprocess(draft, env).await?;
        let messages = self.messages(draft);
        let mut need = self.need.clone();
        let mut last: Option<Box<Invalid>> = None;
        for _ in 0..MODELS {
            match self.one_model(draft, env, &need, messages.clone()).await {
                Ok(Ok(result)) => return Ok(result),
                Ok(Err(invalid)) => {
                    need.exclude.push(invalid.answered.model.clone());
                    need.models.retain(|model| *model != invalid.answered.model);
                    let pinned_all = need.models.is_empty() && !self.need.models.is_empty();
                    last = Some(invalid);
                    if pinned_all || self.ledger.lock().await.is_full() {
                        break;
                    }
                }
                // No other model is left: what the last one gave decides.
                Err(failure) if last.is_some() && failure.class == ErrorClass::BadRequest => break,
                Err(failure) => return Err(failure),
            }
        }
        let Some(invalid) = last else { return Err(Failure::internal("no model was asked")) };
        *draft = invalid.draft.clone();
        self.not_valid(*invalid).await
    }

    fn messages(&self, draft: &Draft) -> Vec<Message> {
        let role = |role| match role {
            pipeline::Role::System => Role::System,
            pipeline::Role::User => Role::User,
            pipeline::Role::Assistant => Role::Assistant,
        };
        let system = draft.system.iter().map(|text| Message::text(Role::System, text.clone()));
        match self.payload.conversation() {
            Some(messages) => system.chain(messages).collect(),
            None => {
                let said = draft.conversation().into_iter().map(|m| Message::text(role(m.role), m.content));
                system.chain(said).collect()
            }
        }
    }

    /// Asks, and lets the model that answers mend what is not valid.
    async fn one_model(
        &self,
        base: &Draft,
        env: &Env<'_>,
        need: &Requirements,
        mut messages: Vec<Message>,
    ) -> Result<Result<Box<RawValue>, Box<Invalid>>, Failure> {
        let mut need = need.clone();
        let mut max_tokens = self.request.max_tokens;
        let mut repairs = 0;
        let mut invalid: Option<Box<Invalid>> = None;
        loop {
            let request = ChatRequest { messages: messages.clone(), max_tokens, ..self.request.clone() };
            let mut answered = match self.call(&request, &mut need).await {
                Ok(answered) => answered,
                // It cannot be asked to mend its answer: the answer stays what it is.
                Err(failure) if is_final(&failure) && invalid.is_some() => {
                    return Ok(Err(invalid.unwrap_or_else(|| unreachable!("it was just looked at"))));
                }
                Err(failure) => return Err(failure),
            };
            if answered.finish == Finish::Length
                && max_tokens.is_none()
                && !self.ledger.lock().await.is_full()
            {
                // Nobody said how long the answer may be: once with as much as the model gives.
                max_tokens = Some(u32::MAX);
                need.models = vec![answered.model.clone()];
                let longer = ChatRequest { max_tokens, ..request };
                match self.call(&longer, &mut need).await {
                    Ok(whole) => answered = whole,
                    Err(failure) if is_final(&failure) => {}
                    Err(failure) => return Err(failure),
                }
            }
            let mut draft = base.clone();
            draft.answered(answered.text.clone());
            match self.judge(draft.clone(), answered, env).await? {
                (draft, answered, Judged::Valid(verdict)) => {
                    return self.finished(&draft, verdict.as_ref(), &answered, env).await.map(Ok);
                }
                (_, _, Judged::Invalid(found)) => {
                    let may_mend = repairs < self.executor.options.settings.repairs;
                    if !may_mend || self.ledger.lock().await.is_full() {
                        return Ok(Err(found));
                    }
                    repairs += 1;
                    need.models = vec![found.answered.model.clone()];
                    messages.push(Message::text(Role::Assistant, found.answered.text.clone()));
                    messages.push(Message::text(Role::User, found.feedback.clone()));
                    invalid = Some(found);
                }
            }
        }
    }

    async fn call(&self, request: &ChatRequest, need: &mut Requirements) -> Result<Answered, Failure> {
        need.input_tokens = tokens(&request.messages) + tokens_beside(request);
        // What is expected, not what is allowed.
        need.output_tokens = request.max_tokens.map_or(EXPECTED, |most| u64::from(most).min(EXPECTED));
        let call = Call {
            request,
            need,
            who: &self.who,
            cache: self.cache,
            mode: &self.executor.options.mode,
            rotate_on_refusal: self.executor.options.settings.rotate_on_refusal,
            prefer_quality: self.payload.quality_threshold,
        };
        let mut ledger = self.ledger.lock().await;
        self.executor.gateway.call(&call, &mut ledger).await
    }

    /// Makes something of an answer and judges it.
    async fn judge(
        &self,
        mut draft: Draft,
        answered: Answered,
        env: &Env<'_>,
    ) -> Result<(Draft, Answered, Judged), Failure> {
        let pipeline = self.pipeline()?;
        if !answered.tool_calls.is_empty() {
            return Ok((draft, answered, Judged::Valid(None)));
        }
        let cut = answered.finish == Finish::Length && self.executor.options.pipeline.is_some();
        let made = if cut {
            Err(Failure::new(
                ErrorClass::MalformedOutput,
                "the answer was cut by its length limit; be shorter",
            ))
        } else {
            pipeline.postprocess(&mut draft, env).await
        };
        let (verdict, failure) = match made {
            Ok(()) => {
                let verdict = pipeline.validate(&draft, env).await?;
                if verdict.passed {
                    self.tell(&answered, Some(&verdict)).await;
                    return Ok((draft, answered, Judged::Valid(Some(verdict))));
                }
                let message = format!("the answer of {} is not valid: {}", answered.model, summary(&verdict));
                (Some(verdict), Failure::new(ErrorClass::Validation, message))
            }
            Err(failure) if is_of_the_answer(failure.class) => (None, failure),
            Err(failure) => return Err(failure),
        };
        self.tell_invalid(&answered, verdict.as_ref()).await;
        let feedback = match &verdict {
            Some(verdict) => verdict.feedback(),
            None => format!(
                "Your answer cannot be used: {}. Give the whole answer again, corrected.",
                failure.message
            ),
        };
        let invalid =
            Invalid { answered: answered.clone(), draft: draft.clone(), verdict, feedback, failure };
        Ok((draft, answered, Judged::Invalid(Box::new(invalid))))
    }

    async fn tell(&self, answered: &Answered, verdict: Option<&Verdict>) {
        let checks = verdict.filter(|verdict| !verdict.checks.is_empty());
        let mut ledger = self.ledger.lock().await;
        self.executor.gateway.judged(&self.who, answered, checks.map(|v| (v.score, true)), &mut ledger);
    }

    async fn tell_invalid(&self, answered: &Answered, verdict: Option<&Verdict>) {
        let score = verdict.map_or(0.0, |verdict| verdict.score);
        let mut ledger = self.ledger.lock().await;
        // The answer must be in the cache before it can be taken out.
        ledger.reported().await;
        self.executor.gateway.judged(&self.who, answered, Some((score, false)), &mut ledger);
        // The next model must not be given this answer from the cache.
        ledger.reported().await;
    }

    async fn finished(
        &self,
        draft: &Draft,
        verdict: Option<&Verdict>,
        answered: &Answered,
        env: &Env<'_>,
    ) -> Result<Box<RawValue>, Failure> {
        if let Some(verdict) = verdict {
            self.pipeline()?.after(draft, verdict, env).await?;
        }
        let ledger = self.ledger.lock().await;
        json::result(&Output::of(draft, verdict, answered, &ledger))
    }

    /// No model gave a valid answer: people decide, or the task's policy.
    async fn not_valid(&self, invalid: Invalid) -> Result<Box<RawValue>, Failure> {
        let Invalid { answered, draft, verdict, failure, .. } = invalid;
        if !self.executor.options.settings.escalate {
            return Err(failure);
        }
        let ledger = self.ledger.lock().await;
        let draft = Output::of(&draft, verdict.as_ref(), &answered, &ledger);
        let draft = to_raw_value(&draft).map_err(|error| Failure::internal(error.to_string()))?;
        Err(Failure { next: Next::Escalate(draft.get().to_owned()), ..failure })
    }
}

/// Asking again in this attempt does not help.
fn is_final(failure: &Failure) -> bool {
    matches!(failure.class, ErrorClass::BadRequest | ErrorClass::Budget)
}

/// What was wrong, in one line.
fn summary(verdict: &Verdict) -> String {
    let failed = verdict.checks.iter().filter(|check| !check.passed);
    let said: Vec<String> =
        failed.map(|check| format!("{}: {}", check.validator, first_line(&check.message))).collect();
    format!("score {:.2} of {:.2} ({})", verdict.score, verdict.threshold, said.join("; "))
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().take(200).collect()
}

fn count(text: &str) -> usize {
    usize::try_from(Tokenizer::O200kBase.count(text)).unwrap_or(usize::MAX)
}

/// The pipeline of a type that has none: files are shown, a schema is checked, and the answer is taken as it is.
fn plain_pipeline(request: &ChatRequest) -> Result<Pipeline, Failure> {
    let table = match &request.format {
        Some(windlass_llm::OutputFormat::Schema { schema, .. }) => serde_json::json!({
            "preprocess": ["files"],
            "postprocess": ["json"],
            "validate": [{ "validator": "json_schema", "schema": schema }],
        }),
        _ => serde_json::json!({ "preprocess": ["files"] }),
    };
    let bad = |faults: Vec<String>| Failure::bad_request(faults.join("; "));
    PipelineSpec::read(&table).and_then(|spec| Pipeline::new(&spec)).map_err(bad)
}
