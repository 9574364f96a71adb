//! One task at a time: submitted, waited for, cancelled, retried; the same request twice.

use serde_json::{Value, json};
use windlass_tests::{
    api::Api,
    fleet::{Fleet, FleetOptions},
};

use crate::look::secs;

fn noop() -> Value {
    json!({ "type": "noop", "payload": { "n": 1 } })
}

#[test]
fn a_task_is_submitted_and_its_result_waited_for() {
    let fleet = Fleet::of_one();
    let api = Api::anonymous(&fleet);
    let taken = api.post("/v1/tasks", &noop()).expect(201);
    let reference = taken.json()["ref"].as_str().unwrap().to_owned();
    assert_eq!(taken.header("location"), Some(format!("/v1/tasks/{reference}").as_str()));
    assert!(taken.header("x-request-id").is_some());
    let task = api.get(&format!("/v1/tasks/{reference}?wait=30s")).expect(200).json();
    assert_eq!((&task["state"], &task["result"]), (&json!("completed"), &json!({ "n": 1 })));
    assert_eq!(task, fleet.status(&reference), "the API and the command line tell the same");
    let story = api.get(&format!("/v1/tasks/{reference}/events")).expect(200).json();
    let states: Vec<&Value> = story["items"].as_array().unwrap().iter().map(|t| &t["to"]).collect();
    assert_eq!(states, ["pending", "running", "completed"]);
    let both = json!({ "tasks": [reference, "default/nobody"] });
    let found = api.post("/v1/tasks/wait?wait=5s", &both).expect(200).json();
    assert_eq!((&found["items"][0], &found["items"][1]), (&task, &Value::Null));
}

#[test]
fn a_wait_ends_when_its_time_is_over_and_when_the_server_leaves() {
    let fleet = Fleet::without_workers();
    let mut api = Api::anonymous(&fleet);
    let task = api.post("/v1/tasks", &noop()).expect(201).json()["ref"].as_str().unwrap().to_owned();
    let waited = api.get(&format!("/v1/tasks/{task}?wait=1s")).expect(200).json();
    assert_eq!(waited["state"], "pending");
    assert_eq!(api.get(&format!("/v1/tasks/{task}?wait=61s")).expect(400).problem(), "invalid-request");
    api.process.signal(rustix::process::Signal::TERM);
    api.process.wait(secs(20)).ok();
}

#[test]
fn the_same_request_twice_is_one_task() {
    let fleet = Fleet::without_workers();
    let api = Api::anonymous(&fleet);
    let again = |key: &str, body: &Value| api.send("POST", "/v1/tasks", &[("idempotency-key", key)], body);
    let first = again("k 1", &noop()).expect(201).json();
    let second = again("k 1", &noop()).expect(200).json();
    assert_eq!((&first["ref"], &second["duplicate"]), (&second["ref"], &json!(true)));
    assert_ne!(again("k 2", &noop()).expect(201).json()["ref"], first["ref"]);
    let other = again("k 1", &json!({ "type": "noop", "payload": 2 }));
    assert_eq!(other.expect(409).problem(), "conflict");
    assert_eq!(fleet.total("default", "submitted"), 2);
    assert_eq!(again("", &noop()).expect(400).problem(), "invalid-request");
}

#[test]
fn an_action_that_comes_twice_is_done_once_and_answered_the_same() {
    let fleet = Fleet::without_workers();
    let api = Api::anonymous(&fleet);
    let task = fleet.submit("noop", &json!(1), &[]);
    let cancel = |key: &str| {
        api.send("POST", "/v1/tasks/cancel", &[("idempotency-key", key)], &json!({ "tasks": [task] }))
    };
    let first = cancel("once").expect(200);
    let second = cancel("once").expect(200);
    assert_eq!(first.json()["items"][0]["outcome"], "cancelled");
    assert_eq!((second.header("idempotency-replayed"), second.json()), (Some("true"), first.json()));
    assert_eq!(
        cancel("anew").expect(200).json()["items"][0]["outcome"],
        "cancelled",
        "with another key it is asked again"
    );
    let otherwise =
        api.send("POST", "/v1/tasks/retry", &[("idempotency-key", "once")], &json!({ "tasks": [task] }));
    assert_eq!(otherwise.expect(422).problem(), "key-reused");
    let log = fleet.windlass(&["audit", "-o", "json"]).ok().json();
    let cancels = log.as_array().unwrap().iter().filter(|action| action["action"] == "cancel").count();
    assert_eq!(cancels, 2, "a replay is no action: {log}");
    assert_eq!(log[0]["by"], "anonymous (http)");
}

