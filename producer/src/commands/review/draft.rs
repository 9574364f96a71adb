//! A draft: what a model gave that no validator passed. Read leniently, since any executor may have written it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use windlass_shared::model::{Micros, Priority, TaskRecord, TaskView};

/// A task that waits for people, as `review list` prints it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Waiting {
    #[serde(rename = "ref")]
    pub(crate) reference: String,
    pub(crate) id: String,
    pub(crate) queue: String,
    #[serde(rename = "type")]
    pub(crate) task_type: String,
    pub(crate) priority: Priority,
    pub(crate) tenant: Option<String>,
    pub(crate) batch: Option<String>,
    pub(crate) created_at: Micros,
    /// Start of the attempt that ended here.
    pub(crate) started_at: Option<Micros>,
    pub(crate) class: Option<String>,
    pub(crate) why: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) score: Option<f64>,
    pub(crate) threshold: Option<f64>,
    /// Paths of the draft's files.
    pub(crate) files: Vec<String>,
    pub(crate) cost_usd: Option<f64>,
}

/// One that is shown whole.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Shown {
    #[serde(flatten)]
    pub(crate) waiting: Waiting,
    #[schema(value_type = serde_json::Value)]
    pub(crate) payload: Option<Box<RawValue>>,
    /// What `review approve` would make the result.
    #[schema(value_type = serde_json::Value)]
    pub(crate) draft: Option<Box<RawValue>>,
}

/// The parts of a draft that people look at.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Draft {
    pub(crate) text: String,
    pub(crate) files: BTreeMap<String, String>,
    pub(crate) model: Option<String>,
    pub(crate) cost_usd: Option<f64>,
    pub(crate) validation: Option<Validation>,
    pub(crate) notes: Vec<String>,
    pub(crate) calls: Vec<Call>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Validation {
    pub(crate) score: Option<f64>,
    pub(crate) threshold: Option<f64>,
    pub(crate) checks: Vec<Check>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Check {
    pub(crate) validator: String,
    pub(crate) severity: String,
    pub(crate) ran: bool,
    pub(crate) passed: bool,
    pub(crate) score: Option<f64>,
    pub(crate) message: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Call {
    pub(crate) model: String,
    pub(crate) attempt: u32,
    pub(crate) error: Option<String>,
    pub(crate) input_tokens: Option<u64>,
    pub(crate) output_tokens: Option<u64>,
    pub(crate) cost_usd: Option<f64>,
    pub(crate) duration_ms: u64,
    pub(crate) cached: bool,
    pub(crate) why: String,
}

impl Draft {
    /// Each part by itself: one that cannot be read does not hide the others.
    pub(crate) fn of(task: &TaskRecord) -> Self {
        let Some(result) = task.result.as_deref() else { return Self::default() };
        if let Ok(draft) = serde_json::from_str(result) {
            return draft;
        }
        let parts: BTreeMap<String, serde_json::Value> = serde_json::from_str(result).unwrap_or_default();
        let mut draft = Self { text: result.to_owned(), ..Self::default() };
        for (name, value) in parts {
            if let Ok(part) = serde_json::from_value::<Self>(serde_json::json!({ &name: value })) {
                match name.as_str() {
                    "text" => draft.text = part.text,
                    "files" => draft.files = part.files,
                    "model" => draft.model = part.model,
                    "cost_usd" => draft.cost_usd = part.cost_usd,
                    "validation" => draft.validation = part.validation,
                    "notes" => draft.notes = part.notes,
                    "calls" => draft.calls = part.calls,
                    _ => {}
                }
            }
        }
        draft
    }

    /// The model of the draft, or of the last call.
    fn by(&self) -> Option<String> {
        let last = || self.calls.last().map(|call| call.model.clone());
        self.model.clone().or_else(last).filter(|model| !model.is_empty())
    }
}

impl Waiting {
    pub(crate) fn of(task: &TaskRecord, draft: &Draft) -> Self {
        let validation = draft.validation.as_ref();
        Self {
            reference: task.reference.to_string(),
            id: task.reference.id.to_string(),
            queue: task.reference.queue.to_string(),
            task_type: task.task_type.clone(),
            priority: task.priority,
            tenant: task.tenant.clone(),
            batch: task.batch.clone(),
            created_at: task.created_at,
            started_at: task.started_at,
            class: task.error.as_ref().map(|error| error.class.clone()),
            why: task.error.as_ref().map(|error| error.message.clone()),
            model: draft.by(),
            score: validation.and_then(|validation| validation.score),
            threshold: validation.and_then(|validation| validation.threshold),
            files: draft.files.keys().cloned().collect(),
            cost_usd: draft.cost_usd,
        }
    }
}

impl Shown {
    pub(crate) fn of(task: &TaskRecord, draft: &Draft) -> Self {
        let TaskView { payload, result, .. } = task.view();
        Self { waiting: Waiting::of(task, draft), payload, draft: result }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use windlass_shared::model::{QueueName, TaskId, TaskRef};

    use super::*;

    fn record(result: &str) -> TaskRecord {
        let reference = TaskRef { queue: QueueName::default_queue(), id: TaskId::new("k1").unwrap() };
        let error = r#"{"class":"validation","message":"the tests fail"}"#;
        let pairs = [("type", "unit_test"), ("state", "blocked"), ("result", result), ("error", error)];
        TaskRecord::from_fields(
            reference,
            pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        )
    }

    #[test]
    fn a_draft_tells_who_made_it_and_how_good_it_is() {
        let result = json!({
            "text": "def", "files": {"a.py": "x"}, "model": "p/m", "cost_usd": 0.5,
            "validation": {"passed": false, "score": 0.4, "threshold": 0.7, "checks": [
                {"validator": "syntax", "severity": "error", "ran": true, "passed": false, "score": 0.0,
                 "weight": 1.0, "message": "line 1", "duration_ms": 3}]},
            "calls": [{"model": "p/m", "provider": "p", "attempt": 1, "error": null, "duration_ms": 5, "why": "best"}],
        });
        let task = record(&result.to_string());
        let draft = Draft::of(&task);
        assert_eq!(draft.validation.as_ref().map(|v| v.checks.len()), Some(1));
        let shown: Value = serde_json::to_value(Shown::of(&task, &draft)).unwrap();
        assert_eq!((&shown["ref"], &shown["why"]), (&json!("default/k1"), &json!("the tests fail")));
        assert_eq!(
            (&shown["model"], &shown["score"], &shown["files"]),
            (&json!("p/m"), &json!(0.4), &json!(["a.py"]))
        );
        assert_eq!(shown["draft"], result, "nothing is lost of what approval makes the result");
    }

    #[test]
    fn a_draft_of_another_shape_is_shown_as_far_as_it_is_understood() {
        let odd = record(r#"{"text": "kept", "files": ["no map"], "calls": [{"model": "p/m"}]}"#);
        let draft = Draft::of(&odd);
        assert_eq!((draft.text.as_str(), draft.by().as_deref()), ("kept", Some("p/m")));
        assert_eq!(Draft::of(&record("[1]")).text, "[1]");
        assert_eq!(Draft::of(&record("no JSON")).text, "no JSON");
    }
}
