//! What the person looks at, and so what a key may act on.

use windlass_shared::{
    model::{NodeId, QueueName, TaskRef},
    store::NodeCommand,
};

use super::{Page, State, View};
use crate::top::{
    act::Act,
    reading::{FailureRow, NodeRow, QueueRow, RunningRow},
};

impl State {
    /// The node under the cursor, or the one that is open.
    pub(in crate::top) fn node(&self) -> Option<&NodeRow> {
        let reading = self.reading.as_deref()?;
        match &self.place().page {
            Page::List(View::Nodes) => reading.nodes.get(self.row()?),
            Page::Node(id) => reading.nodes.iter().find(|node| node.view.id == *id),
            _ => None,
        }
    }

    /// The queue under the cursor, or the one that is open.
    pub(in crate::top) fn queue(&self) -> Option<&QueueRow> {
        let reading = self.reading.as_deref()?;
        match &self.place().page {
            Page::List(View::Queues) => reading.queues.get(self.row()?),
            Page::Queue(name) => reading.queues.iter().find(|queue| queue.view.queue == *name),
            _ => None,
        }
    }

    /// The running task under the cursor.
    pub(in crate::top) fn running(&self) -> Option<&RunningRow> {
        let reading = self.reading.as_deref()?;
        match self.place().page.lists()? {
            View::Running => reading.running.get(self.row()?),
            _ => None,
        }
    }

    /// The failure under the cursor.
    pub(in crate::top) fn failure(&self) -> Option<&FailureRow> {
        let reading = self.reading.as_deref()?;
        match &self.place().page {
            Page::List(View::Failures) => reading.failures.get(self.row()?),
            _ => None,
        }
    }

    fn row(&self) -> Option<usize> {
        let place = self.place();
        place.rows.get(place.at).copied()
    }

    /// What enter opens.
    pub(super) fn opens(&self) -> Option<Page> {
        match &self.place().page {
            Page::List(View::Nodes) => Some(Page::Node(self.node()?.view.id.clone())),
            Page::List(View::Queues) => Some(Page::Queue(self.queue()?.view.queue.clone())),
            Page::Task(_) => None,
            _ => {
                let running = self.running().map(|task| task.reference.as_str());
                let failed = self.failure().map(|task| task.reference.as_str());
                task(running.or(failed)?).map(Page::Task)
            }
        }
    }

    /// What a letter asks for here; the words say why it cannot be done.
    pub(super) fn act(&self, letter: char) -> Option<Result<Act, String>> {
        match (&self.place().page, letter) {
            (Page::List(View::Nodes) | Page::Node(_), 'u') => self.tell_node(NodeCommand::Quiet),
            (Page::List(View::Nodes) | Page::Node(_), 'd') => self.tell_node(NodeCommand::Drain),
            (Page::List(View::Nodes) | Page::Node(_), 'r') => self.tell_node(NodeCommand::Resume),
            (Page::List(View::Nodes) | Page::Node(_), 'x') => self.tell_node(NodeCommand::Stop),
            (Page::List(View::Queues) | Page::Queue(_), 'p') => self.pause(true),
            (Page::List(View::Queues) | Page::Queue(_), 'r') => self.pause(false),
            (Page::List(View::Failures), 'r') => Some(Ok(Act::Retry(task(&self.failure()?.reference)?))),
            (Page::List(View::Running) | Page::Node(_) | Page::Queue(_), 'c') => {
                Some(Ok(Act::Cancel(task(&self.running()?.reference)?)))
            }
            (Page::Task(task), 'r') => {
                self.of_task(task, true).map(|why| why.map(|()| Act::Retry(task.clone())))
            }
            (Page::Task(task), 'c') => {
                self.of_task(task, false).map(|why| why.map(|()| Act::Cancel(task.clone())))
            }
            _ => None,
        }
    }

    fn tell_node(&self, command: NodeCommand) -> Option<Result<Act, String>> {
        let node = &self.node()?.view;
        let id: &NodeId = &node.id;
        Some(match node.state.as_str() {
            "lost" => Err(format!("node {id} is lost: it hears nothing")),
            _ => Ok(Act::Tell(id.clone(), command)),
        })
    }

    fn pause(&self, pause: bool) -> Option<Result<Act, String>> {
        let queue = &self.queue()?.view;
        let name: &QueueName = &queue.queue;
        Some(match (pause, queue.paused) {
            (true, true) => Err(format!("queue {name} is paused already")),
            (false, false) => Err(format!("queue {name} is not paused")),
            _ => Ok(Act::Pause(name.clone(), pause)),
        })
    }

    /// Whether the open task can be retried, or else cancelled.
    fn of_task(&self, task: &TaskRef, retry: bool) -> Option<Result<(), String>> {
        let story = self.story.as_deref().filter(|story| story.reference == *task)?;
        let state = story.record.as_deref()?.state?;
        let completed = state == windlass_shared::model::State::Completed;
        let over = state.is_final();
        Some(if retry && (!over || completed) {
            Err(format!("{task} is {state}: only what failed, was cancelled or expired is retried"))
        } else if !retry && over {
            Err(format!("{task} is {state} already"))
        } else {
            Ok(())
        })
    }
}

fn task(reference: &str) -> Option<TaskRef> {
    TaskRef::parse(reference, &QueueName::default_queue()).ok()
}
