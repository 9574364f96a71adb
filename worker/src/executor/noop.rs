//! `noop`: gives the payload back. For measuring the fleet itself and for trying things out.

use async_trait::async_trait;
use serde_json::value::RawValue;

use super::{Executor, Failure, Job};

/// Gives the payload back.
#[derive(Debug, Clone, Copy, Default)]
pub struct Noop;

#[async_trait]
impl Executor for Noop {
    async fn execute(&self, job: &Job) -> Result<Box<RawValue>, Failure> {
        Ok(job.payload.clone())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::executor::testing::job;

    #[tokio::test]
    async fn the_payload_comes_back() {
        let payload = json!({"any": ["thing", 1, null]});
        assert_eq!(Noop.execute(&job(&payload)).await.unwrap().get(), payload.to_string());
    }
}
