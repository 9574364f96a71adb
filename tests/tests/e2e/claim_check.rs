//! Large payloads and results are kept in an object store: a folder, and a stand-in for a service that speaks S3.

use std::{fs, path::Path};

use serde_json::{Value, json};
use tempfile::TempDir;
use windlass_shared::model::TaskId;
use windlass_tests::{
    fleet::{Fleet, FleetOptions},
    process::eventually,
    s3::{BUCKET, KEY_ID, S3StandIn},
};

use crate::look::{assert_counters, secs, text};

const KEY: &str = "[sealing]\nkeys = \"k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"\n";

/// A fleet whose large texts go to a folder. Large is more than a kilobyte.
fn with_folder(more: &str, workers: usize) -> (Fleet, TempDir) {
    let folder = tempfile::tempdir().expect("a temporary directory can be made");
    let url = format!("file://{}", folder.path().join("objects").display());
    let config = format!("[claim_check]\nurl = \"{url}\"\nabove = \"1KiB\"\nmax = \"4MiB\"\n{more}");
    (Fleet::start(&FleetOptions { workers, config: &config, ..FleetOptions::default() }), folder)
}

fn with_s3(workers: usize) -> (Fleet, S3StandIn) {
    let s3 = S3StandIn::start();
    let config = format!(
        "[claim_check]\nurl = \"s3://{BUCKET}/fleet/one\"\nabove = \"1KiB\"\nendpoint = \"{}\"\naccess_key_id = \"{KEY_ID}\"\nsecret_access_key = \"s3cret\"\n",
        s3.url
    );
    (Fleet::start(&FleetOptions { workers, config: &config, ..FleetOptions::default() }), s3)
}

/// Text that does not get smaller.
pub(crate) fn noise(length: usize) -> Value {
    let mut state = 7_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'a' + (state >> 59) as u8 % 26)
    };
    Value::String((0..length).map(|_| next()).collect())
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all.sort();
    all
}

fn stored(fleet: &Fleet, id: &str) -> (Vec<u8>, Vec<u8>) {
    let (keys, id) = (fleet.queue_keys("default"), TaskId::new(id).expect("a valid id"));
    let mut connection = fleet.connection();
    let spec = redis::cmd("GET").arg(keys.spec(&id)).query(&mut connection).expect("a spec");
    let result =
        redis::cmd("HGET").arg(keys.task(&id)).arg("result").query(&mut connection).expect("a result");
    (spec, result)
}

fn noop(id: &str, payload: &Value) -> Value {
    json!({ "type": "noop", "id": id, "payload": payload })
}

#[test]
fn what_is_large_is_in_the_folder_and_redis_holds_references() {
    let (fleet, folder) = with_folder("", 1);
    let large = noise(3 << 20);
    fleet.submit_lines(&[noop("large", &large), noop("small", &json!(1))], &[]);
    for id in ["large", "small"] {
        fleet.wait_for_state("default", id, "completed", secs(20));
    }
    let task = fleet.status("large");
    assert!(task["payload"] == large && task["result"] == large, "it comes back whole");
    let results = fleet.windlass(&["results"]).ok().jsonl();
    assert!(results.iter().any(|task| task["result"] == large), "here as well");
    let (spec, result) = stored(&fleet, "large");
    assert!(spec.len() < 500 && result.len() < 500, "{} and {} bytes", spec.len(), result.len());
    let kept = files(folder.path());
    let names: Vec<String> = kept.iter().map(|path| path.display().to_string()).collect();
    assert!(names.len() == 2 && names.iter().all(|name| name.contains("/default+large/")), "{names:?}");

    // The same task again is the same object.
    let again = fleet.file("again.jsonl", &noop("large", &large).to_string());
    let again = again.to_str().expect("a plain path");
    let told = fleet.windlass(&["submit", "--file", again, "-o", "json"]).ok().json();
    assert_eq!(told["duplicates"], 1, "{told}");
    assert_eq!(files(folder.path()), kept);
    let listed = fleet.windlass(&["tasks", "--state", "completed", "-o", "json"]).ok().json();
    assert!(listed.to_string().len() < 5000, "a list does not fetch: {listed}");

    let beyond = fleet.file("beyond.jsonl", &noop("beyond", &noise(5 << 20)).to_string());
    let beyond = fleet.windlass(&["submit", "--file", beyond.to_str().expect("a plain path")]).expect_code(1);
    assert!(format!("{beyond}").contains("claim_check"), "{beyond}");
    fleet.verify();
}

