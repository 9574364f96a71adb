//! The pipeline of an `llm` task: preprocess, generate, postprocess, validate.
//!
//! A [`Pipeline`] is what the configuration says, checked when the worker starts. A [`Draft`] is a task on its way
//! through it. Whoever runs the task calls, in this order:
//!
//! 1. [`Pipeline::before`], then [`Pipeline::preprocess`]: the request is ready, and fits the model;
//! 2. a model, with [`Draft::conversation`], and then [`Draft::answered`];
//! 3. [`Pipeline::postprocess`]: a failure of class `malformed_output` is the answer's fault, and its message can be
//!    told to the model;
//! 4. [`Pipeline::validate`]: a [`Verdict`], whose [`Verdict::feedback`] is what to tell the model if it did not pass;
//!    then 2 again;
//! 5. [`Pipeline::after`] at the end, or [`Pipeline::failed`] after a failure.
//!
//! Everything stops when its future is dropped. Nothing is read from outside of the source folder, and nothing is
//! written outside of the workspace, except by the operator's own commands.

mod check;
mod draft;
mod env;
mod hooks;
mod paths;
mod program;
mod redact;
mod shorten;
mod source;
mod stage;
mod template;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod verdict;

use windlass_shared::{
    config::pipeline::{PipelineSpec, StageSpec},
    model::ErrorClass,
};

#[cfg(feature = "fuzz")]
pub(crate) use self::check::reports;
use self::{check::Validator, hooks::Hooks, stage::Stage};
use crate::{
    executor::{Failure, command::blocking},
    spans,
};

pub use self::{
    draft::{ContextFile, Draft, Message, Role},
    env::{Ask, CountTokens, Env, environment},
    verdict::{Check, Verdict},
};

/// Most bytes of an answer that is looked at.
const LARGEST_ANSWER: usize = 4 << 20;

/// The stages, validators and hooks of a task type.
#[derive(Debug)]
pub struct Pipeline {
    preprocess: Vec<Stage>,
    postprocess: Vec<Stage>,
    validate: Vec<Validator>,
    hooks: Hooks,
    threshold: f64,
}

impl Pipeline {
    /// Checks all that the configuration says, and tells all that is wrong with it.
    pub fn new(spec: &PipelineSpec) -> Result<Self, Vec<String>> {
        let mut faults = Vec::new();
        let stage = |stage: &StageSpec| Stage::new(stage, spec.files);
        let preprocess = each("preprocess", &spec.preprocess, stage, &mut faults);
        let postprocess = each("postprocess", &spec.postprocess, stage, &mut faults);
        let validate = each("validate", &spec.validate, Validator::new, &mut faults);
        let hooks = Hooks::new(&spec.hooks, &mut faults);
        if faults.is_empty() {
            Ok(Self { preprocess, postprocess, validate, hooks, threshold: spec.threshold })
        } else {
            Err(faults)
        }
    }

    /// Makes the request. It fits the model, or there is a failure of class `context_length`.
    pub async fn preprocess(&self, draft: &mut Draft, env: &Env<'_>) -> Result<(), Failure> {
        run(&self.preprocess, draft, env).await?;
        if draft.instruction().is_none() {
            let message = "the task asks nothing: give a `prompt`, `messages` or a `description`, or the type a stage \
                `template` with a prompt";
            return Err(Failure::bad_request(message));
        }
        fits(draft, env)
    }

    /// Makes the result out of the answer. What was written for an answer before is taken out of the workspace first.
    pub async fn postprocess(&self, draft: &mut Draft, env: &Env<'_>) -> Result<(), Failure> {
        if draft.output.len() > LARGEST_ANSWER {
            let message = format!("the answer holds more than {LARGEST_ANSWER} bytes");
            return Err(Failure::new(ErrorClass::MalformedOutput, message));
        }
        take_back(draft, env).await?;
        run(&self.postprocess, draft, env).await
    }

