//! A run: load and faults side by side, then the accounting.

use std::{
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use windlass_shared::model::{TaskId, time::parse_duration};

use crate::{
    account::{account, drain_out},
    faults::{Lasting, begin, end},
    load::Load,
    plan::{Fault, Kind, Scope, Target, Topology, plan},
    recovery::Recovery,
    report::{self, Run, percentile, times},
    say,
    stage::{QUEUE, Stage},
};

/// Tasks a second, unless said otherwise: half a million in half an hour.
const RATE: f64 = 290.0;
const TURN: Duration = Duration::from_millis(20);
/// What the last faults left behind has so long to end: poison takes three leases, and an outage puts each off by one.
const LEASES_TO_END: u32 = 12;
const TIME_TO_END: Duration = Duration::from_mins(2);

/// What a run is made of.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// What decides the faults and the tasks: the same seed makes the same plan
    #[arg(long, env = "WINDLASS_CHAOS_SEED", default_value_t = 1)]
    seed: u64,
    /// For how long there are faults, such as 30m
    #[arg(long, value_parser = parse_duration, default_value = "30m")]
    duration: Duration,
    /// The workers' lease, such as 3s
    #[arg(long, value_parser = parse_duration, default_value = "10s")]
    lease: Duration,
    /// Tasks in all [default: 290 a second]
    #[arg(long)]
    tasks: Option<usize>,
    /// Workers
    #[arg(long, default_value_t = 4)]
    workers: usize,
    /// What Redis is
    #[arg(long, value_enum, default_value_t = Topology::Single)]
    topology: Topology,
    /// Where the report is written besides
    #[arg(long)]
    report: Option<PathBuf>,
    /// Print the plan and end
    #[arg(long)]
    plan: bool,
    /// Harm the books before the accounting, which must notice: for the test of it
    #[arg(long, hide = true)]
    sabotage: bool,
}

/// Runs it, and says whether all is well.
pub(crate) fn run(options: &Options) -> bool {
    let scope = Scope {
        seed: options.seed,
        duration: options.duration,
        lease: options.lease,
        topology: options.topology,
        workers: options.workers,
    };
    let faults = plan(&scope);
    if options.plan {
        for fault in &faults {
            say(&line(fault));
        }
        return true;
    }
    let mut play = Play::start(options);
    play.act(faults);
    let report = play.end(options);
    say(&report);
    if let Some(path) = &options.report {
        let folder = path.parent().expect("a file is in a folder");
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(path, &report))
            .expect("the report can be written");
    }
    play.stage.violations.is_empty()
}

fn line(fault: &Fault) -> String {
    let target = match fault.target {
        Target::Worker(seat) => format!(" in seat {seat}"),
        Target::Redis | Target::Nothing => String::new(),
    };
    let (at, lasts) = (fault.at.as_secs_f64(), fault.lasts.as_secs_f64());
    format!("{at:7.1} s  {}{target}, for {lasts:.1} s", fault.kind.name())
}

/// Loses the first completed task, and commits the second one again.
fn sabotage(stage: &Stage, load: &Load) {
    let mut ids = load.accepted.iter().filter(|task| task.queue == QUEUE && task.expected == "completed");
    let mut next = || TaskId::new(&ids.next().expect("a task that completed").id).expect("our own id");
    let (lost, twice, keys) = (next(), next(), stage.fleet.queue_keys(QUEUE));
    let mut harm = redis::pipe();
    harm.del(&[keys.task(&lost), keys.spec(&lost)]);
    harm.cmd("XADD").arg(keys.events()).arg("*").arg("by").arg("sabotage");
    harm.arg("running>completed completed").arg(format!("{twice}#1"));
    harm.exec(&mut stage.fleet.connection()).expect("Redis obeys");
}

struct Play {
    stage: Stage,
    load: Load,
    recovery: Recovery,
    lasting: Vec<Lasting>,
    done: Vec<Kind>,
    skipped: usize,
    begun: Instant,
}

