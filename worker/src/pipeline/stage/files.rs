//! `files`: the task's files, as context for the model and laid into the workspace.
//!
//! | field of the task | what it gives | importance |
//! | --- | --- | --- |
//! | `target_file` | the file that the task is about | 1 |
//! | `files` | texts by path, brought along | 0.8 |
//! | `context` | a pattern or a list of them, below the source folder | 0.7 if the target or the description names the file, else 0.5 |
//!
//! What cannot be read, is no text or is too much is a failure before a model is called.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use regex::RegexSet;
use serde_json::Value;
use windlass_shared::config::pipeline::{FileLimits, FilesStage};

use super::super::{ContextFile, Draft, Env, paths, source};
use crate::executor::{Failure, command::blocking};

const TARGET: f64 = 1.0;
const BROUGHT: f64 = 0.8;
const NAMED: f64 = 0.7;
const FOUND: f64 = 0.5;

#[derive(Debug)]
pub(crate) struct Files {
    context: Vec<String>,
    copy: bool,
    limits: FileLimits,
}

/// What the task wants to be read.
struct Wanted {
    source: Option<PathBuf>,
    workspace: Option<PathBuf>,
    target: Option<String>,
    brought: BTreeMap<String, String>,
    patterns: Vec<String>,
    limits: FileLimits,
}

impl Files {
    pub(super) fn new(spec: &FilesStage, limits: FileLimits) -> Result<Self, Vec<String>> {
        source::globs(&spec.context).map_err(|why| vec![format!("context: {why}")])?;
        Ok(Self { context: spec.context.clone(), copy: spec.copy, limits })
    }

    pub(super) async fn run(&self, draft: &mut Draft, env: &Env<'_>) -> Result<(), Failure> {
        let wanted = self.wanted(draft, env)?;
        let mut read = blocking(move || wanted.read()).await?;
        weigh(&mut read, draft);
        for file in &mut read {
            file.tokens = (env.tokens)(&file.text);
            draft.sources.insert(file.path.clone(), file.text.as_str().into());
        }
        draft.context = read;
        Ok(())
    }

    fn wanted(&self, draft: &Draft, env: &Env) -> Result<Wanted, Failure> {
        let mut patterns = self.context.clone();
        patterns.extend(texts(draft.variables.get("context"))?);
        Ok(Wanted {
            source: env.source.map(Path::to_owned),
            workspace: self.copy.then(|| env.workspace.to_owned()),
            target: target(draft)?,
            brought: brought(draft.variables.get("files"))?,
            patterns,
            limits: self.limits,
        })
    }
}

/// `target_file` of the task.
fn target(draft: &Draft) -> Result<Option<String>, Failure> {
    match draft.variables.get("target_file") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(name)) => safe("target_file", name).map(Some),
        Some(_) => Err(Failure::bad_request("`target_file` must be a path")),
    }
}

fn safe(field: &str, name: &str) -> Result<String, Failure> {
    paths::relative(name).map_err(|why| Failure::bad_request(format!("`{field}`: {why}")))
}

/// `files` of the task.
fn brought(files: Option<&Value>) -> Result<BTreeMap<String, String>, Failure> {
    let wrong = || Failure::bad_request("`files` must be an object of texts by their paths");
    match files {
        None | Some(Value::Null) => Ok(BTreeMap::new()),
        Some(Value::Object(files)) => files
            .iter()
            .map(|(name, text)| Ok((safe("files", name)?, text.as_str().ok_or_else(wrong)?.to_owned())))
            .collect(),
        Some(_) => Err(wrong()),
    }
}

/// `context` of the task: one pattern or several.
fn texts(context: Option<&Value>) -> Result<Vec<String>, Failure> {
    let wrong = || Failure::bad_request("`context` must be a pattern such as src/**/*.py, or a list of them");
    match context {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(pattern)) => Ok(vec![pattern.clone()]),
        Some(Value::Array(patterns)) => {
            patterns.iter().map(|pattern| pattern.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
        }
        Some(_) => Err(wrong()),
    }
}

