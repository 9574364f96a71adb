//! What this host can enforce.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::TempDir;
use tokio::time::timeout;
use windlass_shared::{
    config::{Config, SandboxMode, SandboxSettings},
    model::{Protection, SandboxRecord},
};

use super::{helper, paths, policy::Policy};
use crate::executor::{
    Failure, Progress,
    process::{self, Program},
};

/// What has not answered by then does not work.
const PATIENCE: Duration = Duration::from_secs(10);

/// What this host can enforce, as found out at the start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Host {
    record: SandboxRecord,
    bubblewrap: Option<PathBuf>,
    readable: Vec<PathBuf>,
    hidden: Vec<PathBuf>,
}

impl Host {
    /// For checking a configuration where nothing will run: nothing is known to be missing.
    pub(crate) fn unchecked() -> Self {
        let enforced = Protection::ALL.map(|protection| protection.name().to_owned()).into();
        Self { record: SandboxRecord { enforced, ..SandboxRecord::default() }, ..Self::default() }
    }

    /// Tries it out. Logs once what is missing.
    pub(crate) async fn probe(config: &Config) -> Self {
        let settings = &config.sandbox;
        let mut host = Self { readable: paths::readable(), hidden: hidden(&config.files), ..Self::default() };
        let used = settings.mode != SandboxMode::Off
            || config
                .types
                .values()
                .any(|of_type| of_type.sandbox.mode.is_some_and(|mode| mode != SandboxMode::Off));
        if !used {
            host.nothing(settings.mode, "sandbox.mode is off");
            return host;
        }
        if !helper::is_offered() {
            let why = "this program does not call windlass_worker::prepare() first";
            host.nothing(settings.mode, why);
            tracing::warn!(why, "commands run with all rights of the worker: see docs/sandbox.md");
            return host;
        }
        host.try_out(settings).await;
        settings.mode.name().clone_into(&mut host.record.mode);
        // Isolation is an extra that few hosts have; whoever needs it requires it.
        let missing = host.record.missing.iter().filter(|(name, _)| *name != Protection::Isolation.name());
        for (protection, why) in missing {
            tracing::warn!(
                protection,
                why,
                "this host cannot enforce a protection of commands: see docs/sandbox.md"
            );
        }
        host
    }

    async fn try_out(&mut self, settings: &SandboxSettings) {
        #[cfg(target_os = "linux")]
        let wrapper = settings.bubblewrap.then(super::bubblewrap::find).flatten();
        #[cfg(not(target_os = "linux"))]
        let wrapper = None;
        let mut unusable = match (&wrapper, settings.bubblewrap) {
            (Some(_), _) => String::new(),
            (None, true) => "bubblewrap (bwrap) is not installed".to_owned(),
            (None, false) => "sandbox.bubblewrap is off".to_owned(),
        };
        if wrapper.is_some() {
            self.bubblewrap = wrapper;
            match self.tried(settings).await {
                Ok(record) => {
                    self.record = record;
                    return;
                }
                Err(failure) => unusable = format!("bubblewrap does not work here: {}", failure.message),
            }
            self.bubblewrap = None;
        }
        match self.tried(settings).await {
            Ok(record) => self.record = record,
            Err(failure) => self.nothing(settings.mode, &failure.message),
        }
        self.record.missing.insert(Protection::Isolation.name().to_owned(), unusable);
    }

    #[cfg(target_os = "linux")]
    async fn tried(&self, settings: &SandboxSettings) -> Result<SandboxRecord, Failure> {
        use super::probe::{INSIDE, SECRET};
        let folder = probe_folder(&[SECRET], INSIDE)
            .map_err(|error| Failure::internal(format!("no temporary folder can be made: {error}")))?;
        let inside = folder.path().join(INSIDE);
        // Nothing is counted on yet, and no path is allowed that might hold the folder.
        let own = SandboxSettings { read: Vec::new(), write: Vec::new(), ..settings.clone() };
        let mut policy = Policy::new(&own, self, false);
        policy.write.push(inside.clone());
        policy.probe = Some(folder.path().to_owned());
        let argv = ["probe".to_owned()];
        let program = Program {
            argv: &argv,
            env: BTreeMap::new(),
            directory: &inside,
            stdin: &[],
            max_output: 64 * 1024,
            sandbox: Some(policy),
        };
        // Given up, it is killed with all that it started.
        let ended = timeout(PATIENCE, process::run(&program, &Progress::none())).await;
        let ended = ended.map_err(|_| Failure::internal(format!("no answer within {PATIENCE:?}")))??;
        serde_json::from_slice(&ended.stdout).map_err(|_| {
            let said = ended.stderr.trim().lines().last().unwrap_or("no answer").to_owned();
            Failure::internal(format!("{} ({said})", ended.status))
        })
    }

    #[cfg(not(target_os = "linux"))]
    #[allow(clippy::unused_async, reason = "it is awaited elsewhere")]
    async fn tried(&self, _settings: &SandboxSettings) -> Result<SandboxRecord, Failure> {
        Err(Failure::internal("this is not Linux"))
    }

    fn nothing(&mut self, mode: SandboxMode, why: &str) {
        let missing = Protection::ALL.map(|protection| (protection.name().to_owned(), why.to_owned()));
        self.record =
            SandboxRecord { mode: mode.name().to_owned(), enforced: Vec::new(), missing: missing.into() };
    }

    /// Whether anything at all is enforced.
    pub(super) fn works(&self) -> bool {
        !self.record.enforced.is_empty()
    }

    pub(super) fn enforces(&self, protection: Protection) -> bool {
        self.record.enforced.iter().any(|name| name == protection.name())
    }

    pub(super) fn enforced(&self) -> Vec<Protection> {
        Protection::ALL.into_iter().filter(|protection| self.enforces(*protection)).collect()
    }

    pub(super) fn readable(&self) -> &[PathBuf] {
        &self.readable
    }

    pub(super) fn hidden(&self) -> &[PathBuf] {
        &self.hidden
    }

    pub(super) fn bubblewrap(&self) -> Option<&Path> {
        self.bubblewrap.as_deref()
    }

    /// For the node's record.
    pub(crate) fn record(&self) -> &SandboxRecord {
        &self.record
    }

    /// What of `needed` is not enforced here, and why.
    pub(crate) fn lacks(&self, needed: &[Protection]) -> Option<String> {
        let lacking = needed.iter().filter(|protection| !self.enforces(**protection));
        let reasons: Vec<String> = lacking
            .map(|protection| match self.record.missing.get(protection.name()) {
                Some(why) => format!("{protection} ({why})"),
                None => protection.to_string(),
            })
            .collect();
        (!reasons.is_empty()).then(|| reasons.join(", "))
    }
}

fn hidden(files: &[PathBuf]) -> Vec<PathBuf> {
    files.iter().filter_map(|file| file.canonicalize().ok()).collect()
}

#[cfg(target_os = "linux")]
fn probe_folder(files: &[&str], inside: &str) -> std::io::Result<TempDir> {
    let folder = TempDir::with_prefix("windlass-probe-")?;
    for file in files {
        fs::write(folder.path().join(file), "not for commands")?;
    }
    fs::create_dir(folder.path().join(inside))?;
    Ok(folder)
}
