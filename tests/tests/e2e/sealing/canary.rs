//! A word that is in every payload, prompt, answer, output and note, and that must be nowhere in Redis nor in a log:
//! not in a key, a value, a command on the wire, or the append-only file.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use serde_json::json;
use windlass_tests::{fleet::Fleet, http_stub::HttpStub, process::eventually, redis::RedisServer};

use super::{K1, config};
use crate::{
    llm::{Scene, scene_with},
    look::secs,
};

const CANARY: &str = "canary-7f3a9c";

/// Everything that Redis was told since it started.
struct Monitor(Arc<Mutex<Vec<u8>>>);

impl Monitor {
    fn start(redis: &RedisServer) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", redis.port())).expect("Redis takes connections");
        stream.write_all(b"MONITOR\r\n").expect("it reads");
        let mut ok = [0; 5];
        stream.read_exact(&mut ok).expect("it answers");
        assert_eq!(&ok, b"+OK\r\n");
        let heard = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&heard);
        thread::spawn(move || {
            let mut buffer = vec![0; 1 << 16];
            while let Ok(read @ 1..) = stream.read(&mut buffer) {
                into.lock().expect("nobody panics with it").extend_from_slice(&buffer[..read]);
            }
        });
        Self(heard)
    }

    /// Everything up to a mark that is made now.
    fn heard(&self, fleet: &Fleet) -> Vec<u8> {
        let mark = format!("mark-{}", fleet.now().0);
        redis::cmd("PING").arg(&mark).exec(&mut fleet.connection()).expect("answered");
        eventually("the monitor heard all", Duration::from_secs(10), || {
            has(&self.0.lock().expect("nobody panics with it"), &mark)
        });
        self.0.lock().expect("nobody panics with it").clone()
    }
}

fn has(haystack: &[u8], word: &str) -> bool {
    haystack.windows(word.len()).any(|part| part == word.as_bytes())
}

/// Every key with its value, as bytes.
fn contents(fleet: &Fleet) -> Vec<(String, Vec<u8>)> {
    let mut connection = fleet.connection();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut connection).expect("keys");
    let mut all = Vec::new();
    for key in keys {
        let kind: String = redis::cmd("TYPE").arg(&key).query(&mut connection).expect("a type");
        let read: &[&str] = match kind.as_str() {
            "string" => &["GET"],
            "hash" => &["HGETALL"],
            "list" => &["LRANGE", "0", "-1"],
            "set" => &["SMEMBERS"],
            "zset" => &["ZRANGE", "0", "-1"],
            "stream" => &["XRANGE", "-", "+"],
            other => panic!("{key} is a {other}"),
        };
        let mut command = redis::cmd(read[0]);
        command.arg(&key).arg(&read[1..]);
        let value: redis::Value = command.query(&mut connection).expect("a value");
        let mut bytes = key.clone().into_bytes();
        flatten(&value, &mut bytes);
        all.push((key, bytes));
    }
    all
}

fn flatten(value: &redis::Value, into: &mut Vec<u8>) {
    match value {
        redis::Value::BulkString(bytes) => into.extend_from_slice(bytes),
        redis::Value::SimpleString(text) => into.extend_from_slice(text.as_bytes()),
        redis::Value::Array(values) | redis::Value::Set(values) => {
            for value in values {
                flatten(value, into);
            }
        }
        redis::Value::Map(pairs) => {
            for (name, value) in pairs {
                flatten(name, into);
                flatten(value, into);
            }
        }
        _ => {}
    }
    into.push(b'\n');
}

/// The files of a folder and those below it.
fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all
}

/// Where the canary was seen.
fn seen(scene: &Scene, monitor: &Monitor) -> Vec<String> {
    let fleet = &scene.fleet;
    let mut seen: Vec<String> = contents(fleet)
        .into_iter()
        .filter(|(_, bytes)| has(bytes, CANARY))
        .map(|(key, _)| format!("key {key}"))
        .collect();
    if has(&monitor.heard(fleet), CANARY) {
        seen.push("the wire".into());
    }
    let written = files(fleet.redis.dir());
    assert!(written.iter().any(|path| path.to_string_lossy().contains("appendonly")), "{written:?}");
    let found = |path: &std::path::PathBuf| fs::read(path).is_ok_and(|bytes| has(&bytes, CANARY));
    seen.extend(written.iter().filter(|path| found(path)).map(|path| path.display().to_string()));
    if fleet.log(0).contains(CANARY) {
        seen.push("the worker's log".into());
    }
    seen
}

const SCENARIO: &str = r#"
[[rule]]
when = { model = "bad" }
answer = { text = "no JSON, but canary-7f3a9c" }
[[rule]]
when = { model = "broken" }
answer = { fault = 400, message = "cannot take canary-7f3a9c" }
[[rule]]
answer = { text = "an answer with canary-7f3a9c in it" }
"#;

const TYPES: &str = r#"
[llm]
cache = "semantic"
[types.strict]
executor = "llm"
max_attempts = 2
llm.model = "local/bad"
llm.repairs = 0
llm.on_invalid = "escalate"
[types.strict.llm.pipeline]
validate = [{ validator = "regex", pattern = "^\\{" }]
"#;

