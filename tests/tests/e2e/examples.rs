//! The examples work as they are written.

use rustix::process::Signal;
use serde_json::json;
use windlass_tests::{
    fleet::{Fleet, FleetOptions},
    process::Process,
};

use crate::look::secs;

#[test]
fn the_handler_in_rust_runs_its_type_and_refuses_what_it_says() {
    let fleet = Fleet::start(&FleetOptions { workers: 0, ..FleetOptions::default() });
    let mut worker = Process::start(fleet.command("windlass-rust-handler"), fleet.dir(), "handler");
    let submit = |payload: &str| {
        fleet.windlass(&["submit", "--type", "word_count", "--payload", payload, "--wait", "-o", "json"])
    };
    let counted = submit(r#"{"text":"to be or not to be"}"#).ok().json();
    assert_eq!(counted["result"], json!({ "words": 6, "most_frequent": "to" }));
    let refused = submit(r#"{"text":" "}"#);
    assert_eq!(refused.code, 1);
    assert_eq!(
        refused.json()["error"],
        json!({ "class": "bad_request", "message": "the text has no words" })
    );
    worker.signal(Signal::TERM);
    let _ = worker.wait(secs(10)).ok();
    fleet.verify();
}
