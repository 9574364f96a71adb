//! Gives up what the policy does not allow, for this process and all that it starts.

use std::{fs, os::unix::process::CommandExt, path::Path, process::Command, process::ExitCode};

use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    thread::{
        CapabilitySet, capabilities, clear_ambient_capability_set, remove_capability_from_bounding_set,
        set_capabilities, set_no_new_privs,
    },
};
use windlass_shared::model::Protection;

use super::{
    files, network,
    order::Order,
    policy::{Limits, Policy},
    probe, report,
};
use crate::executor::{Failure, process::not_started};

/// More than a process is given that uses up its CPU time: then it is killed, should it not end by the signal before.
const CPU_GRACE: u64 = 5;

/// What else the user may start while a command runs.
const MOST_BESIDES: u64 = 4096;

/// How much sooner than others a command is ended when the machine has no memory left; the most is 1000.
const ENDED_FIRST: &str = "500";

/// `sandbox-apply`: reads the order, gives up rights, becomes the program.
pub(super) fn become_program() -> ExitCode {
    let failure = match Order::read() {
        Err(error) => Failure::internal(format!("the sandbox was not told what to run: {error}")),
        Ok(order) => match apply(&order.policy) {
            Err(failure) => failure,
            Ok(landlock) if order.policy.probe.is_some() => return probe::run(&order, landlock),
            Ok(_) => {
                let error = command(&order).exec();
                not_started(order.argv.first().map_or("", String::as_str), &error)
            }
        },
    };
    tell(&failure)
}

/// Tells the worker, and ends.
#[allow(clippy::print_stderr, reason = "it is how the helper reports")]
pub(super) fn tell(failure: &Failure) -> ExitCode {
    eprint!("{}", report::line(failure));
    ExitCode::from(125)
}

/// The program, with its own environment and nothing else.
pub(super) fn command(order: &Order) -> Command {
    let (name, arguments) =
        order.argv.split_first().map_or(("", &[][..]), |(name, rest)| (name.as_str(), rest));
    let mut command = Command::new(name);
    command.args(arguments).env_clear().envs(order.env.iter().map(|(name, value)| (name, value)));
    command
}

/// Gives up what the policy does not allow; says how much Landlock restricts. What cannot be given up, though the
/// policy counts on it, is a failure: the command must not run.
pub(super) fn apply(policy: &Policy) -> Result<Option<landlock::ABI>, Failure> {
    let must = |protection, done: Result<(), String>| match done {
        Err(why) if policy.enforces(protection) => {
            Err(Failure::internal(format!("the sandbox cannot enforce `{protection}` any more: {why}")))
        }
        _ => Ok(()),
    };
    // Anybody may volunteer; without the right to write there, the machine decides as usual.
    let _ = fs::write(Path::new("/proc/self/oom_score_adj"), ENDED_FIRST);
    must(Protection::Limits, limit(policy.limits))?;
    must(Protection::Privileges, give_up_privileges())?;
    let landlock = files::shut_off(policy);
    let restricted = landlock.as_ref().is_ok_and(Option::is_some) || policy.bubblewrap.is_some();
    must(Protection::Files, if restricted { Ok(()) } else { Err("Landlock restricts nothing".to_owned()) })?;
    if !policy.network {
        must(Protection::Network, network::shut_off())?;
    }
    Ok(landlock.unwrap_or(None))
}

/// A limit of the user's processes that nothing but a bomb reaches: all that the machine runs now, and many more. The
/// count of this command's own processes is the watch's; this holds until it comes round. It does not hold for root.
fn most_of_user(processes: usize) -> u64 {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let all =
        load.split(['/', ' ']).nth(4).and_then(|number| number.parse().ok()).unwrap_or(MOST_BESIDES * 4);
    all + processes as u64 + MOST_BESIDES
}

fn limit(limits: Limits) -> Result<(), String> {
    let Limits { cpu, memory, processes, file_size, open_files } = limits;
    let of_user = most_of_user(processes);
    for (resource, soft, hard) in [
        (Resource::Core, 0, 0),
        (Resource::Cpu, cpu, cpu + CPU_GRACE),
        // What a process allocates, and not the addresses that it reserves: those say nothing of how much it uses.
        (Resource::Data, memory, memory),
        (Resource::Nproc, of_user, of_user),
        (Resource::Fsize, file_size, file_size),
        (Resource::Nofile, open_files, open_files),
    ] {
        // What was forbidden before stays forbidden.
        let most = getrlimit(resource).maximum.unwrap_or(u64::MAX);
        let limit = Rlimit { current: Some(soft.min(most)), maximum: Some(hard.min(most)) };
        setrlimit(resource, limit).map_err(|error| format!("{resource:?}: {error}"))?;
    }
    Ok(())
}

/// No program gives rights back that were given up, and even root has none of its special ones.
fn give_up_privileges() -> Result<(), String> {
    set_no_new_privs(true).map_err(|error| error.to_string())?;
    let _ = clear_ambient_capability_set();
    for bit in 0..64 {
        // Who is not root has no right to this, and no need for it.
        if remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << bit)).is_err() {
            break;
        }
    }
    let mut sets = capabilities(None).map_err(|error| error.to_string())?;
    sets.inheritable = CapabilitySet::empty();
    set_capabilities(None, sets).map_err(|error| error.to_string())
}
