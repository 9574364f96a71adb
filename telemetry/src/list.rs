//! Every metric, in one table. Its page in `docs/`, the families and the tests of dashboards and rules come from it.

use prometheus_client::metrics::MetricType;

/// What a metric is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Counts by upper bound, in the metric's unit.
    Histogram(&'static [f64]),
}

impl Kind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }

    pub(crate) fn metric_type(self) -> MetricType {
        match self {
            Self::Counter => MetricType::Counter,
            Self::Gauge => MetricType::Gauge,
            Self::Histogram(_) => MetricType::Histogram,
        }
    }
}

/// Which values a label has. Any other is told as `other`, so that no metric has series without end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// These.
    Of(&'static [&'static str]),
    /// The first so many that come.
    AtMost(usize),
}

/// A label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// Its values.
    pub values: Values,
}

/// Who exposes a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exposed {
    /// Each worker, on its admin port: what this process saw.
    Worker,
    /// `windlass serve`: what is known of the fleet, once however many workers there are.
    Serve,
    /// Both.
    Both,
}

impl Exposed {
    /// Whether `program`, which is the worker or `serve`, exposes it.
    pub fn by(self, program: Self) -> bool {
        self == program || self == Self::Both
    }
}

/// A metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// The name of its series: that of a counter ends in `_total`.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// What its values are measured in; its name says so, too.
    pub unit: Option<&'static str>,
    /// Its labels.
    pub labels: &'static [Label],
    /// Who exposes it.
    pub exposed: Exposed,
    /// What it means.
    pub help: &'static str,
}

impl Metric {
    /// The name of the family in OpenMetrics: without `_total`.
    pub fn family(&self) -> &'static str {
        self.name.strip_suffix("_total").unwrap_or(self.name)
    }

    /// The same without its unit.
    pub(crate) fn stem(&self) -> &'static str {
        let suffix = |unit| self.family().strip_suffix(unit)?.strip_suffix('_');
        self.unit.and_then(suffix).unwrap_or_else(|| self.family())
    }

    /// The names of its samples: those that a query can ask for.
    pub fn series(&self) -> Vec<String> {
        match self.kind {
            Kind::Histogram(_) => {
                ["bucket", "count", "sum"].map(|part| format!("{}_{part}", self.name)).into()
            }
            Kind::Counter | Kind::Gauge => vec![self.name.to_owned()],
        }
    }
}

/// The metrics that a program exposes.
pub fn of(program: Exposed) -> impl Iterator<Item = &'static Metric> {
    METRICS.iter().copied().filter(move |metric| metric.exposed.by(program))
}

/// Whether a query may ask for a series of this name.
pub fn is_series(name: &str) -> bool {
    METRICS.iter().any(|metric| metric.series().iter().any(|series| series == name))
}

