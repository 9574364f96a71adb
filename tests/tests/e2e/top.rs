//! `windlass top` as a person sees it: in a real terminal, on a real fleet.

use std::time::Instant;

use rustix::process::Signal;
use serde_json::{Value, json};
use windlass_tests::{
    fleet::{Fleet, FleetOptions},
    process::eventually,
    proxy::{Proxy, Weather},
    redis::RedisServer,
    terminal::Terminal,
};

use crate::{
    look::{lines, secs, text},
    many_nodes,
};

const ENTER: &str = "\r";
const ESC: &str = "\u{1b}";

fn top(fleet: &Fleet) -> Terminal {
    Terminal::start(fleet, &["top", "--interval", "200ms"], &[])
}

/// The actions of the operators' log, with what each was done to and its exit code.
fn actions(fleet: &Fleet) -> Vec<(String, String, Value)> {
    let log = fleet.windlass(&["audit", "-o", "jsonl"]).ok().jsonl();
    let one = |action: &Value| {
        assert_eq!(action["with"], json!({"in": "top"}), "{action}");
        (text(&action["action"]).to_owned(), text(&action["on"][0]).to_owned(), action["exit"].clone())
    };
    log.iter().map(one).collect()
}

/// The terminal is as it was before.
fn assert_given_back(terminal: &Terminal) {
    // What was written last may not be read yet.
    eventually("the terminal is given back", secs(2), || terminal.is_taken() == (false, false));
    assert!(terminal.has_cursor(), "the cursor is back");
}

#[test]
fn a_fleet_is_watched_and_steered_by_keys() {
    let mut fleet = Fleet::start(&FleetOptions { workers: 2, concurrency: 3, ..FleetOptions::default() });
    let (drained, stays) = (fleet.node_id(0), fleet.node_id(1));
    fleet.submit("sleep", &json!({"ms": 120_000}), &["--id", "long"]);
    fleet.submit("command", &json!({"argv": ["false"]}), &["--id", "bad", "--max-attempts", "1"]);
    fleet.wait_for_state("default", "bad", "failed", secs(10));
    fleet.wait_for_state("default", "long", "running", secs(10));

    let mut top = top(&fleet);
    let screen = top.shows_all(&["2 active", &drained, &stays, "● live", "1/6"], secs(20));
    println!("{screen}");
    assert_eq!(top.is_taken(), (true, true));

    // A filter, and out of it again.
    top.send("/");
    top.send(&stays[2..]);
    top.shows("1 found", secs(5));
    assert!(!top.screen().contains(&drained), "{}", top.screen());
    top.send(ESC);
    top.shows_all(&[&drained, &stays], secs(5));

    // Into the running task, and out again.
    top.send("3");
    println!("{}", top.shows_all(&["default/long", "sleep"], secs(5)));
    top.send(ENTER);
    let screen = top.shows_all(&["Task default/long", "● running", "pending → running", "claimed"], secs(5));
    println!("{screen}");
    top.send("c");
    top.shows("Cancel task default/long?", secs(5));
    top.send("y");
    top.shows("being cancelled", secs(5));
    fleet.wait_for_state("default", "long", "cancelled", secs(10));
    top.shows("cancelled", secs(5));

    // The failed one gets another life, and fails again.
    top.send("4");
    println!("{}", top.shows_all(&["default/bad", "command"], secs(5)));
    top.send("r");
    top.shows("Retry task default/bad?", secs(5));
    top.send("y");
    top.shows("default/bad is pending again", secs(5));
    eventually("it ran again", secs(10), || fleet.status("bad")["attempt"] == 2);

    // A queue is paused, and goes on.
    top.send("2p");
    top.shows("Pause queue default?", secs(5));
    top.send("y");
    println!("{}", top.shows_all(&["queue default is paused", "◌ paused"], secs(5)));
    assert_eq!(fleet.queue("default")["paused"], true);
    top.send("r");
    top.shows("Resume queue default?", secs(5));
    top.send("y");
    top.shows_all(&["queue default goes on", "● open"], secs(5));

    // A no does nothing; a yes really drains.
    top.send("1/");
    top.send(&drained[2..]);
    top.send(ENTER);
    // What was said of the queue stands there for a while.
    top.shows("1 found", secs(20));
    top.send("d");
    println!("{}", top.shows(&format!("Drain node {drained}?"), secs(5)));
    top.send("n");
    top.send("d");
    top.shows(&format!("Drain node {drained}?"), secs(5));
    top.send("y");
    top.shows("is told to drain", secs(5));
    assert_eq!(fleet.exit_code(0, secs(20)), 0, "it drained and left");
    top.shows("1 active", secs(10));

    assert_eq!(
        actions(&fleet),
        [
            ("cancel".into(), "default/long".into(), json!(0)),
            ("retry".into(), "default/bad".into(), json!(0)),
            ("pause".into(), "default".into(), json!(0)),
            ("resume".into(), "default".into(), json!(0)),
            ("node drain".into(), drained, json!(0)),
        ]
    );
    top.send("q");
    assert_eq!(top.wait(secs(5)), 0);
    assert_given_back(&top);
    fleet.verify();
}

