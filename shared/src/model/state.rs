//! The state machine of a task, as one table. `docs/state-machine.md` is generated from it, the headers of the
//! scripts are held against it by a test, and every transition's reason is stored with the task and in its event.

use std::{fmt, fmt::Write as _, str::FromStr};

use serde::{Deserialize, Serialize};

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal: $meaning:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub enum $name { $(#[doc = $meaning] $variant,)* }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            /// The word in Redis and on the screen.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
            /// What it means, for the generated page.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning),* }
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
        impl FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                Self::ALL.iter().copied().find(|v| v.as_str() == text).ok_or_else(|| {
                    let all: Vec<_> = Self::ALL.iter().map(|v| v.as_str()).collect();
                    format!("{text:?} is not valid: use one of {}", all.join(", "))
                })
            }
        }
    };
}

words! {
    /// Where a task is. It is in exactly one of these places.
    State {
        Blocked = "blocked": "Waits for somebody else: for people who review it (later also for other tasks).",
        Scheduled = "scheduled": "Waits until a moment: submitted with a delay, or between two attempts.",
        Pending = "pending": "Waits for a free slot.",
        Running = "running": "Leased to a node.",
        Parked = "parked": "Waits because other tasks with its concurrency key run.",
        Completed = "completed": "Done; the result is stored. Final.",
        Failed = "failed": "Failed for good; kept in the dead letter, from where a person can retry it.",
        Cancelled = "cancelled": "Cancelled before it was done. Can be retried.",
        Expired = "expired": "Not started before its expiry. Can be retried.",
    }
}

impl State {
    /// No node works on it, and none will, unless a person retries it.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled | Self::Expired)
    }
}

words! {
    /// Why a task went from one state to another.
    Reason {
        Submitted = "submitted": "A producer submitted it.",
        Due = "due": "Its moment came.",
        Claimed = "claimed": "A node took a lease on it.",
        Completed = "completed": "The executor gave a result, and the lease still held.",
        Failed = "failed": "The attempt failed in a way that trying again cannot help.",
        Exhausted = "exhausted": "The attempt failed, and all attempts are used up.",
        Retrying = "retrying": "The attempt failed and is tried again after a back-off. Charged as a retry.",
        Interrupted = "interrupted": "The node had to stop and handed it back. No attempt is charged.",
        UnknownType = "unknown_type": "The node does not know the task's type; another may. No attempt is charged.",
        MissingKey = "missing_key": "The node has not the key that the task is sealed with; another may. No attempt is charged.",
        RateLimited = "rate_limited": "A limit of a provider or a breaker asks for a longer wait than a slot should spend. No attempt is charged.",
        OverBudget = "over_budget": "The budget is spent; it waits for the next window. No attempt is charged.",
        Escalated = "escalated": "No model gave a valid answer; people decide (`windlass review`).",
        Approved = "approved": "A person took the draft as the result.",
        Edited = "edited": "A person gave the result in its place.",
        Rejected = "rejected": "A person refused the draft.",
        LeaseExpired = "lease_expired": "The node vanished or hung; its lease ran out. Charged as a crash, not a retry.",
        Crashed = "crashed": "Its lease ran out too often: it probably kills its nodes.",
        Cancelling = "cancelling": "A cancel was asked for; the node that runs it is told.",
        Cancelled = "cancelled": "Cancelled by a person or a program.",
        Expired = "expired": "Its expiry passed before it was started.",
        Parked = "parked": "Its concurrency key is at the limit.",
        Unparked = "unparked": "A task with its concurrency key left `running`.",
        Retried = "retried": "A person retried it; its counters start again.",
        Reprioritised = "reprioritised": "A person gave it another priority.",
        Purged = "purged": "A person deleted it.",
        Forgotten = "forgotten": "Its retention ended.",
    }
}

words! {
    /// Who moves the task.
    By {
        Producer = "producer": "A command of `windlass`.",
        Node = "node": "The node that holds the lease, or takes it.",
        Anyone = "anyone": "Whichever process calls a script next (there is no leader).",
    }
}

/// One row of the table: `None` is a task that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The state before.
    pub from: Option<State>,
    /// The state after.
    pub to: Option<State>,
    /// Why.
    pub reason: Reason,
    /// Who does it.
    pub by: By,
}

const fn row(from: Option<State>, to: Option<State>, reason: Reason, by: By) -> Row {
    Row { from, to, reason, by }
}

const PENDING: Option<State> = Some(State::Pending);
const SCHEDULED: Option<State> = Some(State::Scheduled);
const RUNNING: Option<State> = Some(State::Running);
const BLOCKED: Option<State> = Some(State::Blocked);
const PARKED: Option<State> = Some(State::Parked);
const COMPLETED: Option<State> = Some(State::Completed);
const FAILED: Option<State> = Some(State::Failed);
const CANCELLED: Option<State> = Some(State::Cancelled);
const EXPIRED: Option<State> = Some(State::Expired);

