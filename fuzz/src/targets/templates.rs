//! Templates: the operator's, filled with what tasks submit; and their own text.

use serde_json::{Value, json, value::RawValue};
use windlass_shared::model::{Priority, QueueName, TaskId, TaskRef, TypeName};
use windlass_worker::executor::{Carry, Job, Progress, template};

use super::{Target, of_text, texts};

const WORDS: &[&str] = &[
    "{{ ",
    " }}",
    "{% for x in ",
    " %}",
    "{% endfor %}",
    "{% if ",
    "{% endif %}",
    "{% set a = ",
    "{% macro f(x) %}",
    "{% endmacro %}",
    "{% raw %}",
    "{% endraw %}",
    "{# ",
    " #}",
    "{%- ",
    " -%}",
    "payload.text",
    "payload.list",
    "payload.n",
    "task.id",
    " | ",
    "indent(",
    "join(",
    "replace('', ",
    "default(",
    "tojson",
    "batch(",
    "slice(",
    "sort",
    "unique",
    "round(",
    "range(99999)",
    "loop.index",
    "loop.cycle(",
    "~",
    "*",
    "**",
    "//",
    "%",
    "[::-1]",
    "[0]",
    "(",
    ")",
    ".",
    "is defined",
    "not ",
    " if a else ",
    "999999999",
    "namespace()",
    "lipsum",
    "{% include 'x' %}",
    "{% import 'x' as y %}",
    "{% call f() %}",
    "{% filter upper %}",
    "recursive",
];

pub(super) fn targets() -> Vec<Target> {
    vec![
        Target {
            name: "template_data",
            reads: "what tasks submit, in the operator's templates",
            corpus: || {
                texts(&[
                    r#"{"text":"a&b {{ 7 * 7 }}","n":3,"list":[1,2],"sentences":3,"event":"deployed","service":"shop"}"#,
                    r#"{"text":"{% raw %}","n":-1,"list":{"x":"1\n"},"files":{"a":"b"}}"#,
                    r#"{"text":["a","b"],"n":"x","list":"abc"}"#,
                    r#"{"text":"a","n":1000000000,"list":[[]]}"#,
                ])
            },
            words: &[
                "\"text\"",
                "\"n\"",
                "\"list\"",
                "{{ payload }}",
                "{% for",
                "99999999",
                "null",
                "\"\u{130}\"",
            ],
            parser: || {
                let template = operators();
                of_text(move |text| fill(&template, text))
            },
        },
        Target {
            name: "template",
            reads: "the text of a template",
            corpus: || {
                texts(&[
                    "Summarise in at most {{ payload.sentences | default(3) }} sentences:\n\n{{ payload.text }}\n",
                    "{% for x in payload.list %}{{ loop.index }}: {{ x | upper }}{% if not loop.last %}, {% endif %}{% endfor %}",
                    "{{ payload.list | items | list }}",
                    "{{ payload.text[::-1] ~ payload.n * 2 }}",
                    "{% macro f(x) %}{{ x }}{% endmacro %}{{ f(payload.n) }}{% set a = [1, 2] %}{{ a | join('-') }}",
                    "{{ ''[::-1] }}",
                    "{{ 'a' | indent(100000000) }}",
                    "{{ payload.text * 100000000 }}",
                    "{{ payload.text | replace('', payload.text) }}",
                ])
            },
            words: WORDS,
            parser: || {
                of_text(|text| {
                    let template = json!(text);
                    let _ = template::check(&template);
                    fill(&template, r#"{"text":"some text","n":3,"list":[3,1,2],"sentences":2}"#);
                })
            },
        },
    ]
}

/// Templates as operators write them, each string on its own.
fn operators() -> Value {
    json!({
        "argv": ["wc", "-l", "{{ payload.text }}.txt", "{{payload.n}}", 3, null],
        "list": "{{- payload.list | items | list -}}",
        "loop": "{% for x in payload.list %}{{ x }}: {{ payload.text }}{% endfor %}",
        "count": "{% for x in range(payload.n) %}{{ payload.text }}{% endfor %}",
        "indent": "{{ payload.text | indent(payload.n) }}",
        "times": "{{ payload.text * payload.n }}",
        "url": "http://h/{{ payload.text | urlencode }}?{{ payload.list | join(',') }}",
        "body": {"event": "{{ payload.list }}", "task": "{{ task.id }} {{ task.attempt }}"},
    })
}

/// Fills in each string by itself, since the first that fails ends the others.
fn fill(template: &Value, payload: &str) {
    let Ok(payload) = RawValue::from_string(payload.to_owned()) else { return };
    let (Ok(queue), Ok(id), Ok(task_type)) = (QueueName::new("q"), TaskId::new("t-1"), TypeName::new("t"))
    else {
        return;
    };
    let job = Job {
        reference: TaskRef { queue, id },
        task_type,
        attempt: 1,
        payload,
        submitted: None,
        tenant: None,
        batch: None,
        priority: Priority::Normal,
        waits: 0,
        crashes: 0,
        ledger: None,
        carry: Carry::default(),
        metadata: None,
        trace: None,
        progress: Progress::none(),
    };
    match template {
        Value::Object(parts) => parts.values().for_each(|part| drop(template::render(part, &job))),
        part => drop(template::render(part, &job)),
    }
}
