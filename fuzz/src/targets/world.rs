//! What stages and validators need to run.

use std::{collections::BTreeMap, ffi::OsString, sync::Mutex, time::Duration};

use async_trait::async_trait;
use serde_json::Value;
use tokio::runtime::Runtime;
use windlass_shared::config::PipelineSpec;
use windlass_worker::{
    Sandbox,
    executor::{Failure, Progress},
    pipeline::{Ask, Draft, Env, Pipeline},
};

use super::{Parser, of_text};

/// A file that answers are about.
pub(super) const CALC: &str = "def add(a, b):\n    return a - b\n\n\ndef sub(a, b):\n    return a - b\n";

/// What the stages of an attempt work with: no files, no programs, and a model that says what it is told.
pub(super) struct World {
    pub(super) runtime: Runtime,
    folder: tempfile::TempDir,
    environment: BTreeMap<OsString, OsString>,
    progress: Progress,
    sandbox: Sandbox,
    pub(super) model: Says,
}

pub(super) struct Says(pub(super) Mutex<String>);

#[async_trait]
impl Ask for Says {
    async fn ask(&self, _: &str, _: &str, _: u32) -> Result<String, Failure> {
        Ok(self.0.lock().expect("nobody panicked with it").clone())
    }
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime"),
            folder: tempfile::tempdir().expect("a folder"),
            environment: BTreeMap::new(),
            progress: Progress::none(),
            model: Says(Mutex::default()),
            sandbox: Sandbox::default(),
        }
    }

    pub(super) fn env(&self) -> Env<'_> {
        Env {
            workspace: self.folder.path(),
            source: None,
            tokens: &|text| text.len() / 4,
            context_tokens: Some(4096),
            threshold: None,
            timeout: Duration::from_secs(5),
            environment: &self.environment,
            sandbox: &self.sandbox,
            seals: false,
            progress: &self.progress,
            ask: &self.model,
        }
    }
}

/// A pipeline of this table.
pub(super) fn pipeline(table: &Value) -> Pipeline {
    let spec = PipelineSpec::read(table).expect("the table of a target is valid");
    Pipeline::new(&spec).expect("the pipeline of a target is valid")
}

/// Answers that are judged by the validators of this table.
pub(super) fn validate(table: &Value) -> Parser {
    let (world, pipeline) = (World::new(), pipeline(table));
    of_text(move |text| {
        let mut draft = Draft::default();
        draft.answered(text);
        let _ = world.runtime.block_on(pipeline.validate(&draft, &world.env()));
    })
}
