//! What is around the tasks: `doctor`, the configuration, completions, the manual, and the seeds' own commands.

use serde_json::{Value, json};
use windlass_shared::model::TaskId;
use windlass_tests::{
    fleet::{Fleet, FleetOptions},
    process::run,
};

use crate::look::{secs, text};

fn checks(output: &windlass_tests::process::Output) -> Vec<(String, String)> {
    let list = output.json();
    let pair = |check: &Value| (text(&check["check"]).to_owned(), text(&check["status"]).to_owned());
    list.as_array().expect("a list").iter().map(pair).collect()
}

#[test]
fn a_doctor_finds_a_healthy_fleet_healthy() {
    let fleet = Fleet::start(&FleetOptions { redis: &["--appendonly", "yes"], ..FleetOptions::default() });
    fleet.submit("noop", &json!(1), &["--id", "t"]);
    fleet.wait_for_state("default", "t", "completed", secs(5));
    let output = fleet.windlass(&["doctor", "--verify", "-o", "json"]).ok();
    let checks = checks(&output);
    for name in [
        "reachable",
        "fit for tasks",
        "persistence",
        "memory",
        "role",
        "latency",
        "clock",
        "scripts",
        "nodes",
        "verify",
    ] {
        let ok = (name.to_owned(), "ok".to_owned());
        assert!(checks.contains(&ok), "{name} is not ok: {output}");
    }
    let table = fleet.windlass(&["doctor"]).ok();
    assert!(table.stdout.contains("CHECK") && table.stdout.contains("append-only file is on"), "{table}");
}

#[test]
fn a_doctor_finds_a_task_that_is_not_where_it_says() {
    let fleet = Fleet::without_workers();
    fleet.submit("noop", &json!(1), &["--id", "t"]);
    fleet.submit("noop", &json!(1), &["--id", "u"]);
    let keys = fleet.queue_keys("default");
    let mut connection = fleet.connection();
    redis::cmd("ZREM").arg(keys.pending()).arg("t").exec(&mut connection).expect("Redis obeys");
    let spec = keys.spec(&TaskId::new("u").expect("a valid id"));
    redis::cmd("DEL").arg(spec).exec(&mut connection).expect("Redis obeys");
    let output = fleet.windlass(&["doctor", "--verify"]).expect_code(1);
    for says in [
        "t has state `pending` but is not there",
        "u is in `pending` but has no record",
        "append-only file is off",
    ] {
        assert!(output.stdout.contains(says), "it does not say {says:?}: {output}");
    }
    assert_eq!(fleet.windlass(&["doctor"]).code, 0, "without --verify it does not look");
}

#[test]
fn the_configuration_is_shown_with_its_sources_and_without_secrets() {
    let config = "namespace = \"wl\"\n[redis]\npassword = \"hunter2\"\n[llm]\napi_key = \"sk-hidden\"\n";
    let fleet = Fleet::start(&FleetOptions { workers: 0, config, ..FleetOptions::default() });
    for program in ["windlass", "windlass-worker"] {
        let mut command = fleet.command(program);
        let url = fleet.redis.url().replace("redis://", "redis://me:swordfish@");
        command.arg("config").env("WINDLASS_REDIS_URL", &url).env("WINDLASS_LOG", "debug");
        let output = run(command, fleet.dir(), "config", secs(10)).ok();
        for secret in ["hunter2", "sk-hidden", "swordfish"] {
            assert!(!output.stdout.contains(secret) && !output.stderr.contains(secret), "{output}");
        }
        for says in ["WINDLASS_REDIS_URL", "windlass.toml", "default", "namespace", "redis.url"] {
            assert!(output.stdout.contains(says), "it does not say {says:?}: {output}");
        }
    }
    let output = fleet.windlass(&["config", "--namespace", "other", "-o", "json"]).ok().json();
    let settings = output.as_array().expect("a list");
    let namespace = settings.iter().find(|setting| setting["key"] == "namespace").expect("it is listed");
    assert_eq!((&namespace["value"], &namespace["origin"]), (&json!("other"), &json!("--namespace")));
}

#[test]
fn two_fleets_share_a_redis_by_their_namespaces() {
    let fleet = Fleet::start(&FleetOptions { args: &["--namespace", "wl"], ..FleetOptions::default() });
    let other = ["--namespace", "other"];
    let submit = ["submit", "--type", "noop", "--payload", "1", "--id", "t"];
    assert_eq!(fleet.windlass(&[&submit[..], &other].concat()).ok().stdout, "default/t\n");
    fleet.submit("noop", &json!(2), &["--id", "u"]);
    fleet.wait_for_state("default", "u", "completed", secs(5));
    assert_eq!(fleet.windlass(&["status", "t"]).code, 1);
    let task = fleet.windlass(&["status", "t", "--namespace", "other", "-o", "json"]).ok().json();
    assert_eq!(task["state"], "pending", "{task}");
}

