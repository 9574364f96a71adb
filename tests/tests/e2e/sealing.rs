//! Sealed payloads and results: Redis and the logs see nothing of them, and only who holds the key does.

mod canary;

use serde_json::{Value, json};
use windlass_shared::model::TaskId;
use windlass_tests::fleet::{Fleet, FleetOptions};

use crate::look::{assert_counters, secs, text};

const K1: &str = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
const K2: &str = "k2:202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f";

fn config(keys: &str) -> String {
    format!("[sealing]\nkeys = \"{keys}\"\n")
}

/// A fleet of which all hold these keys.
fn sealed(keys: &str, workers: usize) -> Fleet {
    Fleet::start(&FleetOptions { workers, config: &config(keys), ..FleetOptions::default() })
}

fn file(fleet: &Fleet, name: &str, text: &str) -> String {
    fleet.file(name, text).to_str().expect("a plain path").to_owned()
}

fn spec(fleet: &Fleet, id: &str) -> (String, Vec<u8>) {
    let key = fleet.queue_keys("default").spec(&TaskId::new(id).expect("a valid id"));
    let bytes = redis::cmd("GET").arg(&key).query(&mut fleet.connection()).expect("a spec");
    (key, bytes)
}

fn put(fleet: &Fleet, key: &str, bytes: &[u8]) {
    redis::cmd("SET").arg(key).arg(bytes).exec(&mut fleet.connection()).expect("obeyed");
}

#[test]
fn without_the_key_placeholders_are_shown_and_people_are_told_why() {
    let fleet = sealed(K1, 1);
    let payload = json!({"secret": "word", "long": "x".repeat(5000)});
    fleet.submit("noop", &payload, &["--id", "t", "--metadata", "team=docs"]);
    fleet.wait_for_state("default", "t", "completed", secs(10));
    let task = fleet.status("t");
    assert_eq!((&task["payload"], &task["result"]), (&payload, &payload));
    assert_eq!(task["metadata"], json!({"team": "docs"}));

    let none = file(&fleet, "none.toml", "");
    let shown = fleet.windlass(&["--config", &none, "status", "t", "-o", "json"]).ok();
    let task = shown.json();
    for field in ["payload", "result", "metadata"] {
        assert_eq!(task[field], json!({"sealed": {"key": "k1"}}), "{field}: {task}");
    }
    assert_eq!((&task["state"], &task["type"]), (&json!("completed"), &json!("noop")), "{task}");
    assert!(shown.stderr.contains("key k1") && shown.stderr.contains("sealing.keys"), "{shown}");
    let results = fleet.windlass(&["--config", &none, "results"]).ok();
    assert!(results.stderr.contains("key k1") && !format!("{results}").contains("word"), "{results}");
    fleet.verify();
}

#[test]
fn keys_are_made_listed_and_never_shown() {
    let fleet = Fleet::without_workers();
    let made = fleet.windlass(&["keys", "generate", "--id", "k9"]).ok().stdout;
    let key = made.trim().strip_prefix("k9:").expect("ID:KEY").to_owned();
    assert_ne!(fleet.windlass(&["keys", "generate", "--id", "k9"]).ok().stdout, made);
    file(&fleet, "sealing.keys", &format!("# ours\n{K1}\n{made}"));
    let config = "[sealing]\nkeys_file = \"sealing.keys\"\nkey = \"k9\"\n";
    let config = file(&fleet, "keys.toml", config);
    let listed = fleet.windlass(&["--config", &config, "keys", "list", "-o", "json"]).ok();
    assert_eq!(listed.json(), json!([{"id": "k1", "seals": false}, {"id": "k9", "seals": true}]));
    let shown = fleet.windlass(&["--config", &config, "config"]).ok();
    assert!(shown.stdout.contains("sealing.keys") && shown.stdout.contains("***"), "{shown}");
    assert!(!shown.stdout.contains(&key) && !listed.stdout.contains(&key));
    for (bad, said) in [
        ("keys = \"k1:hunter2\"", "base64"),
        ("key = \"k1\"", "sealing.keys"),
        ("required = true", "sealing.keys"),
        (&format!("keys = [\"{K1}\"]\nkey = \"k7\""), "k7"),
    ] {
        let config = file(&fleet, "bad.toml", &format!("[sealing]\n{bad}\n"));
        let refused = fleet.windlass(&["--config", &config, "queues"]).expect_code(2);
        assert!(refused.stderr.contains(said) && !refused.stderr.contains("hunter2"), "{refused}");
    }
}

