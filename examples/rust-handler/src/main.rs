//! A worker with a task type of its own.
//!
//! ```sh
//! cargo run -p windlass-rust-handler
//! windlass submit --type word_count --payload '{"text":"to be or not to be"}' --wait
//! ```

use std::{collections::BTreeMap, process::ExitCode, time::Duration};

use serde::{Deserialize, Serialize};
use windlass_shared::{
    config::{Config, Sources},
    logging,
    model::ErrorClass,
};
use windlass_worker::{
    Worker,
    executor::{Failure, Job},
    handler,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Text {
    text: String,
}

#[derive(Serialize)]
struct Counted {
    words: usize,
    most_frequent: Option<String>,
}

/// Counts words. An empty text is refused for good; everything else a handler returns as an error follows the policy
/// of its class (`ErrorClass`).
async fn word_count(job: Job) -> Result<Counted, Failure> {
    let Text { text } = job.read_payload()?;
    let words: Vec<&str> = text.split_whitespace().collect();
    if words.is_empty() {
        return Err(Failure::new(ErrorClass::BadRequest, "the text has no words"));
    }
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (done, word) in words.iter().enumerate() {
        *counts.entry(word).or_default() += 1;
        if done % 10_000 == 0 {
            job.progress.report(&done);
            // Long work awaits now and then: that is where a cancelled task stops.
            tokio::time::sleep(Duration::ZERO).await;
        }
    }
    let most_frequent = counts.iter().max_by_key(|(_, n)| **n).map(|(word, _)| (*word).to_owned());
    Ok(Counted { words: words.len(), most_frequent })
}

fn main() -> ExitCode {
    // With this, tasks of type `command` are shut in as `windlass-worker` does it (docs/sandbox.md). It comes before
    // the runtime, since what a thread gives up holds for that thread.
    if let Some(code) = windlass_worker::prepare() {
        return code;
    }
    let ran = windlass_worker::runtime().map_err(Into::into).and_then(|runtime| runtime.block_on(run()));
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

#[allow(clippy::print_stderr, reason = "the last word of a program")]
fn tell(message: &str) {
    eprintln!("{message}");
}

async fn run() -> Result<(), windlass_worker::WorkerError> {
    let config = Config::load(Sources::from_process(None, Vec::new()))?;
    _ = logging::init(&config.log.level, config.log.format);
    Worker::new(config).handler("word_count", handler(word_count)).run().await
}
