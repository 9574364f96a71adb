//! From a request and what the scenario says of it to what goes over the wire.

use std::time::Duration;

use axum::http::HeaderValue;
use serde_json::json;

use super::{
    ask::{Ask, Chat, Prefix, Vectors, Want},
    embed,
    fault::{self, About, Fault},
    plan::{Bill, Plan},
    reply::{Cached, reply},
    scenario::{
        Scenario,
        answer::{Answer, Style, What},
    },
    trouble,
};

/// Characters in a streamed piece, unless said otherwise: four tokens.
const CHUNK: usize = 16;

/// The answer, with the headers that the scenario wants.
pub(crate) fn answer(
    scenario: &Scenario,
    ask: &Ask,
    scripted: Option<&Answer>,
    window: Option<u64>,
    cached: impl FnOnce(Option<Prefix>) -> Cached,
    id: &str,
) -> Plan {
    let style = scripted.and_then(|answer| answer.manner.style).or(scenario.style).unwrap_or(Style::Openai);
    let about = About { model: &ask.model, input_tokens: ask.input_tokens, window, style };
    let mut plan = match failure(ask, scripted, about) {
        Some(Trouble::Failure(failure)) => Plan::failure(&failure, ask.format, id),
        Some(Trouble::Body(plan)) => plan,
        None => {
            let fault = fault_of(ask, scripted);
            match &ask.want {
                Want::Chat(asked) => {
                    let reply = reply(ask, asked, scripted, style, cached(asked.prefix));
                    chat(scenario, ask, asked, scripted, fault.as_ref(), reply)
                }
                Want::Vectors(vectors) => embeddings(ask, vectors, scripted, fault.as_ref()),
                Want::Count => Plan::json(&json!({"input_tokens": ask.input_tokens})),
            }
        }
    };
    plan.headers.extend(scripted.iter().flat_map(|answer| answer.manner.headers.0.iter().cloned()));
    plan
}

enum Trouble {
    Failure(super::failure::Failure),
    Body(Plan),
}

/// An error answer, if the prompt is too long, or the scenario or the model's name wants one.
fn failure(ask: &Ask, scripted: Option<&Answer>, about: About<'_>) -> Option<Trouble> {
    if about.window.is_some_and(|window| ask.input_tokens > window) {
        return Some(Trouble::Failure(fault::context_length(about)));
    }
    if let Some(What::Body { status, content_type, text }) = scripted.map(|answer| &answer.what) {
        let content_type =
            HeaderValue::try_from(content_type).unwrap_or(HeaderValue::from_static("application/json"));
        return Some(Trouble::Body(Plan::whole(*status, content_type, text.clone().into())));
    }
    fault_of(ask, scripted)?.failure(about).map(Trouble::Failure)
}

/// What goes wrong; a scenario's answer comes before the model's name.
fn fault_of(ask: &Ask, scripted: Option<&Answer>) -> Option<Fault> {
    match scripted.map(|answer| &answer.what) {
        Some(What::Fault(fault)) => Some(fault.clone()),
        None | Some(What::Default) => Fault::of_model(&ask.model),
        Some(_) => None,
    }
}

fn chat(
    scenario: &Scenario,
    ask: &Ask,
    asked: &Chat,
    scripted: Option<&Answer>,
    fault: Option<&Fault>,
    reply: super::reply::Reply,
) -> Plan {
    let manner = scripted.map(|answer| &answer.manner);
    let chunk = manner.and_then(|manner| manner.chunk).or(scenario.chunk).unwrap_or(CHUNK);
    let rate = manner.and_then(|manner| manner.tokens_per_second).or(scenario.tokens_per_second);
    // Four characters are a token, in a stream as in the counts.
    let pace = rate.map_or(Duration::ZERO, |rate| {
        Duration::try_from_secs_f64(chunk as f64 / 4.0 / rate).unwrap_or(Duration::from_secs(3600))
    });
    match fault {
        Some(fault) => trouble::chat(ask, asked, fault, reply, (chunk, pace)),
        None => trouble::send(ask, asked, &reply, (chunk, pace)),
    }
}

fn embeddings(ask: &Ask, vectors: &Vectors, scripted: Option<&Answer>, fault: Option<&Fault>) -> Plan {
    let model = scripted.and_then(|answer| answer.model.as_deref()).unwrap_or(&ask.model);
    let input = scripted.and_then(|answer| answer.usage.input).unwrap_or(ask.input_tokens);
    let mut body = embed::answer(model, vectors, input);
    let cost = scripted.and_then(|answer| answer.cost);
    if let Some(cost) = cost {
        body["usage"]["cost"] = json!(cost);
    }
    let plan = match fault {
        Some(fault) => trouble::body(ask.format, trouble::emptied(body, fault), fault),
        None => Plan::json(&body),
    };
    plan.billed(Bill { input, output: 0, cost: cost.unwrap_or(0.0) })
}
