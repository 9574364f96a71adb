use std::{fs, time::Instant};

use serde_json::{Value, json, value::to_raw_value};
use tempfile::TempDir;

use super::*;
use crate::executor::{
    Next, Progress,
    testing::{entries, eventually, job, pid_in, runs},
};

/// An executor whose workspaces are made in a directory of the test's own.
fn executor(change: impl FnOnce(&mut CommandOptions)) -> (TempDir, CommandExecutor) {
    let root = tempfile::tempdir().unwrap();
    let mut options = CommandOptions { workspace_root: root.path().to_owned(), ..CommandOptions::default() };
    change(&mut options);
    (root, CommandExecutor::new(options))
}

async fn run(payload: Value) -> Result<Value, Failure> {
    run_with(payload, |_| ()).await
}

/// Runs a command and checks that it leaves nothing behind, however it ended.
async fn run_with(payload: Value, change: impl FnOnce(&mut CommandOptions)) -> Result<Value, Failure> {
    let (root, executor) = executor(change);
    let result = executor.execute(&job(&payload)).await;
    eventually("removal of the workspace", || (entries(root.path()) == 0).then_some(())).await;
    result.map(|raw| serde_json::from_str(raw.get()).unwrap())
}

fn sh(script: &str) -> Value {
    json!({"argv": ["sh", "-c", script]})
}

#[tokio::test]
async fn stdout_is_json_where_it_parses_and_text_otherwise() {
    let result = run(sh("echo '{\"a\": [1, 2]}'; echo note >&2")).await.unwrap();
    assert_eq!(result, json!({"exit_code": 0, "stdout": {"a": [1, 2]}, "stderr": "note\n"}));
    assert_eq!(run(sh("echo hello")).await.unwrap()["stdout"], "hello\n");
    assert_eq!(run(sh("printf '\\377'")).await.unwrap()["stdout"], "\u{fffd}");
    let text = run_with(sh("echo 1"), |options| options.stdout = StdoutFormat::Text).await.unwrap();
    assert_eq!(text["stdout"], "1\n");
    let failure = run_with(sh("echo no"), |options| options.stdout = StdoutFormat::Json).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::MalformedOutput);
}

#[tokio::test]
async fn stdin_is_text_or_json_or_the_task_itself() {
    let cat = |stdin: Value| json!({"argv": ["cat"], "stdin": stdin});
    assert_eq!(run(cat(json!("two\nlines"))).await.unwrap()["stdout"], "two\nlines");
    assert_eq!(run(cat(json!({"a": 1}))).await.unwrap()["stdout"], json!({"a": 1}));
    assert_eq!(run(cat(json!(null))).await.unwrap()["stdout"], json!(null));
    let task = run(json!({"argv": ["cat"]})).await.unwrap()["stdout"].clone();
    let expected = json!({
        "id": "t-1", "queue": "tests", "type": "tried", "attempt": 1, "payload": {"argv": ["cat"]}, "metadata": null
    });
    assert_eq!(task, expected);
}

#[tokio::test]
async fn behind_a_template_the_task_holds_what_was_submitted() {
    let (_root, executor) = executor(|_| ());
    let mut job = job(&json!({"argv": ["cat"]}));
    job.submitted = Some(to_raw_value(&json!({"image": 7})).unwrap());
    let result: Value = serde_json::from_str(executor.execute(&job).await.unwrap().get()).unwrap();
    assert_eq!(result["stdout"]["payload"], json!({"image": 7}));
}

