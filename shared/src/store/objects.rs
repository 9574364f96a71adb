//! Large texts of tasks: put into the object store before anything refers to them, and fetched by those who need them.

use std::collections::HashMap;

use super::{Partition, Queue, Result, Store, StoreError, packed};
use crate::{
    model::{NewTask, ObjectRef, Owner, QueueName, TaskId, TaskRecord, TaskRef, Unread, Why, object::day_of},
    objects::Objects,
    sealing::{Place, is_sealed},
};

/// What an object has besides the text: the seal, or the frame around what does not get smaller.
const BESIDES: u64 = 1 << 16;

impl Store {
    /// The object store, if one is configured.
    pub fn objects(&self) -> Option<&Objects> {
        self.payloads.objects()
    }

    fn object_place(&self, task: &TaskRef) -> Place {
        Place::of_task(self.keys.namespace().as_str(), task.queue.as_str(), task.id.as_str(), "object")
    }

    /// Puts a text into the object store if it is large: then what is stored with the task is the reference that this
    /// gives. Safe to repeat.
    pub async fn put_away(&self, task: &TaskRef, field: &str, text: &str) -> Result<Option<String>> {
        let Some(objects) = self.objects().filter(|objects| text.len() > objects.above()) else {
            return Ok(None);
        };
        let owner = Owner { namespace: self.keys.namespace().to_string(), task: task.clone() };
        let ring = self.payloads.ring();
        let hash = |digest: &str| ring.map_or_else(|| digest.to_owned(), |ring| ring.name(digest));
        let reference = ObjectRef::new(&owner, &day_of(jiff::Timestamp::now()), field, text, hash);
        let packed = packed::pack(text);
        let bytes = match ring {
            Some(ring) => ring.seal(&self.object_place(task), &packed),
            None => packed.into_owned(),
        };
        objects.put(&reference.path, bytes).await?;
        Ok(Some(reference.text()))
    }

    /// Fetches the texts of a task that are in the object store. An error is one that may pass; what is not there, or is
    /// not what was put there, is told in the task's `unread`.
    pub async fn fetch(&self, task: &mut TaskRecord) -> Result<()> {
        let mut unread = std::mem::take(&mut task.unread).into_iter();
        while let Some(Unread { field, why }) = unread.next() {
            let Why::Object(reference) = why else {
                task.unread.push(Unread { field, why });
                continue;
            };
            match self.read_object(&task.reference, &reference).await {
                Ok(Ok(text)) => task.put(field, text),
                Ok(Err(why)) => {
                    task.put(field, why.placeholder());
                    task.unread.push(Unread { field, why });
                }
                Err(error) => {
                    task.unread.push(Unread { field, why: Why::Object(reference) });
                    task.unread.extend(unread);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    async fn read_object(
        &self,
        task: &TaskRef,
        reference: &ObjectRef,
    ) -> Result<std::result::Result<String, Why>> {
        let path = &reference.path;
        let objects = self.objects().ok_or_else(|| {
            StoreError::Objects(format!(
                "{path} is in an object store, and none is configured here (setting claim_check.url)"
            ))
        })?;
        let owner = Owner { namespace: self.keys.namespace().to_string(), task: task.clone() };
        // A reference that somebody made up does not lead to another task's text.
        if Owner::of(path) != Some(owner) {
            return Ok(Err(Why::Damaged));
        }
        let Some(bytes) = objects.get(path, reference.size.saturating_add(BESIDES)).await? else {
            return Ok(Err(Why::NoObject(path.clone())));
        };
        let bytes = match self.payloads.ring() {
            Some(ring) if is_sealed(&bytes) => match ring.open(&self.object_place(task), &bytes) {
                Ok(plain) => plain,
                Err(why) => return Ok(Err(why.into())),
            },
            _ => bytes,
        };
        let text = packed::text(bytes);
        Ok(if reference.is_of(text.as_bytes()) { Ok(text) } else { Err(Why::NoObject(path.clone())) })
    }

    /// Whether these tasks are there, in any state.
    pub async fn exist(&self, tasks: &[TaskRef]) -> Result<Vec<bool>> {
        let mut queues: HashMap<&QueueName, Vec<usize>> = HashMap::new();
        for (index, task) in tasks.iter().enumerate() {
            queues.entry(&task.queue).or_default().push(index);
        }
        let mut all = vec![false; tasks.len()];
        for (name, indices) in queues {
            let ids: Vec<TaskId> = indices.iter().map(|index| tasks[*index].id.clone()).collect();
            let there = self.queue(name).await?.exist(&ids).await?;
            indices.into_iter().zip(there).for_each(|(index, there)| all[index] = there);
        }
        Ok(all)
    }
}

impl Queue {
    async fn exist(&self, ids: &[TaskId]) -> Result<Vec<bool>> {
        self.on_each(ids, |there| !there, |partition, ids| async move { partition.exist(&ids).await }).await
    }
}

impl Partition {
    async fn exist(&self, ids: &[TaskId]) -> Result<Vec<bool>> {
        let mut pipeline = redis::pipe();
        for id in ids {
            pipeline.cmd("EXISTS").arg(&[self.keys.spec(id), self.keys.task(id)]);
        }
        let counts: Vec<u64> = self.store.pipeline(&pipeline).await?;
        Ok(counts.into_iter().map(|count| count > 0).collect())
    }

    /// References for the payloads that are large, by the number of their task. Without an object store it does nothing.
    pub(super) async fn put_payloads(&self, tasks: &[&NewTask]) -> Result<HashMap<usize, String>> {
        let mut large = HashMap::new();
        if self.store.objects().is_none() {
            return Ok(large);
        }
        for (number, task) in tasks.iter().enumerate() {
            let reference = self.reference(task.id.clone());
            if let Some(text) = self.store.put_away(&reference, "payload", task.payload.get()).await? {
                large.insert(number, text);
            }
        }
        Ok(large)
    }
}
