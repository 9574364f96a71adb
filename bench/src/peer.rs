//! The queues that are measured: Windlass, and those that `peers.toml` names.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result};
use serde::Deserialize;
use windlass_shared::model::QueueName;
use windlass_tests::fleet::{keys, programs};

use crate::server::Server;

/// Windlass' own name among its peers.
pub(crate) const WINDLASS: &str = "windlass";

/// A queue behind an adapter: a program with the verbs that `bench/README.md` lists.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Peer {
    #[serde(skip)]
    pub(crate) name: String,
    /// A program beside this one, or a path, seen from the file's folder.
    program: PathBuf,
    /// What comes before the verb.
    #[serde(default)]
    args: Vec<String>,
    /// The command of Redis that counts stored results.
    pub(crate) done: Vec<String>,
    /// Tasks that one worker runs at once.
    pub(crate) concurrency: u64,
    /// How many tasks are measured.
    pub(crate) tasks: Tasks,
    /// It cannot cope with more tasks in its queue.
    #[serde(default = "no_limit")]
    pub(crate) most_drained: u64,
    /// Variables for all its programs.
    #[serde(default)]
    env: BTreeMap<String, String>,
    /// Variables for workers that drain.
    #[serde(default)]
    drain_env: BTreeMap<String, String>,
}

/// How many tasks a peer gets.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tasks {
    /// Submitted in bulk.
    pub(crate) bulk: u64,
    /// Submitted one after the other.
    pub(crate) single: u64,
    /// Drained.
    pub(crate) drain: u64,
}

fn no_limit() -> u64 {
    u64::MAX
}

/// What a worker of a peer is started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To work off a backlog.
    Drain,
    /// Anything else.
    Usual,
}

impl Peer {
    /// Windlass as a peer.
    pub(crate) fn windlass() -> Self {
        let stats = keys().queue(&QueueName::default_queue()).stats().to_owned();
        Self {
            name: WINDLASS.into(),
            program: programs().join("bench-windlass"),
            args: Vec::new(),
            done: vec!["HGET".into(), stats, "completed".into()],
            concurrency: 512,
            tasks: Tasks { bulk: 200_000, single: 20_000, drain: 200_000 },
            most_drained: no_limit(),
            env: BTreeMap::new(),
            drain_env: BTreeMap::new(),
        }
    }

    pub(crate) fn is_windlass(&self) -> bool {
        self.name == WINDLASS
    }

    /// Its adapter, on a server, with the log of its handlers.
    pub(crate) fn command(&self, server: &Server, log: &Path, worker: usize, purpose: Purpose) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).stdin(Stdio::null());
        command.env("REDIS_URL", format!("{}/0", server.url())).env("REDIS_PORT", server.port().to_string());
        command.env("BENCH_LOG", log).env("BENCH_WID", worker.to_string()).envs(&self.env);
        if purpose == Purpose::Drain {
            command.envs(&self.drain_env);
        }
        command
    }
}

/// Windlass first, then the peers of a file whose programs are here; and the names of the others.
pub(crate) fn all(file: &Path) -> Result<(Vec<Peer>, Vec<String>)> {
    let text = match fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        other => other.with_context(|| file.display().to_string())?,
    };
    let named: BTreeMap<String, Peer> = toml::from_str(&text).with_context(|| file.display().to_string())?;
    let folder = file.parent().unwrap_or(Path::new(""));
    let (mut peers, mut missing) = (vec![Peer::windlass()], Vec::new());
    for (name, mut peer) in named {
        let beside = peer.program.components().count() == 1;
        peer.program = if beside { programs().join(&peer.program) } else { folder.join(&peer.program) };
        if peer.program.is_file() {
            peers.push(Peer { name, ..peer });
        } else {
            missing.push(name);
        }
    }
    Ok((peers, missing))
}
