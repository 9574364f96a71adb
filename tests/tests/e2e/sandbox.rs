//! What commands and produced code cannot do. (What this host cannot enforce is asked of the node, so that a test
//! neither pretends nor fails there: each says which protection it needs.)

use std::{fs, net::TcpListener, path::Path};

use serde_json::{Value, json};
use windlass_tests::{
    fleet::{Fleet, FleetOptions},
    process::{eventually, is_alive, until},
};

use crate::{
    llm::scene,
    look::{secs, text},
};

/// Nothing but the workspace may be written.
const SHUT: (&str, &str) = ("WINDLASS_SANDBOX_WRITE", "");
const NO_BUBBLEWRAP: (&str, &str) = ("WINDLASS_SANDBOX_BUBBLEWRAP", "off");

fn fleet(env: &[(&str, &str)], config: &str) -> Fleet {
    Fleet::start(&FleetOptions { env, config, lease: "", ..FleetOptions::default() })
}

/// Whether the first node enforces a protection. A host that cannot must at least say why.
fn enforces(fleet: &Fleet, protection: &str) -> bool {
    let sandbox = fleet.nodes()[0]["sandbox"].clone();
    let enforced = sandbox["enforced"].as_array().expect("a list").contains(&json!(protection));
    assert!(
        enforced || sandbox["missing"][protection].is_string(),
        "it says nothing of {protection}: {sandbox}"
    );
    enforced
}

/// Runs a command to its end.
fn run(fleet: &Fleet, argv: &[&str], env: &Value) -> Value {
    let payload = json!({ "argv": argv, "env": env });
    let task = fleet.submit("command", &payload, &["--max-attempts", "1"]);
    fleet.windlass(&["wait", &task, "--timeout", "1m"]);
    fleet.status(&task)
}

fn python(fleet: &Fleet, script: &str) -> Value {
    run(fleet, &["python3", "-c", script], &json!({}))
}

fn failure(task: &Value) -> &str {
    text(&task["error"]["message"])
}

/// The worker works as before.
fn assert_goes_on(fleet: &mut Fleet) {
    assert_eq!(run(fleet, &["echo", "well"], &json!({}))["result"]["stdout"], "well\n");
    assert!(!fleet.worker(0).has_ended());
}

fn files_are_shut_off(more: &[(&str, &str)]) {
    let home = tempfile::tempdir().expect("a folder");
    fs::write(home.path().join("secret"), "TOP-SECRET").expect("a file");
    let key = home.path().join("key");
    fs::write(&key, "KEY-SECRET").expect("a file");
    let (home_path, key_path) = (home.path().to_str().expect("a path"), key.to_str().expect("a path"));
    let env = [&[SHUT, ("HOME", home_path), ("WINDLASS_LLM_API_KEY_FILE", key_path)], more].concat();
    let mut fleet = fleet(&env, "namespace = \"wl\"\n");
    if !enforces(&fleet, "files") {
        return;
    }
    let configuration = fleet.configuration();
    let outside = fleet.dir().join("outside");
    let script = r#"
        for file in "$REAL_HOME/secret" "$KEY" "$CONFIGURATION" /etc/shadow; do
            if cat "$file"; then echo "READ $file"; fi
        done
        if ls "$REAL_HOME" "$FLEET"; then echo LISTED; fi
        if echo x > "$OUTSIDE"; then echo WROTE; fi
        if echo x >> "$REAL_HOME/secret"; then echo APPENDED; fi
        echo mine > here && cat here && echo tmp > "$TMPDIR/t" && cat "$HOME/t" && cat /etc/hostname > /dev/null
    "#;
    let env = json!({
        "REAL_HOME": home.path(), "KEY": key, "CONFIGURATION": configuration, "OUTSIDE": outside, "FLEET": fleet.dir(),
    });
    let task = run(&fleet, &["sh", "-c", script], &env);
    assert_eq!(task["result"]["stdout"], "mine\ntmp\n", "{task}");
    assert!(!outside.exists() && !task.to_string().contains("SECRET"), "{task}");
    assert_eq!(fs::read_to_string(home.path().join("secret")).expect("it is there"), "TOP-SECRET");
    let refused = run(&fleet, &["sh", "-c", "exec cat \"$F\""], &json!({ "F": key }));
    assert!(failure(&refused).contains("sandbox.read"), "{refused}");
    assert_goes_on(&mut fleet);
}

#[test]
fn a_command_reads_and_writes_its_workspace_and_no_secrets() {
    files_are_shut_off(&[NO_BUBBLEWRAP]);
}

#[test]
fn the_same_within_bubblewrap_where_it_works() {
    files_are_shut_off(&[("WINDLASS_SANDBOX_BUBBLEWRAP", "auto")]);
}

#[test]
fn what_is_listed_may_be_read_and_written() {
    let fleet = Fleet::of_one();
    let script = "echo listed > \"$F\" && cat \"$F\"";
    let file = fleet.dir().join("listed");
    let task = run(&fleet, &["sh", "-c", script], &json!({ "F": file }));
    assert_eq!(task["result"]["stdout"], "listed\n", "{task}");
    assert!(file.exists());
}

