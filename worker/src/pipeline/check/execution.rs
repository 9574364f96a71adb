//! `execution`: a command, usually the produced tests, ends well in the workspace.
//!
//! Exit code 0 is well, unless the output says that no test was run, or does not match `expect`. The score is 1, or
//! else the part of the tests that passed, where pytest's or unittest's last lines tell.

use std::sync::LazyLock;

use regex::Regex;
use windlass_shared::{
    config::pipeline::{Directory, ExecutionCheck},
    model::ErrorClass,
};

use super::{
    super::{
        Draft, Env,
        program::{self, Program},
        shorten,
        verdict::MESSAGE,
    },
    finding::Finding,
    text::pattern,
};
use crate::{
    executor::{Failure, process::Ended},
    sandbox::Author,
};

type Shape = LazyLock<Option<Regex>>;

/// `3 failed, 2 passed, 1 error in 0.12s`
static PYTEST: Shape = LazyLock::new(|| Regex::new(r"(\d+) (failed|passed|error)").ok());
/// `Ran 5 tests in 0.001s` and `FAILED (failures=1, errors=2)`
static RAN: Shape = LazyLock::new(|| Regex::new(r"(?m)^Ran (\d+) tests? in ").ok());
static UNITTEST: Shape = LazyLock::new(|| Regex::new(r"(?:failures|errors)=(\d+)").ok());

#[derive(Debug)]
pub(super) struct Execution {
    program: Program,
    expect: Option<Regex>,
}

impl Execution {
    pub(super) fn new(spec: &ExecutionCheck) -> Result<Self, Vec<String>> {
        let mut program = Program::new(&spec.argv, &spec.env, spec.timeout, Directory::Workspace)?;
        program.author = Some(Author::Model);
        let expect = spec
            .expect
            .as_deref()
            .map(|text| pattern("expect", text))
            .transpose()
            .map_err(|fault| vec![fault])?;
        Ok(Self { program, expect })
    }

    pub(super) async fn find(&self, draft: &Draft, env: &Env<'_>) -> Result<Finding, Failure> {
        match run(&self.program, draft, env).await? {
            Ok(ended) => Ok(self.judge(&ended)),
            Err(finding) => Ok(finding),
        }
    }

    fn judge(&self, ended: &Ended) -> Finding {
        let output = output(ended);
        if !ended.status.success() {
            let how = program::ending(ended);
            let how = how.split(':').next().unwrap_or_default();
            return Finding::scored(
                false,
                passed_part(&output),
                format!("{how}\n{}", shorten::tail(&output, MESSAGE - 100)),
            );
        }
        if ran(&output) == Some(0) {
            return Finding::failed("no test was run");
        }
        match &self.expect {
            Some(expect) if !expect.is_match(&output) => Finding::failed(format!(
                "what it wrote does not match {expect}\n{}",
                shorten::tail(&output, MESSAGE - 300)
            )),
            _ => Finding::passed(),
        }
    }
}

/// Runs a command that runs produced code. What that code may do, take too long or write too much, is a finding; what
/// is missing on this node is a failure.
pub(super) async fn run(
    program: &Program,
    draft: &Draft,
    env: &Env<'_>,
) -> Result<Result<Ended, Finding>, Failure> {
    let ended = match program.run(draft, &[], env).await {
        Ok(ended) => ended,
        Err(failure) if matches!(failure.class, ErrorClass::Timeout | ErrorClass::ResultTooLarge) => {
            return Ok(Err(Finding::failed(failure.message)));
        }
        Err(failure) => return Err(failure),
    };
    let argv = program.argv(draft, env)?;
    match missing_module(&argv, &ended) {
        None => Ok(Ok(ended)),
        Some(module) => Err(Failure::new(
            ErrorClass::Spawn,
            format!(
                "the Python module {module} is not installed on this node: install it (pip install {module})"
            ),
        )),
    }
}

/// The module that `python -m` or `coverage run -m` does not find. (One that a test imports is the test's matter.)
fn missing_module<'a>(argv: &'a [String], ended: &Ended) -> Option<&'a str> {
    let all = output(ended);
    let (_, missed) = all.trim_end().lines().last()?.rsplit_once("No module named ")?;
    let mut asked = argv.windows(2).filter(|pair| pair[0] == "-m").map(|pair| pair[1].as_str());
    asked.find(|module| *module == missed.trim_matches('\'')).filter(|_| !ended.status.success())
}

/// Both outputs.
pub(super) fn output(ended: &Ended) -> String {
    let stdout = String::from_utf8_lossy(&ended.stdout);
    let between = if stdout.is_empty() || stdout.ends_with('\n') { "" } else { "\n" };
    format!("{stdout}{between}{}", ended.stderr)
}

/// How many tests unittest ran.
fn ran(output: &str) -> Option<usize> {
    RAN.as_ref()?.captures_iter(output).last()?[1].parse().ok()
}

/// The part of the tests that passed; 0 if that is not to be told.
pub(crate) fn passed_part(output: &str) -> f64 {
    let sum = |shape: &Shape, text: &str, of: &dyn Fn(&str) -> bool| -> usize {
        let captures = shape.iter().flat_map(|shape| shape.captures_iter(text));
        let counted = captures.filter(|found| of(found.get(2).map_or("", |word| word.as_str())));
        counted.filter_map(|found| found[1].parse::<usize>().ok()).fold(0, usize::saturating_add)
    };
    let last = output.trim_end().lines().last().unwrap_or_default();
    let (passed, all) = match ran(output) {
        Some(all) => (all.saturating_sub(sum(&UNITTEST, last, &|_| true)), all),
        None => (sum(&PYTEST, last, &|word| word == "passed"), sum(&PYTEST, last, &|_| true)),
    };
    // A command that failed did not pass in full, whatever its tests wrote.
    if all == 0 { 0.0 } else { (passed as f64 / all as f64).min(0.99) }
}

#[cfg(test)]
mod tests;
