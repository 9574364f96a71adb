//! What a person or a program submits, and what the store takes.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::{
    BatchName, ConcurrencyKey, Micros, Priority, QueueName, TaskId, TenantName, Trace, TypeName, id,
    retry::Wanted, time,
};

/// One task as it is given on the command line or in a line of JSON. Unknown fields are refused.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "docs/tasks.md describes each field once, for people")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Submission {
    #[serde(rename = "type")]
    pub task_type: TypeName,
    #[serde(default = "null")]
    #[cfg_attr(feature = "openapi", schema(value_type = serde_json::Value, required = false))]
    pub payload: Box<RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<TenantName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 10))]
    pub weight: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<TaskId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_length = 1))]
    pub key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 1000))]
    pub max_attempts: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryFields>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency_key: Option<ConcurrencyKey>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<std::collections::BTreeMap<String, serde_json::Value>>))]
    pub metadata: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchName>,
}

/// The back-off of one task, where it differs from its type's.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "docs/tasks.md describes each field once, for people")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RetryFields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<String>,
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub classes: std::collections::BTreeMap<String, Wanted>,
}

fn null() -> Box<RawValue> {
    RawValue::from_string("null".into()).expect("null is JSON")
}

/// What travels with a task for the node that runs it; only what the submission said.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// The longest an attempt may take, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Attempts charged at the most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// Back-off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryFields>,
    /// The submitter's own data, any JSON object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Box<RawValue>>,
    /// The same, sealed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sealed: Option<String>,
    /// The trace that it was submitted in. Nodes that do not know it leave it alone.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "readable")]
    pub trace: Option<Trace>,
}

/// A trace that cannot be read is none: no task fails for it.
fn readable<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Trace>, D::Error> {
    let text = Box::<RawValue>::deserialize(deserializer)?;
    Ok(serde_json::from_str(text.get()).ok())
}

/// When a task may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Start {
    /// At once.
    Now,
    /// This long after Redis accepted it.
    After(Duration),
    /// At a moment.
    At(Micros),
}

/// Until when a task must have been started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Expiry {
    /// No limit.
    Never,
    /// This long after Redis accepted it.
    After(Duration),
    /// At a moment.
    At(Micros),
}

/// A checked task, ready for the store.
#[derive(Debug, Clone)]
pub struct NewTask {
    /// The queue.
    pub queue: QueueName,
    /// The identity within the queue.
    pub id: TaskId,
    /// Digest of the fields as given; empty where the id was made new, so that nothing can conflict.
    pub digest: String,
    /// The type.
    pub task_type: TypeName,
    /// JSON text.
    pub payload: Box<RawValue>,
    /// The priority.
    pub priority: Priority,
    /// The tenant, if one was named.
    pub tenant: Option<TenantName>,
    /// The tenant's weight, 1 to 10.
    pub weight: u32,
    /// When it may start.
    pub start: Start,
    /// Until when it must have started.
    pub expiry: Expiry,
    /// The batch.
    pub batch: Option<BatchName>,
    /// The concurrency key.
    pub concurrency_key: Option<ConcurrencyKey>,
    /// JSON text of [`Options`], empty where nothing was said.
    pub options: String,
}

/// What a submission inherits where it says nothing: from the command line and from its type's configuration.
#[derive(Debug, Clone, Default)]
pub struct Inherited {
    /// The queue.
    pub queue: Option<QueueName>,
    /// The priority.
    pub priority: Option<Priority>,
    /// The batch.
    pub batch: Option<BatchName>,
    /// The line in the file, from 1: the id is derived from it and the batch.
    pub line: Option<u64>,
    /// The trace of whoever submits. It decides nothing: the same task from another trace is the same task.
    pub trace: Option<Trace>,
}

impl Submission {
    /// A submission of `task_type` that says nothing else.
    pub fn new(task_type: TypeName, payload: Box<RawValue>) -> Self {
        Self {
            task_type,
            payload,
            queue: None,
            priority: None,
            tenant: None,
            weight: None,
            id: None,
            key: None,
            delay: None,
            run_at: None,
            expires: None,
            timeout: None,
            max_attempts: None,
            retry: None,
            concurrency_key: None,
            metadata: None,
            batch: None,
        }
    }

