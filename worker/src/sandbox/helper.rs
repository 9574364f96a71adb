//! The first line of a program that runs workers: it may have been started as the helper.

use std::{
    env,
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
};

use rustix::process::{Resource, Rlimit, setrlimit};

/// The program that is running, even if its file was replaced since.
pub(crate) const PROGRAM: &str = "/proc/self/exe";

/// Starts and watches a command.
pub(crate) const EXEC: &str = "sandbox-exec";

/// Becomes a command, within bubblewrap.
#[cfg(target_os = "linux")]
pub(super) const APPLY: &str = "sandbox-apply";

/// Whether this program called [`prepare`], so that it can be run again as the helper.
static OFFERED: AtomicBool = AtomicBool::new(false);

/// To be called first in `main`, before a thread is started or a configuration read. A program that was started as
/// the helper of a worker's sandbox has done its work then, and ends with the given code:
///
/// ```no_run
/// # use std::process::ExitCode;
/// fn main() -> ExitCode {
///     if let Some(code) = windlass_worker::prepare() {
///         return code;
///     }
///     // … the program itself …
///     ExitCode::SUCCESS
/// }
/// ```
///
/// Otherwise the process gives up core dumps and cannot be looked into by other processes of its user, since it is
/// going to hold secrets. Without this call a worker works, but cannot shut in what it runs, and says so.
pub fn prepare() -> Option<ExitCode> {
    #[cfg(target_os = "linux")]
    match env::args_os().nth(1).as_ref().and_then(|word| word.to_str()) {
        Some(EXEC) => return Some(super::supervise::run()),
        Some(APPLY) => return Some(super::apply::become_program()),
        _ => {}
    }
    keep_secrets();
    OFFERED.store(cfg!(target_os = "linux"), Ordering::Relaxed);
    None
}

pub(super) fn is_offered() -> bool {
    OFFERED.load(Ordering::Relaxed)
}

/// What this process holds goes neither into a core dump nor to a process that attaches to it or reads its `/proc`.
fn keep_secrets() {
    // Giving up what one has cannot fail; a system that knows neither has no use for it.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::{DumpableBehavior, dumpable_behavior, getrlimit};

    use super::*;

    #[test]
    fn a_process_that_holds_secrets_leaves_no_core_and_is_not_looked_into() {
        keep_secrets();
        let core = getrlimit(Resource::Core);
        assert_eq!((core.current, core.maximum), (Some(0), Some(0)));
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    }
}
