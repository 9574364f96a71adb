//! Commands that are told what happens: before the first stage, after the last validator, and after a failure.

use serde::Serialize;
use windlass_shared::{
    config::pipeline::{CommandSpec, HooksSpec},
    model::ErrorClass,
};

use super::{
    Draft, Env, Verdict, each,
    program::{self, Program},
};
use crate::executor::Failure;

#[derive(Debug)]
pub(super) struct Hooks {
    before: Vec<Program>,
    after: Vec<Program>,
    error: Vec<Program>,
}

/// What a hook reads.
#[derive(Serialize)]
struct Event<'a> {
    #[serde(rename = "event")]
    name: &'static str,
    draft: &'a Draft,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<&'a Verdict>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Error<'a>>,
}

#[derive(Serialize)]
struct Error<'a> {
    class: ErrorClass,
    message: &'a str,
}

impl Hooks {
    pub(super) fn new(spec: &HooksSpec, faults: &mut Vec<String>) -> Self {
        let mut hooks = |key: &str, specs: &[CommandSpec]| each(&format!("hooks.{key}"), specs, hook, faults);
        Self {
            before: hooks("before", &spec.before),
            after: hooks("after", &spec.after),
            error: hooks("error", &spec.error),
        }
    }

    pub(super) async fn before(&self, draft: &Draft, env: &Env<'_>) -> Result<(), Failure> {
        run(&self.before, &Event { name: "before", draft, verdict: None, error: None }, env).await
    }

    pub(super) async fn after(&self, draft: &Draft, verdict: &Verdict, env: &Env<'_>) -> Result<(), Failure> {
        run(&self.after, &Event { name: "after", draft, verdict: Some(verdict), error: None }, env).await
    }

    pub(super) async fn failed(&self, draft: &Draft, failure: &Failure, env: &Env<'_>) {
        let error = Error { class: failure.class, message: &failure.message };
        let event = Event { name: "error", draft, verdict: None, error: Some(error) };
        // Each is told, even if one before it fails.
        for hook in &self.error {
            if let Err(failure) = tell(hook, &event, env).await {
                let class = failure.class;
                // Its output may quote what is sealed.
                if env.seals {
                    tracing::warn!(%class, "a hook after an error failed");
                } else {
                    tracing::warn!(%class, reason = failure.message, "a hook after an error failed");
                }
            }
        }
    }
}

/// Hooks are the operator's own and write where they want.
fn hook(spec: &CommandSpec) -> Result<Program, Vec<String>> {
    let mut program = Program::of_spec(spec)?;
    program.author = None;
    Ok(program)
}

async fn run(hooks: &[Program], event: &Event<'_>, env: &Env<'_>) -> Result<(), Failure> {
    for hook in hooks {
        tell(hook, event, env).await?;
    }
    Ok(())
}

async fn tell(hook: &Program, event: &Event<'_>, env: &Env<'_>) -> Result<(), Failure> {
    let ended = hook.run(event.draft, &program::json(event)?, env).await?;
    if ended.status.success() {
        return Ok(());
    }
    let message = format!("a hook `{}` failed: {}", event.name, program::ending(&ended));
    Err(Failure::new(ErrorClass::ExitCode, message))
}
