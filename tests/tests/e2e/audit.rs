//! `windlass audit`: each command that acts on the fleet stands in the operators' log, with who, when, what, and how it ended.

use rustix::process::Signal;
use serde_json::{Value, json};
use windlass_tests::{
    fleet::{Fleet, FleetOptions},
    process::{Output, eventually, run},
};

use crate::look::{secs, text};

fn log(fleet: &Fleet, args: &[&str]) -> Vec<Value> {
    fleet.windlass(&[&["audit", "-o", "jsonl"], args].concat()).ok().jsonl()
}

/// Runs `windlass` as somebody.
fn run_as(fleet: &Fleet, who: &str, args: &[&str]) -> Output {
    let mut command = fleet.command("windlass");
    command.env("WINDLASS_OPERATOR", who).args(args);
    run(command, fleet.dir(), "acting", secs(60))
}

#[test]
fn whatever_an_operator_does_is_noted_and_what_others_do_is_not() {
    let fleet = Fleet::of_one();
    let node = fleet.node_id(0);
    for id in ["a", "b"] {
        fleet.submit("noop", &json!(1), &["--id", id, "--delay", "1h"]);
    }
    let objects = fleet.dir().join("objects");
    std::fs::create_dir(&objects).expect("a folder can be made");
    fleet.file("windlass.toml", &format!("[claim_check]\nurl = \"file://{}\"\n", objects.display()));
    let file = fleet.dir().join("f").display().to_string();
    // What is done, what it names, its exit code.
    let acts: [(&[&str], &str, Value, i64); 20] = [
        (&["pause", "default"], "pause", json!(["default"]), 0),
        (&["queues", "set", "default", "--max-length", "100"], "queues set", json!(["default"]), 0),
        (&["priority", "a", "b", "high"], "priority", json!(["default/a", "default/b"]), 0),
        (&["cancel", "a"], "cancel", json!(["default/a"]), 0),
        (&["cancel", "nobody"], "cancel", json!(["default/nobody"]), 1),
        (&["retry", "a"], "retry", json!(["default/a"]), 0),
        (&["retry", "--queue", "default"], "retry", json!(["default"]), 0),
        (&["retry", "--batch", "none"], "retry", json!(["batch:none"]), 1),
        (&["purge", "--queue", "default", "--state", "failed"], "purge", json!(["default"]), 0),
        (&["export", "default", "--file", &file], "export", json!(["default"]), 0),
        (&["import", "--file", &file], "import", json!([file]), 4),
        (&["resume", "default"], "resume", json!(["default"]), 0),
        (&["node", "quiet", &node], "node quiet", json!([node]), 0),
        (&["node", "resume", &node], "node resume", json!([node]), 0),
        (&["budgets", "set", "fleet", "5.00"], "budgets set", json!(["fleet"]), 0),
        (&["budgets", "remove", "fleet"], "budgets remove", json!(["fleet"]), 0),
        (&["models", "reset", "openai/x"], "models reset", json!(["openai/x"]), 1),
        (&["review", "approve", "b"], "review approve", json!(["default/b"]), 4),
        (&["doctor", "--verify", "--repair", "--yes"], "doctor --repair", json!([]), 0),
        (&["objects", "sweep", "--delete"], "objects sweep", json!([]), 0),
    ];
    for (args, ..) in &acts {
        run_as(&fleet, "ann@desk", args);
        // Looking, submitting and trying out are no actions.
        let looks: [&[&str]; 4] =
            [&["queues"], &["nodes"], &["doctor", "--verify", "--repair"], &["objects", "sweep"]];
        fleet.windlass(looks[args.len() % 4]);
    }
    let noted = log(&fleet, &[]);
    let told: Vec<_> =
        noted.iter().map(|a| (text(&a["action"]), a["on"].clone(), a["exit"].clone())).collect();
    let expected: Vec<_> = acts.iter().map(|(_, what, on, exit)| (*what, on.clone(), json!(exit))).collect();
    assert_eq!(told, expected);
    assert!(noted.iter().all(|action| action["by"] == "ann@desk"), "{noted:?}");
    let with = |action: &str| log(&fleet, &["--action", action])[0]["with"].clone();
    assert_eq!(with("priority"), json!({"priority": "high"}));
    assert_eq!(with("queues set"), json!({"max-length": "100"}));
    assert_eq!(with("purge"), json!({"state": "failed"}));
    assert_eq!(with("budgets set")["limit"], "5.00");

    // Unless they say who they are, user and machine stand there.
    fleet.windlass(&["pause", "other"]).ok();
    let last = log(&fleet, &["--limit", "1"]).remove(0);
    assert!(text(&last["by"]).contains('@') && last["on"] == json!(["other"]), "{last}");
    assert_eq!(log(&fleet, &["--by", "nobody-here"]), [] as [Value; 0]);
    let table = fleet.windlass(&["audit"]).ok().stdout;
    assert!(table.contains("ann@desk") && table.contains("node quiet"), "{table}");
    fleet.verify();
}

#[test]
fn what_died_in_the_middle_stands_there_without_an_end() {
    let fleet = Fleet::of_one();
    let task = fleet.submit("sleep", &json!({"ms": 60_000}), &["--id", "long"]);
    fleet.wait_for_state("default", "long", "running", secs(10));
    let mut follow = fleet.start_windlass(&["audit", "--follow"]);
    let mut export = fleet.start_windlass(&["export", "default", "--pause", "--file", "f"]);
    eventually("the queue is paused", secs(10), || fleet.queue("default")["paused"] == true);
    export.signal(Signal::KILL);
    export.wait(secs(5));
    let last = log(&fleet, &[]).remove(0);
    assert_eq!((&last["action"], &last["exit"]), (&json!("export"), &Value::Null), "{last}");
    fleet.windlass(&["cancel", &task]).ok();
    eventually("a follower saw the beginning, and the end", secs(10), || {
        let seen = follow.stdout();
        seen.contains("\"cancel\"") && seen.contains("\"exit\":0")
    });
    follow.signal(Signal::INT);
    follow.wait(secs(5)).expect_code(130);
}

#[test]
fn what_cannot_be_noted_is_not_done() {
    let fleet = Fleet::start(&FleetOptions { workers: 0, ..FleetOptions::default() });
    fleet.submit("noop", &json!(1), &["--id", "a", "--delay", "1h"]);
    let key = "wl:{operators}:actions";
    redis::cmd("SET").arg(key).arg("no log").exec(&mut fleet.connection()).expect("a command");
    fleet.windlass(&["cancel", "a"]).expect_code(3);
    assert_eq!(fleet.status("a")["state"], "scheduled");
    redis::cmd("DEL").arg(key).exec(&mut fleet.connection()).expect("a command");
    fleet.windlass(&["cancel", "a"]).ok();
    assert_eq!(fleet.status("a")["state"], "cancelled");
}
