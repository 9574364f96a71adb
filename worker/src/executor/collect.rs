//! Files that a command leaves in its workspace and that become part of its result.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use rustix::fs::OFlags;
use windlass_shared::model::ErrorClass;

use super::Failure;

/// All collected files together hold at most this many bytes.
const LIMIT: usize = 1024 * 1024;

/// Reads the patterns. `*` stays within a directory, `**` does not.
pub(super) fn globs(patterns: &[String]) -> Result<GlobSet, Failure> {
    let build = || {
        let mut set = GlobSetBuilder::new();
        for pattern in patterns {
            set.add(GlobBuilder::new(pattern).literal_separator(true).build()?);
        }
        set.build()
    };
    build().map_err(|error: globset::Error| Failure::bad_request(format!("`collect` is not valid: {error}")))
}

/// The text of every file below `root` that a pattern matches, by its path from there. Links are not followed.
pub(super) fn collect(root: &Path, globs: &GlobSet) -> Result<BTreeMap<String, String>, Failure> {
    let mut files = BTreeMap::new();
    let mut left = LIMIT;
    for path in matching(root, globs).map_err(|error| Failure::internal(format!("`collect`: {error}")))? {
        let name = path.to_string_lossy().into_owned();
        let bytes = read(&root.join(&path), left)
            .map_err(|error| Failure::internal(format!("{name:?} cannot be collected: {error}")))?;
        left = left.checked_sub(bytes.len()).ok_or_else(|| {
            let message =
                format!("the collected files hold more than {LIMIT} bytes; {name:?} is one too many");
            Failure::new(ErrorClass::ResultTooLarge, message)
        })?;
        files.insert(name, String::from_utf8_lossy(&bytes).into_owned());
    }
    Ok(files)
}

fn matching(root: &Path, globs: &GlobSet) -> io::Result<Vec<PathBuf>> {
    let (mut found, mut directories) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(root.join(&directory))? {
            let entry = entry?;
            let (kind, path) = (entry.file_type()?, directory.join(entry.file_name()));
            if kind.is_dir() {
                directories.push(path);
            } else if kind.is_file() && globs.is_match(&path) {
                found.push(path);
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Reads one byte more than is allowed, which tells that there is more.
fn read(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let no_link = OFlags::NOFOLLOW.bits().cast_signed();
    let file = fs::OpenOptions::new().read(true).custom_flags(no_link).open(path)?;
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn collected(root: &Path, patterns: &[&str]) -> Result<Vec<String>, Failure> {
        let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.into()).collect();
        collect(root, &globs(&patterns)?).map(|files| files.into_keys().collect())
    }

    #[test]
    fn patterns_choose_and_stars_stay_within_a_directory() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("a/b")).unwrap();
        for name in ["x.txt", "x.log", "a/y.txt", "a/b/z.txt"] {
            fs::write(root.path().join(name), name).unwrap();
        }
        assert_eq!(collected(root.path(), &["*.txt"]).unwrap(), ["x.txt"]);
        assert_eq!(collected(root.path(), &["**/*.txt"]).unwrap(), ["a/b/z.txt", "a/y.txt", "x.txt"]);
        assert_eq!(collected(root.path(), &["a/*", "x.log"]).unwrap(), ["a/y.txt", "x.log"]);
        assert_eq!(collected(root.path(), &["[a"]).unwrap_err().class, ErrorClass::BadRequest);
    }

    #[test]
    fn links_lead_nowhere() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(outside.path().join("secret"), "s").unwrap();
        symlink(outside.path(), root.path().join("directory")).unwrap();
        symlink(outside.path().join("secret"), root.path().join("file")).unwrap();
        symlink("/dev/zero", root.path().join("device")).unwrap();
        assert!(collected(root.path(), &["**"]).unwrap().is_empty());
        assert!(read(&root.path().join("file"), 9).is_err());
    }

    #[test]
    fn too_much_is_too_large() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("a"), vec![b'x'; LIMIT]).unwrap();
        assert_eq!(collected(root.path(), &["*"]).unwrap(), ["a"]);
        fs::write(root.path().join("b"), "x").unwrap();
        assert_eq!(collected(root.path(), &["*"]).unwrap_err().class, ErrorClass::ResultTooLarge);
    }
}
