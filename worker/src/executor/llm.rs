//! `llm`: one call to a language model.
//!
//! | field | meaning |
//! | --- | --- |
//! | `prompt` | what to ask; or else `messages`, a conversation of `{"role", "content"}` |
//! | `system` | instructions that come before it |
//! | `model` | the model; the configured one if absent |
//! | `temperature`, `max_tokens` | passed on |

use async_trait::async_trait;
use reqwest::Client as HttpClient;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use windlass_llm::{
    ChatAnswer, ChatError, ChatRequest, Class, Client, Endpoint, InvalidEndpoint, Message, Role,
};
use windlass_shared::model::ErrorClass;

use super::{Executor, Failure, Job, json};

/// Which server answers, and with which model unless a payload names one.
#[derive(Debug, Clone, Default)]
pub struct LlmOptions {
    /// The server; without one every task of this type fails and says what to set.
    pub endpoint: Option<Endpoint>,
    /// The model of payloads that name none.
    pub model: Option<String>,
}

/// Calls language models.
#[derive(Debug, Clone)]
pub struct LlmExecutor {
    client: Option<Client>,
    model: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    prompt: Option<String>,
    messages: Option<Vec<Message>>,
    system: Option<String>,
    model: Option<String>,
    temperature: Option<f64>,
    max_tokens: Option<u32>,
}

#[derive(Serialize)]
struct Output<'a> {
    text: &'a str,
    calls: [Call<'a>; 1],
}

#[derive(Serialize)]
struct Call<'a> {
    model: &'a str,
    provider: &'a str,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    duration_ms: u64,
    /// `length` says that the text was cut.
    finish_reason: Option<&'a str>,
}

#[async_trait]
impl Executor for LlmExecutor {
    async fn execute(&self, job: &Job) -> Result<Box<RawValue>, Failure> {
        let request = self.request(job.read_payload()?)?;
        let client =
            self.client.as_ref().ok_or_else(|| unset("server", "base_url", "WINDLASS_LLM_BASE_URL"))?;
        let answer = client.chat(&request).await.map_err(failed)?;
        json::result(&output(&answer, client.provider()))
    }
}

impl LlmExecutor {
    /// Calls models as `options` say, through `http` (see [`windlass_llm::http_client`]).
    pub fn new(options: LlmOptions, http: HttpClient) -> Result<Self, InvalidEndpoint> {
        let client = options.endpoint.map(|endpoint| Client::new(endpoint, http)).transpose()?;
        Ok(Self { client, model: options.model })
    }

    fn request(&self, payload: Payload) -> Result<ChatRequest, Failure> {
        let said = |role, content| Message { role, content };
        let asked = match (payload.prompt, payload.messages) {
            (Some(prompt), None) => vec![said(Role::User, prompt)],
            (None, Some(messages)) if !messages.is_empty() => messages,
            _ => return Err(Failure::bad_request("give either a `prompt` or `messages`, at least one")),
        };
        let system = payload.system.map(|text| said(Role::System, text));
        let model = payload.model.or_else(|| self.model.clone());
        Ok(ChatRequest {
            model: model.ok_or_else(|| unset("model", "model", "WINDLASS_LLM_MODEL"))?,
            messages: system.into_iter().chain(asked).collect(),
            temperature: payload.temperature,
            max_tokens: payload.max_tokens,
        })
    }
}

fn unset(what: &str, setting: &str, variable: &str) -> Failure {
    let message = format!(
        "no {what} for language models is configured: set `{setting}` under [llm] in the worker's configuration, or \
         {variable} in its environment"
    );
    Failure::bad_request(message)
}

fn output<'a>(answer: &'a ChatAnswer, provider: &'a str) -> Output<'a> {
    let call = Call {
        model: &answer.model,
        provider,
        input_tokens: answer.input_tokens,
        output_tokens: answer.output_tokens,
        duration_ms: u64::try_from(answer.duration.as_millis()).unwrap_or(u64::MAX),
        finish_reason: answer.finish_reason.as_deref(),
    };
    Output { text: &answer.text, calls: [call] }
}

fn failed(error: ChatError) -> Failure {
    Failure::new(class_of(error.class), error.message).retry_after(error.retry_after)
}

