//! What providers answer: whole, in streams, with errors, with headers.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use windlass_llm::{LimitFacts, Wire, fuzz, http::retry_after};

use super::{Parser, Target, texts};

const OPENAI: &[&str] = &[
    "\"choices\"",
    "\"delta\"",
    "\"message\"",
    "\"content\"",
    "\"tool_calls\"",
    "\"function\"",
    "\"arguments\"",
    "\"index\"",
    "\"finish_reason\"",
    "\"stop\"",
    "\"usage\"",
    "\"prompt_tokens\"",
    "\"error\"",
    "\"object\"",
    "data: ",
    "data: [DONE]\n\n",
    "event: ",
    "\n\n",
    "\r\n",
    ": ping\n",
    "null",
];

const ANTHROPIC: &[&str] = &[
    "\"type\"",
    "\"message_start\"",
    "\"content_block_start\"",
    "\"content_block_delta\"",
    "\"message_delta\"",
    "\"message_stop\"",
    "\"tool_use\"",
    "\"text_delta\"",
    "\"input_json_delta\"",
    "\"partial_json\"",
    "\"usage\"",
    "\"input_tokens\"",
    "\"cache_read_input_tokens\"",
    "\"cache_creation_input_tokens\"",
    "\"output_tokens\"",
    "18446744073709551615",
    "\"index\"",
    "\"answer\"",
    "\"stop_reason\"",
    "data: ",
    "event: ",
    "\n\n",
    "null",
];