#[tokio::test]
async fn the_environment_holds_only_what_is_allowed() {
    let payload = json!({"argv": ["env"], "env": {"MINE": "m", "HOME": "/h", "WINDLASS_QUEUE": "forged"}});
    let result =
        run_with(payload, |options| options.env_allow = vec!["CARGO_PKG_NAME".into()]).await.unwrap();
    let stdout = result["stdout"].as_str().unwrap();
    let seen: BTreeMap<_, _> = stdout.lines().filter_map(|line| line.split_once('=')).collect();
    assert_eq!((seen["MINE"], seen["HOME"], seen["WINDLASS_QUEUE"]), ("m", "/h", "tests"));
    assert_eq!((seen["WINDLASS_TASK_ID"], seen["WINDLASS_ATTEMPT"]), ("t-1", "1"));
    let passed: Vec<_> =
        seen.keys().filter(|name| !name.starts_with("WINDLASS_") && **name != "MINE").collect();
    let allowed = |name: &str| ENV.contains(&name) || name == "CARGO_PKG_NAME";
    assert!(passed.iter().all(|name| allowed(name)), "{passed:?}");
    assert_eq!(seen.get("CARGO_PKG_NAME").copied(), env::var("CARGO_PKG_NAME").ok().as_deref());
    assert!(env::vars().count() > passed.len(), "there was nothing to hold back");
    let failure = run(json!({"argv": ["env"], "env": {"A=B": "c"}})).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::BadRequest);
}

#[tokio::test]
async fn files_go_into_the_workspace_and_come_out_of_it() {
    let script = "test \"$PWD\" = \"$WINDLASS_WORKSPACE\" && mkdir out && tr a-z A-Z <in/a.txt >out/a.txt \
                  && ln -s /etc/passwd out/b.txt";
    let payload = json!({
        "argv": ["sh", "-c", script], "files": {"in/a.txt": "hello"}, "collect": ["out/*.txt"]
    });
    assert_eq!(run(payload).await.unwrap()["files"], json!({"out/a.txt": "HELLO"}));
    for name in ["../escape", "/tmp/escape", "a/../../escape"] {
        let failure = run(json!({"argv": ["true"], "files": {name: "x"}})).await.unwrap_err();
        assert_eq!(failure.class, ErrorClass::BadRequest, "{name}");
    }
}

#[tokio::test]
async fn exit_codes_decide_what_a_failure_means() {
    let choose = |options: &mut CommandOptions| {
        options.success_exit_codes = vec![0, 3];
        options.fail_exit_codes = vec![4];
    };
    assert_eq!(run_with(sh("exit 3"), choose).await.unwrap()["exit_code"], 3);
    let failure = run_with(sh("echo the reason >&2; exit 5"), choose).await.unwrap_err();
    assert_eq!((failure.class, failure.next), (ErrorClass::ExitCode, Next::Policy));
    assert_eq!(failure.message, "exit code 5: the reason");
    assert!(run_with(sh("exit 4"), choose).await.unwrap_err().next == Next::Never);
    let only_75 = |options: &mut CommandOptions| options.retry_exit_codes = Some(vec![75]);
    assert!(run_with(sh("exit 75"), only_75).await.unwrap_err().next != Next::Never);
    assert!(run_with(sh("exit 1"), only_75).await.unwrap_err().next == Next::Never);
    let failure = run(sh("kill -9 $$")).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::ExitCode);
    assert!(failure.message.contains("SIGKILL"), "{failure}");
}

#[tokio::test]
async fn a_program_that_cannot_be_started_is_a_spawn_failure() {
    let script = json!({"argv": ["./script"], "files": {"script": "#!/bin/sh\n"}});
    for payload in [json!({"argv": ["no-such-program-here"]}), script, json!({"argv": ["/"]})] {
        assert_eq!(run(payload.clone()).await.unwrap_err().class, ErrorClass::Spawn, "{payload}");
    }
    for payload in
        [json!({"argv": []}), json!({"argv": ["a\0b"]}), json!({"argv": ["true"], "cwd": "/"}), json!(1)]
    {
        assert_eq!(run(payload.clone()).await.unwrap_err().class, ErrorClass::BadRequest, "{payload}");
    }
}

#[tokio::test]
async fn too_much_stdout_is_a_failure_and_ends_the_command() {
    let started = Instant::now();
    let failure = run(sh("head -c 10000000 /dev/zero; sleep 600")).await.unwrap_err();
    assert_eq!(failure.class, ErrorClass::ResultTooLarge);
    assert!(started.elapsed().as_secs() < 60);
    let large =
        run_with(sh("head -c 10000000 /dev/zero"), |options| options.max_output = 10_000_000).await.unwrap();
    assert_eq!(large["stdout"].as_str().unwrap().len(), 10_000_000);
}

