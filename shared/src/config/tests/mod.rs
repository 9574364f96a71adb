//! What a configuration says as a whole.

mod layers;
mod providers;
mod secrets;
mod types;

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};

use super::*;

/// A folder with a `windlass.toml`, and sources that read it. Removed at the end.
struct Given {
    folder: PathBuf,
    sources: Sources,
}

impl Given {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("windlass-config-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self { folder, sources: Sources::default() }
    }

    fn file(mut self, toml: &str) -> Self {
        self.sources.file = Some(self.write("windlass.toml", toml));
        self
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.sources.env.insert(name.into(), value.into());
        self
    }

    fn flag(mut self, key: &'static str, flag: &'static str, value: &str) -> Self {
        self.sources.flags.push((key, flag, value.into()));
        self
    }

    fn read_by(mut self, who: Who) -> Self {
        self.sources.who = who;
        self
    }

    fn load(&self) -> Result<Config, ConfigFaults> {
        Config::load(self.sources.clone())
    }

    fn ok(&self) -> Config {
        self.load().unwrap()
    }

    /// The faults, with the folder left out.
    fn faults(&self) -> Vec<String> {
        let folder = format!("{}/", self.folder.display());
        self.load().unwrap_err().0.iter().map(|fault| fault.replace(&folder, "")).collect()
    }

    /// The values in force and their origins, with the folder left out.
    fn effective(&self) -> BTreeMap<&'static str, (String, String)> {
        let folder = format!("{}/", self.folder.display());
        let row = |e: Effective| (e.key, (e.value, e.origin.replace(&folder, "")));
        self.ok().effective(Who::Both).into_iter().map(row).collect()
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
