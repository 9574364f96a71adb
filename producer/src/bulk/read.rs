//! Reads lines and checks them, on a thread of its own: one line at a time, never a whole file.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, BufRead, BufReader, IsTerminal, Read},
};

use tokio::sync::mpsc;
use windlass_shared::{
    model::{
        BatchName, NewTask, Trace, TypeName,
        submission::{Inherited, Submission},
    },
    store::MOST_PER_SUBMIT,
};

use super::rejects::Reject;
use crate::{
    cli,
    commands::{from_flags, inherited},
    context::Context,
    exit::{Done, Failure},
};

/// Lines that go to Redis together.
pub(crate) struct Chunk {
    /// Each with its line number.
    pub(crate) tasks: Vec<(u64, NewTask)>,
    /// Lines that cannot be taken.
    pub(crate) rejects: Vec<Reject>,
    /// Bytes of the file read so far, for the progress bar.
    pub(super) read: u64,
}

/// Bytes of payload after which a chunk goes out, however few tasks it holds.
const CHUNK_BYTES: usize = 1 << 20;
/// A line may hold this much besides its payload.
const BESIDES_PAYLOAD: usize = 64 << 10;

pub(crate) struct Reader {
    input: Box<dyn BufRead + Send>,
    /// Size of the file; none for a pipe.
    size: Option<u64>,
    batch: Option<BatchName>,
    /// The number of the first line.
    first_line: u64,
    /// What ids are derived from, with the number of the line, where neither the line nor a batch says.
    key: Option<String>,
    /// What the command line gives a line that says nothing.
    flags: Submission,
    max_payload: usize,
    /// Whether the first bad line is the last one (`--on-error stop`).
    stop: bool,
    /// What each configured type gives its tasks, looked up once.
    types: HashMap<TypeName, Inherited>,
    /// What a task of any other type inherits.
    other: Inherited,
}