const fn label(name: &'static str, values: Values) -> Label {
    Label { name, values }
}
const fn words(name: &'static str, values: &'static [&'static str]) -> Label {
    label(name, Values::Of(values))
}
const fn at_most(name: &'static str, most: usize) -> Label {
    label(name, Values::AtMost(most))
}

/// Classes of error. The same as `ErrorClass` of the model; a test of the worker holds them against each other.
pub const CLASSES: &[&str] = &[
    "authentication",
    "permission",
    "rate_limit",
    "quota",
    "timeout",
    "connection",
    "server",
    "overloaded",
    "context_length",
    "content_policy",
    "bad_request",
    "malformed_output",
    "budget",
    "validation",
    "rejected",
    "exit_code",
    "spawn",
    "panic",
    "result_too_large",
    "undecodable",
    "unknown_type",
    "crashed",
    "interrupted",
    "cancelled",
    "internal",
];
/// How a call to a model ended.
const CALL_OUTCOMES: &[&str] = &[
    "ok",
    "authentication",
    "permission",
    "rate_limit",
    "quota",
    "timeout",
    "connection",
    "server",
    "overloaded",
    "context_length",
    "content_policy",
    "bad_request",
    "malformed_output",
    "budget",
    "cancelled",
];
/// How an attempt ended.
pub const OUTCOMES: &[&str] =
    &["completed", "failed", "retried", "cancelled", "handed_back", "lost", "waited", "escalated"];
/// States of a node that lives.
pub const LIVE_STATES: &[&str] = &["starting", "active", "quiet", "draining"];
/// States of a node.
pub const NODE_STATES: &[&str] = &["starting", "active", "quiet", "draining", "lost"];
/// Why Redis did not do what we asked.
pub const REDIS_ERROR_KINDS: &[&str] =
    &["timeout", "unreachable", "refused", "out_of_memory", "disk_failed", "unavailable", "unexpected"];

const CLASS: Label = words("class", CLASSES);
const OUTCOME: Label = words("outcome", OUTCOMES);
const TYPE: Label = at_most("type", 100);
const QUEUE: Label = at_most("queue", 100);
const MODEL: Label = at_most("model", 100);
const BREAKER: Label = at_most("name", 100);
/// `serve` tells of all queues, and not by type.
const ANY_QUEUE: Label = at_most("queue", 1000);
const SCOPE: Label = at_most("scope", 200);
const SERVER: Label = at_most("server", 200);
const METHOD: Label = words("method", &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
const ROUTE: Label = at_most("route", 150);

/// From 50 µs to 10 s.
pub const REDIS_SECONDS: &[f64] = &[
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];
/// From half a millisecond to 10 s.
const SHORT_SECONDS: &[f64] =
    &[0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// From 5 ms to four hours: a task may be a `noop`, or an agent's afternoon.
const RUN_SECONDS: &[f64] = &[
    0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 1800.0, 3600.0,
    14400.0,
];
/// From 50 ms to ten minutes.
const CALL_SECONDS: &[f64] =
    &[0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0];

use self::{
    Exposed::{Both, Serve, Worker},
    Kind::{Counter, Gauge, Histogram},
};
const NONE: Option<&str> = None;
const SECONDS: Option<&str> = Some("seconds");
const BYTES: Option<&str> = Some("bytes");
const DOLLARS: Option<&str> = Some("dollars");
const RATIO: Option<&str> = Some("ratio");

macro_rules! metrics {
    ($($id:ident = $at:ident $kind:expr, $name:literal, $unit:expr, [$($label:expr),*], $help:literal;)*) => {
        $(#[doc = $help] pub static $id: Metric =
            Metric { name: $name, kind: $kind, unit: $unit, labels: &[$($label),*], exposed: $at, help: $help };)*

        /// Every metric.
        pub static METRICS: &[&Metric] = &[$(&$id),*];
    };
}

metrics! {
    BUILD_INFO = Both Gauge, "windlass_build_info", NONE, [at_most("version", 1), at_most("protocol", 1)],
        "Always 1; the labels tell the version of the program and of the protocol in Redis.";

    WORKER_STATE = Worker Gauge, "windlass_worker_state", NONE, [words("state", LIVE_STATES)],
        "1 for the state that the node is in, 0 for the others.";
    WORKER_SLOTS = Worker Gauge, "windlass_worker_slots", NONE, [],
        "How many attempts the node runs at once at most.";
    WORKER_SLOTS_USED = Worker Gauge, "windlass_worker_slots_used", NONE, [],
        "How many attempts it runs.";
    WORKER_CLAIMED = Worker Counter, "windlass_worker_claimed_tasks_total", NONE, [QUEUE],
        "Tasks that the node claimed.";
    WORKER_TASKS = Worker Counter, "windlass_worker_tasks_total", NONE, [QUEUE, TYPE, OUTCOME],
        "Attempts that ended, once Redis has answered; lost are those of which Redis takes no result any more.";
    WORKER_RETRIES = Worker Counter, "windlass_worker_retries_total", NONE, [CLASS],
        "Attempts that failed and are repeated later, by the class of their error.";
    WORKER_CLAIM_TO_START = Worker Histogram(SHORT_SECONDS), "windlass_worker_claim_to_start_seconds", SECONDS, [],
        "From the answer that brought a task to the start of its executor.";
    WORKER_RUN = Worker Histogram(RUN_SECONDS), "windlass_worker_run_seconds", SECONDS, [TYPE, OUTCOME],
        "How long executors ran.";
    WORKER_SETTLE = Worker Histogram(SHORT_SECONDS), "windlass_worker_settle_seconds", SECONDS, [],
        "From the end of an attempt to Redis's answer to its result.";
    WORKER_STALE_COMMITS = Worker Counter, "windlass_worker_stale_commits_total", NONE, [],
        "Results that Redis refused because the lease was gone.";
    WORKER_LOST_LEASES = Worker Counter, "windlass_worker_lost_leases_total", NONE, [],
        "Attempts that were dropped because a heartbeat learned that their lease was gone.";
    WORKER_HEARTBEATS = Worker Counter, "windlass_worker_heartbeats_total", NONE, [words("result", &["ok", "failed"])],
        "Heartbeats that Redis took, and those that failed.";
    WORKER_HEARTBEAT = Worker Histogram(SHORT_SECONDS), "windlass_worker_heartbeat_seconds", SECONDS, [],
        "How long a heartbeat took, with the extension of the node's leases.";

    LLM_CALLS = Worker Counter, "windlass_llm_calls_total", NONE, [MODEL, words("outcome", CALL_OUTCOMES)],
        "Calls to models, by outcome: ok, or the class of the error.";
    LLM_CALL = Worker Histogram(CALL_SECONDS), "windlass_llm_call_seconds", SECONDS, [MODEL],
        "How long calls to models took, failed ones included.";
    LLM_TOKENS = Worker Counter, "windlass_llm_tokens_total", NONE,
        [MODEL, words("direction", &["input", "output", "cached", "reasoning"])],
        "Tokens as providers counted them; cached ones are among the input, reasoning ones among the output.";
    LLM_COST = Worker Counter, "windlass_llm_cost_dollars_total", DOLLARS, [MODEL],
        "What calls to models cost, where that is known.";
    LLM_CACHE_HITS = Worker Counter, "windlass_llm_cache_hits_total", NONE, [MODEL],
        "Answers that were known, so that nobody was called.";
    LLM_BREAKER_OPEN = Worker Gauge, "windlass_llm_breaker_open", NONE, [BREAKER],
        "1 if the breaker of this model was open when the node last wanted to call it.";

    REDIS_ROUND_TRIP = Both Histogram(REDIS_SECONDS), "windlass_redis_round_trip_seconds", SECONDS, [],
        "From sending a command or a script to its answer, as this process saw it; waits are not among them.";
    REDIS_SCRIPT = Both Histogram(REDIS_SECONDS), "windlass_redis_script_seconds", SECONDS, [at_most("script", 64)],
        "The same by script.";
    REDIS_ERRORS = Both Counter, "windlass_redis_errors_total", NONE, [words("kind", REDIS_ERROR_KINDS)],
        "Commands and scripts that failed.";

    PROCESS_MEMORY = Both Gauge, "process_resident_memory_bytes", BYTES, [],
        "Resident memory.";
    PROCESS_FDS = Both Gauge, "process_open_fds", NONE, [],
        "Open file descriptors.";
    PROCESS_CPU = Both Counter, "process_cpu_seconds_total", SECONDS, [],
        "CPU time used, in user and in system mode.";
    PROCESS_START = Both Gauge, "process_start_time_seconds", SECONDS, [],
        "When the process began, in seconds of the epoch.";

    QUEUE_PENDING = Serve Gauge, "windlass_queue_pending_tasks", NONE,
        [ANY_QUEUE, words("priority", &["critical", "high", "normal", "low"])],
        "Tasks that wait for a slot.";
    QUEUE_TASKS = Serve Gauge, "windlass_queue_tasks", NONE,
        [ANY_QUEUE, words("state", &["scheduled", "running", "parked", "blocked", "failed"])],
        "Tasks in the other states that they can stay in; failed ones are those kept in the dead letter.";
    QUEUE_BACKLOG = Serve Gauge, "windlass_queue_backlog_tasks", NONE, [ANY_QUEUE],
        "What workers are needed for: ready, due and leased tasks; while the queue is paused, leased ones alone.";
    QUEUE_OLDEST = Serve Gauge, "windlass_queue_oldest_pending_seconds", SECONDS, [ANY_QUEUE],
        "How long the oldest pending task has waited; 0 if none does.";
    QUEUE_PAUSED = Serve Gauge, "windlass_queue_paused", NONE, [ANY_QUEUE],
        "1 while the queue is paused.";
    QUEUE_NODES = Serve Gauge, "windlass_queue_nodes", NONE, [ANY_QUEUE],
        "Live nodes that claim from the queue.";
    QUEUE_SUBMITTED = Serve Counter, "windlass_queue_submitted_tasks_total", NONE, [ANY_QUEUE],
        "Tasks that were submitted.";
    QUEUE_FINISHED = Serve Counter, "windlass_queue_finished_tasks_total", NONE,
        [ANY_QUEUE, words("outcome", &["completed", "failed", "cancelled", "expired"])],
        "Tasks that reached a final state.";
    QUEUE_RECOVERED = Serve Counter, "windlass_queue_recovered_leases_total", NONE, [ANY_QUEUE],
        "Leases that ran out, so that the task went to another node.";
    QUEUE_STALE = Serve Counter, "windlass_queue_stale_commits_total", NONE, [ANY_QUEUE],
        "Results that were refused because the lease was gone.";

    NODES = Serve Gauge, "windlass_nodes", NONE, [words("state", NODE_STATES)],
        "Nodes by state; lost ones are shown for a day.";
    FLEET_SLOTS = Serve Gauge, "windlass_fleet_slots", NONE, [],
        "Slots of all live nodes.";
    FLEET_SLOTS_USED = Serve Gauge, "windlass_fleet_slots_used", NONE, [],
        "Attempts that they run.";
    FLEET_OLDEST_HEARTBEAT = Serve Gauge, "windlass_fleet_oldest_heartbeat_seconds", SECONDS, [],
        "Age of the oldest last heartbeat among live nodes.";

    BUDGET_LIMIT = Serve Gauge, "windlass_budget_limit_dollars", DOLLARS, [SCOPE],
        "What may be spent in the budget's window. Budgets of batches and tenants are not told of: there is no end of them.";
    BUDGET_SPENT = Serve Gauge, "windlass_budget_spent_dollars", DOLLARS, [SCOPE],
        "What was spent of it. Reservations of calls that run are not part of it.";
    BUDGET_USED = Serve Gauge, "windlass_budget_used_ratio", RATIO, [SCOPE],
        "The second divided by the first.";
    BREAKER_OPEN = Serve Gauge, "windlass_breaker_open", NONE, [at_most("name", 500)],
        "1 while the fleet leaves this model or host alone, or tries whether it works again.";

    REDIS_UP = Serve Gauge, "windlass_redis_up", NONE, [],
        "1 if Redis answered this scrape.";
    REDIS_USED_MEMORY = Serve Gauge, "windlass_redis_used_memory_bytes", BYTES, [SERVER],
        "Memory that a server of Redis uses.";
    REDIS_MAX_MEMORY = Serve Gauge, "windlass_redis_max_memory_bytes", BYTES, [SERVER],
        "Its maxmemory; 0 if it has none.";

    HTTP_REQUESTS = Serve Counter, "windlass_http_requests_total", NONE,
        [METHOD, ROUTE, at_most("status", 60)],
        "Requests that were answered; the route is the pattern, never the path.";
    HTTP_DURATION = Serve Histogram(SHORT_SECONDS), "windlass_http_request_duration_seconds", SECONDS, [METHOD, ROUTE],
        "How long answers took.";
    HTTP_EVENT_STREAMS = Serve Gauge, "windlass_http_event_streams", NONE, [],
        "Open streams of events.";
    SCRAPE_ERRORS = Serve Counter, "windlass_scrape_errors_total", NONE, [],
        "Scrapes for which Redis could not be read, so that figures of the fleet are missing.";
}