/// Every transition there is.
pub const TABLE: &[Row] = &[
    row(None, PENDING, Reason::Submitted, By::Producer),
    row(None, SCHEDULED, Reason::Submitted, By::Producer),
    row(SCHEDULED, PENDING, Reason::Due, By::Anyone),
    row(PENDING, RUNNING, Reason::Claimed, By::Node),
    row(PENDING, PARKED, Reason::Parked, By::Node),
    row(PARKED, PENDING, Reason::Unparked, By::Anyone),
    row(RUNNING, COMPLETED, Reason::Completed, By::Node),
    row(RUNNING, FAILED, Reason::Failed, By::Node),
    row(RUNNING, FAILED, Reason::Exhausted, By::Node),
    row(RUNNING, SCHEDULED, Reason::Retrying, By::Node),
    row(RUNNING, PENDING, Reason::Interrupted, By::Node),
    row(RUNNING, SCHEDULED, Reason::UnknownType, By::Node),
    row(RUNNING, SCHEDULED, Reason::MissingKey, By::Node),
    row(RUNNING, SCHEDULED, Reason::RateLimited, By::Node),
    row(RUNNING, SCHEDULED, Reason::OverBudget, By::Node),
    row(RUNNING, BLOCKED, Reason::Escalated, By::Node),
    row(BLOCKED, COMPLETED, Reason::Approved, By::Producer),
    row(BLOCKED, COMPLETED, Reason::Edited, By::Producer),
    row(BLOCKED, FAILED, Reason::Rejected, By::Producer),
    row(RUNNING, PENDING, Reason::LeaseExpired, By::Anyone),
    row(RUNNING, FAILED, Reason::Crashed, By::Anyone),
    row(RUNNING, RUNNING, Reason::Cancelling, By::Producer),
    row(RUNNING, CANCELLED, Reason::Cancelled, By::Anyone),
    row(PENDING, CANCELLED, Reason::Cancelled, By::Producer),
    row(SCHEDULED, CANCELLED, Reason::Cancelled, By::Producer),
    row(PARKED, CANCELLED, Reason::Cancelled, By::Producer),
    row(BLOCKED, CANCELLED, Reason::Cancelled, By::Producer),
    row(PENDING, EXPIRED, Reason::Expired, By::Anyone),
    row(SCHEDULED, EXPIRED, Reason::Expired, By::Anyone),
    row(PARKED, EXPIRED, Reason::Expired, By::Anyone),
    row(FAILED, PENDING, Reason::Retried, By::Producer),
    row(CANCELLED, PENDING, Reason::Retried, By::Producer),
    row(EXPIRED, PENDING, Reason::Retried, By::Producer),
    row(PENDING, PENDING, Reason::Reprioritised, By::Producer),
    row(SCHEDULED, SCHEDULED, Reason::Reprioritised, By::Producer),
    row(PARKED, PARKED, Reason::Reprioritised, By::Producer),
    row(RUNNING, RUNNING, Reason::Reprioritised, By::Producer),
    row(PENDING, None, Reason::Purged, By::Producer),
    row(SCHEDULED, None, Reason::Purged, By::Producer),
    row(PARKED, None, Reason::Purged, By::Producer),
    row(BLOCKED, None, Reason::Purged, By::Producer),
    row(COMPLETED, None, Reason::Purged, By::Producer),
    row(FAILED, None, Reason::Purged, By::Producer),
    row(CANCELLED, None, Reason::Purged, By::Producer),
    row(EXPIRED, None, Reason::Purged, By::Producer),
    row(COMPLETED, None, Reason::Forgotten, By::Anyone),
    row(FAILED, None, Reason::Forgotten, By::Anyone),
    row(CANCELLED, None, Reason::Forgotten, By::Anyone),
    row(EXPIRED, None, Reason::Forgotten, By::Anyone),
];

/// The word for a state or for no task at all, as events write it.
pub fn word(state: Option<State>) -> &'static str {
    state.map_or("none", State::as_str)
}

/// The page `docs/state-machine.md`.
pub fn markdown() -> String {
    let mut page = String::from(
        "# The states of a task\n\nGenerated from `shared/src/model/state.rs` by `make docs`; do not edit.\n\n```mermaid\nstateDiagram-v2\n",
    );
    for row in TABLE.iter().filter(|row| row.from != row.to) {
        let end = |state: Option<State>| state.map_or("[*]", State::as_str);
        _ = writeln!(page, "    {} --> {}: {}", end(row.from), end(row.to), row.reason);
    }
    page.push_str("```\n\n## States\n\n| state | meaning |\n| --- | --- |\n");
    for state in State::ALL {
        _ = writeln!(page, "| `{state}` | {} |", state.meaning());
    }
    page.push_str("\n## Transitions\n\n| from | to | reason | by |\n| --- | --- | --- | --- |\n");
    for row in TABLE {
        _ = writeln!(page, "| `{}` | `{}` | `{}` | {} |", word(row.from), word(row.to), row.reason, row.by);
    }
    page.push_str("\n## Reasons\n\n| reason | meaning |\n| --- | --- |\n");
    for reason in Reason::ALL {
        _ = writeln!(page, "| `{reason}` | {} |", reason.meaning());
    }
    page.push_str("\n## Who\n\n| by | meaning |\n| --- | --- |\n");
    for by in By::ALL {
        _ = writeln!(page, "| {by} | {} |", by.meaning());
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_transition_stands_twice_and_every_reason_is_used() {
        for (i, row) in TABLE.iter().enumerate() {
            assert!(
                !TABLE[..i].iter().any(|r| (r.from, r.to, r.reason) == (row.from, row.to, row.reason)),
                "{row:?}"
            );
        }
        for reason in Reason::ALL {
            assert!(TABLE.iter().any(|row| row.reason == *reason), "{reason} is in no row");
        }
    }

    #[test]
    fn nothing_leaves_a_completed_task_but_its_deletion() {
        assert!(TABLE.iter().filter(|row| row.from == COMPLETED).all(|row| row.to.is_none()));
    }

    #[test]
    fn the_page_in_docs_is_this_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/state-machine.md");
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            page.trim_end() == markdown().trim_end(),
            "docs/state-machine.md has drifted from the table: run `make docs`"
        );
    }
}
