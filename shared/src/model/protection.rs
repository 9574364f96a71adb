//! What a node can keep the commands that it runs from.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// One thing that a command cannot do, where it is enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protection {
    /// Read or write files other than those it is given.
    Files,
    /// Open sockets, where its network is off.
    Network,
    /// Use more CPU time, memory, open files or larger files than its limits.
    Limits,
    /// Start more processes than its limit, or leave any behind.
    Processes,
    /// Gain rights, by a setuid program or by being root.
    Privileges,
    /// See or signal processes of others, or share memory with them.
    Isolation,
}

impl Protection {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Files, Self::Network, Self::Limits, Self::Processes, Self::Privileges, Self::Isolation];

    /// Its name in settings, in node records and in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Network => "network",
            Self::Limits => "limits",
            Self::Processes => "processes",
            Self::Privileges => "privileges",
            Self::Isolation => "isolation",
        }
    }
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Protection {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|protection| protection.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("{text:?} is not a protection: use {names}")
        })
    }
}

/// What a node found out about itself when it started: by trying what must not work, not by looking at versions.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SandboxRecord {
    /// `off`, `best` or `required`.
    #[serde(default)]
    pub mode: String,
    /// What it enforces, by the names of [`Protection`].
    #[serde(default)]
    pub enforced: Vec<String>,
    /// What it does not, and why.
    #[serde(default)]
    pub missing: BTreeMap<String, String>,
}