#[test]
fn what_cannot_be_is_a_problem_that_says_why() {
    let fleet = Fleet::without_workers();
    let api = Api::anonymous(&fleet);
    let long = "x".repeat(9 << 20);
    let cases: Vec<(windlass_tests::api::Reply, u16, &str)> = vec![
        (api.post("/v1/tasks", &json!({ "type": "noop", "piority": "high" })), 422, "invalid-request"),
        (api.post("/v1/tasks", &json!({ "type": "noop", "weight": 11 })), 422, "invalid-request"),
        (
            api.ask("POST", "/v1/tasks", &[("content-type", "application/json")], Some(b"{".to_vec())),
            400,
            "invalid-request",
        ),
        (api.ask("POST", "/v1/tasks", &[], Some(b"{}".to_vec())), 415, "unsupported-media-type"),
        (api.post("/v1/tasks", &json!({ "type": "noop", "payload": long })), 413, "too-large"),
        (api.get("/v1/tasks/default/nobody"), 404, "not-found"),
        (api.get("/v1/tasks?state=lost"), 400, "invalid-request"),
        (api.get("/v1/tasks?piority=high"), 400, "invalid-request"),
        (api.get("/v1/tasks?cursor=abc"), 422, "invalid-request"),
        (api.post("/v1/tasks/cancel", &json!([["default/a"]])), 400, "invalid-request"),
        (api.get("/v1/queues/nobody"), 404, "not-found"),
        (api.get("/v1/nodes/n-nobody"), 404, "not-found"),
        (api.get("/v1/batches/nobody"), 404, "not-found"),
        (api.get("/v1/nothing"), 404, "not-found"),
        (api.ask("DELETE", "/v1/tasks", &[], None), 405, "method-not-allowed"),
        (api.post("/v1/nodes/n-nobody/drain", &json!({})), 404, "not-found"),
        (api.post("/v1/tasks/retry", &json!({})), 422, "invalid-request"),
        (api.send("PUT", "/v1/budgets/everybody", &[], &json!({ "limit_usd": 1 })), 400, "invalid-request"),
    ];
    for (number, (reply, status, problem)) in cases.into_iter().enumerate() {
        assert_eq!(
            (number, reply.status, reply.problem().as_str()),
            (number, status, problem),
            "{}",
            reply.text
        );
    }
    fleet.windlass(&["queues", "set", "default", "--max-length", "1"]).ok();
    api.post("/v1/tasks", &noop()).expect(201);
    let full = api.post("/v1/tasks", &noop()).expect(429);
    assert_eq!((full.problem().as_str(), full.header("retry-after")), ("queue-full", Some("1")));
}

#[test]
fn redis_away_is_a_problem_that_passes() {
    let mut fleet = Fleet::start(&FleetOptions {
        workers: 0,
        redis: &["--appendonly", "yes"],
        ..FleetOptions::default()
    });
    let api = Api::anonymous(&fleet);
    api.get("/readyz").expect(200);
    fleet.redis.stop();
    let away = api.post("/v1/tasks", &noop()).expect(503);
    assert_eq!((away.problem().as_str(), away.header("retry-after")), ("redis-unavailable", Some("1")));
    api.get("/readyz").expect(503);
    api.get("/livez").expect(200);
    fleet.redis.start_again();
    windlass_tests::process::eventually("the server is well again", secs(20), || {
        api.get("/readyz").status == 200
    });
    api.post("/v1/tasks", &noop()).expect(201);
}

