//! Tasks to submit, written in few words: `task("a").priority(High).key("k")`.

use std::time::Duration;

use serde_json::value::RawValue;
use windlass_shared::model::{
    BatchName, ConcurrencyKey, Expiry, Micros, NewTask, Priority, QueueName, Start, TaskId, TenantName,
    TypeName,
};

/// A task that is being described.
#[derive(Debug, Clone)]
pub(crate) struct Draft(NewTask);

/// The queue of nearly every test.
pub(crate) const QUEUE: &str = "q";

/// A plain task of type `noop` in the queue `q`, whose payload is its id.
pub(crate) fn task(name: impl AsRef<str>) -> Draft {
    let name = name.as_ref();
    Draft(NewTask {
        queue: QueueName::new(QUEUE).expect("a valid queue"),
        id: id(name),
        digest: "same".into(),
        task_type: TypeName::new("noop").expect("a valid type"),
        payload: json(&format!("{name:?}")),
        priority: Priority::Normal,
        tenant: None,
        weight: 1,
        start: Start::Now,
        expiry: Expiry::Never,
        batch: None,
        concurrency_key: None,
        options: String::new(),
    })
}

/// Tasks `PREFIX000`, `PREFIX001`, … that sort as they count.
pub(crate) fn many(prefix: &str, n: usize) -> Vec<Draft> {
    (0..n).map(|i| task(format!("{prefix}{i:06}"))).collect()
}

/// A task id.
pub(crate) fn id(name: impl AsRef<str>) -> TaskId {
    TaskId::new(name).expect("a valid id")
}

/// Task ids.
pub(crate) fn ids(names: &[&str]) -> Vec<TaskId> {
    names.iter().map(id).collect()
}

/// A batch's name.
pub(crate) fn batch(name: &str) -> BatchName {
    BatchName::new(name).expect("a valid batch")
}

fn json(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).expect("valid JSON")
}

impl Draft {
    pub(crate) fn priority(mut self, priority: Priority) -> Self {
        self.0.priority = priority;
        self
    }

    pub(crate) fn tenant(mut self, name: &str, weight: u32) -> Self {
        self.0.tenant = Some(TenantName::new(name).expect("a valid tenant"));
        self.0.weight = weight;
        self
    }

    pub(crate) fn key(mut self, name: &str) -> Self {
        self.0.concurrency_key = Some(ConcurrencyKey::new(name).expect("a valid key"));
        self
    }

    pub(crate) fn batch(mut self, name: &str) -> Self {
        self.0.batch = Some(batch(name));
        self
    }

    /// May start so many seconds after Redis took it.
    pub(crate) fn delay(mut self, seconds: u64) -> Self {
        self.0.start = Start::After(Duration::from_secs(seconds));
        self
    }

    pub(crate) fn run_at(mut self, moment: Micros) -> Self {
        self.0.start = Start::At(moment);
        self
    }

    /// Must have started within so many seconds after Redis took it.
    pub(crate) fn expires(mut self, seconds: u64) -> Self {
        self.0.expiry = Expiry::After(Duration::from_secs(seconds));
        self
    }

    pub(crate) fn payload(mut self, text: &str) -> Self {
        self.0.payload = json(text);
        self
    }

    /// Stands for the content: another digest is other content. Empty: the id was made new.
    pub(crate) fn digest(mut self, digest: &str) -> Self {
        digest.clone_into(&mut self.0.digest);
        self
    }

    pub(crate) fn options(mut self, text: &str) -> Self {
        text.clone_into(&mut self.0.options);
        self
    }

    pub(crate) fn queue(mut self, name: &str) -> Self {
        self.0.queue = QueueName::new(name).expect("a valid queue");
        self
    }

    pub(crate) fn new_task(&self) -> &NewTask {
        &self.0
    }
}
