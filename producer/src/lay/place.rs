//! The folder on disk. Folders are opened one below the other and never through a link, so that no link leads out; a
//! file is written in a folder of ours and then moved, so that nobody reads half of it.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read, Write},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{self as sys, AtFlags, FileType, Mode, OFlags},
    io::Errno,
};

/// What is where a file is to go.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing.
    Nothing,
    /// A file with the same content.
    Same,
    /// A file with other content.
    Other,
    /// Something that is not replaced: a link, a folder, a pipe.
    Blocked(&'static str),
}

/// A folder, and ours within it.
pub(super) struct Place {
    root: OwnedFd,
    stage: OwnedFd,
    stage_path: PathBuf,
    staged: u64,
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Place {
    /// Makes the folder if it is not there.
    pub(super) fn open(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        let path = root.canonicalize()?;
        let root = sys::open(&path, FOLDER, Mode::empty())?;
        let name = own_name(&root)?;
        let stage = sys::openat(&root, &name, FOLDER | OFlags::NOFOLLOW, Mode::empty())?;
        Ok(Self { root, stage, stage_path: path.join(name), staged: 0 })
    }

    /// Writes a text into our folder, and gives its number there.
    pub(super) fn stage(&mut self, text: &str) -> io::Result<u64> {
        let number = self.staged;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = sys::openat(&self.stage, number.to_string(), flags, Mode::from_raw_mode(0o666))?;
        File::from(file).write_all(text.as_bytes())?;
        self.staged += 1;
        Ok(number)
    }

    /// Whether the file that is staged under this number, or else is in its place, holds this text.
    pub(super) fn holds(&self, number: Option<u64>, path: &str, text: &str) -> io::Result<bool> {
        let file = match number {
            Some(number) => read_file(&self.stage, &number.to_string())?,
            None => {
                let Some((folder, name)) = self.folder(path, false)? else { return Ok(false) };
                read_file(&folder, name)?
            }
        };
        same(file, text.as_bytes())
    }

    /// What is where this file is to go.
    pub(super) fn look(&self, number: u64, path: &str) -> io::Result<Standing> {
        let (folder, name) = match self.folder(path, false) {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(Standing::Nothing),
            Err(error) if is_link_or_file(&error) => {
                return Ok(Standing::Blocked("a link or a file stands where one of its folders is to be"));
            }
            Err(error) => return Err(error),
        };
        let stat = match sys::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(Standing::Nothing),
            Err(error) => return Err(error.into()),
        };
        if !FileType::from_raw_mode(stat.st_mode).is_file() {
            return Ok(Standing::Blocked("a link, a folder or a device is there"));
        }
        let mut staged = Vec::new();
        File::from(read_file(&self.stage, &number.to_string())?).read_to_end(&mut staged)?;
        let equal = same(read_file(&folder, name)?, &staged)?;
        Ok(if equal { Standing::Same } else { Standing::Other })
    }

    /// Moves a staged file into its place, with the rights of the one that it replaces.
    pub(super) fn put(&self, number: u64, path: &str) -> io::Result<()> {
        let Some((folder, name)) = self.folder(path, true)? else { return Err(ErrorKind::NotFound.into()) };
        let number = number.to_string();
        if let Ok(old) = sys::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)
            && FileType::from_raw_mode(old.st_mode).is_file()
        {
            let rights = Mode::from_raw_mode(old.st_mode & 0o777);
            sys::chmodat(&self.stage, &number, rights, AtFlags::empty())?;
        }
        Ok(sys::renameat(&self.stage, &number, &folder, name)?)
    }

    /// The folder that a file is to be in, and its name there; none if the folder is not there and not to be made.
    fn folder<'a>(&self, path: &'a str, make: bool) -> io::Result<Option<(OwnedFd, &'a str)>> {
        let mut folder = self.root.try_clone()?;
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        for part in above.split('/').filter(|part| !part.is_empty()) {
            if make {
                match sys::mkdirat(&folder, part, Mode::from_raw_mode(0o777)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            folder = match sys::openat(&folder, part, FOLDER | OFlags::NOFOLLOW, Mode::empty()) {
                Ok(folder) => folder,
                Err(Errno::NOENT) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
        }
        Ok(Some((folder, name)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Holds nothing but what was not moved.
        _ = fs::remove_dir_all(&self.stage_path);
    }
}

/// Makes a folder of our own; one that a killed run left behind has another name.
fn own_name(root: &OwnedFd) -> io::Result<String> {
    for n in 0..1000 {
        let name = format!(".windlass-{}-{n}", std::process::id());
        match sys::mkdirat(root, &name, Mode::from_raw_mode(0o700)) {
            Ok(()) => return Ok(name),
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

fn is_link_or_file(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::LOOP | Errno::NOTDIR | Errno::MLINK))
}

/// A pipe in its place would block without `NONBLOCK`.
fn read_file(folder: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(sys::openat(folder, name, flags, Mode::empty())?)
}

/// Whether the file holds these bytes; of a larger one no more is read than needed.
fn same(file: OwnedFd, bytes: &[u8]) -> io::Result<bool> {
    let mut held = Vec::with_capacity(bytes.len());
    File::from(file).take(bytes.len() as u64 + 1).read_to_end(&mut held)?;
    Ok(held == bytes)
}
