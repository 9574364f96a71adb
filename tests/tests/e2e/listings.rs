//! Looking: queues, tasks, results, events.

use rustix::process::Signal;
use serde_json::{Value, json};
use windlass_tests::{
    fleet::{Fleet, FleetOptions},
    process::eventually,
};

use crate::look::{events, lines, secs, text, time};

fn ids(tasks: &[Value]) -> Vec<&str> {
    tasks.iter().map(|task| text(&task["id"])).collect()
}

#[test]
fn queues_tell_what_waits_and_what_happened() {
    let fleet = Fleet::of_one();
    fleet.submit("noop", &json!(1), &["--id", "done"]);
    fleet.wait_for_state("default", "done", "completed", secs(5));
    fleet.windlass(&["pause", "default"]).ok();
    for (n, priority) in ["critical", "high", "high", "low"].iter().enumerate() {
        fleet.submit("noop", &json!(n), &["--priority", priority]);
    }
    fleet.submit("noop", &json!(1), &["--delay", "1h"]);
    fleet.submit("noop", &json!(1), &["--queue", "unserved"]);

    let queue = fleet.queue("default");
    assert_eq!(queue["pending"], json!({"critical": 1, "high": 2, "normal": 0, "low": 1}), "{queue}");
    assert_eq!((&queue["scheduled"], &queue["running"], &queue["failed"]), (&json!(1), &json!(0), &json!(0)));
    assert_eq!((&queue["totals"]["submitted"], &queue["totals"]["completed"]), (&json!(6), &json!(1)));
    assert!(queue["oldest_pending_ms"].as_u64().is_some_and(|age| age < 60_000), "{queue}");
    let all = fleet.windlass(&["queues", "-o", "json"]).ok().json();
    let names: Vec<&Value> = all.as_array().expect("a list").iter().map(|queue| &queue["queue"]).collect();
    assert_eq!(names, ["default", "unserved"]);
    let set = [
        "queues",
        "set",
        "default",
        "--max-length",
        "10",
        "--concurrency",
        "2",
        "--retention",
        "2d",
        "-o",
        "json",
    ];
    let limits = fleet.windlass(&set).ok().json();
    assert_eq!((&limits["max_length"], &limits["concurrency"]), (&json!(10), &json!(2)), "{limits}");
    let back =
        fleet.windlass(&["queues", "set", "default", "--max-length", "default", "-o", "json"]).ok().json();
    assert_eq!((&back["max_length"], &back["concurrency"]), (&Value::Null, &json!(2)), "{back}");
    let doctor = fleet.windlass(&["doctor"]).ok();
    assert!(doctor.stdout.contains("queue unserved, and no live node serves it"), "{doctor}");
    assert!(doctor.stdout.contains("queue default is paused"), "{doctor}");
    fleet.verify();
}

/// All pages of a listing.
fn pages(fleet: &Fleet, state: &str) -> Vec<Vec<Value>> {
    let args = ["tasks", "--queue", "default", "--state", state, "--limit", "10", "-o", "jsonl"];
    let mut pages = Vec::new();
    let mut cursor = Vec::new();
    loop {
        let more: Vec<&str> = cursor.iter().map(String::as_str).collect();
        let output = fleet.windlass(&[&args[..], &more].concat()).ok();
        pages.push(output.jsonl());
        match output.stderr.trim().rsplit_once("--cursor ") {
            Some((_, next)) => cursor = vec!["--cursor".to_owned(), next.to_owned()],
            None => return pages,
        }
    }
}

#[test]
fn tasks_are_listed_by_state_a_page_at_a_time() {
    let fleet = Fleet::of_one();
    fleet.windlass(&["pause", "default"]).ok();
    fleet.submit_lines(&lines("t", 25, "noop", &json!(1)), &[]);
    let waiting = pages(&fleet, "pending");
    assert_eq!(waiting.iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 5]);
    let expected: Vec<String> = (1..=25).map(|n| format!("t-{n}")).collect();
    assert_eq!(ids(&waiting.concat()), expected, "in the order in which they will run");

    fleet.windlass(&["resume", "default"]).ok();
    eventually("all are completed", secs(10), || fleet.total("default", "completed") == 25);
    let completed = pages(&fleet, "completed");
    // Tasks that finished together stay together.
    assert!(completed.len() > 1 && completed[0].len() >= 10, "{:?}", completed.iter().map(Vec::len));
    let completed = completed.concat();
    assert!(completed.windows(2).all(|pair| time(&pair[0]["finished_at"]) >= time(&pair[1]["finished_at"])));
    let mut names = ids(&completed);
    names.sort_by_key(|name| name[2..].parse::<u32>().expect("a number"));
    assert_eq!(names, expected, "each once, the newest first");
    assert_eq!(fleet.windlass(&["tasks", "-o", "json"]).ok().json(), json!([]), "nothing is open");
    fleet.verify();
}

