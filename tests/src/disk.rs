//! A small disk for a Redis, which can be filled: a `tmpfs` that only the server sees, in a mount namespace of its own.

use std::{
    fs,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tempfile::TempDir;

/// Mounts the disk, then becomes the program that follows.
const MOUNT: &str = r#"mount -t tmpfs -o "size=$1" tmpfs "$0" && shift && exec "$@""#;

/// A disk that is there as long as the server which was started through it.
#[derive(Debug)]
pub struct SmallDisk {
    dir: TempDir,
    words: Vec<String>,
}

impl SmallDisk {
    /// A disk of so many bytes (`8m`), or nothing where this machine does not let us have one; then it says so.
    #[allow(clippy::print_stderr, reason = "whoever runs the test should know that it tested nothing")]
    pub fn new(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().expect("a temporary directory can be made");
        let mut why = String::new();
        // Root needs no user namespace, which a container may lack; everybody else does.
        for unshare in [&["--mount"][..], &["--user", "--map-root-user", "--mount"]] {
            let path = dir.path().to_str().expect("a plain path");
            let words = [&["unshare"][..], unshare, &["sh", "-c", MOUNT, path, size]].concat();
            match can(&words) {
                Ok(()) => return Some(Self { words: words.into_iter().map(str::to_owned).collect(), dir }),
                Err(error) => why = error,
            }
        }
        eprintln!("NOT TESTED: no disk of our own can be made here: {why}");
        None
    }

    /// What the server is started through.
    pub fn through(&self) -> Vec<&str> {
        self.words.iter().map(String::as_str).collect()
    }

    /// Where the server finds the disk.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Leaves no byte free. `server` is the server's process id: the disk is in its namespace.
    pub fn fill(&self, server: u32) {
        let mut file = fs::File::create(self.filler(server)).expect("a file can be made");
        for block in [1 << 16, 1] {
            loop {
                match file.write_all(&vec![0; block]) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("the disk cannot be filled: {error}"),
                }
            }
        }
    }

    /// Gives back what [`fill`](Self::fill) took.
    pub fn free(&self, server: u32) {
        fs::remove_file(self.filler(server)).expect("it was filled");
    }

    fn filler(&self, server: u32) -> PathBuf {
        let inside = self.dir().strip_prefix("/").expect("a whole path");
        Path::new(&format!("/proc/{server}/root")).join(inside).join("filler")
    }
}

fn can(words: &[&str]) -> Result<(), String> {
    let mut command = Command::new(words[0]);
    let output = command.args(&words[1..]).arg("true").stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{}: {error}", words[0]))?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(said) }
}
