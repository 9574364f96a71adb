//! Exports that are hard to bring back: what is sealed, what is kept elsewhere, what a newer server wrote.

use std::{fs, path::Path};

use serde_json::{Value, json};
use windlass_tests::{
    fleet::{Fleet, FleetOptions},
    redis::two_servers,
};

use crate::look::{assert_completed_once, lines, secs, text};

const KEY: &str = "[sealing]\nkeys = \"k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"\n";

fn path_of(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

/// Large is more than a kilobyte.
fn objects_in(folder: &Path) -> String {
    format!("[claim_check]\nurl = \"file://{}\"\nabove = \"1KiB\"\n", folder.display())
}

fn fleet(workers: usize, config: &str) -> Fleet {
    Fleet::start(&FleetOptions { workers, config, ..FleetOptions::default() })
}

#[test]
fn what_is_sealed_and_kept_elsewhere_moves_and_is_read_by_who_has_the_keys_and_the_objects() {
    let (objects, empty) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let all = format!("{KEY}{}", objects_in(objects.path()));
    let from = fleet(1, &all);
    let (small, large) = (json!({"word": "canary-51c0"}), json!({"words": "canary-51c0 ".repeat(500)}));
    let task = |id: &str, payload: &Value| json!({"type": "noop", "id": id, "payload": payload});
    from.submit_lines(&[task("small", &small), task("large", &large)], &["--batch", "b"]);
    from.finish_batch("b", secs(20));
    from.windlass(&["pause", "default"]).ok();
    from.submit_lines(&[task("small-2", &small), task("large-2", &large)], &["--batch", "c"]);
    from.windlass(&["export", "default", "--file", "f"]).ok();
    let file = from.dir().join("f");
    assert!(!fs::read_to_string(&file).expect("text").contains("canary"), "it is sealed in the file too");

    // With the keys and the objects all is as it was, and what waited runs.
    let mut to = fleet(0, &all);
    to.windlass(&["import", "--file", path_of(&file)]).ok();
    for (id, payload) in [("small", &small), ("large", &large)] {
        let status = to.status(id);
        assert!(status["payload"] == *payload && status["result"] == *payload, "{id}: {status}");
    }
    to.windlass(&["resume", "default"]).ok();
    to.spawn_worker();
    let finished = to.finish_batch("c", secs(20));
    assert_completed_once(&to, &finished, 2);
    assert!(finished.iter().all(|task| task["result"] == small || task["result"] == large));
    to.verify();

    // Without the keys it comes back as well, since nobody needs to read it for that; it is told what is missing.
    let blind = fleet(0, &objects_in(objects.path()));
    blind.windlass(&["import", "--file", path_of(&file)]).ok();
    for id in ["small", "large", "large-2"] {
        let shown = blind.windlass(&["status", id, "-o", "json"]).ok();
        assert_eq!(shown.json()["payload"], json!({"sealed": {"key": "k1"}}), "{shown}");
        assert!(shown.stderr.contains("key k1") && shown.stderr.contains("sealing.keys"), "{shown}");
    }
    let doctor = blind.windlass(&["doctor"]).ok();
    assert!(doctor.stdout.contains("sealed with key k1, which is not here"), "{doctor}");
    blind.verify();

    // Without the objects only what was large is missing, by name; and what runs without them fails by name.
    let mut elsewhere = fleet(0, &format!("{KEY}{}", objects_in(empty.path())));
    elsewhere.windlass(&["import", "--file", path_of(&file)]).ok();
    assert_eq!(elsewhere.status("small")["result"], small);
    let lost = elsewhere.windlass(&["status", "large", "-o", "json"]);
    assert!(lost.to_string().contains("object"), "{lost}");
    assert!(!lost.to_string().contains("panicked"), "{lost}");
    elsewhere.windlass(&["resume", "default"]).ok();
    elsewhere.spawn_worker();
    elsewhere.wait_for_state("default", "small-2", "completed", secs(20));
    elsewhere.wait_for_state("default", "large-2", "failed", secs(20));
    let failed = elsewhere.windlass(&["status", "large-2", "-o", "json"]).json();
    assert!(text(&failed["error"]["message"]).contains("object"), "{failed}");
    elsewhere.verify();
}

#[test]
fn what_a_newer_server_wrote_is_refused_by_an_older_one_before_anything_is_written() {
    let Some((older, newer)) = two_servers() else {
        say(
            "skipped: it needs redis-server on PATH and the Valkey of `make servers`, an older and a newer server",
        );
        return;
    };
    let on = |server: &Path| {
        Fleet::start(&FleetOptions { workers: 0, server: Some(server), ..FleetOptions::default() })
    };
    let from = on(&newer);
    from.windlass(&["queues", "set", "default", "--max-length", "500"]).ok();
    from.submit_lines(&lines("t", 300, "noop", &json!({"n": 1})), &["--batch", "b"]);
    from.windlass(&["export", "default", "--pause", "--file", "f"]).ok();
    let file = from.dir().join("f");

    let old = on(&older);
    let refused = old.windlass(&["import", "--file", path_of(&file)]).expect_code(4);
    assert!(refused.stderr.contains("cannot read what the other one wrote"), "{refused}");
    // The queue is what it was: open, empty, and there is nothing to clean up.
    let view = old.queue("default");
    assert_eq!((&view["paused"], &view["max_length"]), (&json!(false), &Value::Null), "{view}");
    let keys: Vec<String> =
        redis::cmd("KEYS").arg("wl:{default}*").query(&mut old.connection()).expect("a list of keys");
    assert!(keys.is_empty(), "{keys:?}");
    old.submit("noop", &json!(1), &["--id", "mine"]);
    old.verify();

    // The same file into the right one, and the other way round: an older one's into a newer.
    let mut right = on(&newer);
    right.windlass(&["import", "--file", path_of(&file)]).ok();
    right.spawn_worker();
    assert_completed_once(&right, &right.finish_batch("b", secs(20)), 300);
    right.verify();
    old.windlass(&["export", "default", "--pause", "--file", "g"]).ok();
    let upgraded = on(&newer);
    upgraded.windlass(&["import", "--file", path_of(&old.dir().join("g"))]).ok();
    assert_eq!(upgraded.status("mine")["state"], "pending");
    upgraded.verify();
}

#[test]
fn a_queue_that_was_purged_can_be_imported_again_unless_it_remembers_batches() {
    let fleet = fleet(1, "");
    for id in ["a", "b"] {
        fleet.submit("noop", &json!({"id": id}), &["--id", id]);
        fleet.wait_for_state("default", id, "completed", secs(10));
    }
    let export = |file: &str| fleet.windlass(&["export", "default", "--pause", "--file", file]).ok();
    let import = |file: &str| fleet.windlass(&["import", "--file", file]);
    let purge = || fleet.windlass(&["purge", "--queue", "default", "--state", "completed"]).ok();
    export("f");
    assert!(import("f").expect_code(4).stderr.contains("is not empty"));
    purge();
    import("f").ok();
    assert_eq!(fleet.status("b")["result"], json!({"id": "b"}));
    fleet.verify();

    fleet.submit_lines(&lines("t", 3, "noop", &json!(1)), &["--batch", "nightly"]);
    fleet.finish_batch("nightly", secs(10));
    export("g");
    purge();
    assert!(import("g").expect_code(4).stderr.contains("remembers its batches"));
    fleet.verify();
}

#[allow(clippy::print_stderr, reason = "this is for the person who runs the tests")]
fn say(words: &str) {
    eprintln!("{words}");
}