#[test]
fn with_a_key_the_object_store_sees_nothing_either() {
    let (fleet, folder) = with_folder(KEY, 1);
    let large = json!("canary-5d1e ".repeat(500));
    fleet.submit("noop", &large, &["--id", "t"]);
    fleet.wait_for_state("default", "t", "completed", secs(10));
    assert_eq!(fleet.status("t")["result"], large);
    let kept = files(folder.path());
    assert_eq!(kept.len(), 2, "{kept:?}");
    for path in &kept {
        let bytes = fs::read(path).expect("a file");
        assert!(bytes.starts_with(b"\x9eWLS") && !bytes.windows(6).any(|part| part == b"canary"), "{path:?}");
    }
    let (spec, _) = stored(&fleet, "t");
    assert!(!String::from_utf8_lossy(&spec).contains("default+t"), "not even where it is");
    fleet.verify();
}

#[test]
fn a_lost_or_changed_object_fails_its_task_by_name() {
    let (mut fleet, folder) = with_folder("", 0);
    for id in ["lost", "changed", "whole"] {
        fleet.submit("noop", &noise(2000), &["--id", id]);
    }
    for path in files(folder.path()) {
        let name = path.display().to_string();
        if name.contains("+lost/") {
            fs::remove_file(&path).expect("it can be removed");
        } else if name.contains("+changed/") {
            fs::write(&path, "\"something else\"").expect("it can be written");
        }
    }
    fleet.spawn_worker();
    fleet.wait_for_state("default", "whole", "completed", secs(10));
    for id in ["lost", "changed"] {
        fleet.wait_for_state("default", id, "failed", secs(10));
        let task = fleet.status(id);
        assert_eq!(task["error"]["class"], "undecodable", "{task}");
        assert!(text(&task["error"]["message"]).contains(&format!("default+{id}/payload-")), "{task}");
    }
    fleet.verify();
}

#[test]
fn a_reference_to_another_tasks_object_is_not_followed() {
    let (mut fleet, _folder) = with_folder("", 0);
    for id in ["a", "b"] {
        fleet.submit("noop", &json!(format!("{id}{}", "x".repeat(2000))), &["--id", id]);
    }
    let keys = fleet.queue_keys("default");
    let [a, b] = ["a", "b"].map(|id| keys.spec(&TaskId::new(id).expect("a valid id")));
    let mut connection = fleet.connection();
    let other: Vec<u8> = redis::cmd("GET").arg(b).query(&mut connection).expect("a spec");
    redis::cmd("SET").arg(a).arg(other).exec(&mut connection).expect("obeyed");
    fleet.spawn_worker();
    fleet.wait_for_state("default", "a", "failed", secs(10));
    assert_eq!(fleet.status("a")["error"]["class"], "undecodable");
    fleet.verify();
}

