//! `command`: a program of the operator's reads the draft as JSON. Exit code 0 is well; it may write
//! `{"score": 0..1, "message": TEXT}`. Any other exit code is a fault of the answer, and standard error says which.

use serde::Deserialize;
use windlass_shared::config::pipeline::{CommandCheck, Directory};

use super::{
    super::{
        Draft, Env,
        program::{self, Program},
        shorten,
    },
    finding::Finding,
};
use crate::executor::Failure;

#[derive(Debug)]
pub(super) struct Command {
    program: Program,
    min: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    #[serde(default = "all")]
    score: f64,
    #[serde(default)]
    message: String,
}

fn all() -> f64 {
    1.0
}

impl Command {
    pub(super) fn new(spec: &CommandCheck) -> Result<Self, Vec<String>> {
        let directory = spec.directory.unwrap_or(Directory::Workspace);
        let program = Program::new(&spec.argv, &spec.env, spec.timeout, directory)?;
        Ok(Self { program, min: spec.min })
    }

    pub(super) async fn find(&self, draft: &Draft, env: &Env<'_>) -> Result<Finding, Failure> {
        let ended = self.program.run(draft, &program::json(draft)?, env).await?;
        let wrote = ended.stdout.trim_ascii();
        if ended.status.success() && wrote.is_empty() {
            return Ok(Finding::passed());
        }
        // A list would pass for a struct by its order.
        let answer: Option<Answer> = serde_json::from_slice(wrote).ok().filter(|_| wrote.starts_with(b"{"));
        let valid = answer.filter(|answer| (0.0..=1.0).contains(&answer.score));
        match valid {
            Some(answer) => {
                let passed = ended.status.success() && answer.score + 1e-9 >= self.min;
                let score = if ended.status.success() { answer.score } else { answer.score.min(0.99) };
                let message = if answer.message.is_empty() && !passed {
                    program::ending(&ended)
                } else {
                    answer.message
                };
                Ok(Finding::scored(passed, score, message))
            }
            None if ended.status.success() => Err(Failure::bad_request(
                "the command of a validator wrote something else than {\"score\": 0..1, \"message\": TEXT}",
            )),
            None => {
                let wrote = String::from_utf8_lossy(wrote);
                Ok(Finding::failed(format!("{}\n{}", program::ending(&ended), shorten::tail(&wrote, 2000))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use windlass_shared::model::ErrorClass;

    use super::*;
    use crate::pipeline::{
        testing::{World, validator},
        verdict::Check,
    };

    async fn check(argv: &[&str], min: f64) -> Result<Check, Failure> {
        let world = World::new();
        let mut draft = Draft::of_payload(&json!({"description": "d"})).unwrap();
        draft.answered("the answer");
        let entry = json!({"validator": "command", "argv": argv, "min": min});
        Ok(validator(&entry).validate(&draft, &world.env()).await?.checks.remove(0))
    }

    #[tokio::test]
    async fn a_shell_command_says_it_by_its_exit_code() {
        assert!(check(&["sh", "-c", "grep -q 'the answer'"], 0.0).await.unwrap().passed);
        let failed = check(&["sh", "-c", "echo said; echo why >&2; exit 3"], 0.0).await.unwrap();
        assert_eq!((failed.passed, failed.message.as_str()), (false, "exit code 3: why\nsaid"));
    }

    #[tokio::test]
    async fn a_python_command_gives_a_score() {
        let script = "import json, sys\nd = json.load(sys.stdin)\nprint(json.dumps({'score': len(d['output']) / 20, 'message': d['variables']['description']}))";
        let enough = check(&["python3", "-c", script], 0.5).await.unwrap();
        assert_eq!((enough.passed, enough.score, enough.message.as_str()), (true, 0.5, "d"));
        assert!(!check(&["python3", "-c", script], 0.6).await.unwrap().passed);
    }

    #[tokio::test]
    async fn what_it_writes_is_read_strictly() {
        for wrote in ["fine", "{\"score\": 7}", "{\"scroe\": 1}", "[]"] {
            let failure = check(&["echo", wrote], 0.0).await.unwrap_err();
            assert_eq!(failure.class, ErrorClass::BadRequest, "{wrote}");
        }
    }
}
