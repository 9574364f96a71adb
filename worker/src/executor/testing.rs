//! What the tests of several executors need.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use rustix::process::{Pid, test_kill_process};
use serde_json::{Value, value::to_raw_value};
use windlass_shared::model::{Priority, QueueName, TaskId, TaskRef, TypeName};

use super::{Job, Progress};

/// A first attempt with this payload.
pub(crate) fn job(payload: &Value) -> Job {
    Job {
        reference: TaskRef { queue: QueueName::new("tests").unwrap(), id: TaskId::new("t-1").unwrap() },
        task_type: TypeName::new("tried").unwrap(),
        attempt: 1,
        payload: to_raw_value(payload).unwrap(),
        submitted: None,
        tenant: None,
        batch: None,
        priority: Priority::Normal,
        waits: 0,
        crashes: 0,
        ledger: None,
        carry: super::Carry::default(),
        metadata: None,
        trace: None,
        progress: Progress::none(),
    }
}

/// Waits until `what` gives a value; panics after ten seconds.
pub(crate) async fn eventually<T>(name: &str, mut what: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(value) = what() {
            return value;
        }
        assert!(Instant::now() < deadline, "{name} did not happen");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whether a process still runs. A zombie that nobody has waited for yet does not.
pub(crate) fn runs(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    let zombie = stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with(['Z', 'X']));
    test_kill_process(pid).is_ok() && !zombie
}

/// The process whose number a file holds, once it does.
pub(crate) async fn pid_in(file: &Path) -> Pid {
    eventually("a pid file", || {
        let text = fs::read_to_string(file).ok()?;
        text.strip_suffix('\n').and_then(|pid| Pid::from_raw(pid.trim().parse().ok()?))
    })
    .await
}

/// How many entries a directory has.
pub(crate) fn entries(directory: &Path) -> usize {
    fs::read_dir(directory).map_or(0, Iterator::count)
}
