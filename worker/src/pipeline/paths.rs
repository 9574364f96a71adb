//! Files below a folder, whatever links a command or a task's owner has put there.
//!
//! Folders are opened one after the other, none through a link, each below the one before. A file is written beside
//! its place and then moved there, so that a link, a pipe or a device in its place is replaced and not followed.

use std::{
    fs::File,
    io::{self, ErrorKind, Read, Write},
    os::fd::OwnedFd,
    path::{Component, Path, PathBuf},
};

use rustix::fs::{self as sys, AtFlags, FileType, Mode, OFlags};

/// Longest path, in bytes.
const LONGEST: usize = 1024;

/// A path as it leads from a folder to something below it, without `.` and `..`; or what is wrong with it.
pub(super) fn relative(name: &str) -> Result<String, String> {
    let bad =
        || format!("{:?} is not a relative path without `..`", name.chars().take(200).collect::<String>());
    if name.len() > LONGEST || name.contains(char::is_control) || name.ends_with('/') {
        return Err(bad());
    }
    let mut path = PathBuf::new();
    for part in Path::new(name).components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            _ => return Err(bad()),
        }
    }
    path.to_str().filter(|path| !path.is_empty()).map(str::to_owned).ok_or_else(bad)
}

/// Writes a text file below `root`, and the folders that it needs. `path` is [`relative`].
pub(super) fn write(root: &Path, path: &str, text: &str) -> io::Result<()> {
    let (folder, name) = parent(root, path, true)?;
    let beside = format!(".windlass-{:016x}", fastrand::u64(..));
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(sys::openat(&folder, &beside, flags, Mode::from_raw_mode(0o644))?);
    let moved =
        (file.write_all(text.as_bytes())).and_then(|()| Ok(sys::renameat(&folder, &beside, &folder, &name)?));
    if moved.is_err() {
        let _ = sys::unlinkat(&folder, &beside, AtFlags::empty());
    }
    moved
}

/// Removes a file below `root`, if it is there.
pub(super) fn remove(root: &Path, path: &str) -> io::Result<()> {
    let removed = parent(root, path, false)
        .and_then(|(folder, name)| Ok(sys::unlinkat(&folder, &name, AtFlags::empty())?));
    removed.or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// Reads a regular file below `root`, not through a link; at most one byte more than `limit`, which tells that there
/// is more.
pub(super) fn read(root: &Path, path: &str, limit: u64) -> io::Result<Vec<u8>> {
    let (folder, name) = parent(root, path, false)?;
    // A pipe without a writer would block.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = sys::openat(&folder, &name, flags, Mode::empty())?;
    if !FileType::from_raw_mode(sys::fstat(&file)?.st_mode).is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut bytes = Vec::new();
    File::from(file).take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The folder that a file is in, and the file's name there.
fn parent(root: &Path, path: &str, create: bool) -> io::Result<(OwnedFd, String)> {
    let below = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut folder = sys::open(root, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut parts: Vec<&str> = path.split('/').collect();
    let name = parts.pop().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| io::Error::from(ErrorKind::InvalidInput))?;
    for part in parts {
        if create {
            match sys::mkdirat(&folder, part, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(rustix::io::Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        folder = sys::openat(&folder, part, below, Mode::empty())?;
    }
    Ok((folder, name.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn a_path_that_leads_out_is_refused() {
        for (name, path) in [("a/b.py", "a/b.py"), ("./a/./b", "a/b"), ("a//b", "a/b"), ("ü.py", "ü.py")] {
            assert_eq!(relative(name).as_deref(), Ok(path));
        }
        for bad in [
            "",
            ".",
            "..",
            "/etc/x",
            "../x",
            "a/../../x",
            "a/../b",
            "a\0b",
            "a\nb",
            "dir/",
            &"x".repeat(2000),
        ] {
            assert!(relative(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn links_in_the_way_are_not_followed() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (root, outside) = (root.path(), outside.path());
        fs::write(outside.join("victim"), "safe").unwrap();
        symlink(outside, root.join("folder")).unwrap();
        symlink(outside.join("victim"), root.join("file")).unwrap();
        assert!(write(root, "folder/new", "x").is_err() && read(root, "folder/victim", 9).is_err());
        assert!(read(root, "file", 9).is_err() && remove(root, "folder/victim").is_err());
        write(root, "file", "mine").unwrap();
        assert_eq!(fs::read_to_string(outside.join("victim")).unwrap(), "safe");
        assert_eq!(
            (read(root, "file", 9).unwrap(), fs::read_dir(outside).unwrap().count()),
            (b"mine".to_vec(), 1)
        );
    }

    #[test]
    fn a_pipe_does_not_block_and_a_folder_is_no_file() {
        let root = tempfile::tempdir().unwrap();
        let made = std::process::Command::new("mkfifo").arg(root.path().join("pipe")).status().unwrap();
        assert!(made.success());
        assert!(read(root.path(), "pipe", 9).is_err());
        write(root.path(), "pipe", "now a file").unwrap();
        write(root.path(), "a/b/c", "deep").unwrap();
        assert!(read(root.path(), "a/b", 9).is_err() && write(root.path(), "a/b", "x").is_err());
        assert!(write(root.path(), "pipe/x", "x").is_err());
        remove(root.path(), "a/b/c").unwrap();
        remove(root.path(), "a/b/c").unwrap();
        remove(root.path(), "no/such/file").unwrap();
        let left: Vec<_> =
            fs::read_dir(root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "{left:?}");
    }

    #[test]
    fn one_byte_too_many_is_noticed() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "x", "12345").unwrap();
        assert_eq!(
            (read(root.path(), "x", 5).unwrap().len(), read(root.path(), "x", 3).unwrap().len()),
            (5, 4)
        );
    }
}
