//! Configuration: the file, single settings, pipelines, money.

use std::{collections::BTreeMap, fs, path::PathBuf};

use windlass_llm::Nano;
use windlass_shared::config::{
    Config, PipelineSpec, SETTINGS, Sources, Who, check_budget_scope, dollars, redact_url,
};
use windlass_worker::{executor::template, pipeline::Pipeline};

use super::{Parser, Target, of_text, texts, two};

const TOML: &[&str] = &[
    "[redis]\n",
    "[worker]\n",
    "[types.x]\n",
    "[providers.x]\n",
    "[budgets.x]\n",
    "[llm]\n",
    "include = [\"*.toml\"]\n",
    "executor = \"command\"\n",
    "template.argv = [\"a\"]\n",
    "url = ",
    "timeout = ",
    "queues = ",
    "concurrency = ",
    "\"\"\"",
    "'''",
    "=",
    "\n",
    ".",
    "{ ",
    " }",
    "[",
    "]",
    "\"10s\"",
    "\"1MiB\"",
    "true",
    "1979-05-27T07:32:00Z",
    "0x7fffffffffffffff",
    "inf",
    "nan",
    "keys.b.api_key = \"k\"\n",
    "retry.classes = { timeout = \"fail\" }\n",
    "limits = { concurrent = 1 }\n",
];

const PIPELINE: &[&str] = &[
    "stage",
    "validator",
    "preprocess",
    "postprocess",
    "validate",
    "hooks",
    "before",
    "argv",
    "template",
    "prompt",
    "files",
    "fit",
    "redact",
    "code",
    "json",
    "patch",
    "write",
    "command",
    "syntax",
    "language",
    "python",
    "regex",
    "pattern",
    "forbidden",
    "patterns",
    "coverage",
    "execution",
    "judge",
    "min",
    "weight",
    "severity",
    "json_schema",
    "schema",
    "$ref",
    "#",
    "max_length",
    "threshold",
    "(a{1000}){1000}",
    "[\\w\\W]{999}",
    "{{ a }}",
    "{% for",
    "1m30s",
];

pub(super) fn targets() -> Vec<Target> {
    vec![
        Target {
            name: "config",
            reads: "`windlass.toml`: settings, providers, budgets, types, pipelines",
            corpus: || {
                texts(&[
                    include_str!("../../../examples/windlass.toml"),
                    include_str!("../../../examples/demo/windlass.toml"),
                    include_str!("../../../examples/types/unit_test.toml"),
                    include_str!("../../../examples/types/code_review.toml"),
                    include_str!("../../../examples/types/bug_fix.toml"),
                    "[redis]\nurl = \"rediss://user:pw@h:6380/1?x=y\"\n[worker]\nqueues = { a = 1, b = 3 }\nlease = \"5s\"\n",
                    "[providers.openai]\napi_key = \"k1\"\norganization = \"o\"\nlimits = { requests_per_minute = 60 }\n[providers.openai.keys.second]\napi_key = \"k2\"\nlimits.concurrent = 4\n",
                    "[providers.inside]\npreset = \"compatible\"\nbase_url = \"http://127.0.0.1:9/v1\"\nheaders = { x-team = \"a\" }\ntotal_timeout = \"30s\"\n",
                    "[budgets.a]\nscope = \"tenant:a\"\nlimit_usd = \"12.50\"\nevery = \"1d\"\n",
                    "include = [\"windlass.toml\"]\n",
                ])
            },
            words: TOML,
            parser: config,
        },
        Target {
            name: "setting",
            reads: "one setting from a variable or a flag: sizes, durations, URLs, lists, levels",
            corpus: || {
                let mut all: Vec<Vec<u8>> =
                    SETTINGS.iter().map(|setting| format!("{}\n1", setting.key).into_bytes()).collect();
                all.extend(texts(&[
                    "redis.url\nrediss://user:p%40ss@[::1]:6380/1",
                    "worker.queues\ndefault,gpu=3",
                    "worker.lease\n10s",
                    "submit.max_payload\n64KiB",
                    "worker.labels\nzone=a,pod=b",
                    "http.allow_hosts\n*.internal,[::1]",
                    "log.level\ninfo,windlass_worker=debug",
                    "llm.base_url\nhttps://h:1/v1",
                ]));
                all
            },
            words: &[
                ",",
                "=",
                "://",
                "@",
                ":",
                "/",
                "[::1]",
                "KiB",
                "GiB",
                "ms",
                "h",
                "d",
                "*",
                "?",
                "#",
                "%",
                "debug",
                "rediss://",
                "unix://",
                "redis+sentinel://",
                "off",
                "true",
                "none",
                "-",
            ],
            parser: || of_text(setting),
        },
        Target {
            name: "pipeline",
            reads: "the table of a pipeline: stages, validators, hooks",
            corpus: || {
                texts(&[
                    r#"{"preprocess":["files","redact",{"stage":"fit","by":"sliding","reserve":9},{"stage":"template","prompt":"Test {{ target_file }}."},{"stage":"command","argv":["python3","p.py"],"timeout":"1m30s"}]}"#,
                    r#"{"postprocess":[{"stage":"code","language":"py"},"patch","json",{"stage":"write","to":"t.py"}],"files":{"max_file":"64KiB","max_total":1000}}"#,
                    r#"{"validate":["test_names","execution",{"validator":"syntax","language":"python"},{"validator":"forbidden","patterns":["eval\\("],"severity":"warning"},{"validator":"coverage","min":0.8,"weight":3,"name":"lines"}]}"#,
                    r##"{"validate":[{"validator":"json_schema","schema":{"type":"object","properties":{"a":{"$ref":"#"}}}},{"validator":"regex","pattern":"x+","must":"not_match"},{"validator":"judge","prompt":"Is it {{ output }}?","min":0.5},{"validator":"max_length","lines":300}],"threshold":0.7}"##,
                    r#"{"hooks":{"before":[{"argv":["a"]}],"error":[{"argv":["c","{{ x }}"]}]},"validate":[{"validator":"command","argv":["./check"],"directory":"source"},{"validator":"files_present","files":["*.py"]}]}"#,
                ])
            },
            words: PIPELINE,
            parser: || Box::new(pipeline),
        },
        Target {
            name: "money",
            reads: "amounts of money, scopes of budgets, URLs to be shown without their passwords",
            corpus: || {
                texts(&[
                    "12.50",
                    "0.000000001",
                    "tenant:a",
                    "model:openai/gpt-5",
                    "redis://user:secret@h:1/0",
                    "$3",
                    "1_000",
                    "type:unit_test",
                    "fleet",
                    "https://u:p@h/?key=v#f",
                ])
            },
            words: &[".", "-", "+", "e", "$", ":", "/", "@", "%", "tenant:", "redis://", "999999999"],
            parser: || of_text(money),
        },
    ]
}

