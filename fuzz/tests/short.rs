//! Some thousand inputs for each target, as ordinary tests. `make fuzz` gives each a million.

use std::{path::Path, process::Command};

use windlass_fuzz::{Mutator, all};

const INPUTS: &str = "3000";

/// Runs the fuzzer as people do; the names are those of `fuzz list`.
fn holds(targets: &[&str]) {
    let findings = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz");
    let mut command = Command::new(env!("CARGO_BIN_EXE_fuzz"));
    command.args(["run", "--inputs", INPUTS, "--jobs", "1"]).arg("--findings").arg(&findings).args(targets);
    let output = command.output().expect("the fuzzer starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

macro_rules! tests {
    ($($name:ident: [$($target:literal),+],)+) => {
        $(#[test]
        fn $name() {
            holds(&[$($target),+]);
        })+

        #[test]
        fn no_target_is_left_out() {
            let tested = [$($($target),+),+];
            for target in all() {
                assert!(tested.contains(&target.name), "{} is not tested here", target.name);
            }
            assert_eq!(tested.len(), all().len());
        }
    };
}

tests! {
    submissions: ["task", "name", "time"],
    configuration: ["config", "setting", "pipeline", "money"],
    records: ["record", "packed", "redis_reply", "redis_shared", "node"],
    answers_of_providers: ["openai", "openai_stream", "anthropic", "anthropic_stream", "embeddings"],
    failures_of_providers: ["provider_error", "headers"],
    lists_of_models: ["models", "catalog", "catalog_lists", "tokens"],
    the_stand_in: ["scenario", "scripted"],
    commands_and_services: ["stderr", "result", "http", "llm_payload", "report"],
    answers_of_models: ["answer_json", "answer_code", "answer_patch", "draft", "redact", "judge"],
    code_of_models: ["syntax_python", "syntax_other"],
    schemas: ["answer_schema", "embedded_schema"],
    templates: ["template_data", "template"],
}

#[test]
fn the_same_seed_makes_the_same_inputs() {
    let target = all().remove(0);
    let (one, same, other) = (Mutator::new(&target, 1), Mutator::new(&target, 1), Mutator::new(&target, 2));
    let inputs = |from: &Mutator| (0..500).map(|number| from.input(number)).collect::<Vec<_>>();
    assert_eq!(inputs(&one), inputs(&same));
    assert_ne!(inputs(&one), inputs(&other));
}

#[test]
fn what_breaks_is_found_kept_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let run = |target: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fuzz"));
        command
            .args(["run", "--inputs", "1", "--jobs", "1", "--longest", "2", target])
            .arg("--findings")
            .arg(folder.path());
        command.output().unwrap()
    };
    for (target, why) in [
        ("panics", "it panics"),
        ("hangs", "takes longer than"),
        ("swallows", "memory allocation of"),
        ("recurses", "overflowed its stack"),
    ] {
        let output = run(target);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(why), "{target}: {said}");
        let kept = folder.path().join(format!("{target}-1-0"));
        assert_eq!(std::fs::read(kept).unwrap(), b"an example");
    }
}