impl Play {
    fn start(options: &Options) -> Self {
        let stage = Stage::start(options.topology, options.lease, options.workers);
        let tasks = options.tasks.unwrap_or((options.duration.as_secs_f64() * RATE) as usize);
        let load = Load::new(&stage, options.seed, tasks, options.duration);
        Self {
            stage,
            load,
            recovery: Recovery::default(),
            lasting: Vec::new(),
            done: Vec::new(),
            skipped: 0,
            begun: Instant::now(),
        }
    }

    /// Until all faults are over and all tasks are accepted.
    fn act(&mut self, faults: Vec<Fault>) {
        let mut faults = faults.into_iter().peekable();
        while faults.peek().is_some() || !self.lasting.is_empty() || !self.load.is_over() {
            let now = self.begun.elapsed();
            if let Some(fault) = faults.next_if(|fault| fault.at <= now) {
                self.begin(&fault);
            }
            let stage = &mut self.stage;
            self.lasting.retain(|lasting| lasting.until > Instant::now() || !end(stage, lasting));
            let seat_of = |lasting: &Lasting| match lasting.fault.target {
                Target::Worker(seat) => Some(seat),
                Target::Redis | Target::Nothing => None,
            };
            let hurt: Vec<usize> = self.lasting.iter().filter_map(seat_of).collect();
            self.stage.tend(&hurt);
            self.load.turn(&mut self.stage);
            self.recovery.turn(&mut self.stage);
            thread::sleep(TURN);
        }
    }

    fn begin(&mut self, fault: &Fault) {
        say(&line(fault));
        let node = match fault.target {
            Target::Worker(seat) if fault.kind.loses_the_node() => self.stage.node(seat),
            _ => None,
        };
        let Some(lasting) = begin(&mut self.stage, &mut self.load, fault) else {
            self.skipped += 1;
            return;
        };
        self.recovery.lost(&mut self.stage, node, fault.kind);
        self.lasting.push(lasting);
        self.done.push(fault.kind);
    }

    /// Lets the fleet come to rest, does the accounting, and gives the report.
    fn end(&mut self, options: &Options) -> String {
        drain_out(&mut self.stage, &mut self.recovery, options.lease * LEASES_TO_END + TIME_TO_END);
        let took = self.begun.elapsed();
        if options.sabotage {
            sabotage(&self.stage, &self.load);
        }
        let account = account(&self.stage, &self.load);
        self.stage.violations.extend(account.violations());
        self.check_recovery(options.lease);
        self.check_logs();
        let Options { seed, topology, .. } = options;
        let run = Run {
            command: format!(
                "chaos run --seed {seed} --duration {}s --lease {}s --tasks {} --workers {} --topology {}",
                options.duration.as_secs(),
                options.lease.as_secs(),
                self.load.accepted.len(),
                options.workers,
                format!("{topology:?}").to_lowercase(),
            ),
            lease: options.lease,
            took,
            done: &self.done,
            skipped: self.skipped,
            account: &account,
            submitted: self.load.accepted.len(),
            repeats: self.load.repeats,
            longest_submission: self.load.longest,
            started: self.stage.started.len(),
            recovered: &self.recovery.recovered,
            came_back: self.recovery.came_back,
            violations: &self.stage.violations,
        };
        run.markdown()
    }

    fn check_recovery(&mut self, lease: Duration) {
        let limit = report::limit(lease);
        let Some(p99) = percentile(&times(&self.recovery.recovered, false), 99) else { return };
        if p99 <= limit {
            return;
        }
        self.stage.violations.push(format!("p99 of recovery is {p99:.2?}, above {limit:?}"));
        for late in self.recovery.recovered.iter().filter(|late| !late.in_outage && late.took > limit) {
            let (id, kind, took) = (&late.id, late.kind.name(), late.took);
            self.stage.violations.push(format!("late: {id} after {took:.2?} ({kind})"));
        }
    }

    fn check_logs(&mut self) {
        for worker in self.stage.started.clone() {
            let log = self.stage.fleet.log(worker);
            if let Some(line) = log.lines().find(|line| line.contains("panicked at")) {
                self.stage.violations.push(format!("worker-{worker}: {line}"));
            }
        }
    }
}
