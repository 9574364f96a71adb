//! Does to an answer what a fault says.

use std::time::Duration;

use axum::body::Bytes;
use serde_json::{Value, json};

use super::{
    MARK, anthropic,
    ask::{Ask, Chat, Format, tokens},
    failure::Failure,
    fault::{Fault, Kind},
    openai,
    plan::{Bill, End, JSON, Payload, Pieces, Plan},
    reply::{Frames, Reply},
    scenario::answer::Style,
};

/// Pieces of a stream that come before the trouble, unless the fault says how many.
const SOME: usize = 3;
/// What a huge text is made of.
const BLOCK: usize = 64 * 1024;
/// Bytes that are no UTF-8, wherever they stand.
const NOT_UTF8: &[u8] = b"\xff\xfe\xc3\x28";

/// Sends the reply in its format, whole or as a stream.
pub(crate) fn send(ask: &Ask, chat: &Chat, reply: &Reply, (chunk, pace): (usize, Duration)) -> Plan {
    let plan = if ask.stream {
        Plan::events(frames(ask, chat, reply, chunk).all, pace, End::Clean)
    } else {
        Plan::json(&whole(ask, reply))
    };
    plan.billed(bill(reply))
}

fn bill(reply: &Reply) -> Bill {
    Bill { input: reply.usage.input, output: reply.usage.output, cost: reply.cost.unwrap_or(0.0) }
}

fn whole(ask: &Ask, reply: &Reply) -> Value {
    match ask.format {
        Format::Openai => openai::whole(reply),
        Format::Anthropic => anthropic::whole(reply),
    }
}

fn frames(ask: &Ask, chat: &Chat, reply: &Reply, chunk: usize) -> Frames {
    let mut frames = match ask.format {
        Format::Openai => openai::frames(reply, chat, chunk),
        Format::Anthropic => anthropic::frames(reply, chunk),
    };
    if ask.format == Format::Openai && reply.style == Style::Openrouter {
        let comment = Bytes::from_static(b": OPENROUTER PROCESSING\n\n");
        frames.all.splice(0..0, [comment.clone(), comment]);
        frames.finish = frames.finish.start + 2..frames.finish.end + 2;
    }
    frames
}

/// Sends the reply as the fault says. Faults that are error answers have been sent by then.
pub(crate) fn chat(
    ask: &Ask,
    chat: &Chat,
    fault: &Fault,
    mut reply: Reply,
    (mut chunk, pace): (usize, Duration),
) -> Plan {
    let message = fault.message.clone();
    match fault.kind {
        Kind::Refusal => {
            reply.refusal = Some(message.unwrap_or_else(|| format!("{MARK} I decline, as I was asked to.")));
            reply.texts.iter_mut().for_each(String::clear);
            reply.tools.clear();
        }
        Kind::EmptyContent => {
            reply.texts.iter_mut().for_each(String::clear);
            reply.tools.clear();
            reply.usage.output = 0;
        }
        Kind::EmptyChoices => {
            reply.texts.clear();
            reply.tools.clear();
            reply.thinking = None;
            reply.usage.output = 0;
        }
        Kind::Huge => return huge(ask, chat, reply, fault.megabytes),
        Kind::Garbage => {
            reply.texts.iter_mut().for_each(|text| MARK.clone_into(text));
            chunk = usize::MAX;
        }
        _ => {}
    }
    let plan = if ask.stream {
        stream(ask, frames(ask, chat, &reply, chunk), fault, &reply, pace)
    } else {
        body(ask.format, whole(ask, &reply), fault)
    };
    // An error instead of an answer costs nothing.
    if fault.kind == Kind::Http200Error { plan } else { plan.billed(bill(&reply)) }
}

/// Trouble with an answer that comes whole, of whatever endpoint.
pub(crate) fn body(format: Format, mut body: Value, fault: &Fault) -> Plan {
    let length = body.to_string().len();
    match fault.kind {
        Kind::Malformed => Plan::whole(200, JSON, half(&body)),
        Kind::Cut => {
            let pieces = Pieces {
                bytes: vec![half(&body)],
                length: Some(length),
                pace: Duration::ZERO,
                end: End::Cut,
            };
            Plan { payload: Payload::Pieces(pieces), ..Plan::whole(200, JSON, Bytes::new()) }
        }
        Kind::Stall => Plan::silence(fault.lasts),
        Kind::HangUp => Plan::silence(Duration::ZERO),
        Kind::Http200Error | Kind::ErrorChunk => {
            Plan::json(&error_of_provider(fault).json(format, "req_scripted"))
        }
        Kind::Garbage => Plan::whole(200, JSON, spoilt(body.to_string().as_bytes())),
        Kind::NoFinish => {
            for name in ["finish_reason", "stop_reason"] {
                let place =
                    if name == "finish_reason" { body.pointer_mut("/choices/0") } else { Some(&mut body) };
                if let Some(value) = place.and_then(|place| place.get_mut(name)) {
                    *value = Value::Null;
                }
            }
            Plan::json(&body)
        }
        _ => Plan::json(&body),
    }
}