    /// Takes from `defaults` what this submission does not say (its type, payload, id and key aside).
    pub fn inherit(&mut self, defaults: &Self) {
        fn or<T: Clone>(own: &mut Option<T>, default: Option<&T>) {
            if own.is_none() {
                *own = default.cloned();
            }
        }
        or(&mut self.priority, defaults.priority.as_ref());
        or(&mut self.tenant, defaults.tenant.as_ref());
        or(&mut self.weight, defaults.weight.as_ref());
        // They name one moment: a line that gives either does not take the other.
        if self.delay.is_none() && self.run_at.is_none() {
            self.delay.clone_from(&defaults.delay);
            self.run_at.clone_from(&defaults.run_at);
        }
        or(&mut self.expires, defaults.expires.as_ref());
        or(&mut self.timeout, defaults.timeout.as_ref());
        or(&mut self.max_attempts, defaults.max_attempts.as_ref());
        or(&mut self.concurrency_key, defaults.concurrency_key.as_ref());
        or(&mut self.metadata, defaults.metadata.as_ref());
    }

    /// Checks every field; the error names the field and says what is allowed.
    pub fn resolve(mut self, inherited: &Inherited, max_payload: usize) -> Result<NewTask, String> {
        if self.batch.is_none() {
            self.batch.clone_from(&inherited.batch);
        }
        let size = self.payload.get().len();
        if size > max_payload {
            return Err(format!(
                "payload: it has {size} bytes, at most {max_payload} are allowed (settings submit.max_payload, claim_check)"
            ));
        }
        let (id, digest) = self.identity(inherited)?;
        Ok(NewTask {
            start: self.start()?,
            expiry: self.expiry()?,
            weight: self.weight()?,
            options: self.options(inherited.trace.as_ref())?,
            queue: self.queue.or_else(|| inherited.queue.clone()).unwrap_or_else(QueueName::default_queue),
            priority: self.priority.or(inherited.priority).unwrap_or_default(),
            task_type: self.task_type,
            payload: self.payload,
            tenant: self.tenant,
            batch: self.batch,
            concurrency_key: self.concurrency_key,
            id,
            digest,
        })
    }

    fn identity(&self, inherited: &Inherited) -> Result<(TaskId, String), String> {
        let id = match (&self.id, &self.key, &self.batch, inherited.line) {
            (Some(_), Some(_), ..) => return Err("id, key: give one of them, not both".into()),
            (Some(id), ..) => id.clone(),
            (None, Some(key), ..) if key.is_empty() => return Err("key: it is empty".into()),
            (None, Some(key), ..) => id::from_key(key),
            (None, None, Some(batch), Some(line)) => id::from_line(batch, line),
            _ => return Ok((id::new_id(), String::new())),
        };
        let given = serde_json::to_vec(self).map_err(|e| e.to_string())?;
        Ok((id, id::digest(&given)))
    }

    fn start(&self) -> Result<Start, String> {
        match (&self.delay, &self.run_at) {
            (Some(_), Some(_)) => Err("delay, run_at: give one of them, not both".into()),
            (Some(delay), None) => {
                let delay = time::parse_duration(delay).map_err(|e| format!("delay: {e}"))?;
                Ok(if delay.is_zero() { Start::Now } else { Start::After(delay) })
            }
            (None, Some(at)) => Micros::parse(at).map(Start::At).map_err(|e| format!("run_at: {e}")),
            (None, None) => Ok(Start::Now),
        }
    }

    fn expiry(&self) -> Result<Expiry, String> {
        let Some(text) = &self.expires else { return Ok(Expiry::Never) };
        match (time::parse_duration(text), Micros::parse(text)) {
            (Ok(duration), _) => Ok(Expiry::After(duration)),
            (_, Ok(moment)) => Ok(Expiry::At(moment)),
            _ => {
                Err(format!("expires: {text:?} is not valid: use a duration such as 1h, or an RFC 3339 time"))
            }
        }
    }

    fn weight(&self) -> Result<u32, String> {
        match self.weight {
            None => Ok(1),
            Some(weight @ 1..=10) => Ok(weight),
            Some(weight) => Err(format!("weight: {weight} is not valid: use 1 to 10")),
        }
    }