#[test]
fn no_secret_of_the_worker_is_in_the_environment_of_a_child_or_behind_its_parents() {
    let secrets = [
        ("WINDLASS_REDIS_PASSWORD", ""),
        ("OPENAI_API_KEY", "sk-canary-1"),
        ("ANTHROPIC_API_KEY", "sk-canary-2"),
        ("WINDLASS_LLM_API_KEY", "sk-canary-3"),
        ("AWS_SECRET_ACCESS_KEY", "sk-canary-4"),
    ];
    let mut fleet = fleet(&secrets[1..], "");
    let worker = fleet.worker(0).pid().to_string();
    let script =
        "env; for p in $PPID \"$WORKER\" self 1; do tr '\\0' '\\n' < /proc/$p/environ; done 2>&1; true";
    let task = run(&fleet, &["sh", "-c", script], &json!({ "WORKER": worker }));
    assert_eq!(task["state"], "completed", "{task}");
    let seen = fs::read_to_string(format!("/proc/{worker}/environ")).expect("this test may read it");
    assert!(seen.contains("sk-canary-1"), "the worker has it");
    if enforces(&fleet, "files") {
        assert!(!task.to_string().contains("canary"), "{task}");
    }
}

#[test]
fn a_worker_leaves_no_core_dump() {
    let mut fleet = Fleet::of_one();
    let limits = fs::read_to_string(format!("/proc/{}/limits", fleet.worker(0).pid())).expect("it runs");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
    assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"]);
}

#[test]
fn what_uses_too_much_is_ended_and_told_which_limit_it_was() {
    let env = [
        ("WINDLASS_SANDBOX_MEMORY", "256MiB"),
        ("WINDLASS_SANDBOX_CPU_TIME", "1s"),
        ("WINDLASS_SANDBOX_FILE_SIZE", "1MiB"),
        ("WINDLASS_SANDBOX_OPEN_FILES", "64"),
    ];
    let mut fleet = fleet(&env, "");
    if !enforces(&fleet, "limits") {
        return;
    }
    for (script, setting) in [
        ("x = bytearray(10 ** 9)", "sandbox.memory"),
        // One that leaks, bit by bit.
        ("x = []\nwhile True: x.append(bytearray(1 << 20))", "sandbox.memory"),
        ("while True: pass", "sandbox.cpu_time"),
        ("f = open('f', 'wb')\nfor _ in range(100): f.write(b'x' * 100000)", "sandbox.file_size"),
        ("x = [open('/dev/null') for _ in range(100)]", "sandbox.open_files"),
    ] {
        let task = python(&fleet, script);
        assert_eq!(task["state"], "failed", "{task}");
        assert!(failure(&task).contains(setting), "{setting}: {}", failure(&task));
    }
    let task = python(
        &fleet,
        "import resource as r\ntry: r.setrlimit(r.RLIMIT_CPU, (99, 99))\nexcept (ValueError, OSError): print('no')",
    );
    assert_eq!(task["result"]["stdout"], "no\n", "even root does not raise a limit: {task}");
    assert_goes_on(&mut fleet);
}

#[test]
fn a_fork_bomb_is_ended() {
    let mut fleet = fleet(&[("WINDLASS_SANDBOX_PROCESSES", "50")], "");
    if !enforces(&fleet, "processes") {
        return;
    }
    // Each breeds two, and the bomb ends by itself should nothing end it.
    let bomb =
        "import os, time\nend = time.time() + 60\nwhile time.time() < end: os.fork(); time.sleep(0.05)";
    let task = python(&fleet, bomb);
    assert!(failure(&task).contains("more than 50 processes at once (setting sandbox.processes)"), "{task}");
    let few = python(
        &fleet,
        "import subprocess as s\np = [s.Popen(['sleep', '0.3']) for _ in range(20)]\n[x.wait() for x in p]",
    );
    assert_eq!(few["state"], "completed", "{few}");
    assert_goes_on(&mut fleet);
}

#[test]
fn what_leaves_its_group_does_not_outlive_the_command() {
    let fleet = Fleet::of_one();
    if !enforces(&fleet, "processes") {
        return;
    }
    // It writes on as long as it lives.
    let script = "setsid sh -c 'while :; do echo x >> \"$F\"; sleep 0.02; done' & sleep 0.5";
    let file = fleet.dir().join("heart");
    let task = run(&fleet, &["sh", "-c", script], &json!({ "F": file }));
    assert_eq!(task["state"], "completed", "{task}");
    assert_stands_still(&file);
}

/// Something wrote to it once, and nothing does any more.
fn assert_stands_still(file: &Path) {
    let length = || fs::metadata(file).map_or(0, |meta| meta.len());
    assert!(length() > 0, "nothing was written to {}", file.display());
    eventually("nobody writes any more", secs(10), || {
        let before = length();
        std::thread::sleep(std::time::Duration::from_millis(300));
        length() == before
    });
}

