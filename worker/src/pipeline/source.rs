//! The folder that the task's files are read from. Nothing is read from outside of it, through no link.

use std::{fs, path::Path};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::paths;
use crate::executor::Failure;

/// Entries of folders that a search looks at, before it gives up.
const MOST_ENTRIES: usize = 100_000;

/// Compiles patterns. `*` stays within a folder, `**` does not.
pub(super) fn globs(patterns: &[String]) -> Result<GlobSet, String> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        if pattern.starts_with('/') || pattern.split('/').any(|part| part == "..") {
            return Err(format!(
                "pattern {pattern:?} is not relative: write it from the folder down, without `..`"
            ));
        }
        let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
        let glob = GlobBuilder::new(pattern).literal_separator(true).build();
        set.add(glob.map_err(|error| error.to_string())?);
    }
    set.build().map_err(|error| error.to_string())
}

/// The files below `root` that a pattern matches, in order; links are left out, and so are names that begin with a
/// dot, unless a pattern names one.
pub(super) fn matching(root: &Path, patterns: &[String], most: usize) -> Result<Vec<String>, Failure> {
    let set = globs(patterns).map_err(|why| Failure::bad_request(format!("`context`: {why}")))?;
    let hidden = patterns.iter().any(|pattern| pattern.starts_with('.') || pattern.contains("/."));
    let mut search = Search { set, hidden, most, left: MOST_ENTRIES, found: Vec::new() };
    for start in starts(patterns) {
        search.below(root, start)?;
    }
    search.found.sort_unstable();
    search.found.dedup();
    Ok(search.found)
}

/// The folders without a wildcard that the patterns begin with; none within another.
pub(super) fn starts(patterns: &[String]) -> Vec<String> {
    let fixed = |pattern: &String| {
        let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
        let end = pattern.find(['*', '?', '[', '{', '\\']).unwrap_or(pattern.len());
        pattern[..end].rsplit_once('/').map_or_else(String::new, |(folder, _)| folder.to_owned())
    };
    let mut starts: Vec<String> = patterns.iter().map(fixed).collect();
    starts.sort_unstable();
    starts.dedup_by(|next, kept| kept.is_empty() || *next == *kept || next.starts_with(&format!("{kept}/")));
    starts
}

struct Search {
    set: GlobSet,
    hidden: bool,
    most: usize,
    left: usize,
    found: Vec<String>,
}

impl Search {
    fn below(&mut self, root: &Path, start: String) -> Result<(), Failure> {
        let mut folders = vec![start];
        while let Some(folder) = folders.pop() {
            // A link on the way to the first folder leads who knows where; those below are left out one by one.
            let within = root.join(&folder);
            let straight = within.canonicalize().ok().zip(root.canonicalize().ok());
            if straight.is_none_or(|(within, root)| within != root.join(&folder)) {
                continue;
            }
            for entry in fs::read_dir(&within).into_iter().flatten().flatten() {
                self.left = self.left.checked_sub(1).ok_or_else(|| {
                    Failure::bad_request(format!(
                        "`context`: there are more than {MOST_ENTRIES} files to look at: begin the pattern with a folder"
                    ))
                })?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
                let Ok(kind) = entry.file_type() else { continue };
                if name.starts_with('.') && (!self.hidden || name == ".git") {
                    continue;
                }
                if kind.is_dir() {
                    folders.push(path);
                } else if kind.is_file() && self.set.is_match(&path) {
                    self.take(path)?;
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, path: String) -> Result<(), Failure> {
        self.found.push(path);
        if self.found.len() > self.most {
            let message = format!(
                "`context` matches more than {} files (files.max_files): narrow the pattern",
                self.most
            );
            return Err(Failure::bad_request(message));
        }
        Ok(())
    }
}

/// The text of one file. A link within the folder is followed, one that leads out of it is a failure.
pub(super) fn read(root: &Path, name: &str, limit: u64) -> Result<String, Failure> {
    let failed = |why: String| Failure::bad_request(format!("file {name:?} cannot be read: {why}"));
    let root = root.canonicalize().map_err(|error| {
        Failure::internal(format!("the folder that files are read from cannot be entered: {error}"))
    })?;
    let path = root.join(name).canonicalize().map_err(|error| failed(error.to_string()))?;
    let inside = path.strip_prefix(&root).ok().and_then(Path::to_str);
    let inside =
        inside.ok_or_else(|| failed("it is outside of the folder that files are read from".into()))?;
    let bytes = paths::read(&root, inside, limit).map_err(|error| failed(error.to_string()))?;
    if bytes.len() as u64 > limit {
        return Err(failed(format!("it holds more than {limit} bytes (files.max_file)")));
    }
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text),
        _ => Err(failed("it is binary, or not UTF-8".into())),
    }
}