    fn options(&self, trace: Option<&Trace>) -> Result<String, String> {
        let timeout_ms = match &self.timeout {
            None => None,
            Some(text) => match time::parse_duration(text).map_err(|e| format!("timeout: {e}"))? {
                zero if zero.is_zero() => return Err("timeout: it must be longer than zero".into()),
                timeout => Some(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
            },
        };
        if let Some(attempts) = self.max_attempts
            && !(1..=1000).contains(&attempts)
        {
            return Err(format!("max_attempts: {attempts} is not valid: use 1 to 1000"));
        }
        if let Some(retry) = &self.retry {
            retry.check()?;
        }
        if let Some(metadata) = &self.metadata
            && !metadata.get().trim_start().starts_with('{')
        {
            return Err("metadata: it must be a JSON object".into());
        }
        let options = Options {
            timeout_ms,
            max_attempts: self.max_attempts,
            retry: self.retry.clone(),
            metadata: self.metadata.clone(),
            sealed: None,
            trace: trace.cloned(),
        };
        let text = serde_json::to_string(&options).map_err(|e| e.to_string())?;
        Ok(if text == "{}" { String::new() } else { text })
    }
}

impl RetryFields {
    fn check(&self) -> Result<(), String> {
        for (field, text) in [("base", &self.base), ("cap", &self.cap)] {
            if let Some(text) = text {
                time::parse_duration(text).map_err(|e| format!("retry.{field}: {e}"))?;
            }
        }
        for class in self.classes.keys() {
            class.parse::<super::ErrorClass>().map_err(|e| format!("retry.classes: {e}"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(json: &str, line: Option<u64>) -> Result<NewTask, String> {
        let submission: Submission = serde_json::from_str(json).map_err(|e| e.to_string())?;
        let batch = line.map(|_| BatchName::new("b").unwrap());
        submission.resolve(&Inherited { batch, line, ..Inherited::default() }, 100)
    }

    #[test]
    fn each_fault_is_named_with_its_field() {
        for (json, field) in [
            (r#"{"type":"noop","prority":"high"}"#, "prority"),
            (r#"{"type":"noop","priority":"urgent"}"#, "urgent"),
            (r#"{"type":"noop","queue":"a b"}"#, "queue name"),
            (r#"{"type":"noop","timeout":"-1s"}"#, "timeout"),
            (r#"{"type":"noop","timeout":"0"}"#, "timeout"),
            (r#"{"type":"noop","weight":11}"#, "weight"),
            (r#"{"type":"noop","delay":"1s","run_at":"2026-01-01T00:00:00Z"}"#, "delay, run_at"),
            (r#"{"type":"noop","id":"a","key":"b"}"#, "id, key"),
            (r#"{"type":"noop","metadata":[1]}"#, "metadata"),
            (r#"{"type":"noop","retry":{"classes":{"oops":"fail"}}}"#, "retry.classes"),
            (r#"{"type":"noop","expires":"soon"}"#, "expires"),
            (r#"{"payload":1}"#, "type"),
        ] {
            let error = resolve(json, None).expect_err(json);
            assert!(error.contains(field), "{json}: {error}");
        }
        assert!(resolve(&format!(r#"{{"type":"noop","payload":"{}"}}"#, "x".repeat(200)), None).is_err());
    }

    #[test]
    fn the_same_line_of_a_batch_is_the_same_task_and_other_content_has_another_digest() {
        let (a, b) = (
            resolve(r#"{"type":"noop","delay":"1h"}"#, Some(3)),
            resolve(r#"{"type":"noop","delay":"1h"}"#, Some(3)),
        );
        let (a, b) = (a.unwrap(), b.unwrap());
        assert_eq!((a.id.clone(), a.digest.clone()), (b.id, b.digest), "relative delays count as written");
        let c = resolve(r#"{"type":"noop","delay":"2h"}"#, Some(3)).unwrap();
        assert_eq!(a.id, c.id);
        assert_ne!(a.digest, c.digest);
    }

    #[test]
    fn a_trace_travels_with_the_task_and_makes_it_no_other_one() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let resolve = |trace: Option<Trace>| {
            let submission: Submission = serde_json::from_str(r#"{"type":"noop","key":"k"}"#).unwrap();
            submission.resolve(&Inherited { trace, ..Inherited::default() }, 100).unwrap()
        };
        let (with, without) = (resolve(Trace::read(parent, Some("a=1"))), resolve(None));
        assert_eq!((&with.id, &with.digest), (&without.id, &without.digest));
        assert_eq!(without.options, "");
        let options: Options = serde_json::from_str(&with.options).unwrap();
        assert_eq!(options.trace, Trace::read(parent, Some("a=1")));
        let broken: Options = serde_json::from_str(r#"{"max_attempts":2,"trace":5}"#).unwrap();
        assert_eq!((broken.max_attempts, broken.trace), (Some(2), None));
    }
}
