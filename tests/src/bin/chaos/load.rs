//! The load: files of tasks through the real `windlass submit`, at an even rate, each file again until it is accepted.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    time::{Duration, Instant},
};

use fastrand::Rng;
use serde_json::{Value, json};
use windlass_tests::{fleet::Fleet, ledger::Ledger, process::Process};

use crate::{
    plan::Topology,
    stage::{QUEUE, Stage},
};

/// Tasks of one file take about so long to come due.
const PERIOD: Duration = Duration::from_secs(1);
/// A submission that takes longer is stuck.
const STUCK: Duration = Duration::from_mins(2);
/// Before a file that was refused is tried again.
const PAUSE: Duration = Duration::from_millis(300);
/// Every so many files are a batch.
const BATCHES: usize = 10;

/// A task that was submitted, and what must become of it.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) queue: &'static str,
    pub(crate) id: String,
    pub(crate) expected: &'static str,
    /// Whether it writes into the ledger.
    pub(crate) in_ledger: bool,
}

/// A file that is not accepted yet.
struct Unsent {
    file: String,
    args: Vec<String>,
    tasks: Vec<Task>,
    /// When it was first submitted.
    since: Option<Instant>,
}

/// A producer.
pub(crate) struct Load {
    random: Rng,
    total: usize,
    rate: f64,
    begun: Instant,
    written: usize,
    files: usize,
    waiting: VecDeque<Unsent>,
    running: Option<(Process, Unsent)>,
    not_before: Instant,
    durable: bool,
    ledger: Ledger,
    /// Those that `windlass submit` accepted.
    pub(crate) accepted: Vec<Task>,
    /// How often a file was refused, or broken off, and submitted again.
    pub(crate) repeats: usize,
    /// The longest that a file took until it was accepted.
    pub(crate) longest: Duration,
}

impl Load {
    pub(crate) fn new(stage: &Stage, seed: u64, total: usize, duration: Duration) -> Self {
        Self {
            // Another stream than that of the plan.
            random: Rng::with_seed(seed ^ 0x6c6f_6164),
            total,
            rate: total as f64 / duration.as_secs_f64(),
            begun: Instant::now(),
            written: 0,
            files: 0,
            waiting: VecDeque::new(),
            running: None,
            not_before: Instant::now(),
            // Where a fail-over forgets what no replica has.
            durable: stage.topology != Topology::Single,
            ledger: Ledger::new(stage.fleet.dir()),
            accepted: Vec::with_capacity(total),
            repeats: 0,
            longest: Duration::ZERO,
        }
    }

    /// What the tasks wrote.
    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Whether all is written and accepted.
    pub(crate) fn is_over(&self) -> bool {
        self.written >= self.total && self.waiting.is_empty() && self.running.is_none()
    }

    /// Goes on with what is due.
    pub(crate) fn turn(&mut self, stage: &mut Stage) {
        let due = (self.begun.elapsed().as_secs_f64() + PERIOD.as_secs_f64()) * self.rate;
        let size = ((self.rate * PERIOD.as_secs_f64()) as usize).clamp(1, 5000);
        while self.written < self.total && self.written + size <= due as usize + 1 {
            self.write(&stage.fleet, size.min(self.total - self.written));
        }
        self.follow(stage);
        if self.running.is_none() && Instant::now() >= self.not_before {
            let Some(unsent) = self.waiting.pop_front() else { return };
            self.running = Some(submit(&stage.fleet, unsent));
        }
    }

    /// Submits one task of a worker's own that does harm.
    pub(crate) fn hostile(
        &mut self,
        fleet: &Fleet,
        queue: &'static str,
        kind: &str,
        payload: &Value,
        expected: &'static str,
    ) {
        let id = format!("{kind}-{}", self.random.u32(..));
        let line = json!({ "type": kind, "queue": queue, "id": id, "payload": payload });
        let file = format!("{id}.jsonl");
        fleet.file(&file, &format!("{line}\n"));
        let task = Task { queue, id, expected, in_ledger: false };
        self.waiting.push_front(Unsent { file, args: self.args(queue), tasks: vec![task], since: None });
    }

