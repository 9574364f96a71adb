//! The accounting at the end: what became of each task that was accepted, by the records, the totals, the event log, the
//! ledger, and the checker.

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use windlass_shared::model::TaskId;

use crate::{
    load::{Load, Task},
    plan::Topology,
    recovery::Recovery,
    stage::{QUEUE, QUEUES, Stage},
};

/// Answers of the accounting may be long.
const PATIENCE: Duration = Duration::from_mins(1);
const CHECKER: Duration = Duration::from_mins(5);
const PAGE: usize = 1000;
/// Leases of a task that may run out (`worker.max_crashes`, by default); with the last one it fails.
const LEASES: u32 = 3;
/// Violations of one kind that are told in full.
const TOLD: usize = 20;

/// An entry of the event log: its id, and for each transition the tasks that made it.
type Entry = (String, Vec<(String, String)>);

/// What the accounting found.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) completed: usize,
    pub(crate) failed: usize,
    /// Tasks that failed since nodes were lost under them as often as a task may lose one: each is charged, whoever was to blame.
    pub(crate) charged: HashSet<String>,
    pub(crate) lost: Vec<String>,
    pub(crate) stuck: Vec<String>,
    pub(crate) twice: Vec<String>,
    pub(crate) wrong: Vec<String>,
    /// Attempts that ended in the ledger.
    pub(crate) ledger_ends: usize,
    /// Commits that the event log holds.
    pub(crate) commits: usize,
    pub(crate) recovered: u64,
    pub(crate) stale: u64,
    pub(crate) checker: String,
}

impl Account {
    /// Everything that should not be, for people.
    pub(crate) fn violations(&self) -> Vec<String> {
        let mut all = Vec::new();
        for (what, tasks) in [
            ("lost", &self.lost),
            ("stuck", &self.stuck),
            ("committed twice", &self.twice),
            ("wrong", &self.wrong),
        ] {
            all.extend(tasks.iter().take(TOLD).map(|task| format!("{what}: {task}")));
            if tasks.len() > TOLD {
                all.push(format!("{what}: {} more", tasks.len() - TOLD));
            }
        }
        all
    }
}

