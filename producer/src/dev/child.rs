//! Children of `dev`: their output goes to a log, and they end with us, however we end.

use std::{
    fs::File,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use futures_util::future::{join_all, select_all};
use rustix::process::{Pid, Signal, kill_process};

use crate::exit::{Done, Failure};

/// A process that we started.
pub(crate) struct Child {
    process: tokio::process::Child,
    /// Its process id, also after it ended.
    pub(crate) pid: u32,
    /// Where its output goes.
    pub(crate) log: PathBuf,
}

impl Child {
    /// Starts a program with its output in `log`. In a process group of its own, so that a Ctrl-C on the terminal
    /// reaches us alone and we stop the children in order.
    pub(crate) fn spawn(argv: &[String], env: &[(String, String)], log: &Path) -> Done<Self> {
        let output =
            File::create(log).map_err(|error| Failure::NotDone(format!("{}: {error}", log.display())))?;
        let errors = output.try_clone()?;
        let process = tokio::process::Command::new(&argv[0])
            .args(&argv[1..])
            .envs(env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Failure::NotDone(format!("cannot start {}: {error}", argv[0])))?;
        Ok(Self { pid: process.id().unwrap_or_default(), process, log: log.to_owned() })
    }

    fn signal(&self, signal: Signal) {
        let pid = self.process.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended meanwhile; then there is nothing to tell.
            _ = kill_process(pid, signal);
        }
    }

    /// What it wrote last.
    pub(crate) fn last_words(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// It ended already.
    pub(crate) fn has_ended(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(Some(_)))
    }
}

/// Asks all to end, and waits; those that do not in time are killed.
pub(crate) async fn stop_all(children: &mut [Child], patience: Duration) {
    for child in children.iter() {
        child.signal(Signal::TERM);
    }
    let ended = join_all(children.iter_mut().map(|child| child.process.wait()));
    if tokio::time::timeout(patience, ended).await.is_err() {
        for child in children {
            _ = child.process.kill().await;
        }
    }
}

/// The first child that ends by itself.
pub(crate) async fn any_ended(children: &mut [Child]) -> (usize, String) {
    let waits = children.iter_mut().map(|child| Box::pin(child.process.wait()));
    let (status, index, _) = select_all(waits).await;
    (index, status.map_or_else(|error| error.to_string(), |status| status.to_string()))
}

/// Becomes the program, which then ends when our parent does. Gives back only what went wrong.
pub(crate) fn die_with_parent(parent: i32, argv: &[String]) -> Failure {
    // Only Linux has this; elsewhere a `dev` that is killed hard leaves its children behind.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_parent_process_death_signal(Some(Signal::TERM)) {
        return Failure::NotDone(format!("the system refused: {error}"));
    }
    // It may have died before we asked to be told.
    if rustix::process::getppid() != Pid::from_raw(parent) {
        return Failure::NotDone("the parent is gone".into());
    }
    let error = std::process::Command::new(&argv[0]).args(&argv[1..]).exec();
    Failure::NotDone(format!("cannot start {}: {error}", argv[0]))
}
