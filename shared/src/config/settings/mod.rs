//! Every setting, in tables by what they are for. Reading the file and the environment, the reference in
//! `docs/configuration.md` and `windlass config` all come from them: a setting that is not here does not exist.

mod data;
mod llm;
mod programs;
mod redis;
mod sandbox;
mod serve;
mod worker;

use std::{sync::LazyLock, time::Duration};

use super::{
    kind::{FOREVER, Kind},
    setting::{Setting, Who},
};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
/// Redis itself takes no value above 512 MiB.
pub(super) const LARGEST: u64 = 256 << 20;

const BASE: Setting = Setting { key: "", env: &[], kind: Kind::Text, default: "", help: "", who: Who::Both };
const PRODUCER: Setting = Setting { who: Who::Producer, ..BASE };
const WORKER: Setting = Setting { who: Who::Worker, ..BASE };

/// Every setting.
pub static SETTINGS: LazyLock<Vec<Setting>> = LazyLock::new(|| {
    let tables = [
        redis::SETTINGS,
        programs::SETTINGS,
        serve::SETTINGS,
        worker::SETTINGS,
        sandbox::SETTINGS,
        llm::SETTINGS,
        data::SETTINGS,
    ];
    tables.concat()
});

/// Modes of the sandbox, and its limits; the same for a type.
pub(super) const MODE: Kind = Kind::Choice(&["off", "best", "required"]);
pub(super) const CPU_TIME: Kind = Kind::Duration(SECOND, FOREVER);
pub(super) const MEMORY: Kind = Kind::Bytes(64 << 20, 1 << 50);
pub(super) const PROCESSES: Kind = Kind::Count(1, 1_000_000);
pub(super) const FILE_SIZE: Kind = Kind::Bytes(1, 1 << 50);
pub(super) const OPEN_FILES: Kind = Kind::Count(16, 1_000_000);
pub(super) const PATHS: Kind = Kind::List("absolute paths such as /srv/models,/data", check_path);

fn check_path(text: &str) -> Result<(), String> {
    if text.starts_with('/') {
        return Ok(());
    }
    Err(format!("{text:?} is not an absolute path: let it begin with /"))
}

/// Patterns of hosts.
pub(super) const HOSTS: Kind = Kind::List("hosts such as api.example.com,*.example.org", check_host);

fn check_host(text: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-*?:[]{}".contains(c);
    if text.chars().all(plain) {
        return Ok(());
    }
    Err(format!(
        "{text:?} is not a host: use a name such as api.example.com or *.example.org, without scheme and path"
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn keys_and_variables_are_unique_and_documented() {
        let keys: BTreeSet<_> = SETTINGS.iter().map(|s| s.key).collect();
        let variables: Vec<_> = SETTINGS.iter().flat_map(Setting::variables).map(|(name, _)| name).collect();
        assert_eq!(keys.len(), SETTINGS.len());
        assert_eq!(variables.iter().collect::<BTreeSet<_>>().len(), variables.len());
        for setting in SETTINGS.iter() {
            assert!(setting.help.ends_with('.'), "{} has no help", setting.key);
            assert!(setting.env.first().is_some_and(|v| v.starts_with("WINDLASS_")), "{}", setting.key);
        }
    }

    #[test]
    fn every_default_is_valid() {
        for setting in SETTINGS.iter() {
            assert!(setting.read(setting.default).is_ok(), "{}", setting.key);
        }
    }

    #[test]
    fn a_host_is_not_a_url() {
        assert_eq!(check_host("*.example.org"), Ok(()));
        assert!(check_host("https://example.org").is_err());
    }
}
