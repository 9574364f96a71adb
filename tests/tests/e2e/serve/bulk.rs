//! Many tasks as JSON Lines.

use serde_json::{Value, json};
use windlass_tests::{
    api::Api,
    fleet::{Fleet, FleetOptions},
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
