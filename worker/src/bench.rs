//! What `worker/examples/bench-gateway.rs` measures with. Hidden, and no part of the API.
//!
//! A call here is made as an `llm` task makes it: its tokens are counted, the selector ranks, Redis is asked, the
//! provider streams, and Redis is told.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::value::to_raw_value;
use windlass_llm::{ChatRequest, Message, Role, select::Requirements, tokens::Tokenizer};
use windlass_shared::{
    config::Config,
    model::{Priority, QueueName, TaskId, TaskRef, TypeName},
    store::Connect,
};

use crate::{
    executor::{
        Carry, Executor as _, Failure, Job, Progress,
        llm::{LlmExecutor, Unusable},
    },
    gateway::{Call, Gateway, Ledger, Who},
    sandbox::Host,
};

/// Whose calls they are.
const TENANT: &str = "bench";
/// Calls in one ledger: one is enough.
const MOST_CALLS: usize = 20;

/// A gateway that is connected, and the executor of a type that uses it.
pub struct Bench {
    gateway: Arc<Gateway>,
    executor: LlmExecutor,
    task_type: TypeName,
    models: Vec<String>,
    max_tokens: u32,
    config: Config,
}

/// How long a call took.
#[derive(Debug, Clone, Copy)]
pub struct Took {
    /// Until the answer was there.
    pub answer: Duration,
    /// Until Redis confirmed the report of it, too, for which no task waits.
    pub whole: Duration,
    /// The answer was known.
    pub cached: bool,
}

impl Bench {
    /// A gateway as the configuration wants it, connected to its Redis. `task_type` is an `llm` type of the
    /// configuration with a route; each call asks for at most `max_tokens`.
    pub async fn connect(config: Config, task_type: &str, max_tokens: u32) -> Result<Self, String> {
        let task_type = TypeName::new(task_type).map_err(|error| error.to_string())?;
        let spec = config.type_spec(&task_type).ok_or("the configuration does not know the type")?;
        let gateway = Arc::new(Gateway::new(&config).map_err(|faults| faults.join("; "))?);
        let executor =
            LlmExecutor::new(Arc::clone(&gateway), task_type.as_str(), &spec, &config, &Host::default());
        let executor = executor.map_err(|unusable| match unusable {
            Unusable::Faults(faults) => faults.join("; "),
            Unusable::NoProvider(why) => why,
        })?;
        let store = Connect::configured(&config).open().await.map_err(|error| error.to_string())?;
        gateway.connect(store.gate());
        let models = spec.llm.route.iter().map(|name| gateway.named(name)).collect::<Result<_, _>>();
        Ok(Self {
            models: models.map_err(|failure| told(&failure))?,
            gateway,
            executor,
            task_type,
            max_tokens,
            config,
        })
    }

    /// What is asked with this prompt. The same request, sent without the gateway, is the raw call.
    pub fn request(&self, prompt: &str) -> ChatRequest {
        ChatRequest {
            messages: vec![Message::text(Role::User, prompt)],
            max_tokens: Some(self.max_tokens),
            ..ChatRequest::default()
        }
    }

    /// One call through the gateway.
    pub async fn call(&self, prompt: &str) -> Result<Took, String> {
        let who = self.who();
        let request = self.request(prompt);
        let mut ledger = Ledger::open(None, 1, MOST_CALLS, Carry::default(), self.gateway.reports.clone());
        let start = Instant::now();
        let need = Requirements {
            models: self.models.clone(),
            input_tokens: Tokenizer::O200kBase.count_messages([prompt]),
            output_tokens: u64::from(self.max_tokens),
            category: Some(who.category.clone()),
            ..Requirements::default()
        };
        let call = Call {
            request: &request,
            need: &need,
            who: &who,
            cache: self.config.llm.cache,
            mode: &self.config.llm.mode,
            rotate_on_refusal: true,
            prefer_quality: None,
        };
        let answered = self.gateway.call(&call, &mut ledger).await.map_err(|failure| told(&failure))?;
        let answer = start.elapsed();
        self.gateway.judged(&who, &answered, None, &mut ledger);
        ledger.reported().await;
        let cached = ledger.calls().last().is_some_and(|call| call.cached);
        Ok(Took { answer, whole: start.elapsed(), cached })
    }

    /// One `llm` task, from its payload to its result: the gateway, and everything that the executor does around it.
    pub async fn task(&self, prompt: &str) -> Result<Duration, String> {
        let job = self.job(prompt)?;
        let start = Instant::now();
        self.executor.execute(&job).await.map_err(|failure| told(&failure))?;
        Ok(start.elapsed())
    }

    fn who(&self) -> Who {
        Who {
            tenant: TENANT.into(),
            queue: "default".into(),
            task_type: self.task_type.to_string(),
            category: self.task_type.to_string(),
            rank: Priority::Normal.band(),
            ..Who::default()
        }
    }

    fn job(&self, prompt: &str) -> Result<Job, String> {
        let payload = serde_json::json!({ "prompt": prompt, "max_tokens": self.max_tokens });
        Ok(Job {
            reference: TaskRef {
                queue: QueueName::new("default").map_err(|error| error.to_string())?,
                id: TaskId::new("bench").map_err(|error| error.to_string())?,
            },
            task_type: self.task_type.clone(),
            attempt: 1,
            payload: to_raw_value(&payload).map_err(|error| error.to_string())?,
            submitted: None,
            tenant: Some(TENANT.into()),
            batch: None,
            priority: Priority::Normal,
            waits: 0,
            crashes: 0,
            ledger: None,
            carry: Carry::default(),
            metadata: None,
            trace: None,
            progress: Progress::none(),
        })
    }
}

fn told(failure: &Failure) -> String {
    format!("{}: {}", failure.class, failure.message)
}
