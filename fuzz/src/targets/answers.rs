//! What models answer: JSON, code blocks, patches, opinions. Through the pipeline's own stages and validators.

use serde_json::{Value, json};
use windlass_worker::{fuzz, pipeline::Draft};

use super::{
    Parser, Target, of_text, texts,
    world::{CALC, World, pipeline},
};

pub(super) fn targets() -> Vec<Target> {
    vec![
        Target {
            name: "answer_json",
            reads: "the JSON in an answer",
            corpus: || {
                texts(&[
                    "As in {this}:\n```json\n{\"a\": [1, \"}\"]}\n```\nbye",
                    "Sure: {\"a\": [1, \"}\"]} Hope it helps {x}",
                    "{'a': 1}",
                    "[[1], [2], [",
                ])
            },
            words: &["```json\n", "\n```", "{", "}", "[", "]", "\"", ":", ",", "{\"a\":", "~~~"],
            parser: || post(&json!({"postprocess": ["json"]})),
        },
        Target {
            name: "answer_code",
            reads: "the code blocks in an answer, and the paths of their files",
            corpus: || {
                texts(&[
                    "Here:\n```Python tests/test_a.py\nx = 1\n```\nand\n**src/a.py**\n~~~\ny\n~~~\n```rust\ncut",
                    "````markdown\n```py title=\"a.py\"\nx\n```\n````\n",
                    "### `../../etc/passwd`\n```python\n# tests/a.py\nx\n```",
                ])
            },
            words: &[
                "```",
                "````",
                "~~~",
                "```python\n",
                "\n```\n",
                "**a/b.py**\n",
                "File: ",
                "../",
                "/",
                "title=\"",
                "# a/b.py\n",
                "`",
            ],
            parser: || post(&json!({"postprocess": [{"stage": "code"}]})),
        },
        Target {
            name: "answer_patch",
            reads: "the unified diff in an answer",
            corpus: || {
                texts(&[
                    "Fixed:\n```diff\ndiff --git a/src/calc.py b/src/calc.py\nindex 1..2 100644\n--- a/src/calc.py\n+++ b/src/calc.py\n@@ -1,2 +1,2 @@\n def add(a, b):\n-    return a - b\n+    return a + b\n--- /dev/null\n+++ b/src/new.py\n@@ -0,0 +1 @@\n+x = 1\n```\nDone.",
                    "--- a/src/calc.py\n+++ b/src/calc.py\n@@ ... @@\n-def sub(a, b):\n+def minus(a, b):\n     return a - b\n\\ No newline at end of file\n",
                    "--- a/src/calc.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n",
                ])
            },
            words: &[
                "--- ",
                "+++ ",
                "@@ -1,2 +1,2 @@\n",
                "@@",
                "a/src/calc.py\n",
                "/dev/null\n",
                "\\ No newline at end of file\n",
                "\n ",
                "\n-",
                "\n+",
                "rename from a\n",
                "GIT binary patch\n",
                "diff --git a/x b/y\n",
                "new file mode 100644\n",
            ],
            parser: patch,
        },
        Target {
            name: "draft",
            reads: "what a stage's command makes of a draft",
            corpus: || {
                texts(&[
                    r#"{"variables":{"a":1},"system":"s","messages":[{"role":"user","content":"x"},{"role":"system","content":"y"}],"output":"o","files":{"a/b.py":"x"},"notes":["n"]}"#,
                    r#"{"context":[{"path":"a","text":"t","importance":0.5,"tokens":3}],"json":[1]}"#,
                ])
            },
            words: &[
                "\"messages\"",
                "\"role\"",
                "\"files\"",
                "\"context\"",
                "../x",
                "/etc/x",
                "\"system\"",
                "\"\"",
            ],
            parser: || {
                Box::new(|bytes| {
                    let draft = fuzz::draft(&[("a.py", "x")], "answer", bytes);
                    stay_below(&draft);
                    draft.conversation();
                })
            },
        },
        Target {
            name: "redact",
            reads: "files and prompts that may hold secrets",
            corpus: || {
                texts(&[
                    "password = \"hunter22\"\nurl = 'postgres://u:secretpw@h/db'\nAWS = AKIAIOSFODNN7EXAMPLE\nexport DB_PASSWORD=abcd1234\n",
                    "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nBearer abcdefghijklmnop1234\n",
                    "token: sk-proj-abcdefghij0123456789abcd eyJhbGciOiJI.eyJzdWIiOiIx.c2ln\n",
                ])
            },
            words: &[
                "password=",
                "token: \"",
                "-----BEGIN PRIVATE KEY-----",
                "://u:",
                "@",
                "Bearer ",
                "sk-",
                "[redacted:",
                "eyJ",
                "AKIA",
                "\"",
                "=",
            ],
            parser: || pre(&json!({"preprocess": ["redact"]})),
        },
        Target {
            name: "judge",
            reads: "the opinion of a model that judges",
            corpus: || {
                texts(&[
                    "{\"score\": 0.8, \"reasons\": [\"a\", \"b\"]}",
                    "I think\n```json\n{\"score\": 1, \"reasons\": \"fine\"}\n```",
                    "{\"score\": -1}",
                    "7/10",
                ])
            },
            words: &["\"score\":", "\"reasons\":", "1e309", "-0", "NaN", "```json\n", "{", "}"],
            parser: judge,
        },
    ]
}

/// No path of a file that was made leads out of the workspace.
fn stay_below(draft: &Draft) {
    for path in draft.files.keys() {
        assert!(!path.starts_with('/') && path.split('/').all(|part| part != ".."), "{path:?} leads out");
    }
}

fn post(table: &Value) -> Parser {
    let (world, pipeline) = (World::new(), pipeline(table));
    of_text(move |text| {
        let mut draft = Draft::default();
        draft.answered(text);
        let _ = world.runtime.block_on(pipeline.postprocess(&mut draft, &world.env()));
        stay_below(&draft);
    })
}

fn patch() -> Parser {
    let (world, pipeline) = (World::new(), pipeline(&json!({"postprocess": ["patch"]})));
    of_text(move |text| {
        let mut draft = fuzz::draft(&[("src/calc.py", CALC)], text, b"");
        let _ = world.runtime.block_on(pipeline.postprocess(&mut draft, &world.env()));
        stay_below(&draft);
    })
}

fn pre(table: &Value) -> Parser {
    let (world, pipeline) = (World::new(), pipeline(table));
    of_text(move |text| {
        if let Ok(mut draft) = Draft::of_payload(&json!({"prompt": text, "a": [text]})) {
            let _ = world.runtime.block_on(pipeline.preprocess(&mut draft, &world.env()));
        }
    })
}

fn judge() -> Parser {
    let world = World::new();
    let pipeline = pipeline(&json!({"validate": [{"validator": "judge", "prompt": "Is it good?"}]}));
    of_text(move |text| {
        text.clone_into(&mut world.model.0.lock().expect("nobody panicked with it"));
        let mut draft = Draft::default();
        draft.answered("x = 1");
        let _ = world.runtime.block_on(pipeline.validate(&draft, &world.env()));
    })
}
