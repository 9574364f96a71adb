//! What a person can do to the fleet from here. Each act asks first and is noted in the operators' log, as the command
//! of the same name is.

use std::collections::BTreeMap;

use windlass_shared::{
    model::{NewAction, NodeId, QueueName, TaskRef},
    store::{NodeCommand, Store},
};

use crate::{
    commands::{
        operate::{Fate, cancel_tasks, retry_tasks},
        set_paused, tell_live,
    },
    exit::{self, Done, Failure},
};

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    Tell(NodeId, NodeCommand),
    /// A queue, and whether it is to be paused.
    Pause(QueueName, bool),
    Cancel(TaskRef),
    Retry(TaskRef),
}

impl Act {
    /// As the operators' log calls it.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Tell(_, command) => format!("node {command}"),
            Self::Pause(_, true) => "pause".to_owned(),
            Self::Pause(_, false) => "resume".to_owned(),
            Self::Cancel(_) => "cancel".to_owned(),
            Self::Retry(_) => "retry".to_owned(),
        }
    }

    /// What it is done to.
    pub(super) fn on(&self) -> String {
        match self {
            Self::Tell(node, _) => node.to_string(),
            Self::Pause(queue, _) => queue.to_string(),
            Self::Cancel(task) | Self::Retry(task) => task.to_string(),
        }
    }

    /// What the person is asked.
    pub(super) fn question(&self) -> String {
        let verb = match self {
            Self::Tell(_, command) => format!("{command} node"),
            Self::Pause(..) => format!("{} queue", self.name()),
            Self::Cancel(_) | Self::Retry(_) => format!("{} task", self.name()),
        };
        let mut letters = verb.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        format!("{}{} {}?", first.unwrap_or_default(), letters.as_str(), self.on())
    }

    /// What it will do.
    pub(super) fn means(&self) -> &'static str {
        match self {
            Self::Tell(_, NodeCommand::Quiet) => "It claims nothing more, finishes what runs, and stays.",
            Self::Tell(_, NodeCommand::Drain) => "It claims nothing more, finishes what runs, and leaves.",
            Self::Tell(_, NodeCommand::Stop) => "It hands back what it runs, and leaves at once.",
            Self::Tell(..) => "It claims again.",
            Self::Pause(_, true) => "Nothing more is claimed from it; what runs goes on, submitting works.",
            Self::Pause(_, false) => "It is claimed from again.",
            Self::Cancel(_) => "If it runs it is stopped. It can be retried later.",
            Self::Retry(_) => "It gets another life, with all its attempts.",
        }
    }

    /// Notes it, does it, and notes how it ended; gives what to tell the person.
    pub(super) async fn perform(&self, store: &Store, by: String) -> Done<String> {
        let with = BTreeMap::from([("in".to_owned(), "top".to_owned())]);
        let noted = NewAction { by, action: self.name(), on: vec![self.on()], with };
        let id = store.begin_action(&noted).await?;
        let done = self.act(store).await;
        let (told, code) = match done {
            Ok(told) => (Ok(told), 0),
            Err(failure) => {
                let done = Err(failure);
                let code = exit::code(&done);
                (done.map(|()| String::new()), code)
            }
        };
        match store.end_action(&id, code).await {
            Ok(()) => told,
            Err(error) => told.map(|told| {
                format!("{told}; how it ended could not be noted in the operators' log: {error}")
            }),
        }
    }

    async fn act(&self, store: &Store) -> Done<String> {
        match self {
            Self::Tell(node, command) => {
                tell_live(store, node, command).await?;
                Ok(format!("node {node} is told to {command}"))
            }
            Self::Pause(queue, paused) => {
                set_paused(store, queue, *paused).await?;
                Ok(format!("queue {queue} {}", if *paused { "is paused" } else { "goes on" }))
            }
            Self::Cancel(task) => {
                let fate = cancel_tasks(store, std::slice::from_ref(task)).await?.pop();
                told(task, fate.as_ref(), "only what is not finished can be cancelled")
            }
            Self::Retry(task) => {
                let fate = retry_tasks(store, std::slice::from_ref(task)).await?.pop();
                told(task, fate.as_ref(), "only what failed, was cancelled or expired is retried")
            }
        }
    }
}

/// What became of a task, in words; `why` says why it was refused.
fn told(task: &TaskRef, fate: Option<&Fate>, why: &str) -> Done<String> {
    let Some(&Fate { state: Some(state), outcome, .. }) = fate else {
        return Err(Failure::NotDone(format!("there is no task {task} any more")));
    };
    match outcome {
        "cancelled" => Ok(format!("{task} is cancelled")),
        "cancelling" => Ok(format!("{task} is being cancelled: its node is told")),
        "refused" => Err(Failure::NotDone(format!("{task} is {state}: {why}"))),
        _ => Ok(format!("{task} is {state} again")),
    }
}