#[test]
fn a_task_whose_key_a_node_lacks_waits_for_one_that_has_it() {
    let mut fleet =
        Fleet::start(&FleetOptions { config: &config(K1), concurrency: 1, ..FleetOptions::default() });
    let both = file(&fleet, "both.toml", &config(&format!("{K2},{K1}")));
    // The first node is old: it knows nothing of the key that seals now.
    fleet.windlass(&["--config", &both, "submit", "--type", "noop", "--payload", "7", "--id", "t"]).ok();
    fleet.wait_for_state("default", "t", "scheduled", secs(10));
    let task = fleet.status("t");
    assert_eq!(task["reason"], "missing_key", "{task}");
    assert_counters(&task, [1, 0, 0, 0]);
    let doctor = format!("{}", fleet.windlass(&["--config", &both, "doctor"]));
    assert!(doctor.contains("1 of 1 live nodes do not hold key k2"), "{doctor}");

    fleet.submit("sleep", &json!({"ms": 60_000}), &["--id", "busy"]);
    fleet.wait_for_state("default", "busy", "running", secs(10));
    let new = fleet.spawn_worker_with(&["--config", &both]);
    fleet.wait_for_state("default", "t", "completed", secs(20));
    let done = fleet.windlass(&["--config", &both, "status", "t", "-o", "json"]).ok().json();
    assert_eq!((&done["result"], &done["node"]), (&json!(7), &json!(fleet.node_id(new))), "{done}");
    assert_eq!(done["retries"], 0, "{done}");
    fleet.verify();
}

#[test]
fn after_a_minute_without_the_key_it_is_given_up_and_says_which() {
    let fleet = sealed(K1, 1);
    let other = file(&fleet, "other.toml", &config(K2));
    fleet.windlass(&["--config", &other, "submit", "--type", "noop", "--payload", "7", "--id", "t"]).ok();
    fleet.wait_for_state("default", "t", "scheduled", secs(10));
    let key = fleet.queue_keys("default").task(&TaskId::new("t").expect("a valid id"));
    let since = (fleet.now().0 - 61_000_000).to_string();
    redis::cmd("HSET")
        .arg(key)
        .arg(&["unknown_since", &since])
        .exec(&mut fleet.connection())
        .expect("obeyed");
    fleet.wait_for_state("default", "t", "failed", secs(15));
    let task = fleet.status("t");
    assert_eq!(task["error"]["class"], "undecodable", "{task}");
    assert!(text(&task["error"]["message"]).contains("key k2"), "{task}");
    assert_counters(&task, [2, 0, 0, 0]);
    fleet.verify();
}

#[test]
fn what_was_changed_or_moved_to_another_task_does_not_run() {
    let mut fleet = sealed(K1, 0);
    for id in ["changed", "moved", "cut", "whole"] {
        fleet.submit("noop", &json!({ "of": id }), &["--id", id]);
    }
    let (changed, mut bytes) = spec(&fleet, "changed");
    *bytes.last_mut().expect("a payload") ^= 1;
    put(&fleet, &changed, &bytes);
    let (moved, (_, whole)) = (spec(&fleet, "moved").0, spec(&fleet, "whole"));
    put(&fleet, &moved, &whole);
    let (cut, bytes) = spec(&fleet, "cut");
    put(&fleet, &cut, &bytes[..bytes.len() - 40]);
    fleet.spawn_worker();
    fleet.wait_for_state("default", "whole", "completed", secs(10));
    for id in ["changed", "moved", "cut"] {
        fleet.wait_for_state("default", id, "failed", secs(10));
        let task = fleet.status(id);
        assert_eq!(task["error"]["class"], "undecodable", "{task}");
        assert!(task["payload"]["unreadable"].is_string(), "{task}");
    }
    fleet.verify();
}

