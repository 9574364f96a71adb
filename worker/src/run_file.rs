//! A file that says which node this process is, so that a health check on the same machine can ask for just that one.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use windlass_shared::model::NodeId;

const PREFIX: &str = "windlass-worker-";
const SUFFIX: &str = ".node";

/// The file of this process; it goes when this is dropped.
pub(crate) struct RunFile(PathBuf);

impl RunFile {
    pub(crate) fn write(dir: &Path, node: &NodeId) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        let path = dir.join(format!("{PREFIX}{}{SUFFIX}", std::process::id()));
        fs::write(&path, node.as_str())?;
        Ok(Self(path))
    }
}

impl Drop for RunFile {
    fn drop(&mut self) {
        _ = fs::remove_file(&self.0);
    }
}

/// The nodes whose processes still run here.
pub(crate) fn nodes(dir: &Path) -> Vec<NodeId> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    entries.flatten().filter_map(|entry| node(&entry.path())).collect()
}

fn node(path: &Path) -> Option<NodeId> {
    let pid = path.file_name()?.to_str()?.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok()?;
    let runs = rustix::process::test_kill_process(rustix::process::Pid::from_raw(pid)?).is_ok();
    let id = fs::read_to_string(path).ok()?;
    if runs { NodeId::new(id).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_names_the_node_of_a_process_that_runs() {
        let dir = tempfile::tempdir().unwrap();
        let id = NodeId::new("n-1").unwrap();
        let file = RunFile::write(dir.path(), &id).unwrap();
        // One that a killed worker left behind.
        fs::write(dir.path().join("windlass-worker-999999999.node"), "n-2").unwrap();
        assert_eq!(nodes(dir.path()), [id]);
        drop(file);
        assert!(nodes(dir.path()).is_empty());
    }
}
