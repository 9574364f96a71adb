//! Where a configuration comes from.

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
};

use super::setting::Who;

/// The variable that names the file where no `--config` is given.
pub(super) const CONFIG_VARIABLE: &str = "WINDLASS_CONFIG";

/// The file that is read if it exists and no other is named.
const USUAL_FILE: &str = "windlass.toml";

/// A setting given on the command line: its key, the flag as people know it (`--concurrency`), and the text.
pub type Flag = (&'static str, &'static str, String);

/// Where a configuration comes from. Each later field wins over the earlier ones.
///
/// Has no `Debug`, since the environment holds secrets.
#[derive(Clone, Default)]
pub struct Sources {
    /// The TOML file, if there is one. It is a fault if it does not exist.
    pub file: Option<PathBuf>,
    /// Environment variables.
    pub env: BTreeMap<String, String>,
    /// What was given on the command line. A later one wins.
    pub flags: Vec<Flag>,
    /// The program that reads. A secret's file is read only if the secret concerns it, since the keys of workers
    /// may not be where the producer is.
    pub who: Who,
}

impl Sources {
    /// The sources of this process. Without `file` (`--config`) the file is the one that `WINDLASS_CONFIG` names,
    /// else `./windlass.toml` if it exists.
    pub fn from_process(file: Option<PathBuf>, flags: Vec<Flag>) -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        };
        let env: BTreeMap<_, _> = env::vars_os().filter_map(text).collect();
        let file = file.or_else(|| usual_file(&env, Path::new("")));
        Self { file, env, flags, who: Who::Both }
    }

    /// The same sources, for one program.
    #[must_use]
    pub fn read_by(self, who: Who) -> Self {
        Self { who, ..self }
    }
}

fn usual_file(env: &BTreeMap<String, String>, folder: &Path) -> Option<PathBuf> {
    match env.get(CONFIG_VARIABLE).filter(|path| !path.is_empty()) {
        Some(path) => Some(path.into()),
        None => Some(folder.join(USUAL_FILE)).filter(|path| path.exists()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_names_the_file_else_the_usual_one_is_taken_if_it_exists() {
        let folder = env::temp_dir().join(format!("windlass-sources-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let named = BTreeMap::from([(CONFIG_VARIABLE.to_owned(), "/missing.toml".to_owned())]);
        let unnamed = BTreeMap::from([(CONFIG_VARIABLE.to_owned(), String::new())]);
        assert_eq!(usual_file(&unnamed, &folder), None);
        std::fs::write(folder.join(USUAL_FILE), "").unwrap();
        assert_eq!(usual_file(&unnamed, &folder), Some(folder.join(USUAL_FILE)));
        assert_eq!(usual_file(&named, &folder), Some("/missing.toml".into()));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
