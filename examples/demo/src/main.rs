//! The demo. Everything it does to Windlass is an ordinary command, and it prints each one.
//!
//! First a language model writes unit tests for a real file, and they are run. Then a fleet of three workers analyses,
//! checks, tests and describes the source files in `examples/demo/sources`. On the way one worker is killed with SIGKILL while it runs tasks; others take them over when their leases end.

mod batch;
mod fleet;
mod llm;
mod report;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    batch::Batch,
    fleet::Fleet,
    report::{say, step},
};

/// The demo gives up after this long.
const LIMIT: Duration = Duration::from_secs(150);

fn main() -> Result<()> {
    let fleet = Fleet::start().context("starting the fleet failed; its logs are in .windlass/logs")?;
    llm::run(&fleet)?;
    let batch = Batch::submit(&fleet)?;
    let killed = watch(&fleet, &batch)?;
    let completed = report::results(&fleet, &batch, &killed)?;
    fleet.stop()?;
    ensure!(completed, "not every task completed");
    say("\nEvery task has its result, although a worker was killed. Try it yourself:");
    say("  windlass dev --workers 3        (target/release is where the programs are)");
    say("It tells you where the web page is: open it, submit something, and watch.\n");
    Ok(())
}

/// A worker that was killed, and the tasks that it ran.
struct Killed {
    node: String,
    tasks: Vec<String>,
}

/// Follows the batch to its end, and kills one busy worker once some of it is done.
fn watch(fleet: &Fleet, batch: &Batch) -> Result<Killed> {
    step("Progress, until all is finished");
    let start = Instant::now();
    let mut killed: Option<Killed> = None;
    let mut shown = String::new();
    loop {
        let finished = batch.results(fleet)?.len();
        let line = format!("{finished:>3} of {} finished", batch.tasks);
        if line != shown {
            say(&format!("  {:>5.1}s  {line}", start.elapsed().as_secs_f64()));
            shown = line;
        }
        if killed.is_none() && finished * 5 >= batch.tasks {
            killed = fleet.kill_a_busy_worker()?.map(|(node, tasks)| Killed { node, tasks });
        }
        if finished >= batch.tasks {
            return killed.context("the batch was over before a busy worker could be killed; this machine is too fast for the demo");
        }
        if start.elapsed() > LIMIT {
            bail!(
                "the batch is not finished after {LIMIT:?}; look at it with `windlass nodes` and `windlass queues`"
            );
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
