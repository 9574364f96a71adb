//! `command`: any program reads the draft as JSON and writes the fields that change, also as JSON; nothing at all if
//! none does.
//!
//! Exit code 0 is success. After an answer, 65 says that the answer is not usable: standard error is what the model
//! is told. Any other code is a failure of the command.

use windlass_shared::{config::pipeline::CommandSpec, model::ErrorClass};

use crate::{
    executor::Failure,
    pipeline::{
        Draft, Env,
        program::{self, Program},
    },
};

/// "Data error" in `sysexits.h`.
const UNUSABLE: i32 = 65;

#[derive(Debug)]
pub(crate) struct CommandStage(Program);

impl CommandStage {
    pub(super) fn new(spec: &CommandSpec) -> Result<Self, Vec<String>> {
        Program::of_spec(spec).map(Self)
    }

    pub(super) async fn run(&self, draft: &mut Draft, env: &Env<'_>) -> Result<(), Failure> {
        let ended = self.0.run(draft, &program::json(draft)?, env).await?;
        match ended.status.code() {
            Some(0) => {}
            Some(UNUSABLE) => return Err(Failure::new(ErrorClass::MalformedOutput, program::ending(&ended))),
            _ => {
                return Err(Failure::new(
                    ErrorClass::ExitCode,
                    format!("a stage failed: {}", program::ending(&ended)),
                ));
            }
        }
        if ended.stdout.trim_ascii().is_empty() {
            return Ok(());
        }
        draft.change(&ended.stdout).map_err(|why| {
            let message = format!("what the command of a stage wrote is no JSON of a draft's fields: {why}");
            Failure::bad_request(message)
        })
    }
}
