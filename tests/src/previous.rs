//! The programs of the version before this one, which `tests/previous.sh` builds.

use std::{env, path::PathBuf};

/// The commit that they are built of.
const COMMIT: &str = include_str!("../previous-version");

/// `windlass` and `windlass-worker` of the previous version, by their paths.
pub fn programs() -> [String; 2] {
    let home = PathBuf::from(env::var_os("HOME").unwrap_or_default());
    let folder = home.join(".cache/windlass/previous").join(COMMIT.trim());
    ["windlass", "windlass-worker"].map(|name| {
        let program = folder.join(name);
        assert!(
            program.is_file(),
            "the previous version is not in {}: `make test-previous` builds it",
            folder.display()
        );
        program.to_str().expect("a plain path").to_owned()
    })
}
