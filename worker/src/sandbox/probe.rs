//! Tries, within the sandbox, what must not work there.

use std::{
    fs::{self, File},
    net::UdpSocket,
    path::Path,
    process::ExitCode,
};

use landlock::ABI;
use rustix::{
    io::Errno,
    process::{Pid, Resource, getrlimit, test_kill_process},
    thread::{CapabilitySet, capability_is_in_bounding_set, no_new_privs},
};
use windlass_shared::model::{Protection, SandboxRecord};

use super::{files, order::Order, policy::Limits};

/// A file that the worker puts beside the workspace, and that nobody within may read or write.
pub(super) const SECRET: &str = "secret";
/// The workspace.
pub(super) const INSIDE: &str = "inside";

type Tried = Result<(), String>;

/// Writes what was found to standard output, as a [`SandboxRecord`].
#[allow(clippy::print_stdout, reason = "it is how the helper answers")]
pub(super) fn run(order: &Order, landlock: Option<ABI>) -> ExitCode {
    let folder = order.policy.probe.as_deref().unwrap_or(Path::new("/"));
    let wrapped = order.policy.bubblewrap.is_some();
    let mut found = SandboxRecord::default();
    for (protection, tried) in [
        (Protection::Files, files(folder, landlock, wrapped)),
        (Protection::Network, network()),
        (Protection::Limits, limits(order.policy.limits)),
        (Protection::Processes, processes(wrapped)),
        (Protection::Privileges, privileges()),
        (Protection::Isolation, isolation(order.worker, wrapped)),
    ] {
        match tried {
            Ok(()) => found.enforced.push(protection.name().to_owned()),
            Err(why) => drop(found.missing.insert(protection.name().to_owned(), why)),
        }
    }
    println!("{}", serde_json::to_string(&found).unwrap_or_default());
    ExitCode::SUCCESS
}

fn refused(what: &str, done: bool) -> Tried {
    if done { Err(format!("{what}, though it must not be")) } else { Ok(()) }
}

fn files(folder: &Path, landlock: Option<ABI>, wrapped: bool) -> Tried {
    let (secret, inside) = (folder.join(SECRET), folder.join(INSIDE));
    if landlock.is_none() && !wrapped {
        return Err(
            "this kernel has no Landlock (Linux 6.2 or later, with `landlock` among its security modules)"
                .into(),
        );
    }
    refused("a file outside was read", File::open(&secret).is_ok())?;
    refused("a file outside was opened for writing", File::options().append(true).open(&secret).is_ok())?;
    refused("a file was made outside", File::create(folder.join("new")).is_ok())?;
    fs::write(inside.join("new"), "x")
        .map_err(|error| format!("the workspace cannot be written: {error}"))?;
    if !wrapped && landlock.is_none_or(|abi| abi < files::LEAST) {
        return Err(
            "this kernel's Landlock does not keep files from being cut short (Linux 6.2 or later does)"
                .into(),
        );
    }
    Ok(())
}

fn network() -> Tried {
    match UdpSocket::bind(("127.0.0.1", 0)) {
        Err(error) if Errno::from_io_error(&error) == Some(Errno::PERM) => Ok(()),
        Err(error) => Err(format!("a socket failed otherwise than it should: {error}")),
        Ok(_) => Err("a socket was made, though it must not be".into()),
    }
}

fn limits(limits: Limits) -> Tried {
    let Limits { memory, file_size, open_files, .. } = limits;
    for (resource, most) in [
        (Resource::Core, 0),
        (Resource::Data, memory),
        (Resource::Fsize, file_size),
        (Resource::Nofile, open_files),
    ] {
        let is = getrlimit(resource).maximum.unwrap_or(u64::MAX);
        refused(&format!("the limit {resource:?} is {is}"), is > most)?;
    }
    // Asked for and not touched: where the limit does not hold, this costs nothing.
    let much = usize::try_from(memory).unwrap_or(usize::MAX / 4).saturating_add(1 << 20);
    refused("more memory was given than the limit", Vec::<u8>::new().try_reserve_exact(much).is_ok())
}

/// The count of processes reads `/proc`; the rest of the watch does without.
fn processes(wrapped: bool) -> Tried {
    let readable = wrapped || Path::new("/proc/thread-self/children").exists();
    if readable { Ok(()) } else { Err("this kernel does not list children in /proc".into()) }
}

fn privileges() -> Tried {
    refused("new privileges can be had", !no_new_privs().unwrap_or(false))?;
    let kept = capability_is_in_bounding_set(CapabilitySet::SETUID).unwrap_or(false);
    refused("root keeps its capabilities", kept && rustix::process::geteuid().is_root())
}

fn isolation(worker: u32, wrapped: bool) -> Tried {
    if !wrapped {
        return Err("bubblewrap (bwrap) is not used".into());
    }
    let worker = i32::try_from(worker).ok().and_then(Pid::from_raw);
    let seen = worker.is_some_and(|pid| test_kill_process(pid) != Err(Errno::SRCH));
    refused("the worker's process is seen", seen)
}
