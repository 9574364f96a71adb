//! Finding tasks by what they are: a bounded look at a time, with a place from which to go on.

use serde::{Deserialize, Serialize};
use windlass_shared::{
    model::{BatchName, QueueName, State, TaskId, TaskRecord, TenantName, Transition, TypeName},
    store::Store,
};

use crate::exit::Done;

/// What is looked for; what is not given is not asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    pub(crate) queue: Option<QueueName>,
    pub(crate) state: Option<State>,
    pub(crate) task_type: Option<TypeName>,
    pub(crate) tenant: Option<TenantName>,
    pub(crate) batch: Option<BatchName>,
    /// The id contains this.
    pub(crate) id_part: Option<String>,
}

impl Wanted {
    fn is(&self, task: &TaskRecord) -> bool {
        let same = |wanted: Option<&str>, is: Option<&str>| wanted.is_none_or(|wanted| Some(wanted) == is);
        same(self.task_type.as_ref().map(TypeName::as_str), Some(&task.task_type))
            && same(self.tenant.as_ref().map(TenantName::as_str), task.tenant.as_deref())
            && same(self.batch.as_ref().map(BatchName::as_str), task.batch.as_deref())
            && self.id_part.as_deref().is_none_or(|part| task.reference.id.as_str().contains(part))
    }
}

/// How far a search is: the state and the queue, by number, and the place in their list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    state: usize,
    /// The name, since queues may be added in between.
    queue: Option<QueueName>,
    list: Option<String>,
}

/// What a look found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) tasks: Vec<TaskRecord>,
    pub(crate) next: Option<Place>,
}

/// States that are not final, in the order in which they are listed.
pub(crate) const OPEN: [State; 5] =
    [State::Running, State::Pending, State::Parked, State::Scheduled, State::Blocked];

/// Tasks that one look reads at the most: it must not take long, however many there are.
const MOST_READ: usize = 2000;
/// Read in one round trip at the most.
const PAGE: usize = 100;
/// Bytes of what it found after which a look ends.
const MOST_BYTES: usize = 16 << 20;

/// Looks from `place` on until there are `limit`, all was seen, or it was enough for one look.
pub(crate) async fn tasks(store: &Store, wanted: &Wanted, place: Place, limit: usize) -> Done<Found> {
    let states = wanted.state.map_or_else(|| OPEN.to_vec(), |state| vec![state]);
    let queues = match &wanted.queue {
        Some(queue) => vec![queue.clone()],
        None => store.queues().await?,
    };
    let (mut found, mut read, mut bytes, mut place) = (Vec::new(), 0, 0, place);
    while let Some(state) = states.get(place.state) {
        let from = place.queue.take();
        let after = queues.iter().skip_while(|queue| from.as_ref().is_some_and(|from| *queue < from));
        for queue in after {
            let mut list = place.list.take().filter(|_| from.as_ref() == Some(queue));
            loop {
                let room = (limit - found.len()).min(PAGE);
                let page = store.queue(queue).await?.list(*state, room, list.as_deref()).await?;
                read += page.tasks.len().max(1);
                bytes += page.tasks.iter().map(TaskRecord::size).sum::<usize>();
                found.extend(page.tasks.into_iter().filter(|task| wanted.is(task)));
                list = page.cursor;
                if list.is_none() {
                    break;
                }
                if found.len() >= limit || is_enough(read, bytes) {
                    let next = Place { state: place.state, queue: Some(queue.clone()), list };
                    return Ok(Found { tasks: found, next: Some(next) });
                }
            }
            if found.len() >= limit || is_enough(read, bytes) {
                let next = following(&queues, queue, place.state, states.len());
                return Ok(Found { tasks: found, next });
            }
        }
        place = Place { state: place.state + 1, ..Place::default() };
    }
    Ok(Found { tasks: found, next: None })
}

fn is_enough(read: usize, bytes: usize) -> bool {
    read >= MOST_READ || bytes >= MOST_BYTES
}

/// The list after that of `queue` in the state of this number.
fn following(queues: &[QueueName], queue: &QueueName, state: usize, states: usize) -> Option<Place> {
    let after = queues.iter().find(|other| *other > queue);
    match after {
        Some(next) => Some(Place { state, queue: Some(next.clone()), list: None }),
        None => (state + 1 < states).then(|| Place { state: state + 1, ..Place::default() }),
    }
}

/// What the event log of its queue still knows of a task, the oldest first.
pub(crate) async fn story(store: &Store, queue: &QueueName, id: &TaskId) -> Done<Vec<Transition>> {
    let mut story = Vec::new();
    for partition in store.queue(queue).await?.partitions() {
        let mut cursor = "0".to_owned();
        loop {
            let events = partition.events(&cursor, 500).await?;
            let Some(last) = events.last() else { break };
            cursor.clone_from(&last.cursor);
            story.extend(events.into_iter().flat_map(|event| event.transitions).filter(|t| t.id == *id));
        }
    }
    Ok(story)
}
