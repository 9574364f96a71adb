//! With `python3 -m unittest`, which every Python has, and with pytest where it is installed.

use std::{fs, process::Command, time::Instant};

use serde_json::{Value, json};

use super::*;
use crate::{
    executor::testing::{eventually, pid_in, runs},
    pipeline::{
        testing::{World, pipeline},
        verdict::{Check, Verdict},
    },
};

const GOOD: &str = "import unittest\nfrom calc import add\n\nclass TestAdd(unittest.TestCase):\n    def test_one(self):\n        self.assertEqual(add(1, 2), 3)\n    def test_two(self):\n        self.assertEqual(add(0, 0), 0)\n";

fn world() -> World {
    let world = World::new();
    world.source("calc.py", "def add(a, b):\n    return a + b\n");
    world
}

/// What a model's answer is worth under this validator, with the module under test in the workspace.
async fn judge(world: &World, validator: Value, answer: &str) -> Result<Verdict, Failure> {
    let pipeline = pipeline(&json!({
        "preprocess": ["files"],
        "postprocess": [{"stage": "code", "language": "python"}, {"stage": "write", "to": "test_{{ stem }}.py"}],
        "validate": [validator],
    }));
    let mut draft = Draft::of_payload(&json!({"description": "Test it.", "target_file": "calc.py"})).unwrap();
    pipeline.preprocess(&mut draft, &world.env()).await.unwrap();
    draft.answered(answer);
    pipeline.postprocess(&mut draft, &world.env()).await.unwrap();
    pipeline.validate(&draft, &world.env()).await
}

fn unittest() -> Value {
    json!({"validator": "execution", "argv": ["python3", "-m", "unittest", "-v"]})
}

async fn check(validator: Value, answer: &str) -> Check {
    judge(&world(), validator, answer).await.unwrap().checks.remove(0)
}

#[tokio::test]
async fn tests_that_pass_pass_and_leave_no_bytecode() {
    let world = world();
    let verdict = judge(&world, unittest(), GOOD).await.unwrap();
    assert!((verdict.passed, verdict.score) == (true, 1.0), "{verdict:?}");
    let mut left: Vec<_> =
        fs::read_dir(world.workspace()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort_unstable();
    assert_eq!(left, ["calc.py", "test_calc.py"]);
}

#[tokio::test]
async fn tests_that_fail_say_how_and_which_part_passed() {
    let check = check(unittest(), &GOOD.replace("(1, 2), 3", "(1, 2), 4")).await;
    assert_eq!((check.passed, check.score), (false, 0.5));
    for said in ["exit code 1\n", "AssertionError: 3 != 4", "FAILED (failures=1)"] {
        assert!(check.message.contains(said), "{}", check.message);
    }
}

#[tokio::test]
async fn no_tests_at_all_do_not_pass() {
    let none = check(unittest(), "x = 1\n").await;
    assert_eq!((none.passed, none.score), (false, 0.0), "{}", none.message);
    // Ends Python before a test could fail.
    let mut wanted = unittest();
    wanted["expect"] = json!(r"(?m)^OK$");
    let cheat = check(wanted, "import os\nos._exit(0)\n").await;
    assert!(!cheat.passed && cheat.message.contains("does not match"), "{}", cheat.message);
}

#[tokio::test]
async fn pytest_is_run_or_named_as_missing() {
    let installed = Command::new("python3").args(["-c", "import pytest"]).output().unwrap().status.success();
    let verdict = judge(&world(), json!("execution"), GOOD).await;
    if installed {
        assert!(verdict.unwrap().passed);
        let failed = check(json!("execution"), &GOOD.replace("(1, 2), 3", "(1, 2), 4")).await;
        assert_eq!((failed.passed, failed.score), (false, 0.5), "{}", failed.message);
    } else {
        let failure = verdict.unwrap_err();
        assert_eq!(failure.class, ErrorClass::Spawn);
        assert!(failure.message.contains("pip install pytest"), "{failure}");
    }
}

#[tokio::test]
async fn what_a_node_lacks_is_not_the_answers_fault() {
    let missing = json!({"validator": "execution", "argv": ["no-such-runner"]});
    assert_eq!(judge(&world(), missing.clone(), GOOD).await.unwrap_err().class, ErrorClass::Spawn);
    let mut warning = missing;
    warning["severity"] = json!("warning");
    let verdict = judge(&world(), warning, GOOD).await.unwrap();
    assert_eq!((verdict.passed, verdict.checks[0].ran, verdict.checks[0].weight), (true, false, 0.0));
}

#[tokio::test]
async fn a_test_that_hangs_is_ended_with_all_that_it_started() {
    let (world, outside) = (world(), tempfile::tempdir().unwrap());
    let file = outside.path().join("pid");
    let hanging = format!(
        "import subprocess, time\np = subprocess.Popen(['sleep', '600'])\nopen({:?}, 'w').write(f'{{p.pid}}\\n')\ntime.sleep(600)\n",
        file.to_str().unwrap()
    );
    let mut validator = unittest();
    validator["timeout"] = json!("5s");
    let started = Instant::now();
    let verdict = judge(&world, validator, &hanging).await.unwrap();
    assert!(started.elapsed().as_secs() < 60);
    assert!(verdict.checks[0].message.contains("took longer than 5.0s"), "{}", verdict.checks[0].message);
    let pid = pid_in(&file).await;
    eventually("the end of the grandchild", || (!runs(pid)).then_some(())).await;
}

#[tokio::test]
async fn dropping_the_future_ends_the_tests() {
    let (world, outside) = (world(), tempfile::tempdir().unwrap());
    let file = outside.path().join("pid");
    let hanging = format!(
        "import os, time\nopen({:?}, 'w').write(f'{{os.getpid()}}\\n')\ntime.sleep(600)\n",
        file.to_str().unwrap()
    );
    let pid = {
        let judged = judge(&world, unittest(), &hanging);
        tokio::select! {
            _ = judged => panic!("it ended"),
            pid = pid_in(&file) => pid,
        }
    };
    eventually("the end of the tests", || (!runs(pid)).then_some(())).await;
}

#[tokio::test]
async fn a_flood_of_output_is_a_fault_of_the_test() {
    let check = check(unittest(), "while True:\n    print('x' * 100_000)\n").await;
    assert!(!check.passed && check.message.contains("bytes to stdout"), "{}", check.message);
}

#[test]
fn the_part_that_passed_is_read_from_the_last_line() {
    for (output, part) in [
        ("1 failed\n2 failed, 6 passed, 1 warning in 0.1s\n", 0.75),
        ("1 failed, 2 passed, 1 error in 0.1s", 0.5),
        ("no tests ran in 0.00s", 0.0),
        ("Ran 4 tests in 0.1s\n\nFAILED (failures=1, errors=1)", 0.5),
        ("Ran 4 tests in 0.1s\n\nOK", 0.99),
        ("", 0.0),
    ] {
        assert_eq!((output, passed_part(output)), (output, part));
    }
}
