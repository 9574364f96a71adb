//! `sandbox.*`: what commands and produced code may do, in general and for a type.

use std::{str::FromStr, time::Duration};

use crate::model::Protection;

use super::layers::Values;

/// How strictly commands are shut in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SandboxMode {
    /// Not at all: they have the worker's rights.
    Off,
    /// As well as the host can.
    #[default]
    Best,
    /// As configured, or the node does not offer the types that run them.
    Required,
}

impl SandboxMode {
    /// Its name in settings and node records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Best => "best",
            Self::Required => "required",
        }
    }
}

impl FromStr for SandboxMode {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Off, Self::Best, Self::Required];
        let found = all.into_iter().find(|mode| mode.name() == text);
        found.ok_or_else(|| format!("{text:?} is not valid: use off, best or required"))
    }
}

/// What commands may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxSettings {
    /// How strictly.
    pub mode: SandboxMode,
    /// Absolute paths that may be read and run, besides the system's.
    pub read: Vec<String>,
    /// Absolute paths that may be changed, besides the workspace.
    pub write: Vec<String>,
    /// Whether there is a network. `None`: for commands yes, for produced code no.
    pub network: Option<bool>,
    /// Whether bubblewrap is used where it works.
    pub bubblewrap: bool,
    /// CPU time of each process.
    pub cpu_time: Duration,
    /// Bytes of memory of each process.
    pub memory: u64,
    /// Processes of a command at once.
    pub processes: u32,
    /// Bytes of each file that is written.
    pub file_size: u64,
    /// Open files of each process.
    pub open_files: u32,
}

/// What a type says of it; what is absent comes from the general settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SandboxOfType {
    /// Instead of the general mode.
    pub mode: Option<SandboxMode>,
    /// Without these a node does not offer the type.
    pub require: Vec<Protection>,
    /// Added to the general paths.
    pub read: Vec<String>,
    /// Added to the general paths.
    pub write: Vec<String>,
    /// Instead of the general setting.
    pub network: Option<bool>,
    /// Instead of the general limit.
    pub cpu_time: Option<Duration>,
    /// Instead of the general limit.
    pub memory: Option<u64>,
    /// Instead of the general limit.
    pub processes: Option<u32>,
    /// Instead of the general limit.
    pub file_size: Option<u64>,
    /// Instead of the general limit.
    pub open_files: Option<u32>,
}

impl SandboxSettings {
    pub(super) fn from_values(values: &Values) -> Self {
        Self {
            mode: values.get("sandbox.mode"),
            read: values.get("sandbox.read"),
            write: values.get("sandbox.write"),
            network: values.get("sandbox.network"),
            bubblewrap: values.get::<String>("sandbox.bubblewrap") == "auto",
            cpu_time: values.get("sandbox.cpu_time"),
            memory: values.get("sandbox.memory"),
            processes: values.get("sandbox.processes"),
            file_size: values.get("sandbox.file_size"),
            open_files: values.get("sandbox.open_files"),
        }
    }

    /// What holds for a type.
    #[must_use]
    pub fn for_type(&self, own: &SandboxOfType) -> Self {
        let both = |general: &[String], own: &[String]| general.iter().chain(own).cloned().collect();
        Self {
            mode: own.mode.unwrap_or(self.mode),
            read: both(&self.read, &own.read),
            write: both(&self.write, &own.write),
            network: own.network.or(self.network),
            bubblewrap: self.bubblewrap,
            cpu_time: own.cpu_time.unwrap_or(self.cpu_time),
            memory: own.memory.unwrap_or(self.memory),
            processes: own.processes.unwrap_or(self.processes),
            file_size: own.file_size.unwrap_or(self.file_size),
            open_files: own.open_files.unwrap_or(self.open_files),
        }
    }
}

impl SandboxOfType {
    pub(super) fn from_values(values: &Values) -> Self {
        let require: Vec<String> = values.get("sandbox.require");
        Self {
            mode: values.get("sandbox.mode"),
            // Each name was checked when it was read.
            require: require.iter().filter_map(|name| name.parse().ok()).collect(),
            read: values.get("sandbox.read"),
            write: values.get("sandbox.write"),
            network: values.get("sandbox.network"),
            cpu_time: values.get("sandbox.cpu_time"),
            memory: values.get("sandbox.memory"),
            processes: values.get("sandbox.processes"),
            file_size: values.get("sandbox.file_size"),
            open_files: values.get("sandbox.open_files"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::types::TypeSpec, *};
    use crate::config::{Config, Sources};

    #[test]
    fn a_type_adds_paths_and_replaces_the_rest() {
        let config = Config::load(Sources {
            env: [
                ("WINDLASS_SANDBOX_READ", "/data"),
                ("WINDLASS_SANDBOX_CPU_TIME", "5m"),
                ("WINDLASS_SANDBOX_MODE", "required"),
            ]
            .map(|(name, text)| (name.to_owned(), text.to_owned()))
            .into(),
            ..Sources::default()
        })
        .unwrap();
        let own = SandboxOfType {
            read: vec!["/models".into()],
            memory: Some(1 << 30),
            network: Some(false),
            ..TypeSpec::of_executor("command").sandbox
        };
        let merged = config.sandbox.for_type(&own);
        assert_eq!(merged.read, ["/data", "/models"]);
        assert_eq!((merged.mode, merged.network), (SandboxMode::Required, Some(false)));
        assert_eq!((merged.cpu_time, merged.memory), (Duration::from_mins(5), 1 << 30));
    }

    #[test]
    fn a_path_must_be_absolute() {
        let env = [("WINDLASS_SANDBOX_WRITE".to_owned(), "data".to_owned())].into();
        let faults = Config::load(Sources { env, ..Sources::default() }).unwrap_err();
        assert!(faults.to_string().contains("absolute path"), "{faults}");
    }
}
