//! Writing an export: whole lines, so that an interrupted one can be taken up.

use std::{
    collections::{BTreeMap, HashSet},
    fs::{File, OpenOptions},
    io::{BufRead as _, BufReader, BufWriter, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::Serialize;

use super::{CLOSING, Closing, End, Header, Key, Since};
use crate::exit::{Done, Failure};

/// An export that is being written.
pub(crate) struct Writer {
    file: BufWriter<File>,
    hasher: blake3::Hasher,
    keys: u64,
    bytes: u64,
    /// Sixteen bytes for each key that an interrupted export wrote, since names would fill the memory.
    written: HashSet<[u8; 16]>,
}

fn mark(queue: usize, partition: u16, key: &str) -> [u8; 16] {
    let hash = blake3::hash(format!("{queue} {partition} {key}").as_bytes());
    std::array::from_fn(|index| hash.as_bytes()[index])
}

impl Writer {
    /// Begins a file. It holds what tasks hold, so nobody else may read it.
    pub(crate) fn create(path: &Path, header: &Header) -> Done<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let file = file.map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => Failure::Refused(format!(
                "{} exists: choose another name, or say --resume if its export was interrupted",
                path.display()
            )),
            _ => Failure::NotDone(format!("{}: {error}", path.display())),
        })?;
        let mut writer = Self::on(file);
        writer.line(header)?;
        writer.flush()?;
        Ok(writer)
    }

    fn on(file: File) -> Self {
        let (file, hasher) = (BufWriter::new(file), blake3::Hasher::new());
        Self { file, hasher, keys: 0, bytes: 0, written: HashSet::new() }
    }

    /// Takes up an interrupted export: drops what was not written whole. Gives where it began, if it got so far.
    pub(crate) fn reopen(path: &Path) -> Done<(Self, Option<Since>)> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let mut writer = Self::on(file.try_clone()?);
        let (mut reader, mut line, mut since, mut lines) = (BufReader::new(file), Vec::new(), None, 0_u64);
        loop {
            line.clear();
            reader.read_until(b'\n', &mut line)?;
            if line.last() != Some(&b'\n') {
                break;
            }
            if line.starts_with(CLOSING.as_bytes()) {
                return Err(Failure::Refused(format!(
                    "{} is complete: there is nothing to resume. If its queues are still paused, run `windlass resume`",
                    path.display()
                )));
            }
            match lines {
                0 => {}
                1 => since = serde_json::from_slice(&line).ok(),
                _ => {
                    let key: Key = serde_json::from_slice(&line).map_err(|error| {
                        Failure::NotDone(format!("{}: {error}: export anew", path.display()))
                    })?;
                    writer.written.insert(mark(key.queue, key.partition, &key.key));
                    writer.keys += 1;
                }
            }
            lines += 1;
            writer.hasher.update(&line);
            writer.bytes += line.len() as u64;
        }
        writer.file.get_mut().set_len(writer.bytes)?;
        writer.file.seek(SeekFrom::Start(writer.bytes))?;
        Ok((writer, since))
    }

    /// Drops all keys, to begin with them anew.
    pub(crate) fn restart(&mut self, header: &Header) -> Done {
        self.file.flush()?;
        self.file.get_mut().set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.hasher.reset();
        (self.keys, self.bytes) = (0, 0);
        self.written.clear();
        self.line(header)
    }

    fn line(&mut self, value: &impl Serialize) -> Done {
        let mut text = serde_json::to_vec(value).map_err(|error| Failure::NotDone(error.to_string()))?;
        text.push(b'\n');
        self.hasher.update(&text);
        self.bytes += text.len() as u64;
        Ok(self.file.write_all(&text)?)
    }

    /// Notes where the event logs stand.
    pub(crate) fn since(&mut self, since: &Since) -> Done {
        self.line(since)?;
        self.flush()
    }

    /// Whether the interrupted export has it already.
    pub(crate) fn has(&self, queue: usize, partition: u16, key: &str) -> bool {
        self.written.contains(&mark(queue, partition, key))
    }

    /// Writes a key.
    pub(crate) fn key(&mut self, queue: usize, partition: u16, key: String, dump: Option<&[u8]>) -> Done {
        self.keys += 1;
        self.line(&Key { queue, partition, key, dump: dump.map(|dump| BASE64_STANDARD.encode(dump)) })
    }

    /// Hands what was written to the system, so that it outlives this process.
    pub(crate) fn flush(&mut self) -> Done {
        Ok(self.file.flush()?)
    }

    /// Closes the file, and gives the numbers of keys and of bytes.
    pub(crate) fn close(mut self, settings: Vec<Vec<BTreeMap<String, String>>>) -> Done<(u64, u64)> {
        let digest = self.hasher.finalize().to_string();
        self.line(&Closing { end: End { keys: self.keys, digest, settings } })?;
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        Ok((self.keys, self.bytes))
    }
}
