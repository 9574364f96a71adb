//! A command's standard error: lines of progress are taken out and reported, the rest is kept up to a limit.

use serde_json::value::RawValue;

use super::{Progress, json};

/// What a line of progress begins with; JSON follows.
const PROGRESS: &[u8] = b"::progress ";

/// A longer line is no line of progress. It is also as much as is held back while a line has no end.
const LONGEST_LINE: usize = 64 * 1024;

/// Kept of the end when the middle is cut: that is where the reason for a failure stands.
const TAIL: usize = 4 * 1024;

/// Takes what a command writes to standard error.
pub(super) struct Stderr<'a> {
    progress: &'a Progress,
    limit: usize,
    line: Vec<u8>,
    within_line: bool,
    head: Vec<u8>,
    tail: Vec<u8>,
    cut: usize,
}

impl<'a> Stderr<'a> {
    /// Keeps `limit` bytes and the end of what comes after.
    pub(super) fn new(limit: usize, progress: &'a Progress) -> Self {
        let (line, head, tail) = (Vec::new(), Vec::new(), Vec::new());
        Self { progress, limit, line, within_line: false, head, tail, cut: 0 }
    }

    /// Takes the next bytes, however they are cut into pieces.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") || self.line.len() > LONGEST_LINE {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let whole = !self.within_line;
        self.within_line = !line.ends_with(b"\n");
        match reported(&line).filter(|_| whole && line.len() <= LONGEST_LINE) {
            Some(report) => self.progress.report_raw(report),
            None => self.keep(&line),
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let (head, rest) = bytes.split_at(bytes.len().min(self.limit - self.head.len()));
        self.head.extend_from_slice(head);
        self.tail.extend_from_slice(rest);
        let surplus = self.tail.len().saturating_sub(TAIL);
        self.tail.drain(..surplus);
        self.cut += surplus;
    }

    /// All that was kept. What is missing is marked.
    pub(super) fn finish(mut self) -> String {
        self.end_line();
        let (head, tail) = (String::from_utf8_lossy(&self.head), String::from_utf8_lossy(&self.tail));
        let mark = match self.cut {
            0 => String::new(),
            cut => format!("\n[{cut} bytes of stderr are left out here]\n"),
        };
        format!("{head}{mark}{tail}")
    }
}

fn reported(line: &[u8]) -> Option<Box<RawValue>> {
    json::parse(line.strip_prefix(PROGRESS)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(limit: usize, pieces: &[&str]) -> (String, Option<String>) {
        let (progress, reports) = Progress::channel();
        let mut stderr = Stderr::new(limit, &progress);
        for piece in pieces {
            stderr.push(piece.as_bytes());
        }
        let text = stderr.finish();
        let report = reports.take().map(|raw| raw.get().to_owned());
        (text, report)
    }

    #[test]
    fn progress_is_taken_out_wherever_the_pipe_cuts_it() {
        let (text, report) = fed(99, &["one\n::prog", "ress {\"done\": ", "3}\ntwo\n::progress 4"]);
        assert_eq!((text.as_str(), report.as_deref()), ("one\ntwo\n", Some("4")));
    }

    #[test]
    fn what_only_looks_like_progress_is_kept() {
        let lines = "::progress nonsense\n::progressive 1\n ::progress 1\n";
        assert_eq!(fed(99, &[lines]), (lines.into(), None));
    }

    #[test]
    fn the_middle_is_cut_and_marked_and_the_end_is_kept() {
        let (text, report) = fed(10, &["0123456789", &"x".repeat(10_000), "\n::progress 1\n", "the reason"]);
        assert!(
            text.starts_with("0123456789\n[5915 bytes of stderr are left out here]\nxxx"),
            "{}",
            &text[..80]
        );
        assert!(text.ends_with("xx\nthe reason") && text.len() < 10 + 60 + TAIL);
        assert_eq!(report.as_deref(), Some("1"));
    }

    #[test]
    fn a_line_without_end_is_not_held_back_and_is_no_progress() {
        let long = format!("::progress \"{}\"\n", "x".repeat(2 * LONGEST_LINE));
        let (text, report) = fed(usize::MAX, &[&long, "::progress 2\n"]);
        assert_eq!((text.len(), report.as_deref()), (long.len(), Some("2")));
    }
}
