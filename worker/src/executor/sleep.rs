//! `sleep`: waits. For load tests and for trying out time-outs, drains and cancellation.

use std::time::Duration;

use async_trait::async_trait;
use serde::Deserialize;
use serde_json::{json, value::RawValue};

use super::{Executor, Failure, Job, json};

/// Waits for as long as the payload says.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sleep;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Payload {
    ms: u64,
}

#[async_trait]
impl Executor for Sleep {
    async fn execute(&self, job: &Job) -> Result<Box<RawValue>, Failure> {
        let Payload { ms } = job.read_payload()?;
        tokio::time::sleep(Duration::from_millis(ms)).await;
        json::result(&json!({ "slept_ms": ms }))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use windlass_shared::model::ErrorClass;

    use super::*;
    use crate::executor::testing::job;

    #[tokio::test]
    async fn it_waits_as_long_as_told() {
        let started = Instant::now();
        let result = Sleep.execute(&job(&json!({"ms": 30}))).await.unwrap();
        assert_eq!(result.get(), r#"{"slept_ms":30}"#);
        assert!(started.elapsed() >= Duration::from_millis(30));
    }

    #[tokio::test]
    async fn a_wrong_payload_is_a_bad_request_that_names_the_field() {
        for (payload, word) in
            [(json!({}), "`ms`"), (json!({"ms": 1, "mss": 2}), "`mss`"), (json!({"ms": -1}), "-1")]
        {
            let failure = Sleep.execute(&job(&payload)).await.unwrap_err();
            assert_eq!(failure.class, ErrorClass::BadRequest);
            assert!(failure.message.contains(word), "{failure}");
        }
    }
}
