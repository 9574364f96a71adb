//! A wall clock that is off, for one process: `libfaketime` is loaded into it before anything else. The clock that counts
//! how long something takes is left alone, as it is when a machine's wall clock is set wrong.

use std::{fs, path::PathBuf};

/// Where distributions put the library, below each of these or a folder of it named after the architecture.
const FOLDERS: [&str; 4] = ["/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib"];

/// How a program is started whose clock is off: `env` with these words.
#[derive(Debug, Clone)]
pub struct Clock {
    words: Vec<String>,
}

impl Clock {
    /// A clock that is ahead (`+600`) or behind (`-600`) by so many seconds.
    pub fn off(seconds: i64) -> Self {
        let library = library().expect(
            "libfaketime is not there, and without it no clock can be off: run `make servers`, or install it \
             (`apt install libfaketime`)",
        );
        let words = [
            "env".to_owned(),
            format!("LD_PRELOAD={}", library.display()),
            format!("FAKETIME={seconds:+}"),
            "FAKETIME_DONT_FAKE_MONOTONIC=1".to_owned(),
        ];
        Self { words: words.into() }
    }

    /// What a program is started through.
    pub fn through(&self) -> Vec<&str> {
        self.words.iter().map(String::as_str).collect()
    }
}

fn library() -> Option<PathBuf> {
    let below = |folder: &str| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        std::iter::once(PathBuf::from(folder)).chain(entries).collect::<Vec<_>>()
    };
    let folders = FOLDERS.into_iter().flat_map(below);
    folders.map(|folder| folder.join("faketime/libfaketime.so.1")).find(|path| path.is_file())
}
