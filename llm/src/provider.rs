//! Where models are served, and what a provider must be told before it can be called.

use std::{collections::BTreeMap, fmt, time::Duration};

use async_trait::async_trait;

use crate::{BuildError, ChatAnswer, ChatError, ChatRequest, EmbedAnswer, EmbedRequest, ListedModel, Preset};

/// Answers calls to models. It makes one call at a time for whoever asks and never retries: there is one authority on
/// retries, and it is not here. Dropping a future drops the call and its connection.
#[async_trait]
pub trait Provider: Send + Sync + fmt::Debug {
    /// What records and errors call it.
    fn name(&self) -> &str;

    /// How many keys it has; at least one. A provider without keys has one that is no secret.
    fn keys(&self) -> usize;

    /// What records call a key, by its number from 0. Never the key itself.
    fn key_name(&self, key: usize) -> &str;

    /// Asks a model.
    async fn chat(&self, key: usize, request: &ChatRequest) -> Result<ChatAnswer, ChatError>;

    /// Embeds texts.
    async fn embed(&self, key: usize, request: &EmbedRequest) -> Result<EmbedAnswer, ChatError>;

    /// Lists models.
    async fn models(&self, key: usize) -> Result<Vec<ListedModel>, ChatError>;
}

/// What a provider must be told.
#[derive(Clone)]
pub struct ProviderOptions {
    /// What records and errors call it.
    pub name: String,
    /// What is known about it beforehand.
    pub preset: Preset,
    /// The part of the address before `/chat/completions`; the preset's own if absent.
    pub base_url: Option<String>,
    /// Its keys. None is fine where no key is needed.
    pub keys: Vec<ApiKey>,
    /// Further headers of every request, such as OpenRouter's `X-Title`. They go before our own.
    pub headers: BTreeMap<String, String>,
    /// Opening a connection, name and TLS included.
    pub connect_timeout: Duration,
    /// From sending a request to the first piece of a streamed answer.
    pub first_token_timeout: Duration,
    /// Between two pieces of an answer. Signs of life count.
    pub idle_timeout: Duration,
    /// The whole call.
    pub total_timeout: Duration,
    /// The largest answer, in bytes.
    pub max_answer: usize,
    /// Whether answers are streamed. Without it a call that hangs is noticed only after `total_timeout`.
    pub stream: bool,
}

impl ProviderOptions {
    /// A provider as its preset knows it, without keys.
    pub fn new(name: impl Into<String>, preset: Preset) -> Self {
        Self {
            name: name.into(),
            preset,
            base_url: None,
            keys: Vec::new(),
            headers: BTreeMap::new(),
            connect_timeout: Duration::from_secs(10),
            first_token_timeout: Duration::from_mins(1),
            idle_timeout: Duration::from_mins(1),
            total_timeout: Duration::from_mins(10),
            max_answer: 16 * 1024 * 1024,
            stream: true,
        }
    }
}

/// Leaves out what may hold a secret: keys, headers and the query of an address.
impl fmt::Debug for ProviderOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, preset, keys, .. } = self;
        let mut shown = f.debug_struct("ProviderOptions");
        shown.field("name", name).field("preset", preset).field("keys", keys).finish_non_exhaustive()
    }
}

impl Default for ProviderOptions {
    fn default() -> Self {
        Self::new(Preset::default().as_str(), Preset::default())
    }
}

/// One key of a provider. Shows its value to nobody.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ApiKey {
    /// What records call it.
    pub name: String,
    /// The secret.
    pub value: String,
    /// Who pays, where a key belongs to several (`OpenAI`).
    pub organization: Option<String>,
    /// The project within it.
    pub project: Option<String>,
}

impl ApiKey {
    /// A key without organization and project.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self { name: name.into(), value: value.into(), ..Self::default() }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A provider that no call can be made to. Does not repeat a value, which may hold a secret.
#[derive(Debug, thiserror::Error)]
pub enum InvalidProvider {
    /// Nobody knows where it is.
    #[error("a provider of kind {0} needs a base_url, such as http://127.0.0.1:8000/v1")]
    NoBaseUrl(Preset),
    /// The base URL is not an address.
    #[error(
        "the base_url is not valid: use one such as https://api.openai.com/v1 or http://127.0.0.1:11434/v1"
    )]
    BaseUrl,
    /// The base URL holds a user name or a password.
    #[error("the base_url holds a user name or password: give the key by itself instead")]
    Credentials,
    /// It demands a key.
    #[error("no key is given: put one into the environment variable {0}")]
    NoKey(&'static str),
    /// A key cannot be sent.
    #[error("the key {0} is not valid: it is empty or holds a line break or another control character")]
    Key(String),
    /// Records could not tell two keys apart.
    #[error("two keys are called {0}: give each a name of its own")]
    KeyName(String),
    /// A header cannot be sent, or is not for people to set.
    #[error("the header {0} cannot be set: its name or value is not valid, or the connection needs it")]
    Header(String),
    /// Nothing could ever succeed.
    #[error("{0} must be more than 0")]
    Zero(&'static str),
    /// The machine cannot make calls at all.
    #[error(transparent)]
    Http(#[from] BuildError),
}
