//! What commands and services say, and the payloads of tasks.

use std::collections::BTreeMap;

use windlass_worker::fuzz;

use super::{Target, of_text, texts, two};

pub(super) fn targets() -> Vec<Target> {
    vec![
        Target {
            name: "stderr",
            reads: "standard error of a command, with `::progress` lines",
            corpus: || {
                texts(&[
                    "starting\n::progress {\"done\":1,\"of\":3}\nwarning: x\n::progress {\"done\": 2}\n",
                    "::progress [1,\n2]\n::progress \"a\\nb\"\n no newline",
                ])
            },
            words: &["::progress ", "\n", "{\"done\":", "}", "::progress {}\n", "\r\n"],
            parser: || {
                Box::new(|bytes| {
                    let piece = bytes.last().copied().unwrap_or(0);
                    fuzz::standard_error(bytes, usize::from(piece) * 16 + 1);
                })
            },
        },
        Target {
            name: "result",
            reads: "the output of a command, the body of a service",
            corpus: || {
                texts(&[
                    "{\n  \"a b\": [1, 12345678901234567890123456789],\r\n\t\"q\": \"\\\" x\\\\\" , \"r\" : 1.10\n}\n",
                    "plain text",
                    "[\"\\ud83d\\ude00\", 1e308]",
                    "  null  ",
                ])
            },
            words: &["\\\"", "\\\\", "\\ud800", "\"", " ", "\n", "1e999", "[", "{\"a\":"],
            parser: || Box::new(fuzz::result),
        },
        Target {
            name: "http",
            reads: "method, URL, headers and failed answers of `http` tasks",
            corpus: || {
                texts(&[
                    "https://me:pw@api.example.com:8443/a/b?key=secret&token=s%20cret#f\nbad token secret, or s cret",
                    "http://[::1]:1/\n<html>",
                    "http://a.b.internal./\nx",
                    "ftp://h/\n",
                    "http://xn--bcher-kva.example/\n",
                ])
            },
            words: &[
                "http://", "https://", "@", ":", "[::1]", "%", "?", "#", "..", "//", "secret", "\u{212a}",
                "xn--",
            ],
            parser: || {
                of_text(|text| {
                    let (url, body) = two(text);
                    let headers = [
                        ("authorization".to_owned(), url.to_owned()),
                        (body.chars().take(20).collect(), "v".to_owned()),
                    ];
                    fuzz::target(Some("post"), url, &BTreeMap::from(headers), body.as_bytes());
                    fuzz::target(
                        body.lines().next(),
                        "http://api.example.com/",
                        &BTreeMap::new(),
                        body.as_bytes(),
                    );
                })
            },
        },
        Target {
            name: "llm_payload",
            reads: "payloads of `llm` tasks: conversations, tools, requirements",
            corpus: || {
                texts(&[
                    r#"{"prompt":"hi","system":"s","temperature":0.2,"max_tokens":9,"stop":["x"],"response_schema":{"type":"object"},"extra":{"top_k":1}}"#,
                    r#"{"messages":[{"role":"system","content":"a"},{"role":"user","content":[{"type":"text","text":"b"}]},{"role":"assistant","content":null,"tool_calls":[{"id":"c","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"r"}],"tools":[{"type":"function","function":{"name":"f","parameters":{}}}],"tool_choice":{"function":{"name":"f"}}}"#,
                    r#"{"description":"d","target_file":"src/auth.py","complexity":"moderate","quality_threshold":0.8,"requirements":{"max_cost":0.1,"models":["a/b"],"context":1000},"files":{"a.py":"x"}}"#,
                ])
            },
            words: &[
                "\"role\"",
                "\"content\"",
                "\"messages\"",
                "\"requirements\"",
                "\"tools\"",
                "\"tool_choice\"",
                "\"target_file\"",
                "../..",
                "\"complexity\"",
                "\"user\"",
                "\"system\"",
                "null",
            ],
            parser: || of_text(fuzz::llm_payload),
        },
        Target {
            name: "report",
            reads: "what test runners and coverage tools write",
            corpus: || {
                texts(&[
                    r#"{"meta":{},"totals":{"percent_covered":87.5}}"#,
                    r#"{"total":{"lines":{"pct":50}}}"#,
                    "SF:a\nLF:10\nLH:9\nend_of_record\n",
                    r#"<coverage version="7" line-rate="0.6" branch-rate="0">"#,
                    "Name  Stmts  Miss  Cover\na.py  10  1  90%\nTOTAL  40  10  75%\n2 passed 100%",
                    "==== 3 failed, 5 passed, 1 error in 0.12s ====",
                    "Ran 12 tests in 0.1s\n\nFAILED (failures=1, errors=2)",
                ])
            },
            words: &[
                "TOTAL",
                "%",
                "passed",
                "failed",
                "Ran ",
                " tests in ",
                "failures=",
                "LH:",
                "LF:",
                "end_of_record",
                "line-rate=\"",
                "inf",
            ],
            parser: || of_text(fuzz::report),
        },
    ]
}