#[test]
fn tasks_are_listed_by_what_they_are_page_by_page() {
    let fleet = Fleet::without_workers();
    let api = Api::anonymous(&fleet);
    let lines: Vec<Value> = (0..250)
        .map(|n| json!({ "type": if n % 5 == 0 { "sleep" } else { "noop" }, "id": format!("t{n:03}"), "queue": if n % 2 == 0 { "a" } else { "b" }, "tenant": "acme" }))
        .collect();
    fleet.submit_lines(&lines, &[]);
    let mut seen = Vec::new();
    let mut path = "/v1/tasks?type=sleep&tenant=acme&limit=7".to_owned();
    loop {
        let page = api.get(&path).expect(200).json();
        seen.extend(
            page["items"].as_array().unwrap().iter().map(|task| task["id"].as_str().unwrap().to_owned()),
        );
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/v1/tasks?type=sleep&tenant=acme&limit=7&cursor={cursor}");
    }
    seen.sort();
    let wanted: Vec<String> = (0..250).step_by(5).map(|n| format!("t{n:03}")).collect();
    assert_eq!(seen, wanted, "each once");
    let one = api.get("/v1/tasks?q=t123").expect(200).json();
    assert_eq!((&one["items"][0]["id"], one["items"].as_array().unwrap().len()), (&json!("t123"), 1));
}

#[test]
fn a_dead_letter_is_grouped_and_a_group_retried() {
    let fleet = Fleet::of_one();
    let api = Api::anonymous(&fleet);
    let command = |argv: &[&str]| json!({ "type": "command", "payload": { "argv": argv }, "max_attempts": 1, "batch": "b" });
    fleet.submit_lines(
        &[
            command(&["false"]),
            command(&["false"]),
            json!({ "type": "sleep", "payload": { "ms": "x" }, "batch": "b" }),
        ],
        &[],
    );
    let batch = api.get("/v1/batches/b?wait=30s").expect(200).json();
    assert_eq!((&batch["over"], &batch["failed"]), (&json!(true), &json!(3)));
    assert_eq!(api.get("/v1/batches").expect(200).json()["items"][0]["batch"], "b");
    let groups = api.get("/v1/queues/default/failures").expect(200).json();
    assert_eq!(
        (&groups["total"], &groups["items"][0]["count"], &groups["items"][0]["type"]),
        (&json!(3), &json!(2), &json!("command")),
        "{groups}"
    );
    let class = &groups["items"][0]["class"];
    fleet.windlass(&["pause", "default"]).ok();
    let retried =
        api.post("/v1/tasks/retry", &json!({ "queue": "default", "class": class })).expect(200).json();
    assert_eq!(retried, json!({ "retried": 2 }));
    let queue = api.get("/v1/queues/default").expect(200).json();
    assert_eq!((&queue["failed"], &queue["pending"]["normal"]), (&json!(1), &json!(2)));
    let purged = api.post("/v1/queues/default/purge", &json!({ "state": "failed" })).expect(200).json();
    assert_eq!(purged, json!({ "purged": 1 }));
    assert_eq!(api.post("/v1/queues/default/resume", &json!({})).expect(200).json()["paused"], false);
}

