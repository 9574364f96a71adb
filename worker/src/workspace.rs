//! A directory of its own for one attempt of one task. It is gone when the attempt is, however that ends.

use std::{
    fs,
    io::{self, ErrorKind},
    mem,
    os::unix::fs::PermissionsExt,
    path::{Component, Path, PathBuf},
    thread,
    time::Duration,
};

use crate::executor::Failure;

/// Waits between tries to remove what is left of a workspace.
const PATIENCE: [Duration; 5] = [
    Duration::from_millis(10),
    Duration::from_millis(50),
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(5),
];

/// A fresh directory that only this user can enter, removed on drop.
#[derive(Debug)]
pub(crate) struct Workspace {
    path: PathBuf,
}

impl Workspace {
    /// Makes a new one in `root`, which is made too if it is not there.
    pub(crate) fn create(root: &Path) -> Result<Self, Failure> {
        let create = || {
            fs::create_dir_all(root)?;
            // The child's working directory and `WINDLASS_WORKSPACE` mean the same place wherever it goes.
            let mut builder = tempfile::Builder::new();
            builder.prefix("windlass-").permissions(fs::Permissions::from_mode(0o700));
            let directory = builder.tempdir_in(root.canonicalize()?)?;
            Ok(Self { path: directory.keep() })
        };
        create().map_err(|error: io::Error| {
            Failure::internal(format!("no workspace can be made in {}: {error}", root.display()))
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file. The name is a path relative to the workspace and leads nowhere else.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        let relative = Path::new(name);
        let inside = relative.components().all(|part| matches!(part, Component::Normal(_)));
        if name.is_empty() || !inside {
            let message = format!("file name {name:?} is not valid: use a relative path without `..`");
            return Err(Failure::bad_request(message));
        }
        let path = self.path.join(relative);
        let parent = path.parent().map_or(Ok(()), fs::create_dir_all);
        parent.and_then(|()| fs::write(&path, text)).map_err(|error| not_written(name, &error))
    }

    /// Removes it without blocking the runtime.
    pub(crate) async fn remove(self) {
        // Should the runtime be shutting down, `self` is dropped, which removes it as well.
        let _ = tokio::task::spawn_blocking(move || drop(self)).await;
    }
}

/// A name that is taken by a directory, or that the file system refuses, is the payload's fault.
fn not_written(name: &str, error: &io::Error) -> Failure {
    let message = format!("file {name:?} cannot be written: {error}");
    match error.kind() {
        ErrorKind::AlreadyExists
        | ErrorKind::InvalidFilename
        | ErrorKind::InvalidInput
        | ErrorKind::IsADirectory
        | ErrorKind::NotADirectory => Failure::bad_request(message),
        _ => Failure::internal(message),
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if removed(&self.path) {
            return;
        }
        // A process that was killed a moment ago may still be writing. Its end is near, but not worth blocking for.
        let path = mem::take(&mut self.path);
        let name = path.display().to_string();
        let thread = thread::Builder::new().name("workspace".into());
        if let Err(error) = thread.spawn(move || remove_patiently(&path)) {
            tracing::warn!(workspace = name, %error, "a workspace is left behind");
        }
    }
}

fn remove_patiently(path: &Path) {
    for wait in PATIENCE {
        thread::sleep(wait);
        open_up(path);
        if removed(path) {
            return;
        }
    }
    tracing::warn!(workspace = %path.display(), "a workspace is left behind: it cannot be removed");
}

fn removed(path: &Path) -> bool {
    fs::remove_dir_all(path).map_or_else(|error| error.kind() == ErrorKind::NotFound, |()| true)
}

/// Some tools make their directories read-only (Go's module cache does); nothing can be removed from those.
fn open_up(directory: &Path) {
    let _ = fs::set_permissions(directory, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use windlass_shared::model::ErrorClass;

    use super::*;

    fn workspace() -> (tempfile::TempDir, Workspace) {
        let root = tempfile::tempdir().unwrap();
        let workspace = Workspace::create(&root.path().join("new/root")).unwrap();
        (root, workspace)
    }

    #[test]
    fn files_are_written_below_and_all_is_gone_afterwards() {
        let (_root, workspace) = workspace();
        workspace.write("a/b/c.txt", "hello").unwrap();
        let path = workspace.path().to_owned();
        assert_eq!(fs::read_to_string(path.join("a/b/c.txt")).unwrap(), "hello");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        drop(workspace);
        assert!(!path.exists());
    }

    #[test]
    fn a_name_that_leads_out_is_refused() {
        let (root, workspace) = workspace();
        for name in ["", ".", "..", "../x", "a/../../x", "/etc/x", "a/./../b", "nul\0"] {
            let failure = workspace.write(name, "x").unwrap_err();
            assert_eq!(failure.class, ErrorClass::BadRequest, "{name}");
        }
        assert_eq!(fs::read_dir(root.path().join("new")).unwrap().count(), 1);
    }

    #[test]
    fn a_file_where_a_directory_is_needed_is_the_payloads_fault() {
        let (_root, workspace) = workspace();
        workspace.write("a", "x").unwrap();
        assert_eq!(workspace.write("a/b", "x").unwrap_err().class, ErrorClass::BadRequest);
        workspace.write("d/e", "x").unwrap();
        assert_eq!(workspace.write("d", "x").unwrap_err().class, ErrorClass::BadRequest);
    }

    #[test]
    fn read_only_directories_are_opened_up() {
        let (_root, workspace) = workspace();
        workspace.write("deep/down/file", "x").unwrap();
        let deep = workspace.path().join("deep");
        fs::set_permissions(deep.join("down"), fs::Permissions::from_mode(0o000)).unwrap();
        fs::set_permissions(&deep, fs::Permissions::from_mode(0o500)).unwrap();
        remove_patiently(workspace.path());
        assert!(!workspace.path().exists());
    }
}
