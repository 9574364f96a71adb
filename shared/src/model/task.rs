//! The record of a task, as Redis holds it and as people see it.

use serde::Serialize;
use serde_json::value::RawValue;

use super::{Micros, Priority, State, TaskRef, Unread, submission::Options};

/// A task's hash, read. Fields that were never written have their defaults.
#[derive(Debug, Clone)]
pub struct TaskRecord {
    /// Where it lives.
    pub reference: TaskRef,
    /// Its type, as text (a record may hold what this build refuses).
    pub task_type: String,
    /// Where it is.
    pub state: Option<State>,
    /// Why it is there.
    pub reason: String,
    /// JSON text; empty if it was not asked for or is gone.
    pub payload: String,
    /// Leases so far.
    pub attempt: u32,
    /// Attempts charged to the maximum.
    pub retries: u32,
    /// Leases lost.
    pub crashes: u32,
    /// Hand-backs.
    pub interruptions: u32,
    /// Waits for a limit.
    pub waits: u32,
    /// The priority.
    pub priority: Priority,
    /// The tenant.
    pub tenant: Option<String>,
    /// The batch.
    pub batch: Option<String>,
    /// The concurrency key.
    pub concurrency_key: Option<String>,
    /// The node that holds or last held the lease.
    pub node: Option<String>,
    /// What the submission said for the node.
    pub options: Options,
    /// Last progress report, JSON text.
    pub progress: Option<String>,
    /// The result, JSON text.
    pub result: Option<String>,
    /// What attempts that did not complete left for the next one, JSON text.
    pub ledger: Option<String>,
    /// The last error.
    pub error: Option<TaskError>,
    /// Accepted by Redis.
    pub created_at: Micros,
    /// Start of the current or last lease.
    pub started_at: Option<Micros>,
    /// Reached a final state.
    pub finished_at: Option<Micros>,
    /// When a scheduled task falls due.
    pub due_at: Option<Micros>,
    /// Until when it must have started.
    pub expires_at: Option<Micros>,
    /// How often a person retried it.
    pub requeues: u32,
    /// When a node first met it without knowing its type.
    pub unknown_since: Option<Micros>,
    /// What a person decided about it, JSON text.
    pub review: Option<String>,
    /// A field that could not be read, and why; a node sends such a task to the dead letter.
    pub fault: Option<String>,
    /// Texts that are there and cannot be read here; a placeholder stands in the place of each.
    pub unread: Vec<Unread>,
}

/// Why a task failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TaskError {
    /// The class that decided what happened next.
    pub class: String,
    /// For people.
    pub message: String,
}

impl TaskRecord {
    /// Bytes of its large texts.
    pub fn size(&self) -> usize {
        let texts = [&self.result, &self.ledger, &self.progress];
        self.payload.len() + texts.into_iter().flatten().map(String::len).sum::<usize>()
    }

    /// Reads the pairs of a hash. Never fails: what cannot be read is told in `fault`.
    pub fn from_fields(reference: TaskRef, fields: Vec<(String, String)>) -> Self {
        let mut record = Self {
            reference,
            task_type: String::new(),
            state: None,
            reason: String::new(),
            payload: String::new(),
            attempt: 0,
            retries: 0,
            crashes: 0,
            interruptions: 0,
            waits: 0,
            priority: Priority::Normal,
            tenant: None,
            batch: None,
            concurrency_key: None,
            node: None,
            options: Options::default(),
            progress: None,
            result: None,
            ledger: None,
            error: None,
            created_at: Micros::default(),
            started_at: None,
            finished_at: None,
            due_at: None,
            expires_at: None,
            requeues: 0,
            unknown_since: None,
            review: None,
            fault: None,
            unread: Vec::new(),
        };
        for (name, value) in fields {
            if let Err(why) = record.take(&name, value) {
                record.fault = Some(format!("the record's field `{name}` cannot be read: {why}"));
            }
        }
        if record.task_type.is_empty() {
            record.fault.get_or_insert_with(|| "the record has no field `type`".into());
        }
        if record.reason.is_empty() {
            // What is usual for a state is not written.
            let usual = match record.state {
                Some(State::Running) => "claimed",
                Some(State::Completed) => "completed",
                _ => "submitted",
            };
            usual.clone_into(&mut record.reason);
        }
        record
    }

