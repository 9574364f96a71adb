//! What every handler works with.

use std::{collections::BTreeMap, future::Future, ops::Deref, sync::Arc};

use axum::{
    extract::FromRequestParts,
    http::request::Parts,
    response::{IntoResponse, Response},
};
use tokio_util::task::TaskTracker;
use tracing::Instrument;
use windlass_shared::{
    model::{NewAction, QueueName, TaskRef},
    store::Store,
};

use super::{
    auth::{Caller, Guard},
    fleet::Fleet,
    problem::{Answer, Kind, Problem},
    registered::Registered,
};
use crate::context::Context;

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct App(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) context: Context,
    pub(crate) store: Store,
    pub(crate) guard: Arc<Guard>,
    /// The fleet as it was a moment ago, read once for all who ask.
    pub(crate) fleet: Fleet,
    /// Where tasks went a moment ago.
    pub(super) registered: Registered,
    /// What is carried out even if nobody waits for it any more.
    pub(super) works: TaskTracker,
    /// Ends streams when the server leaves.
    pub(crate) leaving: tokio_util::sync::CancellationToken,
}

impl Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl App {
    pub(super) fn new(context: Context, store: Store, guard: Arc<Guard>) -> Self {
        let fleet = Fleet::new(store.clone());
        let leaving = tokio_util::sync::CancellationToken::new();
        let registered = Registered::default();
        let works = TaskTracker::new();
        Self(Arc::new(Inner { context, store, guard, fleet, registered, works, leaving }))
    }

    /// Reads references: `QUEUE/ID`, or a bare id in the queue that is configured.
    pub(crate) fn references(&self, texts: &[String]) -> Answer<Vec<TaskRef>> {
        let queue = self.context.queue();
        texts.iter().map(|text| TaskRef::parse(text, &queue).map_err(Problem::from)).collect()
    }

    /// A queue that was submitted to or served once.
    pub(crate) async fn known_queue(&self, name: &QueueName) -> Answer<windlass_shared::store::Queue> {
        if !self.store.is_queue(name).await? {
            return Err(Problem::not_found(format!("no queue {name}: GET /v1/queues lists them")));
        }
        Ok(self.store.queue(name).await?)
    }

    /// Carries a request out to its end, also when its client goes away: a half of an action is nobody's wish.
    pub(super) async fn to_the_end(&self, work: impl Future<Output = Response> + Send + 'static) -> Response {
        match self.works.spawn(work.in_current_span()).await {
            Ok(response) => response,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Problem::new(Kind::Internal, "the server ends").into_response(),
        }
    }

    /// Does what changes the fleet: noted in the operators' log before, and how it ended after.
    pub(crate) async fn act<T>(
        &self,
        caller: &Caller,
        action: &str,
        on: Vec<String>,
        with: &[(&str, String)],
        work: impl Future<Output = Answer<T>>,
    ) -> Answer<T> {
        let with: BTreeMap<String, String> =
            with.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let by = format!("{} (http)", caller.name);
        let id = self.store.begin_action(&NewAction { by, action: action.to_owned(), on, with }).await?;
        let done = work.await;
        let exit = done.as_ref().err().map_or(0, Problem::exit);
        if let Err(error) = self.store.end_action(&id, exit).await {
            tracing::warn!(%error, action, "how this ended could not be noted in the operators' log");
        }
        done
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let missing = || Problem::new(Kind::Internal, "a route that does not ask who calls");
        parts.extensions.get::<Self>().cloned().ok_or_else(missing)
    }
}