#[test]
fn results_come_in_order_of_finishing_while_they_are_followed() {
    let fleet = Fleet::start(&FleetOptions { concurrency: 8, ..FleetOptions::default() });
    let go = fleet.dir().join("go");
    let gate = json!({
        "argv": ["sh", "-c", "while [ ! -e \"$GO\" ]; do sleep 0.05; done"], "env": { "GO": go.to_str() },
    });
    let mut tasks = vec![json!({"type": "command", "id": "last", "payload": gate})];
    for ms in [700, 100, 500, 300] {
        tasks.push(json!({"type": "sleep", "id": format!("t-{ms}"), "payload": {"ms": ms}}));
    }
    fleet.submit_lines(&tasks, &["--batch", "b"]);
    let mut follow = fleet.start_windlass(&["results", "--batch", "b", "--follow"]);
    eventually("four are told while the last one runs", secs(10), || follow.stdout().lines().count() == 4);
    assert!(!follow.has_ended(), "it goes on until the batch is finished");
    fleet.file("go", "");
    let followed = follow.wait(secs(10)).ok().jsonl();

    let mut names = ids(&followed);
    assert_eq!(names.last(), Some(&"last"), "{names:?}");
    assert!(followed.windows(2).all(|pair| time(&pair[0]["finished_at"]) <= time(&pair[1]["finished_at"])));
    for args in [["results", "--batch", "b"], ["results", "--queue", "default"]] {
        assert_eq!(fleet.windlass(&args).ok().jsonl(), followed, "{args:?}");
    }
    names.sort_unstable();
    assert_eq!(names, ["last", "t-100", "t-300", "t-500", "t-700"]);
    let quick = followed.iter().find(|task| task["id"] == "t-100").expect("it is there");
    assert_eq!(quick["result"], json!({"slept_ms": 100}));
    fleet.verify();
}

#[test]
fn results_are_chosen_by_state_and_a_batch_may_span_queues() {
    let fleet =
        Fleet::start(&FleetOptions { args: &["--queues", "default,other"], ..FleetOptions::default() });
    let failing = json!({"argv": ["false"]});
    fleet.submit("command", &failing, &["--id", "bad", "--batch", "b", "--max-attempts", "1"]);
    fleet.submit("noop", &json!({"a": 1}), &["--id", "good", "--batch", "b", "--queue", "other"]);
    let finished = fleet.finish_batch("b", secs(10));
    assert_eq!(finished.len(), 2);
    for (state, id) in [("failed", "bad"), ("completed", "good")] {
        let some = fleet.windlass(&["results", "--batch", "b", "--state", state]).ok().jsonl();
        assert_eq!(ids(&some), [id]);
    }
    let waited = fleet.windlass(&["wait", "--batch", "b", "-o", "json"]).expect_code(1);
    assert_eq!((&waited.json()["completed"], &waited.json()["failed"]), (&json!(1), &json!(1)), "{waited}");
    let both = fleet.windlass(&["wait", "bad", "other/good", "-o", "json"]).expect_code(1);
    assert_eq!(both.json().as_array().map(Vec::len), Some(2), "{both}");
    assert_eq!(fleet.windlass(&["wait", "other/good", "--timeout", "1s"]).code, 0);
    fleet.verify();
}

#[test]
fn events_tell_every_transition_with_its_reason() {
    let fleet = Fleet::of_one();
    let mut follow = fleet.start_windlass(&["events", "--follow", "--queue", "default"]);
    // It follows from when it has started: a task after that is seen.
    eventually("the follower is there", secs(10), || {
        fleet.submit("noop", &json!(1), &[]);
        !follow.stdout().is_empty()
    });
    let line = json!({"type": "command", "id": "t", "payload": {"argv": ["false"]}, "max_attempts": 2,
        "retry": {"base": "100ms"}, "delay": "1s"});
    fleet.submit_lines(&[line], &[]);
    fleet.wait_for_state("default", "t", "failed", secs(10));
    fleet.windlass(&["retry", "t"]).ok();
    fleet.wait_for_state("default", "t", "failed", secs(10));

    let expected = [
        ["", "scheduled", "submitted"],
        ["scheduled", "pending", "due"],
        ["pending", "running", "claimed"],
        ["running", "scheduled", "retrying"],
        ["scheduled", "pending", "due"],
        ["pending", "running", "claimed"],
        ["running", "failed", "exhausted"],
        ["failed", "pending", "retried"],
    ];
    let told = |events: Vec<Value>| -> Vec<[String; 3]> {
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let of_task = events.iter().filter(|event| event["id"] == "t");
        of_task.map(|event| ["from", "to", "reason"].map(|field| word(&event[field]))).collect()
    };
    let logged = events(&fleet, "default", "");
    let node = fleet.node_id(0);
    for event in logged.iter().filter(|event| event["id"] == "t") {
        let by_people = ["submitted", "retried"].contains(&text(&event["reason"]));
        let by = if by_people { "producer" } else { &node };
        assert_eq!(event["by"], by, "{event}");
    }
    let logged = told(logged);
    assert_eq!(logged[..8], expected, "the first life and its end");
    assert_eq!(events(&fleet, "default", "failed").len(), 2, "chosen by state");
    assert_eq!(events(&fleet, "default", "retrying").len(), 2, "chosen by reason");
    eventually("the follower saw the same", secs(5), || {
        let lines = follow.stdout();
        told(lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()) == logged
    });
    follow.signal(Signal::INT);
    assert_eq!(follow.wait(secs(5)).code, 130);
    let table = fleet.windlass(&["events", "-o", "table"]).ok();
    assert!(
        table.stdout.lines().any(|line| line.contains("default/t") && line.contains("exhausted")),
        "{table}"
    );
    fleet.verify();
}

#[test]
fn events_of_a_queue_that_comes_later_are_followed_too() {
    let fleet = Fleet::of_one();
    fleet.submit("noop", &json!(1), &["--id", "first"]);
    let mut follow = fleet.start_windlass(&["events", "--follow"]);
    eventually("the follower is there", secs(10), || {
        fleet.submit("noop", &json!(1), &[]);
        !follow.stdout().is_empty()
    });
    fleet.submit("noop", &json!(1), &["--id", "t", "--queue", "new"]);
    eventually("it tells of the new queue", secs(10), || follow.stdout().contains("\"new\""));
    follow.signal(Signal::INT);
    assert_eq!(follow.wait(secs(5)).code, 130);
}
