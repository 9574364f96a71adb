//! The fleet on which faults play: servers, workers with a link each, and workers that run what kills them.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use windlass_shared::model::{Micros, time::human};
use windlass_tests::{
    fleet::{Fleet, FleetOptions},
    proxy::Proxy,
};

use crate::{
    look::{Look, open, servers},
    plan::Topology,
};

/// The queue of the usual load.
pub(crate) const QUEUE: &str = "chaos";
/// The queue of tasks that kill their worker.
pub(crate) const POISON: &str = "poison";
/// The queue of tasks that block a thread of their worker.
pub(crate) const BLOCK: &str = "block";
/// All of them.
pub(crate) const QUEUES: [&str; 3] = [QUEUE, POISON, BLOCK];

/// Primaries of a cluster.
pub(crate) const PRIMARIES: usize = 3;
const SLOTS: usize = 16;
const SLOTS_TEXT: &str = "16";
/// Whoever runs poison dies; one of two is always there to notice.
const HOSTILE: [&str; 3] = [POISON, POISON, BLOCK];
const SERVER: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "everysec"];
const DOWN_AFTER: Duration = Duration::from_millis(1500);

/// A place for a worker; whoever dies in it is followed by another.
pub(crate) struct Seat {
    /// Its present worker's index in the fleet.
    pub(crate) worker: usize,
    /// Its link, where workers can be led over one.
    pub(crate) link: Option<Proxy>,
}

/// Everything that runs.
pub(crate) struct Stage {
    pub(crate) fleet: Fleet,
    pub(crate) seats: Vec<Seat>,
    pub(crate) topology: Topology,
    pub(crate) lease: Duration,
    pub(crate) look: Look,
    hostile: Vec<usize>,
    clock: (i64, Instant),
    /// What should not have happened, as it is noticed.
    pub(crate) violations: Vec<String>,
    /// When Redis was away, by its clock.
    pub(crate) outages: Vec<(i64, Option<i64>)>,
    /// All workers that were ever in a seat.
    pub(crate) started: Vec<usize>,
}

impl Stage {
    pub(crate) fn start(topology: Topology, lease: Duration, workers: usize) -> Self {
        let lease_text = human(lease);
        let options = FleetOptions {
            workers: 0,
            concurrency: SLOTS,
            lease: &lease_text,
            redis: &SERVER,
            primaries: if topology == Topology::Cluster { PRIMARIES } else { 0 },
            replicas: usize::from(topology != Topology::Single),
            sentinels: (topology == Topology::Sentinel).then_some(DOWN_AFTER),
            ..FleetOptions::default()
        };
        let fleet = Fleet::start(&options);
        let now = fleet.now();
        let mut stage = Self {
            clock: (now.0, Instant::now()),
            fleet,
            seats: Vec::new(),
            topology,
            lease,
            look: Look::default(),
            hostile: Vec::new(),
            violations: Vec::new(),
            outages: Vec::new(),
            started: Vec::new(),
        };
        for queue in QUEUES {
            stage.fleet.windlass(&["queues", "set", queue, "--events", "20000000"]).ok();
        }
        for _ in 0..workers {
            let link = (topology == Topology::Single).then(|| Proxy::to(stage.fleet.redis.port()));
            stage.seats.push(Seat { worker: 0, link });
            stage.fill(stage.seats.len() - 1);
        }
        for queue in HOSTILE {
            let worker = stage.fleet.launch_program("examples/misbehaves", &["--queues", queue]);
            stage.hostile.push(worker);
        }
        stage
    }

    /// Starts a worker in a seat.
    pub(crate) fn fill(&mut self, seat: usize) {
        let url = self.seats[seat].link.as_ref().map(|link| link.url.clone());
        let mut args = vec!["--queues", QUEUE, "--concurrency", SLOTS_TEXT];
        args.extend(url.iter().flat_map(|url| ["--redis-url", url.as_str()]));
        self.seats[seat].worker = self.fleet.launch(&args);
        self.started.push(self.seats[seat].worker);
    }

    /// Process ids of those in the seats.
    pub(crate) fn pids(&mut self) -> Vec<u32> {
        let workers: Vec<usize> = self.seats.iter().map(|seat| seat.worker).collect();
        workers.into_iter().map(|worker| self.fleet.worker(worker).pid()).collect()
    }

    /// Sends the worker of a seat a signal.
    pub(crate) fn signal(&mut self, seat: usize, signal: Signal) {
        let worker = self.seats[seat].worker;
        self.fleet.worker(worker).signal(signal);
    }

    /// Whether the worker of a seat has ended, and how.
    pub(crate) fn ended(&mut self, seat: usize) -> Option<i32> {
        let worker = self.seats[seat].worker;
        self.fleet.worker(worker).has_ended().then(|| self.fleet.exit_code(worker, Duration::ZERO))
    }

    /// The node id of the worker of a seat, as its log names it; none before it registered.
    pub(crate) fn node(&self, seat: usize) -> Option<String> {
        let log = self.fleet.log(self.seats[seat].worker);
        let (_, rest) = log.split_once("node=")?;
        Some(rest.split_whitespace().next()?.to_owned())
    }

    /// Those that poison killed are followed by others; nobody else may have ended.
    pub(crate) fn tend(&mut self, hurt: &[usize]) {
        for (worker, queue) in self.hostile.iter_mut().zip(HOSTILE) {
            if self.fleet.worker(*worker).has_ended() {
                *worker = self.fleet.launch_program("examples/misbehaves", &["--queues", queue]);
            }
        }
        for seat in (0..self.seats.len()).filter(|seat| !hurt.contains(seat)) {
            if let Some(code) = self.ended(seat) {
                let worker = self.seats[seat].worker;
                let words = self.last_words(worker);
                self.violations.push(format!("worker-{worker} ended by itself with {code}{words}"));
                self.fill(seat);
            }
        }
    }

    /// The end of what a worker logged, for the report.
    pub(crate) fn last_words(&self, worker: usize) -> String {
        const SHOWN: usize = 8;
        let log = self.fleet.log(worker);
        let lines: Vec<&str> = log.lines().collect();
        let last = lines.iter().skip(lines.len().saturating_sub(SHOWN));
        last.map(|line| format!("\n      {line}")).collect()
    }

    /// The present moment by the clock of Redis, which is this machine's.
    pub(crate) fn now(&self) -> Micros {
        Micros(self.clock.0 + i64::try_from(self.clock.1.elapsed().as_micros()).unwrap_or(i64::MAX))
    }

    /// From now on Redis is away.
    pub(crate) fn outage_begins(&mut self) {
        self.outages.push((self.now().0, None));
    }

    /// It is back.
    pub(crate) fn outage_ends(&mut self) {
        let now = self.now().0;
        if let Some((_, end @ None)) = self.outages.last_mut() {
            *end = Some(now);
        }
    }

    /// One command to every primary that answers.
    pub(crate) fn tell_primaries(&self, words: &[&str]) {
        for server in servers(&self.fleet).filter(|server| server.is_running()) {
            let Some(mut connection) = open(server, Duration::from_secs(2)) else { continue };
            // Its answer is lost if it cuts this connection, too.
            _ = redis::cmd(words[0]).arg(&words[1..]).query::<redis::Value>(&mut connection);
        }
    }
}
