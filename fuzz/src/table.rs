//! What a run says, as a table in Markdown.

use std::fmt::Write as _;

use crate::{Done, Target};

/// One row a target.
pub fn table(rows: &[(Target, Done)]) -> String {
    let mut text = String::from(
        "| target | reads | inputs | inputs/s | time | slowest input | most heap | found |\n\
         | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for (target, done) in rows {
        let ran = &done.ran;
        let rate = if ran.seconds > 0.0 { ran.inputs as f64 / ran.seconds } else { 0.0 };
        _ = writeln!(
            text,
            "| `{}` | {} | {} | {rate:.0} | {:.1} s | {:.1} ms (no. {}) | {:.1} MiB | {} |",
            target.name,
            target.reads,
            ran.inputs,
            ran.seconds,
            ran.slowest as f64 / 1e3,
            ran.slowest_input,
            ran.heap as f64 / f64::from(1 << 20),
            done.findings.len(),
        );
    }
    text
}
