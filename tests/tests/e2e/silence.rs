//! A type may demand signs of life: an attempt that is silent for longer ends, whatever its time-out.

use serde_json::json;
use windlass_tests::fleet::{Fleet, FleetOptions};

use crate::look::{secs, text, time};

const TALK: &str = r#"
[types.talk]
executor = "command"
progress_deadline = "1s"
max_attempts = 1
timeout = "1m"
"#;

#[test]
fn an_attempt_that_gives_no_sign_of_life_ends_and_one_that_does_goes_on() {
    let fleet = Fleet::start(&FleetOptions { config: TALK, ..FleetOptions::default() });
    let says = |script: &str| json!({"argv": ["sh", "-c", script]});
    let talks = "for n in 1 2 3 4 5 6 7 8; do echo \"::progress $n\" >&2; sleep 0.4; done";
    fleet.submit("talk", &says(talks), &["--id", "talks"]);
    fleet.submit("talk", &says("echo '::progress 1' >&2; sleep 50"), &["--id", "falls-silent"]);
    fleet.wait_for_state("default", "falls-silent", "failed", secs(20));
    let silent = fleet.status("falls-silent");
    assert_eq!(silent["error"]["class"], "timeout", "{silent}");
    assert!(text(&silent["error"]["message"]).contains("progress_deadline"), "{silent}");
    let took = time(&silent["finished_at"]).since(time(&silent["started_at"]));
    assert!(took >= secs(1) && took < secs(30), "ended after {took:?}, long before its time-out");
    fleet.wait_for_state("default", "talks", "completed", secs(20));
    fleet.verify();
}