/// An action goes on when its client does not wait for it, and is noted with its end.
#[test]
fn an_action_is_carried_out_though_its_client_left() {
    let fleet = Fleet::without_workers();
    let api = Api::anonymous(&fleet);
    let lines: Vec<Value> = (0..20_000).map(|_| noop()).collect();
    api.bulk("?queue=many", &[], &lines).expect(200);
    let address = api.base.trim_start_matches("http://").to_owned();
    let mut socket = std::net::TcpStream::connect(&address).expect("it listens");
    let body = json!({ "state": "pending" }).to_string();
    let head = format!(
        "POST /v1/queues/many/purge HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    std::io::Write::write_all(&mut socket, head.as_bytes()).expect("it reads");
    let purged = || api.get("/v1/actions").json()["items"].as_array().map_or(0, Vec::len) == 1;
    windlass_tests::process::eventually("it has begun", secs(10), purged);
    drop(socket);
    windlass_tests::process::eventually("all are gone", secs(30), || {
        api.get("/v1/queues/many").json()["pending"]["normal"] == 0
    });
    windlass_tests::process::eventually("its end is noted", secs(10), || {
        api.get("/v1/actions").json()["items"][0]["exit"] == 0
    });
}

#[test]
fn one_key_is_one_task_in_whatever_queue() {
    let fleet = Fleet::without_workers();
    let api = Api::anonymous(&fleet);
    let submit = |queue: &str| {
        let task = json!({ "type": "noop", "queue": queue });
        api.send("POST", "/v1/tasks", &[("idempotency-key", "same")], &task)
    };
    submit("one").expect(201);
    submit("one").expect(200);
    assert_eq!(submit("two").expect(422).problem(), "key-reused");
    submit("one").expect(200);
}

#[test]
fn each_life_of_a_task_is_told_to_who_follows() {
    let fleet = Fleet::of_one();
    let api = Api::anonymous(&fleet);
    let follow = "/v1/queues/default/results?follow=true";
    fleet.submit("command", &json!({ "argv": ["false"] }), &["--id", "bad", "--max-attempts", "1"]);
    let ends = |text: &str| text.lines().filter(|line| line.contains("\"bad\"")).count();
    let mut lives = 0;
    let text = api.stream(follow, &[], |text| {
        if ends(text) > lives {
            lives = ends(text);
            if lives < 4 {
                fleet.windlass(&["retry", "default/bad"]).ok();
            }
        }
        lives == 4
    });
    let lives: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(lives.iter().all(|task| task["state"] == "failed"), "{text}");
}

#[test]
fn no_node_is_missed_from_page_to_page_while_they_beat() {
    let fleet = Fleet::without_workers();
    crate::many_nodes::write_nodes(&fleet);
    let api = Api::anonymous(&fleet);
    let (mut seen, mut cursor) = (std::collections::BTreeSet::new(), String::new());
    loop {
        let page = api.get(&format!("/v1/nodes?limit=1000&cursor={cursor}")).expect(200).json();
        for node in page["items"].as_array().expect("a list") {
            assert!(seen.insert(node["id"].to_string()), "{node} came twice");
        }
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = next.to_owned();
        // The last ones beat, and are first in the order of beats.
        let keys = windlass_tests::fleet::keys();
        for n in (0..9000).step_by(7) {
            let mut beat = redis::cmd("ZADD");
            beat.arg(keys.nodes()).arg(fleet.now().0).arg(format!("n-{n:05}"));
            beat.exec(&mut fleet.connection()).expect("Redis obeys");
        }
        // The server looks at the nodes about once a second: the next page is of another look.
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
    assert_eq!(seen.len(), crate::many_nodes::NODES);
}

#[test]
fn nodes_are_steered_and_limits_and_budgets_set() {
    let fleet = Fleet::of_one();
    let api = Api::anonymous(&fleet);
    let node = fleet.node_id(0);
    assert_eq!(api.get("/v1/nodes?state=active").expect(200).json()["items"][0]["id"], node);
    assert_eq!(api.post(&format!("/v1/nodes/{node}/quiet"), &json!({})).expect(200).json()["told"], "quiet");
    windlass_tests::process::eventually("it is quiet", secs(10), || {
        api.get(&format!("/v1/nodes/{node}")).json()["state"] == "quiet"
    });
    let queue = api
        .send("PATCH", "/v1/queues/gpu", &[], &json!({ "max_length": 5, "retention": "7d" }))
        .expect(200)
        .json();
    assert_eq!((&queue["max_length"], &queue["retention_ms"]), (&json!(5), &json!(7 * 24 * 3600 * 1000)));
    let back = api.send("PATCH", "/v1/queues/gpu", &[], &json!({ "max_length": null })).expect(200).json();
    assert_eq!((&back["max_length"], &back["retention_ms"]), (&Value::Null, &queue["retention_ms"]));
    let budget = api
        .send("PUT", "/v1/budgets/tenant:acme", &[], &json!({ "limit_usd": 2.5, "window": "hour" }))
        .expect(200)
        .json();
    assert_eq!((&budget["scope"], &budget["limit_usd"]), (&json!("tenant:acme"), &json!(2.5)));
    api.ask("DELETE", "/v1/budgets/tenant:acme", &[], None).expect(204);
    assert_eq!(api.ask("DELETE", "/v1/budgets/tenant:acme", &[], None).expect(404).problem(), "not-found");
    let log = fleet.windlass(&["audit", "-o", "json"]).ok().json();
    let actions: Vec<&str> =
        log.as_array().unwrap().iter().filter_map(|action| action["action"].as_str()).collect();
    assert_eq!(
        actions,
        ["node quiet", "queues set", "queues set", "budgets set", "budgets remove", "budgets remove"]
    );
    assert_eq!(log[5]["exit"], 1, "what failed stands there too");
}
