//! The stand-in, asked over TCP by a client that knows nothing but HTTP: what it sends is judged to the byte.

mod anthropic;
mod calls;
mod client;
mod embeddings;
mod faults;
mod limits;
mod openai;
mod rules;
mod scenario;

use serde_json::{Value, json};

use self::client::{Answer, ask};
use super::{Scenario, Scripted, ScriptedOptions};

async fn start() -> Scripted {
    Scripted::start(ScriptedOptions::default()).await.unwrap()
}

async fn with(scenario: &str) -> Scripted {
    let scenario = Some(Scenario::from_toml(scenario).unwrap());
    Scripted::start(ScriptedOptions { scenario, ..ScriptedOptions::default() }).await.unwrap()
}

/// A chat in the format of `OpenAI`; `more` goes into the body.
async fn chat(server: &Scripted, model: &str, prompt: &str, more: Value) -> Answer {
    let mut body = json!({"model": model, "messages": [{"role": "user", "content": prompt}]});
    merge(&mut body, more);
    ask(server, "POST", "/v1/chat/completions", &[], &body.to_string()).await
}

/// A chat in the format of Anthropic.
async fn message(server: &Scripted, model: &str, prompt: &str, more: Value) -> Answer {
    let mut body =
        json!({"model": model, "max_tokens": 500, "messages": [{"role": "user", "content": prompt}]});
    merge(&mut body, more);
    ask(server, "POST", "/v1/messages", &[("anthropic-version", "2023-06-01")], &body.to_string()).await
}

fn merge(body: &mut Value, more: Value) {
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.extend(more);
    }
}

/// The text of an answer, whole or streamed.
async fn text(server: &Scripted, model: &str, prompt: &str) -> String {
    let answer = chat(server, model, prompt, Value::Null).await;
    let body = answer.json();
    body["choices"][0]["message"]["content"]
        .as_str()
        .map_or_else(|| format!("{} {body}", answer.status), str::to_owned)
}