pub(super) fn targets() -> Vec<Target> {
    vec![
        Target {
            name: "openai",
            reads: "a whole answer of chat completions",
            corpus: || {
                texts(&[
                    r#"{"id":"c-1","model":"m","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":20,"completion_tokens":9,"cost":0.0125,"is_byok":true,"cost_details":{"upstream_inference_cost":0.5},"prompt_tokens_details":{"cached_tokens":16}}}"#,
                    r#"{"choices":[{"message":{"content":[{"type":"text","text":"a"}],"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}},{"function":{"name":"g","arguments":{"y":2}}}]},"finish_reason":"tool_calls"}]}"#,
                    r#"{"error":{"message":"m","type":"t","code":429,"metadata":{"headers":{"X-RateLimit-Reset":"1795161620000"}}}}"#,
                ])
            },
            words: OPENAI,
            parser: || Box::new(|bytes| fuzz::whole(Wire::OpenAi, bytes)),
        },
        Target {
            name: "openai_stream",
            reads: "a stream of chat completions, in pieces",
            corpus: || {
                texts(&[
                    "\u{feff}: hi\n\ndata: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hel\"}}]}\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"lo\"},\"finish_reason\":\"stop\"}]}\r\n\r\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\ndata: [DONE]\n\n",
                    "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\"}}]}}]}\n\ndata:{\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"\\\":1}\"}}]},\"finish_reason\":\"tool_calls\"}]}\rdata: x\n\n",
                    "event: error\ndata: {\"error\":{\"code\":502,\"message\":\"m\"}}\n\n",
                ])
            },
            words: OPENAI,
            parser: || stream(Wire::OpenAi),
        },
        Target {
            name: "anthropic",
            reads: "a whole answer of messages",
            corpus: || {
                texts(&[
                    r#"{"id":"msg_1","type":"message","model":"claude-m","stop_reason":"tool_use","content":[{"type":"text","text":"Look."},{"type":"tool_use","id":"t","name":"f","input":{"x":1}}],"usage":{"input_tokens":3,"output_tokens":4,"cache_read_input_tokens":5,"cache_creation_input_tokens":6}}"#,
                    r#"{"type":"message","stop_reason":"tool_use","content":[{"type":"tool_use","id":"t","name":"answer","input":{"n":1}}]}"#,
                    r#"{"type":"error","error":{"type":"overloaded_error","message":"m"}}"#,
                    r#"{"type":"message","usage":{"input_tokens":18446744073709551615,"cache_read_input_tokens":18446744073709551615}}"#,
                ])
            },
            words: ANTHROPIC,
            parser: || Box::new(|bytes| fuzz::whole(Wire::Anthropic, bytes)),
        },
        Target {
            name: "anthropic_stream",
            reads: "a stream of messages, in pieces",
            corpus: || {
                texts(&[
                    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"type\":\"message\",\"model\":\"c\",\"content\":[],\"usage\":{\"input_tokens\":12,\"cache_read_input_tokens\":100,\"output_tokens\":1}}}\n\ndata: {\"type\":\"ping\"}\n\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"hi\"}}\n\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":40}}\n\ndata: {\"type\":\"message_stop\"}\n\n",
                    "data: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"answer\",\"input\":{}}}\n\ndata: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"n\\\":1}\"}}\n\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"}}\n\ndata: {\"type\":\"message_stop\"}\n\n",
                    "data: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"m\"}}\n\n",
                ])
            },
            words: ANTHROPIC,
            parser: || stream(Wire::Anthropic),
        },
        Target {
            name: "provider_error",
            reads: "bodies of failed calls, in all dialects",
            corpus: failures,
            words: &[
                "\"error\"",
                "\"message\"",
                "\"code\"",
                "\"type\"",
                "\"detail\"",
                "\"metadata\"",
                "\"headers\"",
                "\"X-RateLimit-Reset\"",
                "\"X-RateLimit-Remaining\"",
                "\"estimated_time\"",
                "sk-secret-1",
                "prompt is too long: ",
                "true",
                "\"object\"",
                "<html>",
                "the prompt that nobody may see",
            ],
            parser: || {
                Box::new(|bytes| {
                    let status = 200
                        + bytes.iter().fold(0_u16, |sum, byte| sum.wrapping_mul(31) ^ u16::from(*byte)) % 400;
                    fuzz::failure(status, bytes);
                })
            },
        },
        Target {
            name: "headers",
            reads: "`Retry-After`, limits of rates",
            corpus: || {
                texts(&[
                    "retry-after: 3\nretry-after-ms: 2750\nx-ratelimit-limit-requests: 500\nx-ratelimit-remaining-requests: 0\nx-ratelimit-reset-requests: 120ms",
                    "date: Fri, 20 Nov 2026 08:00:00 GMT\nretry-after: Fri, 20 Nov 2026 08:00:20 GMT\nx-ratelimit-reset: 1795161620000",
                    "anthropic-ratelimit-input-tokens-limit: 40000\nanthropic-ratelimit-input-tokens-remaining: 0\nanthropic-ratelimit-input-tokens-reset: 2026-11-20T08:00:30Z",
                    "x-ratelimit-reset-tokens: 6m0s\nx-ratelimit-remaining-tokens: 0\nx-ratelimit-limit: 99.0",
                ])
            },
            words: &[
                "retry-after: ",
                "x-ratelimit-",
                "anthropic-ratelimit-",
                "-limit",
                "-remaining",
                "-reset",
                "-tokens",
                "requests",
                "date: ",
                " GMT",
                "Mon, 31 Dec 9999 23:59:59 GMT",
                "6m0s",
                "12ms",
                "1e300",
                "inf",
                "-",
                "\n",
                "h",
                "d",
            ],
            parser: || Box::new(headers),
        },
        Target {
            name: "embeddings",
            reads: "vectors, as numbers or as base64",
            corpus: || {
                texts(&[
                    r#"{"object":"list","data":[{"index":0,"embedding":[0.1,-2e-3]},{"index":1,"embedding":[1,2]},{"index":2,"embedding":[3,4]}],"model":"m","usage":{"prompt_tokens":3}}"#,
                    r#"{"data":[{"embedding":"AACAPwAAAEA="},{"embedding":"AACAPwAAAEA="},{"embedding":"AACAPwAAAEA="}]}"#,
                    r#"{"error":{"message":"m"}}"#,
                ])
            },
            words: &["\"data\"", "\"embedding\"", "\"index\"", "AACAPw==", "====", "1e39", "[", "]"],
            parser: || Box::new(fuzz::embeddings),
        },
    ]
}

/// The size of the pieces is in the last byte.
fn stream(wire: Wire) -> Parser {
    Box::new(move |bytes| {
        let piece = bytes.last().copied().unwrap_or(0);
        fuzz::stream(wire, bytes, if piece.is_multiple_of(2) { usize::from(piece) } else { bytes.len() });
    })
}

/// The bodies that the tests of the classes have.
fn failures() -> Vec<Vec<u8>> {
    let shapes: Vec<serde_json::Value> =
        serde_json::from_str(include_str!("../../../llm/tests/shapes/errors.json")).unwrap_or_default();
    let body = |shape: &serde_json::Value| match &shape["body"] {
        serde_json::Value::String(text) => text.clone().into_bytes(),
        other => other.to_string().into_bytes(),
    };
    shapes.iter().map(body).collect()
}

fn headers(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n').take(100) {
        let at = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        let value = line.get(at + 1..).unwrap_or_default().trim_ascii();
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(&line[..at]), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    let limit = std::time::Duration::from_hours(30 * 24);
    let waits = [retry_after(&headers), LimitFacts::of_headers(&headers).exhausted_for()];
    assert!(waits.into_iter().flatten().all(|wait| wait <= limit), "a wait is longer than a month");
}