fn class_of(class: Class) -> ErrorClass {
    match class {
        Class::Authentication => ErrorClass::Authentication,
        Class::Permission => ErrorClass::Permission,
        Class::RateLimit => ErrorClass::RateLimit,
        Class::Quota => ErrorClass::Quota,
        Class::Timeout => ErrorClass::Timeout,
        Class::Connection => ErrorClass::Connection,
        Class::Server => ErrorClass::Server,
        Class::Overloaded => ErrorClass::Overloaded,
        Class::ContextLength => ErrorClass::ContextLength,
        Class::ContentPolicy => ErrorClass::ContentPolicy,
        Class::BadRequest => ErrorClass::BadRequest,
        Class::MalformedOutput => ErrorClass::MalformedOutput,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use reqwest::redirect::Policy;
    use serde_json::{Value, json};
    use windlass_llm::{
        http_client,
        scripted::{MARK, ScriptedOptions, serve},
    };

    use super::*;
    use crate::executor::testing::job;

    async fn stand_in() -> Option<Endpoint> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
        tokio::spawn(serve(listener, ScriptedOptions::default()));
        Some(Endpoint { base_url, api_key: None, provider: "scripted".into() })
    }

    async fn ask(endpoint: Option<Endpoint>, model: Option<&str>, payload: Value) -> Result<Value, Failure> {
        let options = LlmOptions { endpoint, model: model.map(str::to_owned) };
        let executor = LlmExecutor::new(options, http_client(Policy::none()).unwrap()).unwrap();
        let result = executor.execute(&job(&payload)).await?;
        Ok(serde_json::from_str(result.get()).unwrap())
    }

    #[tokio::test]
    async fn a_prompt_gets_a_text_and_a_record_of_the_call() {
        let payload = json!({"prompt": "Say it.", "system": "Be brief.", "temperature": 0});
        let result = ask(stand_in().await, Some("m"), payload).await.unwrap();
        assert!(result["text"].as_str().unwrap().starts_with(MARK), "{result}");
        let call = &result["calls"][0];
        assert_eq!((&call["model"], &call["provider"]), (&json!("m"), &json!("scripted")));
        assert_eq!((&call["input_tokens"], &call["finish_reason"]), (&json!(5), &json!("stop")));
        assert!(call["output_tokens"].is_u64() && call["duration_ms"].is_u64());
    }

    #[tokio::test]
    async fn a_payload_may_bring_its_conversation_and_its_model() {
        let messages = json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
                              {"role": "user", "content": "the last one"}]);
        let payload = json!({"messages": messages, "model": "other", "max_tokens": 9});
        let result = ask(stand_in().await, Some("m"), payload).await.unwrap();
        let call = &result["calls"][0];
        assert_eq!((&call["model"], &call["finish_reason"]), (&json!("other"), &json!("length")));
    }

    #[tokio::test]
    async fn failures_keep_their_class_and_their_wait() {
        for (model, class, wait) in [
            ("error-401", ErrorClass::Authentication, None),
            ("error-429", ErrorClass::RateLimit, Some(Duration::from_secs(1))),
            ("error-500", ErrorClass::Server, None),
            ("error-529", ErrorClass::Overloaded, None),
            ("error-context", ErrorClass::ContextLength, None),
            ("malformed", ErrorClass::MalformedOutput, None),
        ] {
            let failure = ask(stand_in().await, Some(model), json!({"prompt": "hi"})).await.unwrap_err();
            assert_eq!((failure.class, failure.retry_after), (class, wait), "{model}");
        }
    }

    #[tokio::test]
    async fn what_is_not_configured_is_named() {
        let prompt = json!({"prompt": "hi"});
        let no_server = ask(None, Some("m"), prompt.clone()).await.unwrap_err();
        let no_model = ask(stand_in().await, None, prompt).await.unwrap_err();
        for (failure, variable) in [(no_server, "WINDLASS_LLM_BASE_URL"), (no_model, "WINDLASS_LLM_MODEL")] {
            assert_eq!(failure.class, ErrorClass::BadRequest);
            assert!(failure.message.contains(variable), "{failure}");
        }
    }

    #[tokio::test]
    async fn a_wrong_payload_is_a_bad_request() {
        let message = json!({"role": "user", "content": "a"});
        for payload in [
            json!({}),
            json!({"messages": []}),
            json!({"prompt": "a", "messages": [message]}),
            json!({"messages": [{"role": "robot", "content": "a"}]}),
            json!({"prompt": "a", "promt": "b"}),
        ] {
            let failure = ask(stand_in().await, Some("m"), payload.clone()).await.unwrap_err();
            assert_eq!(failure.class, ErrorClass::BadRequest, "{payload}");
        }
    }
}
