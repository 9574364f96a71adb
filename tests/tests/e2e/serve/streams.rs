//! Server-sent events.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use serde_json::{Value, json};
use windlass_tests::{api::Api, fleet::Fleet, process::eventually};

use crate::look::secs;

fn transitions(text: &str) -> Vec<Value> {
    text.lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|json| serde_json::from_str(json).expect("JSON"))
        .collect()
}

fn last_id(text: &str) -> String {
    text.lines().filter_map(|line| line.strip_prefix("id: ")).next_back().expect("an id").to_owned()
}

/// A transition came, and the id from which to go on after it.
fn told(text: &str) -> bool {
    text.split("\n\n").any(|event| event.contains("data: ") && event.contains("id: "))
}

#[test]
fn who_was_away_hears_what_happened_meanwhile_and_nothing_twice() {
    let fleet = Fleet::without_workers();
    let api = Api::anonymous(&fleet);
    fleet.submit("noop", &json!(1), &["--id", "before"]);
    let sse = ("accept", "text/event-stream");
    // Nothing of the past, unless it is asked for.
    let mut submitted = false;
    let first = api.stream("/v1/events", &[sse], |text| {
        if !std::mem::replace(&mut submitted, true) {
            fleet.submit("noop", &json!(1), &["--id", "first"]);
        }
        told(text)
    });
    assert!(first.starts_with("id: "), "who is cut off before the first event knows where: {first}");
    let ids: Vec<Value> = transitions(&first).iter().map(|t| t["id"].clone()).collect();
    assert_eq!(ids, ["first"]);
    fleet.submit("noop", &json!(1), &["--id", "meanwhile", "--queue", "other"]);
    let id = last_id(&first);
    let second = api.stream("/v1/events", &[sse, ("last-event-id", &id)], told);
    let ids: Vec<Value> = transitions(&second).iter().map(|t| t["id"].clone()).collect();
    assert_eq!(ids, ["meanwhile"]);
    let page = api.get("/v1/events").expect(200).json();
    assert_eq!(page["items"].as_array().unwrap().len(), 3);
    let only = api.get("/v1/events?queue=other&type=pending").expect(200).json();
    assert_eq!(only["items"][0]["id"], "meanwhile");
}

#[test]
fn a_stream_counts_as_a_request_for_as_long_as_it_is_read() {
    let fleet = Fleet::without_workers();
    let config = fleet.file("windlass.toml", "[serve]\nmax_requests = 2\n");
    let api = Api::start(&fleet, &["--anonymous", "--config", &config.display().to_string()]);
    let address = api.base.trim_start_matches("http://");
    let stream = || {
        let mut stream = TcpStream::connect(address).unwrap();
        let ask = format!("GET /v1/events HTTP/1.1\r\nhost: {address}\r\naccept: text/event-stream\r\n\r\n");
        stream.write_all(ask.as_bytes()).unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
        stream
    };
    let both = [stream(), stream()];
    let refused = api.get("/v1/queues").expect(503);
    assert_eq!((refused.problem().as_str(), refused.header("retry-after")), ("too-many-requests", Some("1")));
    api.get("/readyz").expect(200);
    drop(both);
    eventually("there is room again", secs(30), || api.get("/v1/queues").status == 200);
}
