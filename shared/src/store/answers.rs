//! Answers of the HTTP API to requests that say who they are (`Idempotency-Key`): kept for a day, so that a request that
//! comes twice is carried out once, whichever server it reaches.

use std::time::Duration;

use super::{Result, Store};

/// What is known of a request before it is carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// Nothing: it is ours to carry out.
    First,
    /// Somebody carries it out.
    InProgress,
    /// Something else was asked under this key.
    Otherwise,
    /// It was carried out: this was the answer.
    Answered(String),
}

/// For how long an answer is kept.
const KEPT: Duration = Duration::from_hours(24);
/// After this long without a word the one who carries it out is taken for dead.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often whoever carries a request out says that it still does.
pub const ANSWER_ALIVE_EVERY: Duration = Duration::from_secs(30);

impl Store {
    /// Takes a request that calls itself `key`; `print` tells it from others under the same key, one line.
    pub async fn begin_answer(&self, key: &str, print: &str) -> Result<Asked> {
        let mut command = redis::cmd("SET");
        command.arg(self.keys.answer(key)).arg(print).arg("NX").arg("GET");
        let before: Option<String> = self.command(command.arg("PX").arg(PATIENCE.as_millis() as u64)).await?;
        Ok(match before.as_deref().map(|text| text.split_once('\n').unwrap_or((text, ""))) {
            None => Asked::First,
            Some((theirs, _)) if theirs != print => Asked::Otherwise,
            Some((_, "")) => Asked::InProgress,
            Some((_, answer)) => Asked::Answered(answer.to_owned()),
        })
    }

    /// It is still being carried out.
    pub async fn prolong_answer(&self, key: &str) -> Result<()> {
        let mut command = redis::cmd("PEXPIRE");
        self.command(command.arg(self.keys.answer(key)).arg(PATIENCE.as_millis() as u64)).await
    }

    /// What `key` was first used for, if not for `what`; remembered for a day.
    pub async fn used_before(&self, key: &str, what: &str) -> Result<Option<String>> {
        let mut command = redis::cmd("SET");
        command.arg(self.keys.answer(key)).arg(what).arg("NX").arg("GET");
        let before: Option<String> = self.command(command.arg("PX").arg(KEPT.as_millis() as u64)).await?;
        Ok(before.filter(|before| before != what))
    }

    /// Keeps the answer of a request that was begun.
    pub async fn keep_answer(&self, key: &str, print: &str, answer: &str) -> Result<()> {
        let mut command = redis::cmd("SET");
        command.arg(self.keys.answer(key)).arg(format!("{print}\n{answer}"));
        self.command(command.arg("PX").arg(KEPT.as_millis() as u64)).await
    }

    /// Forgets a request that was not carried out, so that it can be sent again.
    pub async fn drop_answer(&self, key: &str) -> Result<()> {
        self.command(redis::cmd("DEL").arg(self.keys.answer(key))).await
    }
}