/// The file is written anew for each input, in memory where there is a place for that.
fn config() -> Parser {
    let shm = PathBuf::from("/dev/shm");
    let folder = if shm.is_dir() { tempfile::tempdir_in(shm) } else { tempfile::tempdir() };
    let folder = folder.expect("a folder for the file");
    Box::new(move |bytes| {
        let file = folder.path().join("windlass.toml");
        fs::write(&file, bytes).expect("the file can be written");
        // A producer reads no secret's file, which an input could name.
        let sources = Sources { file: Some(file), who: Who::Producer, ..Sources::default() };
        match Config::load(sources) {
            Ok(config) => {
                config.effective(Who::Both);
                for name in config.type_names() {
                    let spec = config.type_spec(&name);
                    spec.and_then(|spec| spec.template).map(|text| template::check(&text));
                }
            }
            Err(faults) => assert!(!faults.to_string().is_empty(), "a fault says nothing"),
        }
    })
}

fn setting(text: &str) {
    let (key, value) = two(text);
    let Some(setting) = SETTINGS.iter().find(|setting| setting.key == key) else { return };
    let flags = vec![(setting.key, "--flag", value.to_owned())];
    let env =
        BTreeMap::from([(format!("WINDLASS_{}", key.to_uppercase().replace('.', "_")), value.to_owned())]);
    for sources in [
        Sources { flags, who: Who::Producer, ..Sources::default() },
        Sources { env, who: Who::Producer, ..Sources::default() },
    ] {
        if let Ok(config) = Config::load(sources) {
            config.effective(Who::Both);
        }
    }
}

fn pipeline(bytes: &[u8]) {
    let Ok(table) = serde_json::from_slice(bytes) else { return };
    if let Ok(spec) = PipelineSpec::read(&table) {
        let _ = Pipeline::new(&spec);
    }
}

fn money(text: &str) {
    let _ = (check_budget_scope(text), dollars(text));
    if let Ok(amount) = text.parse::<Nano>() {
        assert_eq!(amount.to_string().parse(), Ok(amount), "an amount is read as it is written");
    }
    let shown = redact_url(text);
    assert!(shown.len() <= 2 * text.len() + 100, "more is shown than there was");
}
