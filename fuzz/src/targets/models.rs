//! Lists of models, the catalog, and the stand-in for a provider.

use windlass_llm::{
    Catalog,
    catalog::{Entries, Listings},
    fuzz,
    scripted::Scenario,
    tokens::Tokenizer,
};

use super::{Target, of_text, texts};

const LISTING: &str = r#"{"data":[{"id":"a/b","name":"A: B","created":1700000000,"context_length":200000,"architecture":{"input_modalities":["text","image"],"output_modalities":["text"]},"pricing":{"prompt":"0.0000025","completion":"0.00001","request":"0.01"},"top_provider":{"context_length":190000,"max_completion_tokens":8192},"supported_parameters":["tools"],"expiration_date":"2027-01-01"}]}"#;

const CATALOG: &str = "[models.\"openai/x\"]\ncontext = 922_000\nmax_output = 128_000\nprice = { input = 2.0, output = 10.0, tiers = [{ above = 272000, input = 4.0, output = 15.0 }] }\nmodalities = { input = [\"text\"], output = [\"text\"] }\ncapabilities = [\"tools\", \"json\"]\nspecialisations = [\"code\"]\nquality = 0.95\nquality_by = { documentation = 0.88 }\nlatency = \"2.5s\"\ntokens_per_second = 90\nsuccess = 0.97\nretired = 2027-01-01\ntokenizer = \"o200k_base\"\n";

const SCENARIO: &[&str] = &[
    "[[rule]]\n",
    "when = { ",
    "model = ",
    "last = ",
    "call = ",
    "answer = { ",
    "text = ",
    "fault = ",
    "latency = \"1s..2s\"",
    "weight = ",
    "limit = { requests = 1, per = \"1s\" }\n",
    "chunk = ",
    "usage = ",
    "body = ",
    "headers = ",
    "tool = ",
    "}\n",
    "answers = [",
    "order = \"random\"\n",
    "then = \"cycle\"\n",
    "models = [",
    "seed = ",
    "(a{1000}){1000}",
    "[a",
    "*",
    "..",
];

const ASK: &[&str] = &[
    "\"messages\"",
    "\"role\"",
    "\"content\"",
    "\"tools\"",
    "\"tool_choice\"",
    "\"response_format\"",
    "\"json_schema\"",
    "\"schema\"",
    "\"$ref\"",
    "#",
    "minItems",
    "maxLength",
    "minLength",
    "items",
    "properties",
    "required",
    "allOf",
    "anyOf",
    "\"stream\"",
    "\"max_tokens\"",
    "\"n\"",
    "\"stop\"",
    "\"dimensions\"",
    "\"input\"",
    "\"encoding_format\"",
    "base64",
    "array",
];

