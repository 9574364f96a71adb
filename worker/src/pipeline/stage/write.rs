//! `write`: lays what was made into the workspace.
//!
//! With `to`, an answer that is one text goes there, whatever file name the model gave it; several named files go to
//! their own paths.

use windlass_shared::{config::pipeline::WriteStage, model::ErrorClass};

use crate::{
    executor::{Failure, command::blocking},
    pipeline::{Draft, Env, paths, template::Template},
};

#[derive(Debug)]
pub(crate) struct Write {
    to: Option<Template>,
}

impl Write {
    pub(super) fn new(spec: &WriteStage) -> Result<Self, Vec<String>> {
        let to = spec
            .to
            .as_deref()
            .map(Template::new)
            .transpose()
            .map_err(|fault| vec![format!("to: {fault}")])?;
        Ok(Self { to })
    }

    pub(super) async fn run(&self, draft: &mut Draft, env: &Env<'_>) -> Result<(), Failure> {
        if let Some(to) = self.to.as_ref().filter(|_| draft.files.len() < 2) {
            let path = to.render("`to`", &draft.scope())?;
            let path = paths::relative(&path).map_err(|why| Failure::bad_request(format!("`to`: {why}")))?;
            let text = draft.files.pop_first().map_or_else(|| draft.output.clone(), |(_, text)| text);
            if text.trim().is_empty() {
                return Err(unusable("the answer is empty: there is nothing to write"));
            }
            draft.files.insert(path, text);
        }
        if draft.files.is_empty() {
            return Err(unusable("the answer names no files: put each into a fenced block with its path"));
        }
        let (workspace, files) = (env.workspace.to_owned(), draft.files.clone());
        draft.written.extend(files.keys().cloned());
        blocking(move || {
            files.iter().try_for_each(|(path, text)| {
                // What is in the way was put there by the answer or by a command.
                paths::write(&workspace, path, text)
                    .map_err(|error| unusable(&format!("{path:?} cannot be written: {error}")))
            })
        })
        .await
    }
}

fn unusable(why: &str) -> Failure {
    Failure::new(ErrorClass::MalformedOutput, why)
}
