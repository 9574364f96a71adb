//! The programs of the version before this one, which `tests/previous.sh` builds.

use std::{env, path::PathBuf};

/// The commit that they are built of.
const COMMIT: &str = include_str!("../previous-version");

/// `windlass` and `windlass-worker` of the previous version, by their paths. Where they were not built it says so.
#[allow(clippy::print_stderr, reason = "whoever runs the test should know that it tested nothing")]
pub fn programs() -> Option<[String; 2]> {
    let home = PathBuf::from(env::var_os("HOME").unwrap_or_default());
    let folder = home.join(".cache/windlass/previous").join(COMMIT.trim());
    let programs = ["windlass", "windlass-worker"].map(|name| folder.join(name));
    if !programs.iter().all(|program| program.is_file()) {
        let folder = folder.display();
        eprintln!(
            "NOT TESTED: the previous version is not in {folder}: run tests/previous.sh in a clone that has it"
        );
        return None;
    }
    Some(programs.map(|program| program.to_str().expect("a plain path").to_owned()))
}
