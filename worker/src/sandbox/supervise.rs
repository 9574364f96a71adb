//! `sandbox-exec`: starts a command and stays beside it until nothing of it is left.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    process::{Child, ExitCode},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{
        Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, getpgid, getpgrp, getpid, getppid,
        kill_current_process_group, kill_process, pidfd_open, set_child_subreaper,
        set_parent_process_death_signal, setpriority_process, wait,
    },
};
use windlass_shared::model::ErrorClass;

use super::{apply, bubblewrap, order::Order, probe, tree};
use crate::executor::{Failure, process::not_started};

/// How often the processes of a command are counted.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The priority of the watch.
const FIRST: i32 = -15;

/// Of more processes than may be, so many are looked at for having left the group.
const MOST_OUTSIDE: usize = 10_000;

/// How often what is left behind is killed; each time, all of it that is seen.
const ROUNDS: u32 = 200;

/// Runs the command, and ends as it ended.
pub(super) fn run() -> ExitCode {
    match Order::read() {
        Ok(order) => started(&order).unwrap_or_else(|failure| apply::tell(&failure)),
        Err(error) => {
            apply::tell(&Failure::internal(format!("the sandbox was not told what to run: {error}")))
        }
    }
}

fn started(order: &Order) -> Result<ExitCode, Failure> {
    let worker = watch_worker(order.worker).map_err(|error| internal(&error))?;
    // What leaves its parent stays below us.
    set_child_subreaper(Some(getpid())).map_err(|error| internal(&error.into()))?;
    let child = match &order.policy.bubblewrap {
        Some(program) => std::env::current_dir()
            .and_then(|directory| bubblewrap::command(program, &order.policy, &directory)?.spawn())
            .map_err(|error| internal(&error))?,
        None => {
            let landlock = apply::apply(&order.policy)?;
            if order.policy.probe.is_some() {
                return Ok(probe::run(order, landlock));
            }
            let name = order.argv.first().map_or("", String::as_str);
            apply::command(order).spawn().map_err(|error| not_started(name, &error))?
        }
    };
    let_go_of_pipes();
    // A bomb of processes must not keep us from seeing it. Only root may; others are held by their own limit.
    let _ = setpriority_process(None, FIRST);
    let watch = Watch { worker, child: pid(&child)?, most: order.policy.limits.processes };
    watch.to_the_end(order.policy.bubblewrap.is_some())
}

fn internal(error: &io::Error) -> Failure {
    Failure::internal(format!("the sandbox cannot start a command: {error}"))
}

fn pid(child: &Child) -> Result<Pid, Failure> {
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    id.ok_or_else(|| Failure::internal("a command has no process id"))
}

/// Something that becomes readable when the worker is gone.
fn watch_worker(id: u32) -> io::Result<OwnedFd> {
    // Where the worker's thread lives as long as the worker, this is quicker; the watch is what counts.
    set_parent_process_death_signal(None)?;
    let worker = getppid().filter(|parent| parent.as_raw_nonzero().get().unsigned_abs() == id);
    let worker = worker.ok_or_else(|| io::Error::other("the worker is gone"))?;
    Ok(pidfd_open(worker, PidfdFlags::empty())?)
}

/// The program has them. Standard error stays, for a last word.
fn let_go_of_pipes() {
    if let Ok(null) = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdin(&null);
        let _ = rustix::stdio::dup2_stdout(&null);
    }
}

struct Watch {
    worker: OwnedFd,
    child: Pid,
    most: usize,
}

impl Watch {
    fn to_the_end(&self, wrapped: bool) -> Result<ExitCode, Failure> {
        let child = pidfd_open(self.child, PidfdFlags::empty()).map_err(|error| internal(&error.into()))?;
        // bubblewrap itself is two processes.
        let most = self.most + if wrapped { 2 } else { 0 };
        let mut pause = LOOK_EVERY;
        loop {
            let gone = wait_for(&self.worker, &child, pause);
            if let Some(status) = self.reaped() {
                end_all();
                return Ok(as_it_ended(status));
            }
            if gone {
                end_all();
                let _ = kill_current_process_group(Signal::KILL);
            }
            let start = Instant::now();
            if tree::descendants(own_id(), most + 1).len() > most {
                return Ok(self.ended_for_its_number());
            }
            // Counting many takes long, and must not take more than a tenth of the time.
            pause = LOOK_EVERY.max(start.elapsed() * 10);
        }
    }

    /// All at one stroke, so that none can be started meanwhile: what left the group, then the group, and us with it.
    fn ended_for_its_number(&self) -> ExitCode {
        let most = self.most;
        let message =
            format!("it had more than {most} processes at once (setting sandbox.processes) and was ended");
        let code = apply::tell(&Failure::new(ErrorClass::ExitCode, message));
        let group = getpgrp();
        for pid in tree::descendants(own_id(), MOST_OUTSIDE).into_iter().filter_map(Pid::from_raw) {
            if getpgid(Some(pid)).is_ok_and(|own| own != group) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        let _ = kill_current_process_group(Signal::KILL);
        code
    }

    /// How the command ended, if it did. Others that ended are let go.
    fn reaped(&self) -> Option<WaitStatus> {
        let mut ended = None;
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if pid == self.child {
                ended = Some(status);
            }
        }
        ended
    }
}

/// Waits a little, or until the worker or the child ends; whether it was the worker.
fn wait_for(worker: &OwnedFd, child: &OwnedFd, longest: Duration) -> bool {
    let mut watched =
        [PollFd::new(worker, PollFlags::IN), PollFd::from_borrowed_fd(child.as_fd(), PollFlags::IN)];
    let timeout = Timespec { tv_sec: longest.as_secs() as i64, tv_nsec: longest.subsec_nanos().into() };
    let _ = poll(&mut watched, Some(&timeout));
    watched[0].revents().contains(PollFlags::IN)
}

fn own_id() -> i32 {
    getpid().as_raw_nonzero().get()
}

/// Kills what is left of the command, also what went into sessions of its own.
fn end_all() {
    for _ in 0..ROUNDS {
        let left = tree::descendants(own_id(), usize::MAX);
        for pid in left.iter().filter_map(|id| Pid::from_raw(*id)) {
            let _ = kill_process(pid, Signal::KILL);
        }
        while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
        if left.is_empty() {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Ends as the command did, so that the worker sees what it would have seen of it.
fn as_it_ended(status: WaitStatus) -> ExitCode {
    if let Some(code) = status.exit_status() {
        return ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX));
    }
    let number = status.terminating_signal().unwrap_or(0);
    if let Some(signal) = Signal::from_named_raw(number) {
        // The first one may only take away the handler that our runtime has for some.
        for _ in 0..2 {
            let _ = kill_process(getpid(), signal);
        }
    }
    // As shells say it.
    ExitCode::from(u8::try_from(128 + number).unwrap_or(u8::MAX))
}