#[test]
fn completions_a_manual_and_help_are_there() {
    let fleet = Fleet::without_workers();
    for (args, says) in [
        (&["completions", "bash"][..], "_windlass"),
        (&["completions", "zsh"], "#compdef windlass"),
        (&["completions", "fish"], "complete -c windlass"),
        (&["man"], ".TH"),
        (&["--version"], "windlass 0."),
        (&["--help"], "Exit codes"),
        (&["reference", "states"], "stateDiagram"),
        (&["reference", "configuration"], "WINDLASS_REDIS_URL"),
    ] {
        let output = fleet.windlass(args).ok();
        assert!(output.stdout.contains(says), "it does not say {says:?}: {output}");
    }
    for verb in [
        "submit",
        "status",
        "wait",
        "results",
        "tasks",
        "cancel",
        "retry",
        "priority",
        "purge",
        "queues",
        "pause",
        "resume",
        "nodes",
        "node",
        "events",
        "doctor",
        "dev",
        "config",
        "completions",
    ] {
        let help = fleet.windlass(&[verb, "--help"]).ok();
        assert!(help.stdout.contains(&format!("windlass {verb}")), "no example: {help}");
    }
}

#[test]
fn the_seeds_commands_work_with_their_own_flags() {
    let fleet = Fleet::of_one();
    let submit = [
        "submit-task",
        "--task-type",
        "noop",
        "--description",
        "Test it",
        "--target-file",
        "a.py",
        "--priority",
        "high",
        "--complexity",
        "simple",
        "--quality-threshold",
        "0.8",
    ];
    let task = fleet.windlass(&submit).ok().stdout.trim().to_owned();
    let id = task.strip_prefix("default/").expect("a reference");
    fleet.wait_for_state("default", id, "completed", secs(5));
    let status = fleet.windlass(&["get-status", "--task-id", id, "--output", "json"]).ok().json();
    assert_eq!((&status["state"], &status["priority"]), (&json!("completed"), &json!("high")), "{status}");
    let payload = json!({
        "description": "Test it", "target_file": "a.py", "complexity": "simple", "quality_threshold": 0.8,
    });
    assert_eq!(status["result"], payload);
    let stats = fleet.windlass(&["queue-stats", "-o", "json"]).ok().json();
    assert_eq!(stats[0]["totals"]["completed"], 1, "{stats}");
}

#[test]
fn what_is_printed_can_be_taken_by_a_script() {
    let fleet = Fleet::of_one();
    let reference =
        fleet.windlass(&["submit", "--type", "noop", "--payload", "1", "--key", "k", "--queue", "q"]).ok();
    let task = reference.stdout.trim();
    assert!(
        task.starts_with("q/") && reference.stdout.lines().count() == 1 && reference.stderr.is_empty(),
        "{reference}"
    );
    let json = fleet.windlass(&["status", task, "-o", "json"]).ok().json();
    for field in [
        "ref",
        "id",
        "type",
        "queue",
        "state",
        "reason",
        "attempt",
        "retries",
        "crashes",
        "interruptions",
        "waits",
        "priority",
        "tenant",
        "node",
        "progress",
        "result",
        "error",
        "created_at",
        "started_at",
        "finished_at",
    ] {
        assert!(json.get(field).is_some(), "{field} is missing: {json}");
    }
    let created = text(&json["created_at"]);
    assert!(created.ends_with('Z') && created.len() == "2026-11-20T08:00:00.000000Z".len(), "{created}");
    assert_eq!(fleet.windlass(&["status", task, "-o", "jsonl"]).ok().jsonl()[0], json);
    let two = fleet.windlass(&["status", task, task, "-o", "json"]).ok().json();
    assert_eq!(two.as_array().map(Vec::len), Some(2), "an array for more than one");
    let table = fleet.windlass(&["status", task]).ok();
    assert!(
        table.stdout.trim_start().starts_with("TASK") && !table.stdout.contains('\u{1b}'),
        "no colours in a pipe: {table}"
    );
}

#[test]
fn redis_is_reached_through_a_socket_too() {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let socket = dir.path().join("redis.sock");
    let socket = socket.to_str().expect("a plain path");
    let mut fleet = Fleet::start(&FleetOptions {
        workers: 0,
        redis: &["--unixsocket", socket],
        ..FleetOptions::default()
    });
    let url = format!("redis+unix://{socket}");
    fleet.spawn_worker_with(&["--redis-url", &url]);
    let submit = ["submit", "--type", "noop", "--payload", "1", "--wait", "--redis-url", &url];
    assert_eq!(fleet.windlass(&submit).code, 0);
    fleet.verify();
}
