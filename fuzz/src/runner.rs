//! One process that gives a range of inputs to one target, under a limit of memory and of time for each.
//!
//! Whatever goes wrong ends the process: a panic, an overflow of the stack, memory that is refused, an input that
//! takes too long. The number of the input stands in a file before it is tried, so that whoever started the process
//! knows which one it was.

use std::{
    fs::File,
    io::Write as _,
    os::unix::fs::FileExt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use cap::Cap;
use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};

use crate::{Mutator, Target};

/// Most bytes of the heap at once.
pub const LARGEST_HEAP: usize = 512 << 20;

/// Most address space, which bounds what libraries in C ask for. Stacks of threads are part of it.
const LARGEST_SPACE: u64 = 4 << 30;

/// Counts every byte of the heap. Only programs that fuzz are linked with this.
#[global_allocator]
static HEAP: Cap<std::alloc::System> = Cap::new(std::alloc::System, usize::MAX);

/// Numbers of inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The first.
    pub from: u64,
    /// The first that is not in it.
    pub to: u64,
}

/// What became of a range.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ran {
    /// Inputs.
    pub inputs: u64,
    /// Time that they took, in seconds, with making them.
    pub seconds: f64,
    /// The longest time that one took, in microseconds.
    pub slowest: u64,
    /// Which one that was.
    pub slowest_input: u64,
    /// Most bytes of the heap above what was there before the first input.
    pub heap: u64,
}

/// Tries a range. `state` is where the number of the input stands that is being tried; no input may take longer than
/// `longest`.
pub fn run(target: &Target, seed: u64, range: Range, state: &File, longest: Duration) -> anyhow::Result<Ran> {
    setrlimit(Resource::As, Rlimit { current: Some(LARGEST_SPACE), maximum: Some(LARGEST_SPACE) })?;
    let inputs = Mutator::new(target, seed);
    let mut parse = (target.parser)();
    let before = HEAP.allocated();
    let _ = HEAP.set_limit(LARGEST_HEAP);
    let watch = Watch::start(longest);
    let mut ran = Ran { inputs: range.to.saturating_sub(range.from), ..Ran::default() };
    let started = Instant::now();
    for number in range.from..range.to {
        state.write_all_at(&number.to_le_bytes(), 0)?;
        let input = inputs.input(number);
        watch.begin();
        let began = Instant::now();
        parse(&input);
        let took = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        if took > ran.slowest {
            (ran.slowest, ran.slowest_input) = (took, number);
        }
    }
    ran.seconds = started.elapsed().as_secs_f64();
    ran.heap = HEAP.max_allocated().saturating_sub(before) as u64;
    Ok(ran)
}

/// Ends the process when an input takes too long.
struct Watch(Arc<AtomicU64>);

impl Watch {
    fn start(longest: Duration) -> Self {
        let tries = Arc::new(AtomicU64::new(0));
        let watched = Arc::clone(&tries);
        thread::spawn(move || {
            let (mut last, mut since) = (0, Instant::now());
            loop {
                thread::sleep(longest / 20);
                let now = watched.load(Ordering::Relaxed);
                if now != last {
                    (last, since) = (now, Instant::now());
                } else if since.elapsed() > longest {
                    let _ = writeln!(std::io::stderr(), "an input takes longer than {longest:?}");
                    std::process::abort();
                }
            }
        });
        Self(tries)
    }

    fn begin(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