#[test]
fn a_killed_worker_takes_its_commands_with_it() {
    let mut fleet = Fleet::of_one();
    if !enforces(&fleet, "processes") {
        return;
    }
    let script = "sh -c 'while :; do echo x >> \"$F\"; sleep 0.02; done' & \
        setsid sh -c 'while :; do echo x >> \"$G\"; sleep 0.02; done' & wait";
    let (child, session) = (fleet.dir().join("child"), fleet.dir().join("session"));
    let payload = json!({ "argv": ["sh", "-c", script], "env": { "F": child, "G": session } });
    fleet.submit("command", &payload, &["--id", "t"]);
    until("both write", secs(20), || (child.exists() && session.exists()).then_some(()));
    fleet.kill9(0);
    assert_stands_still(&child);
    assert_stands_still(&session);
}

#[test]
fn a_program_gains_no_rights() {
    let fleet = Fleet::of_one();
    if !enforces(&fleet, "privileges") {
        return;
    }
    let task = run(&fleet, &["cat", "/proc/self/status"], &json!({}));
    let status = text(&task["result"]["stdout"]);
    for line in ["NoNewPrivs:\t1", "CapEff:\t0000000000000000", "CapPrm:\t0000000000000000"] {
        assert!(status.contains(line), "{line}: {status}");
    }
}

/// What a model wrote: it says whether it reached the port.
const DIAL: &str = "import socket, sys\ntry:\n    socket.create_connection((\"127.0.0.1\", PORT), 5)\n    print(\"REACHED\")\nexcept OSError as error:\n    print(\"no way:\", error)\n";

#[test]
fn produced_code_has_no_network_and_commands_have_one() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port().to_string();
    let code = DIAL.replace("PORT", &port);
    let answer = json!({ "text": format!("```python\n{code}```\n") });
    let scenario = format!("[[rule]]\nname = \"code\"\nanswer = {{ text = {} }}\n", answer["text"]);
    let config = r#"
[types.dial]
executor = "llm"
llm.model = "local/m"
llm.repairs = 0
[types.dial.llm.pipeline]
postprocess = [{ stage = "code", language = "python" }, { stage = "write", to = "dial.py" }]
validate = [{ validator = "execution", argv = ["python3", "dial.py"], expect = "EXPECTED" }]
threshold = 0.5
[types.off]
executor = "command"
sandbox.network = false
"#;
    for (open, expected) in [(false, "no way"), (true, "REACHED")] {
        let network = if open {
            "\nsandbox.network = true\n[types.dial.llm.pipeline]"
        } else {
            "\n[types.dial.llm.pipeline]"
        };
        let config = config.replace("EXPECTED", expected).replace("\n[types.dial.llm.pipeline]", network);
        let scene = scene(&scenario, &config, 1);
        if !enforces(&scene.fleet, "network") {
            return;
        }
        scene.fleet.submit("dial", &json!({ "prompt": "dial" }), &["--id", "t"]);
        assert_eq!(
            scene.finished("t", secs(60))["state"],
            "completed",
            "{expected}: {}",
            scene.fleet.status("t")
        );
        assert_eq!(python(&scene.fleet, &code)["result"]["stdout"], "REACHED\n");
        let off = scene.fleet.submit("off", &json!({ "argv": ["python3", "-c", code] }), &[]);
        scene.fleet.windlass(&["wait", &off, "--timeout", "1m"]).ok();
        assert!(text(&scene.fleet.status(&off)["result"]["stdout"]).starts_with("no way"));
    }
}

#[test]
fn a_type_whose_protections_are_missing_is_not_offered() {
    let config = "[types.strict]\nexecutor = \"command\"\nsandbox.require = [\"files\", \"isolation\"]\n";
    let fleet = fleet(&[NO_BUBBLEWRAP], config);
    let node = fleet.nodes().remove(0);
    let types: Vec<&str> = node["types"].as_array().expect("a list").iter().map(text).collect();
    assert!(types.contains(&"command") && !types.contains(&"strict"), "{node}");
    assert!(fleet.log(0).contains("this node does not offer a type") && fleet.log(0).contains("isolation"));
    assert_eq!(node["sandbox"]["missing"]["isolation"], "sandbox.bubblewrap is off", "{node}");
}

#[test]
fn with_mode_off_nothing_is_enforced_and_everybody_is_told() {
    let mut fleet = fleet(&[("WINDLASS_SANDBOX_MODE", "off")], "");
    let sandbox = &fleet.nodes()[0]["sandbox"];
    assert_eq!((&sandbox["mode"], &sandbox["enforced"]), (&json!("off"), &json!([])));
    let doctor = fleet.windlass(&["doctor"]).ok().stdout;
    assert!(doctor.contains("cannot enforce `files`: sandbox.mode is off"), "{doctor}");
    let worker = fleet.worker(0).pid();
    let task = run(&fleet, &["sh", "-c", "echo $PPID"], &json!({}));
    assert_eq!(task["result"]["stdout"], worker, "the worker starts it itself");
    assert!(is_alive(worker));
}
