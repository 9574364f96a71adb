//! What one command may do.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use windlass_shared::{
    config::{SandboxMode, SandboxSettings},
    model::Protection,
};

use super::host::Host;

/// What commands of a task type may do. The default is everything, with the worker's own rights.
#[derive(Debug, Clone, Default)]
pub struct Sandbox(Option<Arc<Shut>>);

#[derive(Debug)]
struct Shut {
    settings: SandboxSettings,
    host: Host,
}

/// Who wrote what is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Author {
    /// Whoever submitted the task, or the operator: it has a network unless the settings say otherwise.
    Person,
    /// A model: it has none unless the settings say otherwise.
    Model,
}

/// What one command may do, as its helper is told.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Policy {
    /// What is enforced, or the command does not run.
    pub(crate) enforce: Vec<Protection>,
    /// What may be read and run; folders with all that is in them.
    pub(crate) read: Vec<PathBuf>,
    /// What may be changed too.
    pub(crate) write: Vec<PathBuf>,
    /// What may not be read, though it lies in such a folder.
    pub(crate) hide: Vec<PathBuf>,
    pub(crate) network: bool,
    pub(crate) limits: Limits,
    /// The program bubblewrap, where it is used.
    pub(crate) bubblewrap: Option<PathBuf>,
    /// Instead of running a program, try what must not work, with the files in this folder.
    pub(crate) probe: Option<PathBuf>,
}

/// How much a command may use.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Limits {
    /// Seconds of CPU of each process.
    pub(crate) cpu: u64,
    /// Bytes that each process may allocate.
    pub(crate) memory: u64,
    /// Processes at once.
    pub(crate) processes: usize,
    /// Bytes of each file.
    pub(crate) file_size: u64,
    /// Open files of each process.
    pub(crate) open_files: u64,
}

impl Sandbox {
    /// What `settings` say, as far as `host` can.
    pub(crate) fn new(settings: SandboxSettings, host: &Host) -> Self {
        let shut = settings.mode != SandboxMode::Off && host.works();
        Self(shut.then(|| Arc::new(Shut { settings, host: host.clone() })))
    }

    /// For a command in `workspace` that may read `sources` too. `None`: it is run as it is.
    pub(crate) fn policy(&self, author: Author, workspace: &Path, sources: Option<&Path>) -> Option<Policy> {
        let Shut { settings, host } = self.0.as_deref()?;
        let network = settings.network.unwrap_or(author == Author::Person);
        let mut policy = Policy::new(settings, host, network);
        policy.read.extend(sources.and_then(|path| path.canonicalize().ok()));
        policy.write.push(workspace.to_owned());
        Some(policy)
    }

    /// Where files are shut off, temporary files go into the workspace, and so does what looks for a home, unless
    /// part of the real one was allowed.
    pub(crate) fn at_home_in(&self, workspace: &Path, environment: &mut BTreeMap<OsString, OsString>) {
        let Some(shut) = self.0.as_deref().filter(|shut| shut.host.enforces(Protection::Files)) else {
            return;
        };
        environment.insert("TMPDIR".into(), workspace.into());
        let home = env::var_os("HOME").map(PathBuf::from);
        let allowed = shut.settings.read.iter().chain(&shut.settings.write);
        if !home.is_some_and(|home| {
            allowed.map(Path::new).any(|path| path.starts_with(&home) || home.starts_with(path))
        }) {
            environment.insert("HOME".into(), workspace.into());
        }
    }
}

impl Policy {
    /// What holds for every command of these settings.
    pub(super) fn new(settings: &SandboxSettings, host: &Host, network: bool) -> Self {
        let paths = |given: &[String]| given.iter().map(PathBuf::from).collect::<Vec<_>>();
        Self {
            enforce: host.enforced(),
            read: host.readable().iter().cloned().chain(paths(&settings.read)).collect(),
            write: paths(&settings.write),
            hide: host.hidden().to_vec(),
            network,
            limits: Limits {
                cpu: settings.cpu_time.as_secs().max(1),
                memory: settings.memory,
                processes: settings.processes as usize,
                file_size: settings.file_size,
                open_files: settings.open_files.into(),
            },
            bubblewrap: host.bubblewrap().map(Path::to_owned),
            probe: None,
        }
    }

    pub(super) fn enforces(&self, protection: Protection) -> bool {
        self.enforce.contains(&protection)
    }
}
