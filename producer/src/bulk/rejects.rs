//! Lines that cannot be taken: told on stderr, and written to a file for later.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use serde::Serialize;

use crate::{
    exit::{Done, Failure},
    output::say,
};

/// A line that cannot be taken.
#[derive(Debug, Serialize)]
pub(crate) struct Reject {
    /// From 1.
    pub(crate) line: u64,
    pub(crate) error: Error,
    input: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct Error {
    class: &'static str,
    message: String,
}

impl Reject {
    pub(super) fn new(line: u64, class: &'static str, message: String, input: &[u8]) -> Self {
        let input = String::from_utf8_lossy(input).into_owned();
        Self { line, error: Error { class, message }, input }
    }
}

/// Where rejects go.
pub(super) struct Rejects {
    name: String,
    file: Option<BufWriter<File>>,
    told: u64,
}

/// No more than this many are told on stderr; the file has all.
const TOLD: u64 = 20;

impl Rejects {
    pub(super) fn create(name: &str, path: Option<&Path>) -> Done<Self> {
        let file = path
            .map(|path| {
                File::create(path)
                    .map_err(|error| Failure::Usage(format!("--rejects {}: {error}", path.display())))
            })
            .transpose()?;
        Ok(Self { name: name.to_owned(), file: file.map(BufWriter::new), told: 0 })
    }

    pub(super) fn write(&mut self, reject: &Reject) -> Done {
        self.told += 1;
        match self.told {
            0..=TOLD => say!("{}: line {}: {}", self.name, reject.line, reject.error.message),
            n if n == TOLD + 1 => {
                say!("{}: more lines were rejected; --rejects FILE keeps them all", self.name);
            }
            _ => {}
        }
        if let Some(file) = &mut self.file {
            serde_json::to_writer(&mut *file, reject).map_err(io::Error::from)?;
            file.write_all(b"\n")?;
        }
        Ok(())
    }

    pub(super) fn flush(&mut self) -> Done {
        match &mut self.file {
            Some(file) => Ok(file.flush()?),
            None => Ok(()),
        }
    }
}