    fn take(&mut self, name: &str, value: String) -> Result<(), String> {
        let number = |text: &str| text.parse::<u32>().map_err(|e| e.to_string());
        let moment = |text: &str| text.parse::<i64>().map(Micros).map_err(|e| e.to_string());
        match name {
            "type" => self.task_type = value,
            "state" => self.state = Some(value.parse()?),
            "reason" => self.reason = value,
            "payload" => self.payload = value,
            "attempt" => self.attempt = number(&value)?,
            "retries" => self.retries = number(&value)?,
            "crashes" => self.crashes = number(&value)?,
            "interruptions" => self.interruptions = number(&value)?,
            "waits" => self.waits = number(&value)?,
            "requeues" => self.requeues = number(&value)?,
            "priority" => self.priority = value.parse()?,
            "tenant" => self.tenant = Some(value),
            "batch" => self.batch = Some(value),
            "concurrency_key" => self.concurrency_key = Some(value),
            "node" => self.node = Some(value),
            "options" => self.options = serde_json::from_str(&value).map_err(|e| e.to_string())?,
            "progress" => self.progress = Some(value),
            "ledger" => self.ledger = Some(value),
            "result" => self.result = Some(value),
            "error" => self.error = Some(serde_json::from_str(&value).map_err(|e| e.to_string())?),
            "created_at" => self.created_at = moment(&value)?,
            "started_at" => self.started_at = Some(moment(&value)?),
            "finished_at" => self.finished_at = Some(moment(&value)?),
            "due_at" => self.due_at = Some(moment(&value)?),
            "expires_at" => self.expires_at = Some(moment(&value)?),
            "review" => self.review = Some(value),
            "unknown_since" => self.unknown_since = Some(moment(&value)?),
            // A newer producer may write fields that this build does not know.
            _ => {}
        }
        Ok(())
    }

    /// Takes a text that was fetched after the record was read.
    pub(crate) fn put(&mut self, field: &str, text: String) {
        match field {
            "payload" => self.payload = text,
            "result" => self.result = Some(text),
            "ledger" => self.ledger = Some(text),
            _ => {}
        }
    }

    /// The record as every command prints it.
    pub fn view(&self) -> TaskView {
        TaskView {
            reference: self.reference.to_string(),
            id: self.reference.id.to_string(),
            task_type: self.task_type.clone(),
            queue: self.reference.queue.to_string(),
            state: self.state,
            reason: self.reason.clone(),
            attempt: self.attempt,
            retries: self.retries,
            crashes: self.crashes,
            interruptions: self.interruptions,
            waits: self.waits,
            priority: self.priority,
            tenant: self.tenant.clone(),
            batch: self.batch.clone(),
            concurrency_key: self.concurrency_key.clone(),
            node: self.node.clone(),
            progress: self.progress.as_deref().map(json_or_text),
            result: self.result.as_deref().map(json_or_text),
            // A result tells of all attempts.
            ledger: self.ledger.as_deref().filter(|_| self.result.is_none()).map(json_or_text),
            error: self.error.clone(),
            review: self.review.as_deref().map(json_or_text),
            metadata: self.options.metadata.clone(),
            payload: (!self.payload.is_empty()).then(|| json_or_text(&self.payload)),
            created_at: self.created_at,
            started_at: self.started_at,
            finished_at: self.finished_at,
            due_at: self.due_at,
            expires_at: self.expires_at,
        }
    }
}

/// `text` as JSON if it is JSON, else as a JSON string: a record is printed whatever it holds.
fn json_or_text(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap_or_else(|_| {
        serde_json::value::to_raw_value(text).unwrap_or_else(|_| RawValue::NULL.to_owned())
    })
}

/// A task as it is printed: the same fields in every command and format.
#[derive(Debug, Clone, Serialize)]
#[allow(missing_docs, reason = "the fields are those of TaskRecord")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TaskView {
    /// `QUEUE/ID`.
    #[serde(rename = "ref")]
    pub reference: String,
    pub id: String,
    #[serde(rename = "type")]
    pub task_type: String,
    pub queue: String,
    pub state: Option<State>,
    pub reason: String,
    pub attempt: u32,
    pub retries: u32,
    pub crashes: u32,
    pub interruptions: u32,
    pub waits: u32,
    pub priority: Priority,
    pub tenant: Option<String>,
    pub batch: Option<String>,
    pub concurrency_key: Option<String>,
    pub node: Option<String>,
    #[cfg_attr(feature = "openapi", schema(value_type = serde_json::Value))]
    pub progress: Option<Box<RawValue>>,
    #[cfg_attr(feature = "openapi", schema(value_type = serde_json::Value))]
    pub result: Option<Box<RawValue>>,
    #[cfg_attr(feature = "openapi", schema(value_type = serde_json::Value))]
    pub ledger: Option<Box<RawValue>>,
    pub error: Option<TaskError>,
    #[cfg_attr(feature = "openapi", schema(value_type = serde_json::Value))]
    pub review: Option<Box<RawValue>>,
    #[cfg_attr(feature = "openapi", schema(value_type = serde_json::Value))]
    pub metadata: Option<Box<RawValue>>,
    #[cfg_attr(feature = "openapi", schema(value_type = serde_json::Value))]
    pub payload: Option<Box<RawValue>>,
    pub created_at: Micros,
    pub started_at: Option<Micros>,
    pub finished_at: Option<Micros>,
    pub due_at: Option<Micros>,
    pub expires_at: Option<Micros>,
}
