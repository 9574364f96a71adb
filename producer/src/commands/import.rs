//! `import`: the queues of an export into a Redis that does not have them.

use std::{collections::BTreeMap, mem};

use windlass_shared::store::{Dumped, Import, Progress, Store};

use crate::{
    archive::{self, Checked, End, Header},
    cli,
    context::Context,
    exit::{Done, Failure},
    output::{self, Format, say},
};

/// Keys, and bytes, that one call restores.
const PAGE: usize = 200;
const BYTES: usize = 8 << 20;

/// `windlass import`.
pub(crate) async fn run(context: &Context, args: cli::Import) -> Done {
    let Checked { header, end, newest } = archive::check(&args.file)?;
    if header.namespace != context.config.namespace.as_str() {
        return Err(Failure::Usage(format!(
            "the file is of the namespace {:?}, to which what is sealed is bound: say --namespace {}",
            header.namespace, header.namespace
        )));
    }
    let store = context.store().await?;
    for exported in &header.queues {
        store.check_import(&exported.queue, newest.as_deref()).await?;
    }
    let mut queues = begin(&store, &header, &end).await?;
    let mut page = Page::default();
    for line in archive::keys(&args.file)? {
        let (key, dump) = line?;
        let queue = queues.get_mut(key.queue).ok_or_else(|| Failure::Usage("the file is damaged".into()))?;
        queue.keys += 1;
        if queue.keys <= queue.skip {
            continue;
        }
        page.add(key.queue, key.partition, (key.key, dump));
        if page.is_full() {
            page.restore(&queues).await?;
        }
    }
    page.restore(&queues).await?;
    let mut tasks = 0;
    for (index, queue) in queues.iter_mut().enumerate() {
        tasks += queue.open(&end, index, args.keep_paused || header.queues[index].paused).await?;
    }
    tell(context, &header, tasks)
}

fn tell(context: &Context, header: &Header, tasks: u64) -> Done {
    let names: Vec<&str> = header.queues.iter().map(|exported| exported.queue.as_str()).collect();
    match context.format {
        Some(Format::Json | Format::Jsonl) => {
            output::json(&serde_json::json!({ "queues": names, "tasks": tasks }))
        }
        _ => {
            say!("windlass: imported {}: {tasks} tasks, each in exactly one place", names.join(", "));
            Ok(())
        }
    }
}

/// A queue on its way back.
struct Back {
    import: Import,
    /// Keys of it that were read.
    keys: u64,
    /// So many were restored by an earlier call.
    skip: u64,
}

/// Refuses before anything is written; then closes every queue.
async fn begin(store: &Store, header: &Header, end: &End) -> Done<Vec<Back>> {
    let mut skips = Vec::new();
    for exported in &header.queues {
        let skip = match store.import_progress(&exported.queue, &end.digest).await? {
            Progress::NotBegun => 0,
            Progress::Restored(keys) => keys,
            Progress::Placed => u64::MAX,
        };
        if skip > 0 {
            say!("windlass: the import of queue {} goes on where it was interrupted", exported.queue);
        }
        skips.push(skip);
    }
    let mut queues = Vec::new();
    for (exported, skip) in header.queues.iter().zip(skips) {
        let import = store.begin_import(&exported.queue, exported.partitions, &end.digest).await?;
        queues.push(Back { import, keys: 0, skip });
    }
    Ok(queues)
}

impl Back {
    /// Puts all in its place, looks at every task, and opens the queue. Gives the number of tasks.
    async fn open(&mut self, end: &End, index: usize, paused: bool) -> Done<u64> {
        self.import.place().await?;
        let audit = self.import.audit().await?;
        let name = self.import.queue().name();
        if let Some(fault) = audit.faults.first() {
            return Err(Failure::NotDone(format!(
                "queue {name} is restored, but {} things are wrong with it, such as: {} {}. It stays closed: repair it \
                 (`windlass doctor --verify --repair`), then run this import again",
                audit.faults.len(),
                fault.subject,
                fault.fault
            )));
        }
        self.import.end(&end.settings[index], paused).await?;
        if paused {
            say!("windlass: queue {name} is paused: `windlass resume {name}` lets it go on");
        }
        Ok(audit.tasks)
    }
}

/// Keys that are restored in one call for each partition.
#[derive(Default)]
struct Page {
    keys: BTreeMap<(usize, u16), Vec<Dumped>>,
    count: usize,
    bytes: usize,
}

impl Page {
    fn add(&mut self, queue: usize, partition: u16, key: Dumped) {
        self.count += 1;
        self.bytes += key.1.as_ref().map_or(0, Vec::len);
        self.keys.entry((queue, partition)).or_default().push(key);
    }

    fn is_full(&self) -> bool {
        self.count >= PAGE || self.bytes >= BYTES
    }

    /// Restores what is here, and notes how far each queue is.
    async fn restore(&mut self, queues: &[Back]) -> Done {
        let page = mem::take(self);
        for ((queue, partition), keys) in &page.keys {
            queues[*queue].import.restore(*partition, keys).await?;
        }
        for (queue, _) in page.keys.keys() {
            queues[*queue].import.note(queues[*queue].keys).await?;
        }
        Ok(())
    }
}