#[tokio::test]
async fn too_much_stderr_is_cut_in_the_middle() {
    let script = "head -c 3000000 /dev/zero | tr '\\0' x >&2; echo the end >&2";
    let stderr = run(sh(script)).await.unwrap()["stderr"].as_str().unwrap().to_owned();
    assert!(stderr.contains("bytes of stderr are left out here") && stderr.ends_with("the end\n"));
    assert!(stderr.len() < 1_100_000, "{}", stderr.len());
}

#[tokio::test]
async fn input_that_nobody_reads_and_output_that_comes_first_block_nothing() {
    let large = "x".repeat(1_000_000);
    assert_eq!(run(json!({"argv": ["true"], "stdin": large})).await.unwrap()["exit_code"], 0);
    let script = "head -c 500000 /dev/zero | tr '\\0' y; cat | wc -c >&2";
    let result = run(json!({"argv": ["sh", "-c", script], "stdin": large})).await.unwrap();
    assert_eq!(result["stderr"].as_str().unwrap().trim(), "1000000");
    assert_eq!(result["stdout"].as_str().unwrap().len(), 500_000);
}

#[tokio::test]
async fn progress_on_stderr_is_reported_while_the_command_runs() {
    let (root, executor) = executor(|_| ());
    let (progress, reports) = Progress::channel();
    let wait = "until [ -e go ]; do sleep 0.01; done";
    let script = format!("echo '::progress {{\"done\": 1}}' >&2; pwd >&2; {wait}; echo '::progress 2' >&2");
    let job = Job { progress, ..job(&sh(&script)) };
    let task = tokio::spawn(async move { executor.execute(&job).await });
    assert_eq!(eventually("a report", || reports.take()).await.get(), r#"{"done":1}"#);
    let workspace = fs::read_dir(root.path()).unwrap().next().unwrap().unwrap().path();
    fs::write(workspace.join("go"), "").unwrap();
    let result: Value = serde_json::from_str(task.await.unwrap().unwrap().get()).unwrap();
    assert_eq!(reports.take().unwrap().get(), "2");
    assert_eq!(result["stderr"].as_str().unwrap().trim(), workspace.to_str().unwrap());
}

#[tokio::test]
async fn a_grandchild_neither_outlives_the_command_nor_holds_it_up() {
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("pid");
    let script = format!("sleep 600 & echo $! >{}; echo done", file.display());
    let started = Instant::now();
    assert_eq!(run(sh(&script)).await.unwrap()["stdout"], "done\n");
    assert!(started.elapsed().as_secs() < 60);
    let pid = pid_in(&file).await;
    eventually("the grandchild's end", || (!runs(pid)).then_some(())).await;
}

#[tokio::test]
async fn one_that_leaves_the_group_does_not_hold_the_command_up() {
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("pid");
    let script =
        format!("setsid sh -c 'echo $$ >{0}; exec sleep 600' & until [ -s {0} ]; do :; done", file.display());
    let started = Instant::now();
    assert_eq!(run(sh(&script)).await.unwrap()["exit_code"], 0);
    assert!(started.elapsed().as_secs() < 60);
    let pid = pid_in(&file).await;
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

#[tokio::test]
async fn dropping_the_future_kills_all_and_removes_the_workspace() {
    let outside = tempfile::tempdir().unwrap();
    let (parent, child) = (outside.path().join("parent"), outside.path().join("child"));
    let script = format!("echo $$ >{}; sleep 600 & echo $! >{}; wait", parent.display(), child.display());
    let (root, executor) = executor(|_| ());
    let task = tokio::spawn(async move { executor.execute(&job(&sh(&script))).await.map(drop) });
    let pids = (pid_in(&parent).await, pid_in(&child).await);
    assert!(runs(pids.0) && runs(pids.1) && entries(root.path()) == 1);
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    eventually("the end of both", || (!runs(pids.0) && !runs(pids.1)).then_some(())).await;
    eventually("removal of the workspace", || (entries(root.path()) == 0).then_some(())).await;
}