pub(super) fn targets() -> Vec<Target> {
    vec![
        Target {
            name: "models",
            reads: "a provider's list of models",
            corpus: || {
                texts(&[
                    LISTING,
                    r#"{"data":[{"id":"o/m","providers":[{"status":"live","context_length":32768,"pricing":{"input":0.2,"output":0.9},"supports_tools":true}]}]}"#,
                    r#"{"data":[{"type":"model","id":"c","display_name":"C","created_at":"2025-02-19T00:00:00Z"}],"has_more":true,"last_id":"c"}"#,
                    r#"{"models":[{"name":"command-r","context_length":128000}],"next_page_token":"x"}"#,
                ])
            },
            words: &[
                "\"id\"",
                "\"pricing\"",
                "\"prompt\"",
                "\"-1\"",
                "\"1e308\"",
                "\"providers\"",
                "\"status\"",
                "has_more",
            ],
            parser: || Box::new(fuzz::models),
        },
        Target {
            name: "catalog",
            reads: "a catalog of models in TOML",
            corpus: || {
                texts(&[CATALOG, "[models.\"a/b\"]\nprice = { input = 1 }\nlike = \"openai/gpt-6-luna\"\n"])
            },
            words: &[
                "[models.\"a/b\"]\n",
                "price = { ",
                "tiers = [{ ",
                "above = ",
                "quality = ",
                "latency = \"",
                "aliases = [",
                "1e308",
                "inf",
                "-1",
                "retired = \"2026-13-01\"\n",
                "nan",
                "like = ",
            ],
            parser: || {
                of_text(|text| {
                    if let Ok(entries) = Entries::from_toml(text, "models.toml") {
                        let _ = Catalog::empty().merge(entries);
                    }
                })
            },
        },
        Target {
            name: "catalog_lists",
            reads: "the lists that workers keep in Redis, as JSON",
            corpus: || {
                texts(&[
                    r#"{"openai":[{"id":"gpt-6-luna","name":"G","context":1000,"max_output":10,"price":{"input":2.5,"output":10.0},"parameters":["tools"],"expires":"2027-01-01"},{"id":"gpt-6-luna-2026-01-01"},{"id":"x:latest"}],"a":[]}"#,
                ])
            },
            words: &[
                "\"id\"",
                "\"price\"",
                "\"input\"",
                "\"context\"",
                ":latest",
                "-2026-01-01",
                ":free",
                "/",
            ],
            parser: || {
                // The catalog that is in the program, so that known and unknown models meet.
                let known = Catalog::default();
                of_text(move |text| {
                    if let Ok(listings) = Listings::from_json(text) {
                        known.clone().add_listings(&listings);
                    }
                })
            },
        },
        Target {
            name: "scenario",
            reads: "a scenario of the stand-in",
            corpus: || {
                texts(&[
                    include_str!("../../../examples/scenarios/flaky.toml"),
                    include_str!("../../../examples/scenarios/limits.toml"),
                    "[[rule]]\nwhen = { last = \"a(b|c)*\", model = \"gpt-*\", call = \"1..3\" }\nanswers = [{ text = \"x\", weight = 2 }, { fault = 429, retry_after = \"1s\" }]\norder = \"random\"\n",
                ])
            },
            words: SCENARIO,
            parser: || of_text(|text| drop(Scenario::from_toml(text))),
        },
        Target {
            name: "scripted",
            reads: "requests to the stand-in, in both formats; answered",
            corpus: || {
                texts(&[
                    r#"0{"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"hi"}]}],"stream":true,"n":2,"stop":["x"],"max_tokens":5}"#,
                    r##"0{"model":"m","messages":[{"role":"user","content":"f"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{"a":{"$ref":"#"},"b":{"type":"array","items":{"type":"string"},"minItems":3}},"required":["b"]}}}],"tool_choice":"required"}"##,
                    r##"0{"model":"m","messages":[{"role":"user","content":"f"}],"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"array","minItems":9,"items":{"$ref":"#"}}}}}"##,
                    r#"1{"model":"m","input":["a","b"],"dimensions":8,"encoding_format":"base64"}"#,
                    r#"2{"model":"m","max_tokens":9,"system":"s","messages":[{"role":"user","content":[{"type":"text","text":"hi","cache_control":{"type":"ephemeral"}}]}],"tools":[{"name":"f","input_schema":{"type":"object"}}]}"#,
                    r#"3{"model":"error-429","messages":[{"role":"user","content":"x"}]}"#,
                ])
            },
            words: ASK,
            parser: || {
                Box::new(|bytes| {
                    let (format, body) = bytes.split_first().unwrap_or((&b'0', &[]));
                    fuzz::asked(format.wrapping_sub(b'0'), body);
                })
            },
        },
        Target {
            name: "tokens",
            reads: "texts whose tokens are counted",
            corpus: || {
                texts(&[
                    "def f(x):\n    return x  # ünïcode \u{1f469}\u{200d}\u{1f4bb}\n",
                    "aaaaaaaaaaaaaaaa",
                    "<|endoftext|>",
                    "1234567 \t \n",
                ])
            },
            words: &["<|endoftext|>", "<|im_start|>", " ", "\n", "\u{4e2d}\u{6587}"],
            parser: || {
                of_text(|text| {
                    let tokens = Tokenizer::O200kBase.count(text);
                    assert!(tokens <= text.len() as u64 + 2, "a text has more tokens than bytes");
                })
            },
        },
    ]
}