impl Reader {
    pub(super) fn open(context: &Context, args: &cli::Submit, batch: Option<BatchName>) -> Done<Self> {
        let path = args.file.as_deref().unwrap_or("-");
        let (input, size): (Box<dyn BufRead + Send>, _) = if path == "-" {
            (Box::new(BufReader::with_capacity(1 << 16, io::stdin())), None)
        } else {
            let file = File::open(path).map_err(|error| Failure::Usage(format!("--file {path}: {error}")))?;
            let size = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|metadata| metadata.len());
            (Box::new(BufReader::with_capacity(1 << 16, file)), size)
        };
        let stop = args.on_error == cli::OnError::Stop;
        Ok(Self { size, stop, ..Self::of(context, input, batch, from_flags(args)?) })
    }

    /// Reads lines from anywhere; `flags` say what a line does not.
    pub(crate) fn of(
        context: &Context,
        input: Box<dyn BufRead + Send>,
        batch: Option<BatchName>,
        flags: Submission,
    ) -> Self {
        let queue = flags.queue.clone();
        let of_type = |name: TypeName| {
            let inherited = inherited(context, &name);
            (name, Inherited { queue: queue.clone().or(inherited.queue), ..inherited })
        };
        let types: HashMap<TypeName, Inherited> =
            context.config.type_names().into_iter().map(of_type).collect();
        Self {
            input,
            size: None,
            batch,
            first_line: 1,
            key: None,
            flags,
            max_payload: context.config.submit.max_payload,
            stop: false,
            types,
            other: Inherited {
                queue: Some(context.queue()),
                trace: context.trace.clone(),
                ..Inherited::default()
            },
        }
    }

    /// The lines belong to this trace, and not to ours.
    pub(crate) fn traced(mut self, trace: Option<&Trace>) -> Self {
        for inherited in self.types.values_mut().chain([&mut self.other]) {
            inherited.trace = trace.cloned();
        }
        self
    }

    /// Ids are derived from `key` and the number of the line, of which the first one is given.
    pub(crate) fn numbered(self, first_line: u64, key: Option<String>) -> Self {
        Self { first_line, key, ..self }
    }

    /// A bar over the file's bytes, or a counter; hidden where stderr is not a terminal.
    pub(super) fn bar(&self) -> indicatif::ProgressBar {
        let (template, bar) = match self.size {
            Some(size) => {
                ("{bar:40} {percent}%  {msg}  {elapsed}, {eta} left", indicatif::ProgressBar::new(size))
            }
            None => ("{spinner} {msg}  {elapsed}", indicatif::ProgressBar::new_spinner()),
        };
        if !io::stderr().is_terminal() {
            return indicatif::ProgressBar::hidden();
        }
        bar.with_style(
            indicatif::ProgressStyle::with_template(template)
                .unwrap_or_else(|_| indicatif::ProgressStyle::default_bar()),
        )
    }

    /// Sends chunks until the input ends or nobody takes them any more.
    pub(crate) fn run(mut self, chunks: &mpsc::Sender<Done<Chunk>>) {
        let mut line_number = self.first_line - 1;
        let mut read = 0;
        let mut chunk = Chunk { tasks: Vec::new(), rejects: Vec::new(), read };
        let mut bytes = 0;
        let mut line = Vec::new();
        loop {
            match self.next_line(&mut line) {
                Err(error) => {
                    _ = chunks
                        .blocking_send(Err(Failure::NotDone(format!("reading the tasks failed: {error}"))));
                    return;
                }
                Ok(0) => break,
                Ok(n) => read += n,
            }
            line_number += 1;
            bytes += line.len();
            match self.check(line_number, &line) {
                Ok(Some(task)) => chunk.tasks.push((line_number, task)),
                Ok(None) => {}
                Err(reject) => chunk.rejects.push(*reject),
            }
            if self.stop && !chunk.rejects.is_empty() {
                break; // nothing after the bad line is submitted
            }
            if chunk.tasks.len() >= MOST_PER_SUBMIT
                || chunk.rejects.len() >= MOST_PER_SUBMIT
                || bytes >= CHUNK_BYTES
            {
                chunk.read = read;
                bytes = 0;
                let full =
                    std::mem::replace(&mut chunk, Chunk { tasks: Vec::new(), rejects: Vec::new(), read });
                if chunks.blocking_send(Ok(full)).is_err() {
                    return;
                }
            }
        }
        chunk.read = read;
        _ = chunks.blocking_send(Ok(chunk));
    }

    /// Reads a line without its end. Of one that is too long only the beginning is kept. Gives the bytes read.
    fn next_line(&mut self, line: &mut Vec<u8>) -> io::Result<u64> {
        line.clear();
        let longest = self.max_payload + BESIDES_PAYLOAD;
        let mut read = (&mut self.input).take(longest as u64 + 1).read_until(b'\n', line)? as u64;
        if line.len() > longest && line.last() != Some(&b'\n') {
            read += skip_line(&mut self.input)?;
        }
        while matches!(line.last(), Some(b'\n' | b'\r')) {
            line.pop();
        }
        Ok(read)
    }

    fn check(&self, number: u64, line: &[u8]) -> Result<Option<NewTask>, Box<Reject>> {
        let reject = |class, message: String| Box::new(Reject::new(number, class, message, line));
        if line.len() > self.max_payload + BESIDES_PAYLOAD {
            return Err(reject(
                "too_large",
                format!(
                    "the line is longer than {} bytes (settings submit.max_payload, claim_check)",
                    self.max_payload + BESIDES_PAYLOAD
                ),
            ));
        }
        if line.iter().all(u8::is_ascii_whitespace) {
            return Ok(None);
        }
        let mut submission: Submission =
            serde_json::from_slice(line).map_err(|error| reject("malformed", explain(&error)))?;
        submission.inherit(&self.flags);
        if let Some(key) = self.key.as_ref().filter(|_| submission.id.is_none() && submission.key.is_none()) {
            submission.key = Some(format!("{key}\n{number}"));
        }
        let mut inherited = self.types.get(&submission.task_type).unwrap_or(&self.other).clone();
        inherited.line = Some(number);
        inherited.batch.clone_from(&self.batch);
        let task =
            submission.resolve(&inherited, self.max_payload).map_err(|error| reject("invalid", error))?;
        Ok(Some(task))
    }
}

/// The parser calls each line its line 1; only the column says something.
fn explain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    match text.strip_suffix(&place) {
        Some(what) => format!("{what} (column {})", error.column()),
        None => text,
    }
}

/// Reads to the end of a line without keeping it.
fn skip_line(input: &mut impl BufRead) -> io::Result<u64> {
    let mut skipped = 0;
    loop {
        let buffer = input.fill_buf()?;
        let (used, ended) = match buffer.iter().position(|byte| *byte == b'\n') {
            Some(at) => (at + 1, true),
            None => (buffer.len(), buffer.is_empty()),
        };
        input.consume(used);
        skipped += used as u64;
        if ended {
            return Ok(skipped);
        }
    }
}
