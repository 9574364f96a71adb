//! A function as an executor, for programs that bring their own task types.

use std::future::Future;

use async_trait::async_trait;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::executor::{Executor, Failure, Job};

struct Handler<F>(F);

/// Makes an executor from an async function of a [`Job`]. What it gives becomes the result, as JSON.
///
/// The function is dropped where it awaits when the task is cancelled or runs out of time.
pub fn handler<F, Fut, T>(function: F) -> impl Executor
where
    F: Fn(Job) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<T, Failure>> + Send + 'static,
    T: Serialize + Send + 'static,
{
    Handler(function)
}

#[async_trait]
impl<F, Fut, T> Executor for Handler<F>
where
    F: Fn(Job) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<T, Failure>> + Send + 'static,
    T: Serialize + Send + 'static,
{
    async fn execute(&self, job: &Job) -> Result<Box<RawValue>, Failure> {
        let value = (self.0)(job.clone()).await?;
        to_raw_value(&value).map_err(|error| Failure::internal(format!("the result is not JSON: {error}")))
    }
}
