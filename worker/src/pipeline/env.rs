//! What the stages of one attempt work with.

use std::{collections::BTreeMap, ffi::OsString, path::Path, time::Duration};

use async_trait::async_trait;

use crate::{
    executor::{Failure, Progress, command},
    sandbox::Sandbox,
};

/// Calls a model on behalf of a stage.
#[async_trait]
pub trait Ask: Send + Sync {
    /// Asks, and gives the text of the answer.
    async fn ask(&self, system: &str, prompt: &str, max_tokens: u32) -> Result<String, Failure>;
}

/// Counts the tokens of a text, as the model that will be called does.
pub type CountTokens = dyn Fn(&str) -> usize + Send + Sync;

/// What the stages of one attempt work with.
#[derive(Clone, Copy)]
pub struct Env<'a> {
    /// A folder of the attempt's own: files are produced and tests are run there.
    pub workspace: &'a Path,
    /// The folder that the task's files are read from, if there is one. Nothing is read from outside of it.
    pub source: Option<&'a Path>,
    /// Counts tokens.
    pub tokens: &'a CountTokens,
    /// How many tokens a request may have: the model's window without what the answer needs.
    pub context_tokens: Option<usize>,
    /// The score that the task itself asks for; it goes before the type's.
    pub threshold: Option<f64>,
    /// How long a command may take that does not say.
    pub timeout: Duration,
    /// The environment of commands; see [`environment`].
    pub environment: &'a BTreeMap<OsString, OsString>,
    /// What commands may do; those that run produced code have no network unless it says so.
    pub sandbox: &'a Sandbox,
    /// Where commands report progress.
    pub progress: &'a Progress,
    /// What the task holds is sealed, so it must not be logged.
    pub seals: bool,
    /// For the stages that need a model.
    pub ask: &'a dyn Ask,
}

/// What commands see of the worker's environment: the usual variables, and those of `allow`.
pub fn environment(allow: &[String]) -> BTreeMap<OsString, OsString> {
    command::inherited(allow)
}
