//! Calls that stages of the pipeline make: a judge, a summary. They are calls of the task like any other.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;
use windlass_llm::{ChatRequest, Message, Role, select::Requirements};
use windlass_shared::config::CacheKind;

use super::Failure;
use crate::{
    gateway::{Call, Gateway, Ledger, Who},
    pipeline::Ask,
};

pub(super) struct Asker<'a> {
    pub(super) gateway: &'a Gateway,
    pub(super) ledger: Arc<Mutex<Ledger>>,
    pub(super) who: Arc<Who>,
    /// The models that may be asked; empty: those that the selector finds.
    pub(super) models: Vec<String>,
    pub(super) cache: CacheKind,
    pub(super) mode: &'a str,
}

#[async_trait]
impl Ask for Asker<'_> {
    async fn ask(&self, system: &str, prompt: &str, max_tokens: u32) -> Result<String, Failure> {
        let messages = [(Role::System, system), (Role::User, prompt)];
        let messages = messages.into_iter().filter(|(_, text)| !text.is_empty());
        let request = ChatRequest {
            messages: messages.map(|(role, text)| Message::text(role, text)).collect(),
            max_tokens: Some(max_tokens),
            temperature: Some(0.0),
            ..ChatRequest::default()
        };
        let need = Requirements {
            models: self.models.clone(),
            input_tokens: super::round::tokens(&request.messages),
            output_tokens: u64::from(max_tokens),
            ..Requirements::default()
        };
        let call = Call {
            request: &request,
            need: &need,
            who: &self.who,
            cache: self.cache,
            mode: self.mode,
            rotate_on_refusal: true,
            prefer_quality: None,
        };
        let mut ledger = self.ledger.lock().await;
        self.gateway.call(&call, &mut ledger).await.map(|answered| answered.text)
    }
}
