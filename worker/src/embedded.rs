//! The small model within the worker, as a provider like any other, and the vectors of the semantic cache.

use std::{
    fmt,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use tokio::sync::{OnceCell, Semaphore};
use windlass_embedded::{
    Answer, Error, Finish as Ended, Json, Model, Options, Role as Said, Turn, embeddings::Encoder,
};
use windlass_llm::{
    ChatAnswer, ChatError, ChatRequest, Class, Content, EmbedAnswer, EmbedRequest, Finish, LimitFacts,
    ListedModel, OutputFormat, Provider, Role, Usage,
};

use crate::gateway::embed::Embed;

/// A model from a file with weights.
pub(crate) struct EmbeddedProvider {
    name: String,
    path: PathBuf,
    /// Loaded with the first call.
    model: OnceCell<Arc<Model>>,
    /// One thread computes at a time: a second one would only slow the first down.
    turn: Semaphore,
    total_timeout: Duration,
}

impl fmt::Debug for EmbeddedProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedProvider").field("path", &self.path).finish_non_exhaustive()
    }
}

impl EmbeddedProvider {
    /// A provider that loads the weights with its first call; the file must be there.
    pub(crate) fn new(name: &str, path: &Path, total_timeout: Duration) -> Result<Self, String> {
        if !path.is_file() {
            return Err(format!(
                "{} is not there: fetch the weights with embedded/fetch.sh, or name another file",
                path.display()
            ));
        }
        let (model, turn) = (OnceCell::new(), Semaphore::new(1));
        Ok(Self { name: name.to_owned(), path: path.to_owned(), model, turn, total_timeout })
    }

    async fn model(&self) -> Result<Arc<Model>, ChatError> {
        let load = || async {
            let path = self.path.clone();
            let loaded = tokio::task::spawn_blocking(move || Model::load(&path)).await;
            match loaded {
                Ok(Ok(model)) => Ok(Arc::new(model)),
                Ok(Err(error)) => Err(ChatError::new(Class::BadRequest, error.to_string())),
                Err(error) => Err(ChatError::new(Class::Server, error.to_string())),
            }
        };
        self.model.get_or_try_init(load).await.cloned()
    }
}

/// Stops the computation when the call is dropped.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl Provider for EmbeddedProvider {
    fn name(&self) -> &str {
        &self.name
    }

    fn keys(&self) -> usize {
        1
    }

    fn key_name(&self, _: usize) -> &'static str {
        "none"
    }

    async fn chat(&self, _: usize, request: &ChatRequest) -> Result<ChatAnswer, ChatError> {
        let late = |_| ChatError::new(Class::Timeout, "the embedded model did not answer in time");
        tokio::time::timeout(self.total_timeout, self.answer(request)).await.map_err(late)?
    }

    async fn embed(&self, _: usize, _: &EmbedRequest) -> Result<EmbedAnswer, ChatError> {
        Err(ChatError::new(Class::BadRequest, "the embedded chat model makes no embeddings"))
    }

    async fn models(&self, _: usize) -> Result<Vec<ListedModel>, ChatError> {
        Ok(Vec::new())
    }
}