    fn write(&mut self, fleet: &Fleet, count: usize) {
        let mut text = String::new();
        let mut tasks = Vec::with_capacity(count);
        for _ in 0..count {
            self.written += 1;
            let (line, task) = task(&mut self.random, self.written, &self.ledger);
            _ = writeln!(text, "{line}");
            tasks.push(task);
        }
        self.files += 1;
        let mut args = self.args(QUEUE);
        if self.files.is_multiple_of(BATCHES) {
            args.extend(["--batch".to_owned(), format!("batch-{}", self.files)]);
        }
        let file = format!("tasks-{}.jsonl", self.files);
        fleet.file(&file, &text);
        self.waiting.push_back(Unsent { file, args, tasks, since: None });
    }

    fn args(&self, queue: &str) -> Vec<String> {
        let mut args = vec!["--queue".to_owned(), queue.to_owned()];
        if self.durable {
            args.extend(["--durability".to_owned(), "replicas=1".to_owned()]);
        }
        args
    }

    /// A file that was not accepted whole is submitted again: its tasks have ids, so none becomes two.
    fn follow(&mut self, stage: &mut Stage) {
        let Some((mut process, mut unsent)) = self.running.take() else { return };
        let since = unsent.since.map_or(Duration::ZERO, |since| since.elapsed());
        if since > STUCK {
            stage.violations.push(format!("{} is still not accepted after {STUCK:?}", unsent.file));
            unsent.since = None;
        }
        if !process.has_ended() {
            self.running = Some((process, unsent));
            return;
        }
        let output = process.wait(Duration::ZERO);
        if output.code == 0 {
            self.longest = self.longest.max(since);
            self.accepted.append(&mut unsent.tasks);
            _ = std::fs::remove_file(stage.fleet.dir().join(&unsent.file));
            return;
        }
        // 3: Redis is away. 1: some lines were refused, by a Redis without memory.
        if !matches!(output.code, 1 | 3) {
            stage.violations.push(format!("a submission ended as it should not: {output}"));
        }
        self.repeats += 1;
        self.not_before = Instant::now() + PAUSE;
        self.waiting.push_front(unsent);
    }
}

fn submit(fleet: &Fleet, mut unsent: Unsent) -> (Process, Unsent) {
    unsent.since.get_or_insert_with(Instant::now);
    let words: Vec<&str> = ["submit", "--file", &unsent.file]
        .into_iter()
        .chain(unsent.args.iter().map(String::as_str))
        .collect();
    (fleet.start_windlass(&words), unsent)
}

/// A task of the mix, and what must become of it.
fn task(random: &mut Rng, number: usize, ledger: &Ledger) -> (Value, Task) {
    let priority = ["critical", "high", "high", "low"].get(random.usize(..20)).unwrap_or(&"normal");
    let tenant = random.usize(1..=5);
    let sleep = |ms: u64| ("sleep", json!({ "ms": ms }));
    let mut line = json!({ "priority": priority, "tenant": format!("tenant-{tenant}"), "weight": tenant });
    let (mut letter, mut expected) = ("n", "completed");
    let (kind, payload) = match random.usize(..1000) {
        0..80 => sleep(random.u64(10..=500)),
        80..92 => sleep(random.u64(1000..=3000)),
        92..132 => {
            line["delay"] = json!(format!("{}ms", random.u64(100..8000)));
            ("noop", json!(number))
        }
        132..172 => {
            line["concurrency_key"] = json!(format!("key-{}", random.usize(..16)));
            sleep(random.u64(0..=20))
        }
        172..187 => {
            letter = "l";
            line["priority"] = json!("normal");
            ("command", ledger.payload(["0", "0.1", "0.4", "1"][random.usize(..4)]))
        }
        187..192 => ("command", shell("test \"$WINDLASS_ATTEMPT\" -gt 1")),
        192..194 => {
            (letter, expected) = ("f", "failed");
            line["max_attempts"] = json!(2);
            ("command", shell("exit 1"))
        }
        _ => ("noop", json!(format!("{number:07}"))),
    };
    // All of one length, so that a long run stores no more than a short one.
    line["id"] = json!(format!("{letter}-{number:07}"));
    line["type"] = json!(kind);
    line["payload"] = payload;
    line["retry"] = json!({ "base": "200ms", "cap": "1s" });
    let id = format!("{letter}-{number:07}");
    (line, Task { queue: QUEUE, id, expected, in_ledger: letter == "l" })
}

fn shell(script: &str) -> Value {
    json!({ "argv": ["sh", "-c", script] })
}
