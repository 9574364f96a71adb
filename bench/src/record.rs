//! A task of the benchmark: a payload of a given size, and a handler that writes down when it started and ended.
//!
//! A record of that log is 32 bytes, appended with one write: `s` or `e`, one character for the worker, the task's
//! number in eight digits, a space, nanoseconds since 1970 in twenty digits, a line's end. Such a write takes about a
//! microsecond, and the log's length alone tells how many tasks were started.

use std::{
    env,
    fs::{self, File},
    io::{self, Write},
    path::Path,
    sync::OnceLock,
    time::UNIX_EPOCH,
};

use serde::{Deserialize, Serialize};
use windlass_shared::model::Priority;

/// Bytes of a payload where nothing else is asked for.
pub const USUAL_BYTES: usize = 200;
const RECORD_BYTES: usize = 32;

/// What the handler must know of a task; the rest of the payload is padding.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Work {
    /// The task's number.
    pub idx: u64,
    /// For how long the handler sleeps.
    pub ms: u64,
}

impl Work {
    /// The payload as JSON text of so many bytes, or of as few as it takes.
    pub fn payload(self, bytes: usize) -> String {
        let Self { idx, ms } = self;
        let head = format!(r#"{{"idx":{idx},"ms":{ms},"pad":""#);
        let pad = "x".repeat(bytes.saturating_sub(head.len() + 2));
        format!("{head}{pad}\"}}")
    }
}

/// The priority of a task, where they are of several: high, normal and low in turn.
pub fn priority(idx: u64) -> Priority {
    [Priority::High, Priority::Normal, Priority::Low][(idx % 3) as usize]
}

/// What a handler writes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// It started.
    Start,
    /// It ended; written only by those that took time.
    End,
}

/// One record of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// What happened.
    pub what: What,
    /// In which worker.
    pub worker: u8,
    /// The task's number.
    pub idx: u64,
    /// When, nanoseconds since 1970.
    pub at: u64,
}

/// Nanoseconds since 1970. All programs of a benchmark run on one machine, so their clock is one.
#[allow(clippy::disallowed_methods, reason = "it decides nothing: it is what is measured")]
pub fn wall() -> u64 {
    let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// Appends a record to the log that `BENCH_LOG` names, as worker `BENCH_WID`.
pub fn mark(what: What, idx: u64) -> io::Result<()> {
    static LOG: OnceLock<(File, String)> = OnceLock::new();
    let (file, worker) = match LOG.get() {
        Some(log) => log,
        None => {
            let path = env::var_os("BENCH_LOG").ok_or_else(|| io::Error::other("BENCH_LOG is not set"))?;
            let file = File::options().append(true).create(true).open(path)?;
            LOG.get_or_init(|| (file, env::var("BENCH_WID").unwrap_or_else(|_| "0".into())))
        }
    };
    let letter = if what == What::Start { 's' } else { 'e' };
    let mut file = file;
    file.write_all(format!("{letter}{worker}{idx:08} {:020}\n", wall()).as_bytes())
}

/// How many records a log has.
pub fn count(log: &Path) -> u64 {
    fs::metadata(log).map_or(0, |file| file.len() / RECORD_BYTES as u64)
}

/// All records of a log.
pub fn read(log: &Path) -> io::Result<Vec<Mark>> {
    Ok(fs::read(log)?.chunks_exact(RECORD_BYTES).filter_map(parse).collect())
}

fn parse(record: &[u8]) -> Option<Mark> {
    let what = match record[0] {
        b's' => What::Start,
        b'e' => What::End,
        _ => return None,
    };
    let number = |digits: &[u8]| std::str::from_utf8(digits).ok()?.parse().ok();
    Some(Mark { what, worker: record[1], idx: number(&record[2..10])?, at: number(&record[11..31])? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_has_the_size_that_was_asked_for_and_is_what_the_handler_reads() {
        for bytes in [USUAL_BYTES, 10_000] {
            let payload = Work { idx: 1234, ms: 5 }.payload(bytes);
            assert_eq!(payload.len(), bytes);
            let work: Work = serde_json::from_str(&payload).unwrap();
            assert_eq!((work.idx, work.ms), (1234, 5));
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let record = b"e300001234 01795158754762481000\n";
        assert_eq!(record.len(), RECORD_BYTES);
        let mark = Mark { what: What::End, worker: b'3', idx: 1234, at: 1_795_158_754_762_481_000 };
        assert_eq!(parse(record), Some(mark));
    }
}