/// Waits until nothing is left to do, for so long at the most.
pub(crate) fn drain_out(stage: &mut Stage, recovery: &mut Recovery, deadline: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < deadline {
        stage.tend(&[]);
        recovery.turn(stage);
        if open_tasks(stage) == Some(0) && recovery.is_over() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn open_tasks(stage: &mut Stage) -> Option<u64> {
    let mut open = 0;
    for queue in QUEUES {
        let keys = stage.fleet.queue_keys(queue);
        let mut count = redis::pipe();
        for key in [keys.pending(), keys.running(), keys.scheduled(), keys.parked(), keys.blocked()] {
            count.zcard(key);
        }
        // Queues of a cluster are at home on different servers.
        let mut look = crate::look::Look::default();
        let look = if stage.topology == Topology::Cluster { &mut look } else { &mut stage.look };
        let counts: Vec<u64> = look.ask_all(&stage.fleet, queue, &count)?;
        open += counts.iter().sum::<u64>();
    }
    Some(open)
}

/// Looks at everything.
pub(crate) fn account(stage: &Stage, load: &Load) -> Account {
    let mut account = Account::default();
    for queue in QUEUES {
        let tasks: Vec<&Task> = load.accepted.iter().filter(|task| task.queue == queue).collect();
        let mut books = Books { stage, queue, look: crate::look::Look::default(), account: &mut account };
        books.look.patience = Some(PATIENCE);
        let attempts = books.records(&tasks);
        books.log(&tasks);
        books.totals(&tasks);
        if queue == QUEUE {
            books.ledger(load, &tasks, &attempts);
        }
    }
    let checked = stage.fleet.windlass_within(CHECKER, &["doctor", "--verify", "-o", "json"]);
    let lines = if checked.code == 0 { checked.json() } else { serde_json::Value::Null };
    let verified = lines.as_array().into_iter().flatten().filter(|line| line["check"] == "verify").count();
    account.checker = format!("ended with {}, {verified} queues verified", checked.code);
    if checked.code != 0 || verified == 0 {
        account.wrong.push(format!("the checker is not content: {checked}"));
    }
    account
}

/// The books of one queue.
struct Books<'a> {
    stage: &'a Stage,
    queue: &'static str,
    look: crate::look::Look,
    account: &'a mut Account,
}

impl Books<'_> {
    fn read<T: redis::FromRedisValue>(&mut self, commands: &redis::Pipeline) -> T {
        self.look.ask_all(&self.stage.fleet, self.queue, commands).expect("Redis answers when all is over")
    }

    /// Every task is there, and is what it must be. Gives the attempt that each was committed by.
    fn records(&mut self, tasks: &[&Task]) -> HashMap<String, u32> {
        let keys = self.stage.fleet.queue_keys(self.queue);
        let mut attempts = HashMap::new();
        for page in tasks.chunks(PAGE) {
            let mut read = redis::pipe();
            for task in page {
                let id = TaskId::new(&task.id).expect("our own id");
                read.cmd("HMGET").arg(keys.task(&id)).arg(&["state", "reason", "lease"]);
                read.exists(keys.spec(&id));
            }
            let answers: Vec<redis::Value> = self.read(&read);
            for (task, answer) in page.iter().zip(answers.chunks(2)) {
                let [record, spec] = answer else { continue };
                let record: [Option<String>; 3] =
                    redis::from_redis_value(record.clone()).expect("three fields of a record");
                let [state, reason, lease] = record;
                let state = state.unwrap_or_else(|| {
                    if *spec == redis::Value::Int(1) { "pending" } else { "lost" }.to_owned()
                });
                self.judge(task, &state, &reason.unwrap_or_default());
                let attempt = lease.and_then(|lease| lease.split(' ').next()?.parse().ok());
                attempts.extend(attempt.map(|attempt| (task.id.clone(), attempt)));
            }
        }
        attempts
    }

    fn judge(&mut self, task: &Task, state: &str, reason: &str) {
        let told = format!("{}/{}", task.queue, task.id);
        match state {
            "completed" => self.account.completed += 1,
            "failed" => self.account.failed += 1,
            "lost" => self.account.lost.push(told.clone()),
            _ => self.account.stuck.push(format!("{told} is {state} ({reason})")),
        }
        if (state, reason) == ("failed", "crashed") && task.expected == "completed" {
            // Whether it was right is told by the event log.
            self.account.charged.insert(task.id.clone());
        } else if matches!(state, "completed" | "failed") && state != task.expected {
            self.account.wrong.push(format!("{told} {state} ({reason}), and should have {}", task.expected));
        }
    }

    /// The queue's own totals say the same.
    fn totals(&mut self, tasks: &[&Task]) {
        let stats = self.stage.fleet.queue_keys(self.queue).stats().to_owned();
        let totals: (HashMap<String, String>,) = self.read(redis::pipe().hgetall(stats));
        let total = |name: &str| totals.0.get(name).and_then(|text| text.parse().ok()).unwrap_or(0_u64);
        self.account.recovered += total("recovered");
        self.account.stale += total("stale");
        let charged = &self.account.charged;
        let ends = |task: &Task| if charged.contains(&task.id) { "failed" } else { task.expected };
        let expected = |state: &str| tasks.iter().filter(|task| ends(task) == state).count() as u64;
        for (name, expected) in [
            ("submitted", tasks.len() as u64),
            ("completed", expected("completed")),
            ("failed", expected("failed")),
        ] {
            if total(name) != expected {
                let queue = self.queue;
                self.account
                    .wrong
                    .push(format!("the total {name} of {queue} is {}, not {expected}", total(name)));
            }
        }
    }

    /// By the event log, each task reached a final state once, and each attempt was claimed once.
    fn log(&mut self, tasks: &[&Task]) {
        let (mut finals, mut claims) = (HashMap::<String, u32>::new(), HashMap::<String, u32>::new());
        let mut lapses = HashMap::<String, u32>::new();
        let stream = self.stage.fleet.queue_keys(self.queue).events().to_owned();
        let mut after = "-".to_owned();
        loop {
            let mut page = redis::pipe();
            page.cmd("XRANGE").arg(&stream).arg(&after).arg("+").arg("COUNT").arg(PAGE);
            let (entries,): (Vec<Entry>,) = self.read(&page);
            let Some((last, _)) = entries.last() else { break };
            after = format!("({last}");
            for (transition, ids) in entries.iter().flat_map(|(_, fields)| fields) {
                let to = transition.split(['>', ' ']).nth(1).unwrap_or_default();
                let lapsed = transition.ends_with(" lease_expired") || transition.ends_with(" crashed");
                for id in ids.split(' ') {
                    if lapsed {
                        let id = id.split('#').next().unwrap_or_default();
                        *lapses.entry(id.to_owned()).or_default() += 1;
                    }
                    match to {
                        "completed" | "failed" => {
                            let id = id.split('#').next().unwrap_or_default();
                            *finals.entry(id.to_owned()).or_default() += 1;
                        }
                        "running" => *claims.entry(id.to_owned()).or_default() += 1,
                        _ => {}
                    }
                }
            }
        }
        self.account.commits += finals.len();
        let queue = self.queue;
        for task in tasks {
            match finals.get(&task.id).copied().unwrap_or(0) {
                1 => {}
                0 => self.account.wrong.push(format!("{queue}/{} has no end in the event log", task.id)),
                n => self.account.twice.push(format!("{queue}/{} ended {n} times in the event log", task.id)),
            }
        }
        for task in tasks.iter().filter(|task| self.account.charged.contains(&task.id)) {
            let times = lapses.get(&task.id).copied().unwrap_or(0);
            if times != LEASES {
                let told = format!("{queue}/{} failed as crashed, and lost {times} nodes", task.id);
                self.account.wrong.push(told);
            }
        }
        for (attempt, times) in claims.iter().filter(|(_, times)| **times > 1) {
            self.account.twice.push(format!("{queue}/{attempt} was claimed {times} times"));
        }
    }

    /// What tasks wrote themselves: an attempt begins once and ends once, and the one that was committed did end.
    fn ledger(&mut self, load: &Load, tasks: &[&Task], committed: &HashMap<String, u32>) {
        let mut seen = HashMap::<(String, u32), [u32; 2]>::new();
        for entry in load.ledger().entries() {
            seen.entry((entry.id, entry.attempt)).or_default()[usize::from(entry.ended)] += 1;
        }
        self.account.ledger_ends += seen.values().filter(|[_, ends]| *ends > 0).count();
        // A fail-over may forget a claim; then its number is given again.
        let may_repeat = self.stage.topology != Topology::Single;
        for ((id, attempt), [starts, ends]) in &seen {
            if (*starts > 1 || *ends > 1) && !may_repeat {
                let told =
                    format!("{id}#{attempt} began {starts} times and ended {ends} times in the ledger");
                self.account.twice.push(told);
            }
        }
        for task in tasks.iter().filter(|task| task.in_ledger) {
            let Some(attempt) = committed.get(&task.id) else { continue };
            if seen.get(&(task.id.clone(), *attempt)).is_none_or(|[_, ends]| *ends == 0) {
                let told = format!("{}#{attempt} was committed and has no end in the ledger", task.id);
                self.account.wrong.push(told);
            }
        }
    }
}
