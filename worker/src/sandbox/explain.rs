//! What a limit has to do with how a command ended, for the person who reads the failure.

use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

use rustix::process::Signal;
use windlass_shared::model::{Protection, time::human};

use super::policy::{Limits, Policy};

/// What programs say when they get no more memory.
const NO_MEMORY: [&str; 5] =
    ["MemoryError", "annot allocate memory", "ut of memory", "bad_alloc", "emory allocation of"];

/// A sentence that names the setting, if one of them is the likely cause.
pub(crate) fn explain(policy: &Policy, status: ExitStatus, stderr: &str) -> Option<String> {
    let Limits { cpu, memory, file_size, open_files, .. } = policy.limits;
    let says = |words: &[&str]| words.iter().any(|word| stderr.contains(word));
    if status.success() {
        return None;
    }
    if policy.enforces(Protection::Limits) {
        let signal = status.signal().or(status.code().map(|code| code - 128));
        if signal == Some(Signal::XCPU.as_raw()) {
            let limit = human(std::time::Duration::from_secs(cpu));
            return Some(format!("it used more than {limit} of CPU time (setting sandbox.cpu_time)"));
        }
        if signal == Some(Signal::XFSZ.as_raw()) || says(&["File too large", "EFBIG"]) {
            return Some(format!(
                "a file would be larger than {file_size} bytes (setting sandbox.file_size)"
            ));
        }
        if says(&NO_MEMORY) {
            return Some(format!("a process may allocate {memory} bytes (setting sandbox.memory)"));
        }
        if says(&["Too many open files", "EMFILE"]) {
            return Some(format!("a process may have {open_files} files open (setting sandbox.open_files)"));
        }
    }
    if policy.enforces(Protection::Network)
        && !policy.network
        && says(&["Operation not permitted", "PermissionError"])
    {
        return Some("it has no network (setting sandbox.network)".to_owned());
    }
    // Within bubblewrap, what is not listed is not even there.
    let shut = ["ermission denied", "EACCES", "Read-only file system"];
    let absent = policy.bubblewrap.is_some() && says(&["No such file or directory"]);
    if policy.enforces(Protection::Files) && (absent || says(&shut)) {
        return Some(
            "the sandbox shuts off what is not listed in the settings sandbox.read and sandbox.write"
                .to_owned(),
        );
    }
    None
}
