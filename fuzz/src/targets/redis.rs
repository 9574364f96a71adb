//! What is read from Redis, where whoever can write chooses every byte.

use windlass_shared::{model::NodeRecord, store::fuzz};

use super::{Parser, Target, of_text, texts, two};

const NODE: &str = r#"{"id":"n-0123456789","state":"active","host":"h","pid":1,"version":"0.1.0","protocol":1,"started_at":1763617179120000,"queues":{"default":1},"types":["noop","llm"],"slots":8,"running_count":1,"running":[{"id":"a1","queue":"default","type":"noop","attempt":1,"started_at":1763617179120000}],"stale_commits":0,"labels":{"zone":"a"}}"#;

const INFO: &str = "# Server\r\nredis_version:7.2.4\r\nvalkey_version:8.1.0\r\nprocess_id:1\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\nused_memory:1024\r\naof_enabled:1\r\nrdb_last_save_time:1763617179\r\nrole:master\r\nconnected_slaves:2\r\nconnected_clients:10\r\n";

const FIELDS: &[&str] = &[
    "type=",
    "priority=",
    "created_at=",
    "tenant=",
    "batch=",
    "\0state\0running",
    "\0lease\0",
    "\0options\0{}",
    "\0error\0",
    "\0progress\0",
    "\0result\0",
    "\0due_at\0",
    "\0attempt\0",
    "\0retries\0",
    "\0review\0",
    "\n",
    " ",
    "=",
    "{\"timeout_ms\":",
];

pub(super) fn targets() -> Vec<Target> {
    vec![
        Target {
            name: "record",
            reads: "a task's spec and its record",
            corpus: || {
                let long = fuzz::packed(&format!("{{\"prompt\":\"{}\"}}", "write a test. ".repeat(400)));
                let mut all = texts(&[
                    "type=noop priority=high created_at=1763617179120000 tenant=t\ndigest\n{\"timeout_ms\":1000,\"metadata\":{\"a\":1}}\n{\"a\":1}",
                    "type=llm created_at=1\n\n\nnull\0state\0running\0lease\x003 n-1 1763617179120000 5\0progress\0{\"done\":1}",
                    "type=x batch=b due_at=2\n\n{\"max_attempts\":3,\"retry\":{\"base\":\"1s\",\"classes\":{\"timeout\":\"fail\"}}}\n[1]\0error\0{\"class\":\"server\",\"message\":\"m\"}\0retries\x002",
                    "type=noop\n\n\n1\0result\0{\"ok\":true}\0finished_at\x0017\0review\0{\"by\":\"me\"}",
                ]);
                all.push([b"type=llm created_at=1\nd\n\n".as_slice(), &long].concat());
                all
            },
            words: FIELDS,
            parser: || {
                Box::new(|bytes| {
                    let task = fuzz::record(bytes);
                    let shown =
                        serde_json::to_string(&task.view()).expect("a record is printed whatever it holds");
                    assert!(!shown.is_empty());
                })
            },
        },
        Target {
            name: "packed",
            reads: "compressed values",
            corpus: || {
                let bomb = "0".repeat(1 << 20);
                vec![
                    fuzz::packed(&"def test_pages(): assert pages(11, 5) == 3\n".repeat(200)),
                    zstd::bulk::compress(bomb.as_bytes(), 1).unwrap_or_default(),
                    b"{\"n\":1}".to_vec(),
                ]
            },
            words: &["(\u{b5}/\u{fd}"],
            parser: || {
                Box::new(|bytes| {
                    // At most 64 MiB, of which each byte may become a sign of three.
                    assert!(fuzz::unpacked(bytes).len() <= 3 * (64 << 20), "a bomb went off");
                })
            },
        },
        Target {
            name: "redis_reply",
            reads: "replies of scripts and commands, as the server sends them",
            corpus: || {
                texts(&[
                    "*6\r\n$11\r\nok stale ok\r\n:1763617179120000\r\n:1763617179130000\r\n:1\r\n$2\r\na1\r\n$22\r\ntype=noop\nd\n\n{\"a\":1}xx\r\n",
                    "*9\r\n$0\r\n\r\n:0\r\n:5\r\n:1\r\n$2\r\na1\r\n$14\r\ntype=noop\n\n\n12\r\n:1\r\n$1\r\n3\r\n*2\r\n$7\r\nretries\r\n$1\r\n2\r\n",
                    "*5\r\n$4\r\nwait\r\n$4\r\n1000\r\n$5\r\nscope\r\n$1\r\n5\r\n*1\r\n$14\r\n1 open 5 detail\r\n",
                    "*3\r\n$2\r\ngo\r\n$1\r\n2\r\n*1\r\n$9\r\n1 a 2 b c\r\n",
                    "*6\r\n$1\r\nv\r\n$8\r\n12345678\r\n$1\r\ng\r\n$1\r\nx\r\n$1\r\na\r\n$1\r\ny\r\n",
                    "*2\r\n$15\r\n1763617179123-0\r\n*4\r\n$2\r\nby\r\n$3\r\nn-1\r\n$25\r\npending>running claimed 12\r\n$7\r\na1#2 b2\r\n",
                    "*2\r\n$10\r\n1763617179\r\n$6\r\n123456\r\n",
                    "*2\r\n$22\r\n9223372036854775807-99\r\n*0\r\n",
                    "*4\r\n$2\r\nok\r\n:1\r\n:1\r\n:18446744073709551615\r\n",
                ])
            },
            words: &[
                "*",
                "$",
                ":",
                "\r\n",
                "*-1\r\n",
                "$-1\r\n",
                "-ERR x\r\n",
                "+OK\r\n",
                "%1\r\n",
                "~2\r\n",
                ",1.5\r\n",
                "#t\r\n",
                "_\r\n",
                "*1\r\n",
                "*9\r\n",
                ":9223372036854775807\r\n",
            ],
            parser: reply,
        },
        Target {
            name: "redis_shared",
            reads: "what the fleet shares about models, hosts and money",
            corpus: || {
                texts(&[
                    "openai/gpt|unit_test\n1763617179120000 10.5 9.1 250000 3 2.5 1200",
                    "http:h:80\n1 5 1763617179120000 0 0 2",
                    "key\n1763617179120000 1 rate_limit",
                    "m\nt\nten\ncalls 3 cost 1200 tokens 55",
                    "tenant:a\n[\"tenant:a\",1000000,86400000000,\"refuse\"]",
                    "x\ntenant:a b 20400 86400000000",
                    "c\n1763617179120000\n{\"openai\":[]}",
                ])
            },
            words: &[" ", "|", "\n", "[\"", "\",", "]", "inf", "-inf", "nan", "1e300"],
            parser: || {
                of_text(|text| {
                    let (name, value) = two(text);
                    fuzz::shared(name, value);
                })
            },
        },
        Target {
            name: "node",
            reads: "heartbeats, and what a server says about itself",
            corpus: || texts(&[NODE, INFO, "redis_version:6.2.0\r\nmaxmemory_policy:allkeys-lru\r\n"]),
            words: &[
                "\"state\"",
                "\"draining\"",
                "\"running\"",
                "\"labels\"",
                ":",
                "\r\n",
                "redis_version:",
                ".",
            ],
            parser: || {
                of_text(|text| {
                    fuzz::facts(text);
                    if let Ok(node) = serde_json::from_str::<NodeRecord>(text) {
                        let _ = (node.started().to_string(), node.state.to_string());
                    }
                })
            },
        },
    ]
}

fn reply() -> Parser {
    Box::new(|bytes| {
        if let Ok(value) = redis::parse_redis_value(bytes) {
            fuzz::reply(&value);
        }
    })
}