/// Trouble with a list, as embeddings are one: the list is empty.
pub(crate) fn emptied(mut answer: Value, fault: &Fault) -> Value {
    if matches!(fault.kind, Kind::EmptyChoices | Kind::EmptyContent) && answer.get("data").is_some() {
        answer["data"] = json!([]);
    }
    answer
}

fn half(body: &Value) -> Bytes {
    let mut bytes = body.to_string().into_bytes();
    bytes.truncate(bytes.len() / 2);
    bytes.into()
}

/// The bytes with the first mark made unreadable.
fn spoilt(bytes: &[u8]) -> Bytes {
    let place = bytes.windows(MARK.len()).position(|window| window == MARK.as_bytes());
    let (before, after) = match place {
        Some(place) => (&bytes[..place], &bytes[place + MARK.len()..]),
        None => (&bytes[..0], bytes),
    };
    [before, NOT_UTF8, after].concat().into()
}

fn error_of_provider(fault: &Fault) -> Failure {
    let message = fault.message.clone().unwrap_or_else(|| "Provider returned error".into());
    Failure::new(502, Style::Openrouter).kind("server_error").message(message)
}

fn stream(ask: &Ask, mut frames: Frames, fault: &Fault, reply: &Reply, pace: Duration) -> Plan {
    let message = fault.message.clone().unwrap_or_else(|| "Provider disconnected unexpectedly".into());
    let error = || {
        let mut one = Frames::default();
        match ask.format {
            Format::Openai => one.push(None, &openai::error_chunk(reply, &message)),
            Format::Anthropic => anthropic::push(&mut one, &anthropic::error_event(&message)),
        }
        one.all
    };
    // Never the finish reason, however many pieces are asked for.
    let some = fault.after.unwrap_or(SOME).min(frames.finish.start);
    let end = match fault.kind {
        Kind::Cut => End::Cut,
        Kind::Stall => End::Stall(fault.lasts),
        _ => End::Clean,
    };
    match fault.kind {
        Kind::HangUp => return Plan::silence(Duration::ZERO),
        Kind::Stall if fault.after.is_none() => return Plan::silence(fault.lasts),
        Kind::Cut | Kind::Stall => frames.all.truncate(some),
        Kind::ErrorChunk => {
            frames.all.truncate(some);
            frames.all.extend(error());
        }
        Kind::Http200Error => frames.all = error(),
        Kind::Malformed => {
            let broken =
                Bytes::from_static(b"data: {\"id\": \"chatcmpl-0\", \"choices\": [{\"index\": 0, \"del\n\n");
            frames.all.splice(some..frames.finish.start, [broken]);
        }
        Kind::Garbage => {
            let all =
                frames.all.iter().map(|frame| if holds_mark(frame) { spoilt(frame) } else { frame.clone() });
            frames.all = all.collect();
        }
        Kind::NoDone => {
            frames.all.pop();
        }
        Kind::NoFinish => {
            frames.all.drain(frames.finish);
        }
        _ => {}
    }
    Plan::events(frames.all, pace, end)
}

fn holds_mark(frame: &Bytes) -> bool {
    frame.windows(MARK.len()).any(|window| window == MARK.as_bytes())
}

/// A text of so many megabytes, of which only one block is ever in memory.
fn huge(ask: &Ask, chat: &Chat, mut reply: Reply, megabytes: usize) -> Plan {
    let block = format!("{MARK} ").repeat(BLOCK / (MARK.len() + 1));
    let times = (megabytes * 1024 * 1024).div_ceil(block.len());
    reply.usage.output = tokens(&block) * times as u64;
    reply.texts = vec![block.clone()];
    reply.tools.clear();
    if ask.stream {
        let frames = frames(ask, chat, &reply, usize::MAX).all;
        let largest = frames.iter().map(Bytes::len).max().unwrap_or(0);
        let repeated = frames.into_iter().flat_map(|frame| {
            let times = if frame.len() == largest { times } else { 1 };
            std::iter::repeat_n(frame, times)
        });
        return Plan::events(repeated.collect(), Duration::ZERO, End::Clean).billed(bill(&reply));
    }
    let body = whole(ask, &reply).to_string();
    let (before, after) = body.split_once(&block).unwrap_or((&body, ""));
    let ends = [Bytes::from(before.to_owned()), Bytes::from(after.to_owned())];
    let length = ends.iter().map(Bytes::len).sum::<usize>() + block.len() * times;
    let [before, after] = ends;
    let blocks = std::iter::repeat_n(Bytes::from(block), times);
    let bytes = std::iter::once(before).chain(blocks).chain(std::iter::once(after)).collect();
    let pieces = Pieces { bytes, length: Some(length), pace: Duration::ZERO, end: End::Clean };
    Plan { payload: Payload::Pieces(pieces), ..Plan::whole(200, JSON, Bytes::new()) }.billed(bill(&reply))
}