/// A payload is bound to its type: a harmless one does not become a command.
#[test]
fn a_sealed_payload_under_another_type_does_not_run() {
    let mut fleet = sealed(K1, 0);
    fleet.submit("noop", &json!({"argv": ["touch", "made"]}), &["--id", "t"]);
    let (key, bytes) = spec(&fleet, "t");
    let at = bytes.windows(9).position(|part| part == b"type=noop").expect("its type");
    let forged = [&bytes[..at], b"type=command", &bytes[at + 9..]].concat();
    put(&fleet, &key, &forged);
    fleet.spawn_worker();
    fleet.wait_for_state("default", "t", "failed", secs(10));
    assert_eq!(fleet.status("t")["error"]["class"], "undecodable");
    fleet.verify();
}

#[test]
fn keys_change_without_a_pause_and_what_was_submitted_before_stays_the_same_task() {
    let mut fleet = Fleet::without_workers();
    let submit = |fleet: &Fleet, config: &str, expected: (&str, bool)| {
        let path = file(fleet, "now.toml", config);
        let args = ["--config", &path, "submit", "--type", "noop", "--payload", "{\"n\":1}", "-o", "json"];
        let told = fleet.windlass(&[&args[..], &["--id", expected.0]].concat()).ok().json();
        assert_eq!(told["duplicate"], expected.1, "{told}");
    };
    submit(&fleet, "", ("clear", false));
    submit(&fleet, &config(K1), ("clear", true));
    submit(&fleet, &config(K1), ("old", false));
    submit(&fleet, &config(&format!("{K1},{K2}")), ("old", true));
    submit(&fleet, &config(&format!("{K2},{K1}")), ("old", true));
    submit(&fleet, &config(&format!("{K2},{K1}")), ("new", false));
    let path = file(&fleet, "now.toml", &config(&format!("{K2},{K1}")));
    let other = ["--config", &path, "submit", "--type", "noop", "--payload", "{\"n\":2}", "--id", "old"];
    fleet.windlass(&other).expect_code(4);

    let doctor = format!("{}", fleet.windlass(&["--config", &path, "doctor"]));
    for said in ["key k2 seals", "1 not sealed", "1 sealed with k1", "1 sealed with k2"] {
        assert!(doctor.contains(said), "{said}: {doctor}");
    }
    let first = file(&fleet, "first.toml", &config(K1));
    let lacks = format!("{}", fleet.windlass(&["--config", &first, "doctor"]));
    assert!(lacks.contains("sealed with key k2, which is not here"), "{lacks}");
    fleet.spawn_worker_with(&["--config", &path]);
    for id in ["clear", "old", "new"] {
        fleet.wait_for_state("default", id, "completed", secs(10));
        let task = fleet.windlass(&["--config", &path, "status", id, "-o", "json"]).ok().json();
        assert_eq!(task["result"], json!({"n": 1}), "{task}");
    }
    fleet.verify();
}

#[test]
fn where_sealing_is_required_a_task_from_outside_does_not_run() {
    let mut fleet = sealed(&format!("{K1}\"\nrequired = true\n#"), 0);
    let clear = file(&fleet, "clear.toml", "");
    fleet.windlass(&["--config", &clear, "submit", "--type", "noop", "--payload", "1", "--id", "out"]).ok();
    fleet.submit("noop", &json!(1), &["--id", "in"]);
    fleet.spawn_worker();
    fleet.wait_for_state("default", "in", "completed", secs(10));
    fleet.wait_for_state("default", "out", "failed", secs(10));
    let task = fleet.status("out");
    assert_eq!(task["error"]["class"], "undecodable", "{task}");
    assert!(text(&task["error"]["message"]).contains("sealing.required"), "{task}");
    fleet.verify();
}

#[test]
fn nodes_say_which_keys_they_hold() {
    let fleet = sealed(&format!("{K2},{K1}"), 1);
    let nodes: Vec<Value> = fleet.nodes();
    assert_eq!(nodes[0]["keys"], json!(["k2", "k1"]), "{nodes:?}");
    assert!(!nodes[0].to_string().contains("AAECAwQF"));
}