fn start(config: &str) -> (Scene, Monitor) {
    let scene = scene_with(SCENARIO, config, 1, 8, &[]);
    let mut connection = scene.fleet.connection();
    redis::cmd("CONFIG").arg(&["SET", "appendonly", "yes"]).exec(&mut connection).expect("obeyed");
    let monitor = Monitor::start(&scene.fleet.redis);
    (scene, monitor)
}

/// Tasks of every executor, those that succeed and those that fail, wait for people, report progress, are cancelled.
fn work(scene: &Scene) {
    let fleet = &scene.fleet;
    let stub = HttpStub::start(|_, request| {
        let status = if request.line.contains("bad") { "400 Bad Request" } else { "200 OK" };
        (status, "", format!("{{\"echo\":\"{CANARY}\"}}"))
    });
    let note = format!("word={CANARY}");
    let submit = |task_type: &str, payload, id: &str| {
        fleet.submit(task_type, &payload, &["--id", id, "--metadata", &note, "--max-attempts", "2"]);
    };
    let shell = |script: &str| json!({ "argv": ["sh", "-c", script, CANARY] });
    submit("noop", json!({ "word": CANARY }), "noop");
    submit("noop", json!({ "word": CANARY.repeat(1000) }), "long");
    submit("sleep", json!({ "ms": 1, "word": CANARY }), "sleep");
    submit("command", shell("echo $0"), "command");
    submit("command", shell("echo $0 >&2; exit 3"), "fails");
    submit("command", shell("echo \"::progress {\\\"at\\\":\\\"$0\\\"}\" >&2; sleep 30"), "progress");
    submit("http", json!({ "url": format!("{}/ok", stub.url), "body": CANARY, "method": "POST" }), "http");
    submit("http", json!({ "url": format!("{}/bad", stub.url) }), "http-bad");
    let prompt = format!("Tell me of {CANARY} at length, please.");
    submit("llm", json!({ "prompt": prompt, "model": "local/m" }), "llm");
    eventually("the model answered", secs(60), || {
        fleet.field("default", "llm", "state").as_deref() == Some("completed")
    });
    submit("llm", json!({ "prompt": prompt, "model": "local/m" }), "again");
    submit("llm", json!({ "prompt": prompt, "model": "local/broken" }), "broken");
    submit("strict", json!({ "prompt": prompt }), "approved");
    submit("strict", json!({ "prompt": format!("{prompt} Quickly.") }), "edited");
    for id in ["noop", "long", "command", "http", "again"] {
        fleet.wait_for_state("default", id, "completed", secs(30));
    }
    for id in ["approved", "edited"] {
        fleet.wait_for_state("default", id, "blocked", secs(30));
    }
    eventually("progress was reported", secs(20), || {
        let task = fleet.status("progress");
        task["progress"]["at"] == CANARY
    });
    fleet.windlass(&["cancel", "progress"]).ok();
    fleet.windlass(&["review", "approve", "approved", "--by", "ann", "--note", CANARY]).ok();
    let own = json!({ "text": CANARY }).to_string();
    fleet.windlass(&["review", "edit", "edited", "--by", "ann", "--result-json", &own]).ok();
    for id in ["fails", "http-bad", "broken"] {
        fleet.wait_for_state("default", id, "failed", secs(30));
    }
    fleet.wait_for_state("default", "progress", "cancelled", secs(20));
}

#[test]
fn redis_and_the_logs_see_nothing_of_it() {
    let (scene, monitor) = start(&format!("{}{TYPES}", config(K1)));
    work(&scene);
    let fleet = &scene.fleet;
    // Who holds the key sees all of it.
    for (id, field) in [
        ("noop", "result"),
        ("fails", "error"),
        ("http-bad", "error"),
        ("again", "result"),
        ("edited", "result"),
    ] {
        let task = fleet.status(id);
        assert!(task[field].to_string().contains(CANARY), "{id}: {task}");
        assert_eq!(task["metadata"]["word"], CANARY, "{task}");
    }
    assert_eq!(fleet.status("approved")["review"]["note"], CANARY);
    let again = fleet.status("again");
    assert_eq!(again["result"]["calls"][0]["cached"], true, "the cache works all the same: {again}");
    let kept = contents(fleet);
    assert!(["cache:", "semantic:"].iter().all(|name| kept.iter().any(|(key, _)| key.contains(name))));
    let seen = seen(&scene, &monitor);
    assert!(seen.is_empty(), "it was seen in {seen:#?}");
    let said = fleet.windlass(&["tasks", "--state", "failed"]).ok();
    assert!(!said.stderr.contains(CANARY), "{said}");
    fleet.verify();
}

/// The search would find it.
#[test]
fn without_keys_all_of_them_see_it() {
    let (scene, monitor) = start(TYPES);
    work(&scene);
    let seen = seen(&scene, &monitor).join("\n");
    for place in
        ["spec:noop", "task:noop", "task:fails", "cache:", "the wire", "appendonly", "the worker's log"]
    {
        assert!(seen.contains(place), "{place}: {seen}");
    }
}
