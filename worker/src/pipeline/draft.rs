//! What goes through the stages: first what is to be asked, then what was answered and made of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::paths;
use crate::executor::Failure;

/// A task on its way through the pipeline. As JSON it is what commands read.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Draft {
    /// The task's fields, which templates see by their names.
    pub variables: Map<String, Value>,
    /// Instructions that come before the conversation.
    pub system: Option<String>,
    /// The conversation. The last message of the user is the task's instruction.
    pub messages: Vec<Message>,
    /// Files that the model is shown.
    pub context: Vec<ContextFile>,
    /// The answer, or what the stages made of it.
    pub output: String,
    /// The JSON in the answer.
    pub json: Option<Value>,
    /// The files that were made: relative paths, and texts.
    pub files: BTreeMap<String, String>,
    /// What stages have to say about what they did.
    pub notes: Vec<String>,
    /// The task's files as they were read, before anything was shortened or redacted in them.
    #[serde(skip)]
    pub(super) sources: BTreeMap<String, Arc<str>>,
    /// Paths in the workspace that a stage wrote for the last answer.
    #[serde(skip)]
    pub(super) written: BTreeSet<String>,
}

/// Who says a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The operator.
    System,
    /// The task.
    User,
    /// The model.
    Assistant,
}

/// One message of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Who says it.
    pub role: Role,
    /// What is said.
    pub content: String,
}

/// A file that the model is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContextFile {
    /// Its path, relative to the source folder.
    pub path: String,
    /// Its text, or what is left of it.
    pub text: String,
    /// From 0 to 1. The task's target has 1 and is not left out.
    #[serde(default = "middle")]
    pub importance: f64,
    /// Tokens of the text.
    #[serde(default)]
    pub tokens: usize,
}

fn middle() -> f64 {
    0.5
}

/// What a command may change. What is absent stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    variables: Option<Map<String, Value>>,
    system: Option<String>,
    messages: Option<Vec<Message>>,
    context: Option<Vec<ContextFile>>,
    output: Option<String>,
    json: Option<Value>,
    files: Option<BTreeMap<String, String>>,
    notes: Option<Vec<String>>,
}

impl Message {
    /// What the task says.
    pub fn user(content: impl Into<String>) -> Self {
        Self { role: Role::User, content: content.into() }
    }
}

impl Draft {
    /// A draft with these variables, and nothing asked yet.
    ///
    /// With a `target_file` come `target_name`, `target_dir` and `stem` (the name without its extension), unless the
    /// task has them.
    pub fn new(mut variables: Map<String, Value>) -> Self {
        if let Some(target) = variables.get("target_file").and_then(Value::as_str).map(str::to_owned) {
            let path = Path::new(&target);
            let parts = [("target_name", path.file_name()), ("stem", path.file_stem())];
            let parts = parts.map(|(name, part)| (name, part.and_then(|part| part.to_str())));
            let parent = ("target_dir", path.parent().and_then(Path::to_str));
            for (name, part) in parts.into_iter().chain([parent]) {
                variables.entry(name).or_insert_with(|| part.unwrap_or_default().into());
            }
        }
        Self { variables, ..Self::default() }
    }

    /// A draft of a task's payload: its fields are the variables; `system`, `messages` and `prompt` (or else
    /// `description`) are what is asked.
    pub fn of_payload(payload: &Value) -> Result<Self, Failure> {
        let Value::Object(fields) = payload else {
            return Err(Failure::bad_request("the payload is not valid: it must be a JSON object"));
        };
        let text = |name: &str| match fields.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(Failure::bad_request(format!("`{name}` must be a text"))),
        };
        let mut draft = Self::new(fields.clone());
        draft.system = text("system")?;
        if let Some(messages) = fields.get("messages").filter(|messages| !messages.is_null()) {
            draft.messages = Vec::deserialize(messages)
                .map_err(|error| Failure::bad_request(format!("`messages` is not valid: {error}")))?;
        }
        let asked = match text("prompt")? {
            None if draft.messages.is_empty() => text("description")?,
            prompt => prompt,
        };
        draft.messages.extend(asked.map(Message::user));
        draft.system_first();
        Ok(draft)
    }

    /// Instructions within the conversation become part of the system text.
    fn system_first(&mut self) {
        let (system, rest): (Vec<_>, _) =
            std::mem::take(&mut self.messages).into_iter().partition(|message| message.role == Role::System);
        self.messages = rest;
        for message in system {
            let before = self.system.take().map(|text| text + "\n\n").unwrap_or_default();
            self.system = Some(before + &message.content);
        }
    }

    /// Where the task's instruction stands among the messages.
    pub(super) fn instruction(&self) -> Option<usize> {
        self.messages.iter().rposition(|message| message.role == Role::User)
    }

    /// Replaces the instruction, or gives one.
    pub(super) fn instruct(&mut self, content: String) {
        match self.instruction() {
            Some(index) => self.messages[index].content = content,
            None => self.messages.push(Message::user(content)),
        }
    }

    /// The messages to send, with the context files before the instruction. The system text goes apart.
    pub fn conversation(&self) -> Vec<Message> {
        let mut messages = self.messages.clone();
        if let Some(index) = self.instruction() {
            let shown: String = self.context.iter().map(ContextFile::shown).collect();
            messages[index].content.insert_str(0, &shown);
        }
        messages
    }

    /// Takes a model's answer. What was made of an earlier one is forgotten.
    pub fn answered(&mut self, output: impl Into<String>) {
        self.output = output.into();
        self.json = None;
        self.files.clear();
    }

    /// What is judged: the files that were made, else the text.
    pub(super) fn subjects(&self) -> Vec<(&str, &str)> {
        if self.files.is_empty() {
            return vec![("", self.output.as_str())];
        }
        self.files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect()
    }

    /// What templates see: the variables, and what there is so far.
    pub(super) fn scope(&self) -> Map<String, Value> {
        let mut scope = self.variables.clone();
        let shown = |file: &ContextFile| serde_json::json!({ "path": file.path, "text": file.text });
        scope.insert("context_files".into(), self.context.iter().map(shown).collect());
        scope.insert("output".into(), self.output.clone().into());
        scope.insert("json".into(), self.json.clone().unwrap_or_default());
        scope
    }

    /// Applies what a command answered.
    pub(super) fn change(&mut self, answer: &[u8]) -> Result<(), String> {
        let change: Change = serde_json::from_slice(answer).map_err(|error| error.to_string())?;
        for name in change.files.iter().flat_map(BTreeMap::keys) {
            paths::relative(name)?;
        }
        replace(&mut self.variables, change.variables);
        replace(&mut self.messages, change.messages);
        replace(&mut self.context, change.context);
        replace(&mut self.output, change.output);
        replace(&mut self.files, change.files);
        replace(&mut self.notes, change.notes);
        self.system = change.system.or(self.system.take()).filter(|text| !text.is_empty());
        self.json = change.json.or(self.json.take());
        self.system_first();
        Ok(())
    }
}

fn replace<T>(old: &mut T, new: Option<T>) {
    if let Some(new) = new {
        *old = new;
    }
}

impl ContextFile {
    /// As it is put before the instruction.
    pub(super) fn shown(&self) -> String {
        let end = if self.text.ends_with('\n') { "" } else { "\n" };
        format!("<file path=\"{}\">\n{}{end}</file>\n\n", self.path, self.text)
    }
}

#[cfg(test)]
mod tests;
