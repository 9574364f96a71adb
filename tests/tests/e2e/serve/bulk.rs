//! Many tasks as JSON Lines.

use std::{io::Write, net::TcpStream};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use windlass_tests::{
    api::Api,
    fleet::{Fleet, FleetOptions},
    process::{eventually, until},
};

use crate::look::secs;

#[test]
fn lines_are_taken_or_rejected_one_by_one() {
    let fleet = Fleet::without_workers();
    let api = Api::anonymous(&fleet);
    let lines = [
        json!({ "type": "noop", "id": "a" }),
        json!({ "type": "noop", "weight": 99 }),
        json!({ "type": "noop", "id": "b", "queue": "other" }),
    ];
    let answer = api.bulk("?answers=all&queue=mine", &[], &lines).expect(200);
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let answer = answer.lines();
    assert_eq!(answer[0], json!({ "line": 1, "ref": "mine/a", "state": "pending", "duplicate": false }));
    assert_eq!((&answer[1]["line"], &answer[1]["error"]["class"]), (&json!(2), &json!("invalid")));
    assert_eq!(answer[2]["ref"], "other/b");
    assert_eq!(answer[3], json!({ "accepted": 2, "duplicates": 0, "rejected": 1 }));
    let again = api.bulk("?queue=mine", &[], &lines).expect(200).lines();
    assert_eq!(again.len(), 2, "only the rejected one, and the counts");
    assert_eq!(again[1], json!({ "accepted": 0, "duplicates": 2, "rejected": 1 }));
    let plain =
        api.ask("POST", "/v1/tasks/bulk", &[("content-type", "application/json")], Some(b"{}".to_vec()));
    assert_eq!(plain.expect(415).problem(), "unsupported-media-type");
}

#[test]
fn a_stream_that_is_sent_again_whole_or_in_parts_doubles_nothing() {
    let fleet = Fleet::without_workers();
    let api = Api::anonymous(&fleet);
    let lines: Vec<Value> = (0..1000).map(|n| json!({ "type": "noop", "payload": n })).collect();
    let last = |reply: windlass_tests::api::Reply| reply.expect(200).lines().pop().unwrap();
    assert_eq!(last(api.bulk("?batch=b", &[], &lines))["accepted"], 1000);
    assert_eq!(last(api.bulk("?batch=b", &[], &lines))["duplicates"], 1000);
    let second = last(api.bulk("?batch=b&first_line=501", &[], &lines[500..]));
    assert_eq!(second["duplicates"], 500, "{second}");
    let key = [("idempotency-key", "stream 7")];
    assert_eq!(last(api.bulk("", &key, &lines))["accepted"], 1000);
    assert_eq!(last(api.bulk("", &key, &lines))["duplicates"], 1000);
    assert_eq!(last(api.bulk("?on_full=fail", &[], &[]))["accepted"], 0);
    assert_eq!(fleet.total("default", "submitted"), 2000);
}

#[test]
fn a_full_queue_holds_the_stream_back_or_rejects() {
    let fleet = Fleet::start(&FleetOptions { workers: 0, ..FleetOptions::default() });
    fleet.windlass(&["queues", "set", "default", "--max-length", "10"]).ok();
    let api = Api::anonymous(&fleet);
    let lines: Vec<Value> = (0..30).map(|n| json!({ "type": "noop", "payload": n })).collect();
    let rejected = api.bulk("?on_full=fail", &[], &lines).expect(200).lines();
    assert_eq!(rejected.len(), 21);
    assert_eq!(rejected[0]["error"]["class"], "queue_full");
    let mut fleet = fleet;
    fleet.spawn_worker();
    let waited = api.bulk("?on_full=wait&batch=w", &[], &lines).expect(200).lines();
    assert_eq!(waited[0], json!({ "accepted": 30, "duplicates": 0, "rejected": 0 }));
    fleet.finish_batch("w", secs(60));
}

#[test]
fn results_come_in_order_of_finishing_and_go_on_from_a_cursor() {
    let fleet = Fleet::of_one();
    let api = Api::anonymous(&fleet);
    let lines: Vec<Value> = (0..300).map(|n| json!({ "type": "noop", "payload": n })).collect();
    api.bulk("?batch=b", &[], &lines).expect(200);
    let all = api.get("/v1/batches/b/results?follow=true").expect(200).lines();
    assert_eq!(all.len(), 300);
    let printed = fleet.windlass(&["results", "--batch", "b"]).ok().jsonl();
    let ids = |tasks: &[Value]| tasks.iter().map(|task| task["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(&all), ids(&printed));
    let (place, cursor) =
        all.iter().enumerate().find_map(|(n, task)| task["cursor"].as_str().map(|c| (n, c))).unwrap();
    let rest = api.get(&format!("/v1/batches/b/results?cursor={cursor}")).expect(200).lines();
    assert_eq!(ids(&rest), ids(&all[place + 1..]));
    assert_eq!(api.get("/v1/queues/default/results?state=failed").expect(200).lines(), Vec::<Value>::new());
}

#[test]
fn what_is_broken_off_does_not_look_whole() {
    let fleet = Fleet::of_one();
    let api = Api::anonymous(&fleet);
    api.bulk("?batch=b", &[], &[json!({ "type": "noop" })]).expect(200);
    let (text, whole) = api.read_on("/v1/batches/b/results?follow=true", || {});
    assert!(whole && text.lines().count() == 1, "a batch that is over: {text}");
    // Of a queue there is no end: the server leaves in the middle.
    let pid = Pid::from_raw(i32::try_from(api.process.pid()).unwrap()).unwrap();
    let (text, whole) = api.read_on("/v1/queues/default/results?follow=true", || {
        kill_process(pid, Signal::TERM).unwrap();
    });
    assert!(!whole, "{text}");
}

#[test]
fn who_leaves_a_full_queue_gives_their_place_to_the_next() {
    let fleet = Fleet::without_workers();
    fleet.windlass(&["queues", "set", "default", "--max-length", "1"]).ok();
    fleet.submit("noop", &json!(1), &[]);
    let api = Api::anonymous(&fleet);
    let address = api.base.trim_start_matches("http://");
    let body = "{\"type\":\"noop\"}\n";
    let head = format!(
        "POST /v1/tasks/bulk HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/x-ndjson\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut waiting: Vec<TcpStream> = Vec::new();
    let taken = || api.bulk("?on_full=fail", &[], &[]).status == 503;
    until("all places are taken", secs(30), || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        waiting.push(stream);
        taken().then_some(())
    });
    assert!(waiting.len() <= 33, "{}", waiting.len());
    drop(waiting);
    eventually("there is room again", secs(30), || !taken());
}
