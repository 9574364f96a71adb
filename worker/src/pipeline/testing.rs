//! What the tests of several stages need.

use std::{collections::BTreeMap, ffi::OsString, fs, path::Path, sync::Mutex, time::Duration};

use async_trait::async_trait;
use serde_json::{Value, json};
use windlass_shared::{config::pipeline::PipelineSpec, model::ErrorClass};

use super::{Ask, Env, Pipeline, environment};
use crate::{
    executor::{Failure, Progress},
    sandbox::Sandbox,
};

/// A workspace, a source folder, and a model that says what it was told to.
pub(super) struct World {
    workspace: tempfile::TempDir,
    source: tempfile::TempDir,
    environment: BTreeMap<OsString, OsString>,
    progress: Progress,
    sandbox: Sandbox,
    pub(super) model: Scripted,
}

/// Answers in order, and keeps what it was asked.
#[derive(Default)]
pub(super) struct Scripted {
    answers: Mutex<Vec<String>>,
    pub(super) asked: Mutex<Vec<(String, String)>>,
}

#[async_trait]
impl Ask for Scripted {
    async fn ask(&self, system: &str, prompt: &str, _: u32) -> Result<String, Failure> {
        self.asked.lock().unwrap().push((system.into(), prompt.into()));
        let mut answers = self.answers.lock().unwrap();
        if answers.is_empty() {
            return Err(Failure::new(ErrorClass::Overloaded, "nothing more to say"));
        }
        Ok(answers.remove(0))
    }
}

/// A token is a word.
fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            workspace: tempfile::tempdir().unwrap(),
            source: tempfile::tempdir().unwrap(),
            environment: environment(&[]),
            sandbox: Sandbox::default(),
            progress: Progress::none(),
            model: Scripted::default(),
        }
    }

    pub(super) fn env(&self) -> Env<'_> {
        Env {
            workspace: self.workspace.path(),
            source: Some(self.source.path()),
            tokens: &words,
            context_tokens: None,
            threshold: None,
            timeout: Duration::from_secs(60),
            environment: &self.environment,
            sandbox: &self.sandbox,
            progress: &self.progress,
            seals: false,
            ask: &self.model,
        }
    }

    pub(super) fn workspace(&self) -> &Path {
        self.workspace.path()
    }

    pub(super) fn source_path(&self) -> &Path {
        self.source.path()
    }

    /// A file below the source folder.
    pub(super) fn source(&self, path: &str, text: &str) {
        let path = self.source.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// What the model will say next.
    pub(super) fn says(&self, answer: &str) {
        self.model.answers.lock().unwrap().push(answer.into());
    }
}

/// A pipeline of this table.
pub(super) fn pipeline(table: &Value) -> Pipeline {
    Pipeline::new(&PipelineSpec::read(table).unwrap()).unwrap()
}

/// A pipeline of this one validator.
pub(super) fn validator(entry: &Value) -> Pipeline {
    pipeline(&json!({ "validate": [entry] }))
}