#[test]
fn a_node_is_made_quiet_and_resumes_and_one_that_is_gone_is_told_of() {
    let mut fleet = Fleet::of_one();
    let node = fleet.node_id(0);
    let mut top = top(&fleet);
    top.shows(&node, secs(20));
    top.send(ENTER);
    top.shows_all(&[&format!("Node {node}"), "Nothing runs here."], secs(5));
    top.send("uy");
    eventually("it is quiet", secs(5), || fleet.state_of(0).as_deref() == Some("quiet"));
    top.shows("◌ quiet", secs(10));
    top.send("ry");
    eventually("it is active", secs(5), || fleet.state_of(0).as_deref() == Some("active"));
    // The screen does not move while somebody looks; meanwhile the node leaves.
    top.send(" ");
    top.shows("‖ paused", secs(5));
    fleet.term(0);
    assert_eq!(fleet.exit_code(0, secs(10)), 0);
    top.send("x");
    top.shows(&format!("Stop node {node}?"), secs(5));
    top.send("y");
    top.shows(&format!("no live node {node}"), secs(5));
    let last = actions(&fleet).pop();
    assert_eq!(last, Some(("node stop".into(), node, json!(1))), "what failed is noted as that");
    top.send("q");
    assert_eq!(top.wait(secs(5)), 0);
}

#[test]
fn a_lost_redis_is_told_of_and_keys_go_on_working() {
    let redis = RedisServer::start();
    let proxy = Proxy::to(redis.port());
    let fleet = Fleet::start(&FleetOptions { workers: 0, url: Some(&proxy.url), ..FleetOptions::default() });
    fleet.submit("noop", &json!(1), &["--id", "t"]);
    let mut top = top(&fleet);
    top.shows_all(&["2 Queues 1", "● live"], secs(20));
    proxy.set(Weather::Swallowed);
    println!(
        "{}",
        top.shows_all(&["Redis cannot be reached: ", ", last seen ", " s ago", "✗ no answer"], secs(30))
    );
    top.send("2");
    top.shows_all(&["WAITING", "✗ no node"], secs(2));
    top.send("?");
    top.shows("node: quiet, drain, resume, stop", secs(2));
    top.send(ESC);
    proxy.set(Weather::Closed);
    proxy.set(Weather::Fair);
    top.shows("● live", secs(30));
    assert!(!top.screen().contains("cannot be reached"), "{}", top.screen());
    top.send("\u{3}");
    assert_eq!(top.wait(secs(5)), 130, "Ctrl-C");
    assert_given_back(&top);
}

#[test]
fn a_terminal_is_given_back_when_the_program_is_told_to_end() {
    let fleet = Fleet::without_workers();
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        let mut top = top(&fleet);
        top.shows("No node is there", secs(20));
        assert_eq!(top.is_taken(), (true, true));
        top.signal(signal);
        assert_eq!(top.wait(secs(5)), 130);
        assert_given_back(&top);
    }
}