impl EmbeddedProvider {
    async fn answer(&self, request: &ChatRequest) -> Result<ChatAnswer, ChatError> {
        if !request.tools.is_empty() {
            return Err(ChatError::new(Class::BadRequest, "the embedded model knows no tools"));
        }
        let started = Instant::now();
        let model = self.model().await?;
        let (turns, options) = (turns(request)?, options(request));
        let _turn =
            self.turn.acquire().await.map_err(|error| ChatError::new(Class::Server, error.to_string()))?;
        let waited = started.elapsed();
        let stopped = Arc::new(AtomicBool::new(false));
        let _stop = Stop(Arc::clone(&stopped));
        let computed = tokio::task::spawn_blocking(move || {
            let mut go_on = |_: &str| {
                if stopped.load(Ordering::Relaxed) {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            };
            model.chat(&turns, &options, &mut go_on)
        });
        match computed.await {
            Ok(Ok(answer)) => read(answer, &request.model, waited),
            Ok(Err(error)) => Err(failed(&error)),
            Err(error) => Err(ChatError::new(Class::Server, error.to_string())),
        }
    }
}

fn turns(request: &ChatRequest) -> Result<Vec<Turn>, ChatError> {
    let turn = |message: &windlass_llm::Message| {
        let Content::Text(text) = &message.content else {
            return Err(ChatError::new(Class::BadRequest, "the embedded model reads text only"));
        };
        let role = match message.role {
            Role::System | Role::Developer => Said::System,
            Role::Assistant => Said::Assistant,
            Role::User | Role::Tool => Said::User,
        };
        Ok(Turn { role, text: text.clone() })
    };
    request.messages.iter().map(turn).collect()
}

fn options(request: &ChatRequest) -> Options {
    let json = request.format.as_ref().map(|format| match format {
        OutputFormat::Json => Json::Any,
        OutputFormat::Schema { schema, .. } => Json::Schema(schema.clone()),
    });
    Options {
        max_tokens: request.max_tokens.map_or(512, |n| n as usize),
        temperature: request.temperature.unwrap_or(0.0),
        top_p: request.top_p,
        seed: request.seed.map_or(0, i64::unsigned_abs),
        stop: request.stop.clone(),
        json,
        ..Options::default()
    }
}

fn read(answer: Answer, model: &str, waited: Duration) -> Result<ChatAnswer, ChatError> {
    let usage = Usage {
        input: Some(answer.prompt_tokens as u64),
        output: Some(answer.output_tokens as u64),
        ..Usage::default()
    };
    let finish = match answer.finish {
        Ended::Stop => Finish::Stop,
        Ended::Length => Finish::Length,
        Ended::Cancelled => return Err(ChatError::new(Class::Cancelled, "the call was dropped")),
    };
    if answer.text.trim().is_empty() {
        return Err(ChatError { usage, ..ChatError::new(Class::MalformedOutput, "the model gave no text") });
    }
    Ok(ChatAnswer {
        text: answer.text,
        tool_calls: Vec::new(),
        model: model.to_owned(),
        id: None,
        finish,
        usage,
        cost_usd: Some(0.0),
        first_token: Some(waited + answer.first_token),
        duration: waited + answer.duration,
        limits: LimitFacts::default(),
    })
}

/// The encoder within the worker, for the semantic cache.
#[derive(Default)]
pub(crate) struct BuiltInEmbed(OnceCell<Arc<Encoder>>);

#[async_trait]
impl Embed for BuiltInEmbed {
    async fn embed(&self, text: &str) -> Result<Vec<f32>, String> {
        let load = || async {
            let loaded =
                tokio::task::spawn_blocking(Encoder::load).await.map_err(|error| error.to_string())?;
            loaded.map(Arc::new).map_err(|error| error.to_string())
        };
        let encoder = Arc::clone(self.0.get_or_try_init(load).await?);
        let text = text.to_owned();
        let computed = tokio::task::spawn_blocking(move || encoder.embed(&pieces(&text))).await;
        let vectors = computed.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        Ok(mean(&vectors))
    }
}

/// The encoder reads the beginning of a text only, so a long one is given in pieces.
fn pieces(text: &str) -> Vec<&str> {
    const PIECE: usize = 400;
    let mut pieces = Vec::new();
    let mut rest = text;
    while rest.len() > PIECE {
        let mut end = PIECE;
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        // Between words, where there is a space.
        let end = rest[..end].rfind(char::is_whitespace).filter(|at| *at > PIECE / 2).unwrap_or(end);
        pieces.push(&rest[..end]);
        rest = &rest[end..];
    }
    pieces.push(rest);
    pieces
}

fn mean(vectors: &[Vec<f32>]) -> Vec<f32> {
    let mut sum = vec![0.0; vectors.first().map_or(0, Vec::len)];
    for vector in vectors {
        for (total, number) in sum.iter_mut().zip(vector) {
            *total += number;
        }
    }
    sum
}

fn failed(error: &Error) -> ChatError {
    let class = match error {
        Error::ContextLength { .. } => Class::ContextLength,
        _ => Class::BadRequest,
    };
    ChatError::new(class, error.to_string())
}