    /// Judges the result. A failure is one of this node or of a provider, and not of the answer.
    pub async fn validate(&self, draft: &Draft, env: &Env<'_>) -> Result<Verdict, Failure> {
        let mut checks = Vec::with_capacity(self.validate.len());
        let mut failed = false;
        for validator in &self.validate {
            let check = if failed && validator.costs() {
                validator.not_run()
            } else {
                validated(validator, draft, env).await?
            };
            failed |= validator.decides() && !check.passed;
            checks.push(check);
        }
        Ok(Verdict::new(checks, env.threshold.unwrap_or(self.threshold)))
    }

    /// Runs the hooks `before`. One that fails is a failure of the attempt.
    pub async fn before(&self, draft: &Draft, env: &Env<'_>) -> Result<(), Failure> {
        self.hooks.before(draft, env).await
    }

    /// Runs the hooks `after`. One that fails is a failure of the attempt.
    pub async fn after(&self, draft: &Draft, verdict: &Verdict, env: &Env<'_>) -> Result<(), Failure> {
        self.hooks.after(draft, verdict, env).await
    }

    /// Runs the hooks `error`. One that fails is logged, and that is all.
    pub async fn failed(&self, draft: &Draft, failure: &Failure, env: &Env<'_>) {
        self.hooks.failed(draft, failure, env).await;
    }
}

/// Checks each entry of a list; a fault begins with where it is.
fn each<S, T>(
    key: &str,
    specs: &[S],
    new: impl Fn(&S) -> Result<T, Vec<String>>,
    faults: &mut Vec<String>,
) -> Vec<T> {
    let mut checked = Vec::new();
    for (index, spec) in specs.iter().enumerate() {
        match new(spec) {
            Ok(good) => checked.push(good),
            Err(bad) => faults.extend(bad.into_iter().map(|fault| format!("{key}[{index}].{fault}"))),
        }
    }
    checked
}

async fn run(stages: &[Stage], draft: &mut Draft, env: &Env<'_>) -> Result<(), Failure> {
    for stage in stages {
        let span = spans::step("stage", stage.name());
        let ran = span.around(stage.run(draft, env)).await;
        ran.inspect_err(|failure| span.fail(failure.class.as_str(), ""))?;
    }
    Ok(())
}

async fn validated(validator: &Validator, draft: &Draft, env: &Env<'_>) -> Result<Check, Failure> {
    let span = spans::step("validate", validator.name());
    let checked = span.around(validator.run(draft, env)).await;
    match &checked {
        Ok(check) => {
            span.set("windlass.validation.passed", check.passed);
            span.set("windlass.validation.score", check.score);
        }
        Err(failure) => span.fail(failure.class.as_str(), ""),
    }
    checked
}

fn fits(draft: &Draft, env: &Env) -> Result<(), Failure> {
    env.context_tokens.map_or(Ok(()), |limit| stage::fit::check(draft, env, limit))
}

/// A draft that holds these files and this answer, and what a command makes of it.
#[cfg(feature = "fuzz")]
pub(crate) fn changed(sources: &[(&str, &str)], answer: &str, change: &[u8]) -> Draft {
    let mut draft = Draft::default();
    draft.sources.extend(sources.iter().map(|(path, text)| ((*path).to_owned(), (*text).into())));
    draft.answered(answer);
    let _ = draft.change(change);
    draft
}

/// Puts back what the task brought, and removes what an earlier answer made.
async fn take_back(draft: &mut Draft, env: &Env<'_>) -> Result<(), Failure> {
    let written = std::mem::take(&mut draft.written);
    if written.is_empty() {
        return Ok(());
    }
    let (workspace, sources) = (env.workspace.to_owned(), draft.sources.clone());
    blocking(move || {
        for path in written {
            let taken = match sources.get(&path) {
                Some(text) => paths::write(&workspace, &path, text),
                None => paths::remove(&workspace, &path),
            };
            // What a command put in its place is not ours to follow or to remove.
            if let Err(error) = taken {
                tracing::debug!(%error, "a file of an earlier answer stays in the workspace");
            }
        }
        Ok(())
    })
    .await
}