#[test]
fn only_objects_of_tasks_that_are_gone_are_swept_and_first_they_are_only_named() {
    let (fleet, folder) = with_folder("", 1);
    for id in ["gone", "kept", "young"] {
        fleet.submit("noop", &noise(2000), &["--id", id]);
        fleet.wait_for_state("default", id, "completed", secs(10));
    }
    fs::write(folder.path().join("objects/foreign"), "x").expect("it can be written");
    for path in files(folder.path()).iter().filter(|path| !path.display().to_string().contains("+young/")) {
        let file = fs::File::options().write(true).open(path).expect("a file");
        let written = file.metadata().and_then(|facts| facts.modified()).expect("it has a time");
        file.set_modified(written - secs(3 * 86_400)).expect("it can be set");
    }
    let mut connection = fleet.connection();
    let keys = fleet.queue_keys("default");
    for id in ["gone", "young"] {
        let id = TaskId::new(id).expect("a valid id");
        redis::cmd("DEL").arg(&[keys.spec(&id), keys.task(&id)]).exec(&mut connection).expect("obeyed");
    }
    let before = files(folder.path());
    let named = fleet.windlass(&["objects", "sweep", "-o", "json"]).ok();
    let tasks: Vec<Value> =
        named.json().as_array().expect("a list").iter().map(|left| left["task"].clone()).collect();
    assert_eq!(tasks, [json!("default/gone"), json!("default/gone")], "{named}");
    assert_eq!(files(folder.path()), before, "nothing was deleted");
    fleet.windlass(&["objects", "sweep", "--delete"]).ok();
    let left: Vec<String> = files(folder.path()).iter().map(|path| path.display().to_string()).collect();
    assert!(left.len() == before.len() - 2 && !left.iter().any(|name| name.contains("+gone/")), "{left:?}");
    assert_eq!(fleet.status("kept")["result"], noise(2000));
    fleet.windlass(&["objects", "sweep", "--older-than", "1h"]).expect_code(2);
}

#[test]
fn a_service_that_speaks_s3_keeps_them_as_well() {
    let (fleet, s3) = with_s3(1);
    let large = noise(100_000);
    fleet.submit_lines(&[noop("t", &large)], &[]);
    fleet.wait_for_state("default", "t", "completed", secs(20));
    assert_eq!(fleet.status("t")["result"], large);
    let keys: Vec<String> = s3.objects().into_keys().collect();
    assert!(keys.len() == 2 && keys.iter().all(|key| key.starts_with("fleet/one/wl/")), "{keys:?}");
    assert!(!format!("{}", fleet.windlass(&["config"])).contains("s3cret"));
    let doctor = fleet.windlass(&["doctor"]).ok();
    assert!(doctor.stdout.contains("object store"), "{doctor}");
    fleet.windlass(&["purge", "--queue", "default", "--state", "completed"]).ok();
    let swept = fleet.windlass(&["objects", "sweep", "--delete"]).ok();
    assert!(swept.stderr.contains("2 of 2 objects"), "{swept}");
    assert!(s3.objects().is_empty(), "{:?}", s3.objects().keys());
    fleet.verify();
}

/// The report is retried, never the work; and a task whose payload is out of reach is not charged.
#[test]
fn while_the_object_store_is_away_nothing_is_done_twice_and_nothing_is_charged() {
    let (fleet, s3) = with_s3(1);
    let ran = fleet.dir().join("ran");
    let script = format!("echo x >> {}; sleep 1; head -c 20000 /dev/zero | tr '\\0' x", ran.display());
    fleet.submit("command", &json!({ "argv": ["sh", "-c", script] }), &["--id", "writes"]);
    eventually("it runs", secs(10), || ran.exists());
    s3.set_away(true);
    eventually("the worker tries to put its result away", secs(40), || {
        fleet.log(0).contains("a large result cannot be put away")
    });
    assert_eq!(fleet.field("default", "writes", "state").as_deref(), Some("running"));
    s3.set_away(false);
    fleet.wait_for_state("default", "writes", "completed", secs(30));
    assert_eq!(fs::read_to_string(&ran).expect("a file"), "x\n", "it ran once");
    assert_counters(&fleet.status("writes"), [1, 0, 0, 0]);

    fleet.submit("noop", &noise(2000), &["--id", "reads", "--delay", "1s"]);
    s3.set_away(true);
    eventually("the worker could not read it", secs(40), || {
        fleet.field("default", "reads", "waits").as_deref() == Some("1")
    });
    s3.set_away(false);
    fleet.wait_for_state("default", "reads", "completed", secs(40));
    assert_eq!(fleet.status("reads")["retries"], 0);
    let refused = fleet.file("keys.toml", "[claim_check]\nurl = \"s3://key:secret@bucket\"\n");
    let refused =
        fleet.windlass(&["--config", refused.to_str().expect("a plain path"), "queues"]).expect_code(2);
    assert!(!refused.stderr.contains("secret@"), "{refused}");
    fleet.verify();
}
