//! The stages, and how each is checked at the start and run.

mod code;
mod command;
mod fences;
mod files;
pub(super) mod fit;
pub(super) mod json;
mod patch;
mod redact;
mod template;
mod write;

use windlass_shared::config::pipeline::{FileLimits, StageSpec};

use self::{
    code::Code, command::CommandStage, files::Files, fit::Fit, json::Json, redact::Redact,
    template::Templates, write::Write,
};
use super::{Draft, Env};
use crate::executor::Failure;

/// One stage, checked.
#[derive(Debug)]
pub(super) enum Stage {
    Template(Templates),
    Files(Files),
    Fit(Fit),
    Redact(Redact),
    Code(Code),
    Json(Json),
    Patch,
    Write(Write),
    Command(CommandStage),
}

impl Stage {
    /// Checks what the configuration says, or tells all that is wrong with it.
    pub(super) fn new(spec: &StageSpec, limits: FileLimits) -> Result<Self, Vec<String>> {
        Ok(match spec {
            StageSpec::Template(spec) => Self::Template(Templates::new(spec)?),
            StageSpec::Files(spec) => Self::Files(Files::new(spec, limits)?),
            StageSpec::Fit(spec) => Self::Fit(Fit::new(*spec)),
            StageSpec::Redact(spec) => Self::Redact(Redact::new(spec)?),
            StageSpec::Code(spec) => Self::Code(Code::new(*spec)),
            StageSpec::Json(spec) => Self::Json(Json::new(*spec)),
            StageSpec::Patch => Self::Patch,
            StageSpec::Write(spec) => Self::Write(Write::new(spec)?),
            StageSpec::Command(spec) => Self::Command(CommandStage::new(spec)?),
        })
    }

    /// What it is called.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Template(_) => "template",
            Self::Files(_) => "files",
            Self::Fit(_) => "fit",
            Self::Redact(_) => "redact",
            Self::Code(_) => "code",
            Self::Json(_) => "json",
            Self::Patch => "patch",
            Self::Write(_) => "write",
            Self::Command(_) => "command",
        }
    }

    /// Runs it.
    pub(super) async fn run(&self, draft: &mut Draft, env: &Env<'_>) -> Result<(), Failure> {
        match self {
            Self::Template(stage) => stage.run(draft),
            Self::Files(stage) => stage.run(draft, env).await,
            Self::Fit(stage) => stage.run(draft, env).await,
            Self::Redact(stage) => {
                stage.run(draft);
                Ok(())
            }
            Self::Code(stage) => stage.run(draft),
            Self::Json(stage) => stage.run(draft),
            Self::Patch => patch::run(draft),
            Self::Write(stage) => stage.run(draft, env).await,
            Self::Command(stage) => stage.run(draft, env).await,
        }
    }
}