#[test]
fn the_screen_follows_the_window_and_no_color() {
    let fleet = Fleet::of_one();
    let mut top = Terminal::start(&fleet, &["top"], &[("NO_COLOR", "1")]);
    top.shows("● active", secs(20));
    assert!(!top.screen().contains("QUEUES"), "{}", top.screen());
    top.resize(30, 150);
    println!("{}", top.shows_all(&["LONGEST TASK", "QUEUES", "VERSION"], secs(5)));
    top.resize(5, 30);
    top.shows("windlass top needs", secs(5));
    top.send("q");
    assert_eq!(top.wait(secs(5)), 0);
    let bytes = String::from_utf8_lossy(&top.bytes()).into_owned();
    // 38;5 and 48;5, or 3x and 4x: foreground and background.
    let colours = bytes.split("\u{1b}[").filter_map(|piece| piece.split_once('m')).map(|(codes, _)| codes);
    let coloured =
        |codes: &str| codes.split(';').any(|code| matches!(code.parse(), Ok(30..=38 | 40..=48 | 90..=107)));
    let coloured: Vec<&str> = colours.filter(|codes| coloured(codes)).collect();
    assert!(coloured.is_empty(), "{coloured:?}");
}

#[test]
fn without_a_terminal_it_prints_the_fleet_once() {
    let fleet = Fleet::start(&FleetOptions { concurrency: 2, ..FleetOptions::default() });
    fleet.submit_lines(&lines("t", 30, "sleep", &json!({"ms": 60_000})), &[]);
    fleet.submit(
        "command",
        &json!({"argv": ["false"]}),
        &[
            "--id",
            "bad",
            "--queue",
            "default",
            "--max-attempts",
            "1",
            "--priority",
            "critical",
            "--delay",
            "1h",
        ],
    );
    eventually("two run", secs(10), || fleet.running("default") == 2);
    eventually("the node tells of them", secs(10), || fleet.nodes()[0]["running_count"] == 2);
    for args in [&["top"][..], &["top", "--once"]] {
        let output = fleet.windlass(args).ok();
        println!("{output}");
        for says in
            ["nodes: 1 active", "slots: 2/2", "waiting: 28", "Running: 2", "default/t-1", "Failures: 0"]
        {
            assert!(output.stdout.contains(says), "it does not say {says:?}: {output}");
        }
        assert!(!output.stdout.contains('\u{1b}'), "{output}");
    }
    let snapshot = fleet.windlass(&["top", "--once", "-o", "json"]).ok().json();
    assert_eq!(snapshot["fleet"]["slots_used"], 2, "{snapshot}");
    assert_eq!(snapshot["queues"][0]["running"], 2, "{snapshot}");
    assert_eq!(snapshot["running"].as_array().map(Vec::len), Some(2), "{snapshot}");
    assert_eq!(snapshot["nodes"][0]["id"], fleet.node_id(0).as_str(), "{snapshot}");
    assert!(fleet.windlass(&["audit", "-o", "jsonl"]).ok().stdout.is_empty(), "looking is no action");
    assert_eq!(fleet.windlass(&["top", "--interval", "1ms"]).code, 2);
}

#[test]
fn ten_thousand_nodes_are_watched() {
    let fleet = Fleet::without_workers();
    many_nodes::write_nodes(&fleet);
    let start = Instant::now();
    let mut top = Terminal::start(&fleet, &["top"], &[]);
    top.shows_all(&["9,000 active", "1,000 lost", "1 Nodes 10,000"], secs(60));
    println!("10,000 nodes: on the screen after {:?}", start.elapsed());
    let start = Instant::now();
    top.send("/n-0777");
    println!("{}", top.shows_all(&["/n-0777", "n-07770", "n-07779"], secs(30)));
    println!("filtered after {:?}", start.elapsed());
    let start = Instant::now();
    top.send(&format!("{ENTER}3"));
    println!("{}", top.shows_all(&["3 Running 9,000", "default/t-"], secs(30)));
    println!("running tasks listed after {:?}", start.elapsed());
    top.send("q");
    assert_eq!(top.wait(secs(30)), 0);
}
