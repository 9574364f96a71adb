//! A provider that is called over HTTP, whichever of the two formats it speaks.

mod call;
mod drain;
mod report;
mod setup;

use std::fmt;

use async_trait::async_trait;
use reqwest::{Client, Url, header::HeaderMap};

use self::{
    call::{Asked, Call, Reader},
    setup::Urls,
};
use crate::{
    ChatAnswer, ChatError, ChatRequest, Class, EmbedAnswer, EmbedRequest, InvalidProvider, ListedModel,
    Preset, Provider, ProviderOptions, Wire, anthropic, embed, listing, openai,
};

/// No provider lists more pages of models than this: it bounds what a broken one can make us ask.
const MOST_PAGES: usize = 50;

/// Calls one provider over HTTP. All calls share one pool of connections.
pub struct HttpProvider {
    options: ProviderOptions,
    keys: Vec<Key>,
    urls: Urls,
    http: Client,
}

/// A key, ready to be sent.
struct Key {
    name: String,
    headers: HeaderMap,
    /// What must show in no error.
    secrets: Vec<String>,
}

impl fmt::Debug for HttpProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HttpProvider").field(&self.options).finish()
    }
}

impl HttpProvider {
    /// A provider as told. Nothing is sent yet.
    pub fn new(options: ProviderOptions) -> Result<Self, InvalidProvider> {
        setup::provider(options)
    }

    /// What is known about it beforehand.
    pub fn preset(&self) -> Preset {
        self.options.preset
    }

    fn key(&self, key: usize) -> Result<&Key, ChatError> {
        self.keys.get(key).ok_or_else(|| {
            let message = format!("{} has no key of number {key}", self.options.name);
            ChatError::new(Class::Authentication, message)
        })
    }

    fn unwritable(&self, why: &dyn fmt::Display) -> ChatError {
        ChatError::new(
            Class::BadRequest,
            format!("the request to {} cannot be sent: {why}", self.options.name),
        )
    }

    fn body(&self, request: &ChatRequest) -> Result<Vec<u8>, ChatError> {
        let ProviderOptions { preset, stream, .. } = self.options;
        match preset.wire() {
            Wire::OpenAi => openai::body(request, preset, stream).map_err(|error| self.unwritable(&error)),
            Wire::Anthropic => anthropic::body(request, stream).map_err(|error| self.unwritable(&error)),
        }
    }

    fn reader(&self, request: &ChatRequest) -> Reader {
        let wire = self.options.preset.wire();
        let answer_tool = wire == Wire::Anthropic && anthropic::needs_answer_tool(request);
        Reader::new(wire, self.options.max_answer, answer_tool.then_some(anthropic::ANSWER_TOOL))
    }
}

#[async_trait]
impl Provider for HttpProvider {
    fn name(&self) -> &str {
        &self.options.name
    }

    fn keys(&self) -> usize {
        self.keys.len()
    }

    fn key_name(&self, key: usize) -> &str {
        self.keys.get(key).map_or("", |key| &key.name)
    }

    async fn chat(&self, key: usize, request: &ChatRequest) -> Result<ChatAnswer, ChatError> {
        let call = Call::new(self, self.key(key)?, Asked::Chat(request));
        let stream = self.options.stream;
        let response = call.post(&self.urls.chat, self.body(request)?, stream).await?;
        let mut reader = self.reader(request);
        let (head, first_token) = call.read(response, &mut reader, stream).await?;
        let draft = &mut reader.draft;
        let checked = draft.check().map_err(|fault| call.faulty(&head, &fault, draft.usage, draft.began))?;
        Ok(ChatAnswer {
            text: checked.text,
            tool_calls: checked.tool_calls,
            model: draft.model.take().unwrap_or_else(|| request.model.clone()),
            id: draft.id.take(),
            finish: checked.finish,
            usage: draft.usage,
            cost_usd: draft.cost_usd,
            first_token,
            duration: call.elapsed(),
            limits: head.limits,
        })
    }

    async fn embed(&self, key: usize, request: &EmbedRequest) -> Result<EmbedAnswer, ChatError> {
        let call = Call::new(self, self.key(key)?, Asked::Embed(request));
        if self.options.preset.wire() == Wire::Anthropic {
            return Err(self.unwritable(&"this provider offers no embeddings"));
        }
        let body = embed::body(request, self.options.preset).map_err(|error| self.unwritable(&error))?;
        let response = call.post(&self.urls.embeddings, body, false).await?;
        let (head, bytes) = call.whole(response).await?;
        let texts = request.input.len();
        let embedded = embed::read(&bytes, texts).map_err(|fault| call.useless(&head, &fault))?;
        Ok(EmbedAnswer {
            vectors: embedded.vectors,
            model: embedded.model.unwrap_or_else(|| request.model.clone()),
            usage: embedded.usage,
            cost_usd: embedded.cost_usd,
            duration: call.elapsed(),
            limits: head.limits,
        })
    }

    async fn models(&self, key: usize) -> Result<Vec<ListedModel>, ChatError> {
        let key = self.key(key)?;
        let mut models = Vec::new();
        let mut url: Url = self.urls.models.clone();
        for _ in 0..MOST_PAGES {
            let call = Call::new(self, key, Asked::Models);
            let response = call.get(&url).await?;
            let (head, bytes) = call.whole(response).await?;
            let page = listing::read(&bytes).map_err(|fault| call.useless(&head, &fault))?;
            models.extend(page.models);
            match page.after {
                Some(after) => url = setup::next_page(self.options.preset, &self.urls.models, &after),
                None => break,
            }
        }
        Ok(models)
    }
}