impl Wanted {
    fn read(mut self) -> Result<Vec<ContextFile>, Failure> {
        let mut taken = Taken { files: Vec::new(), bytes: 0, limits: self.limits };
        if let Some(name) = self.target.take() {
            let text = match self.brought.remove(&name) {
                Some(text) => text,
                None => self.read_source(&name)?,
            };
            taken.take(name, text, TARGET)?;
        }
        for (name, text) in std::mem::take(&mut self.brought) {
            taken.take(name, text, BROUGHT)?;
        }
        for name in self.matching()? {
            if !taken.has(&name) {
                let text = self.read_source(&name)?;
                taken.take(name, text, FOUND)?;
            }
        }
        if let Some(workspace) = &self.workspace {
            for file in &taken.files {
                paths::write(workspace, &file.path, &file.text).map_err(|error| {
                    Failure::bad_request(format!(
                        "{:?} cannot be laid into the workspace: {error}",
                        file.path
                    ))
                })?;
            }
        }
        Ok(taken.files)
    }

    fn root(&self, what: &str) -> Result<&Path, Failure> {
        self.source.as_deref().ok_or_else(|| {
            Failure::bad_request(format!(
                "{what} cannot be read: this worker has no source folder; bring the text along in `files`"
            ))
        })
    }

    fn matching(&self) -> Result<Vec<String>, Failure> {
        if self.patterns.is_empty() {
            return Ok(Vec::new());
        }
        source::matching(self.root("`context`")?, &self.patterns, self.limits.max_files)
    }

    fn read_source(&self, name: &str) -> Result<String, Failure> {
        source::read(self.root(&format!("{name:?}"))?, name, self.limits.max_file)
    }
}

/// What was read so far, within the limits.
struct Taken {
    files: Vec<ContextFile>,
    bytes: u64,
    limits: FileLimits,
}

impl Taken {
    fn has(&self, path: &str) -> bool {
        self.files.iter().any(|file| file.path == path)
    }

    fn take(&mut self, path: String, text: String, importance: f64) -> Result<(), Failure> {
        let FileLimits { max_file, max_total, max_files } = self.limits;
        let length = text.len() as u64;
        self.bytes += length;
        let why = if text.contains('\0') {
            "it is binary".to_owned()
        } else if length > max_file {
            format!("it holds more than {max_file} bytes (files.max_file)")
        } else if self.bytes > max_total {
            format!("with it the files hold more than {max_total} bytes together (files.max_total)")
        } else if self.files.len() >= max_files {
            format!("it is one more than the {max_files} that are allowed (files.max_files)")
        } else {
            self.files.push(ContextFile { path, text, importance, tokens: 0 });
            return Ok(());
        };
        Err(Failure::bad_request(format!("file {path:?} cannot be taken as context: {why}")))
    }
}

/// A file that the target or the description names is more important than another.
fn weigh(files: &mut [ContextFile], draft: &Draft) {
    let target = files.iter().find(|file| file.importance >= TARGET).map(|file| file.text.as_str());
    let description = draft.variables.get("description").and_then(Value::as_str);
    let texts: Vec<String> = [target, description].into_iter().flatten().map(str::to_owned).collect();
    let stem = |path: &str| Path::new(path).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let stems: Vec<String> = files.iter().map(|file| stem(&file.path).unwrap_or_default()).collect();
    let words = stems.iter().map(|stem| format!(r"\b{}\b", regex::escape(stem)));
    let Ok(words) = RegexSet::new(words) else { return };
    for index in texts.iter().flat_map(|text| words.matches(text)) {
        if files[index].importance < NAMED && stems[index].len() > 2 {
            files[index].importance = NAMED;
        }
    }
}

#[cfg(test)]
mod tests;
