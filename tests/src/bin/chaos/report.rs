//! The report, in Markdown.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use windlass_shared::model::time::human;

use crate::{account::Account, plan::Kind, recovery::Recovered};

/// Everything that a report tells.
pub(crate) struct Run<'a> {
    pub(crate) command: String,
    pub(crate) lease: Duration,
    pub(crate) took: Duration,
    pub(crate) done: &'a [Kind],
    pub(crate) skipped: usize,
    pub(crate) account: &'a Account,
    pub(crate) submitted: usize,
    pub(crate) repeats: usize,
    pub(crate) longest_submission: Duration,
    pub(crate) started: usize,
    pub(crate) recovered: &'a [Recovered],
    pub(crate) came_back: usize,
    pub(crate) violations: &'a [String],
}

/// The longest that 99 of 100 recoveries may take: two seconds after the lease, or a third of it if that is less.
pub(crate) fn limit(lease: Duration) -> Duration {
    (lease + Duration::from_secs(2)).min(lease * 4 / 3)
}

/// Times of recoveries, sorted: those with Redis there, and those during which it was away.
pub(crate) fn times(recovered: &[Recovered], in_outage: bool) -> Vec<Duration> {
    let mut times: Vec<Duration> = recovered
        .iter()
        .filter(|recovery| recovery.in_outage == in_outage)
        .map(|recovery| recovery.took)
        .collect();
    times.sort_unstable();
    times
}

/// The time that so many of a hundred do not exceed.
pub(crate) fn percentile(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

impl Run<'_> {
    /// The report.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::new();
        let verdict = if self.violations.is_empty() { "passed" } else { "**FAILED**" };
        _ = writeln!(text, "# Chaos run: {verdict}\n\n    {}\n", self.command);
        self.outcome(&mut text);
        self.faults(&mut text);
        self.recovery(&mut text);
        if !self.violations.is_empty() {
            text.push_str("\n## Violations\n\n");
            for violation in self.violations {
                _ = writeln!(text, "* {violation}");
            }
        }
        text
    }

    fn outcome(&self, text: &mut String) {
        let Account { completed, failed, charged, lost, stuck, twice, wrong, .. } = self.account;
        let rate = self.submitted as f64 / self.took.as_secs_f64();
        let mut row = |what: &str, value: String| _ = writeln!(text, "| {what} | {value} |");
        row("what", "figure".to_owned());
        row("---", "---".to_owned());
        row("time", format!("{} min", tenths(self.took.as_secs_f64() / 60.0)));
        row("lease", human(self.lease));
        row("tasks accepted", format!("{} ({rate:.0} a second)", self.submitted));
        row("completed; failed as planned", format!("{completed}; {}", failed - charged.len()));
        row("failed, since nodes were lost under them three times", charged.len().to_string());
        row("faults", format!("{}", self.done.len()));
        row("**lost**", lost.len().to_string());
        row("**committed twice**", twice.len().to_string());
        row("**stuck**", stuck.len().to_string());
        row("other than they should be", wrong.len().to_string());
        row("ends in the event log", self.account.commits.to_string());
        row("attempts that ended in the ledger", self.account.ledger_ends.to_string());
        row("leases that ran out", self.account.recovered.to_string());
        row("results of lost attempts that were refused", self.account.stale.to_string());
        row("files submitted again", self.repeats.to_string());
        row("longest submission of a file", seconds(self.longest_submission));
        row("workers started", self.started.to_string());
        row("`windlass doctor --verify`", self.account.checker.clone());
    }

    fn faults(&self, text: &mut String) {
        let mut counts = BTreeMap::<Kind, usize>::new();
        for kind in self.done {
            *counts.entry(*kind).or_default() += 1;
        }
        text.push_str("\n## Faults\n\n| fault | times |\n| --- | ---: |\n");
        for (kind, count) in counts {
            _ = writeln!(text, "| {} | {count} |", kind.name());
        }
        if self.skipped > 0 {
            _ = writeln!(text, "\n{} planned ones found nothing that they could hurt.", self.skipped);
        }
        text.push_str(
            "\nNot among them, but tests of their own: a wall clock that is off, a full disk, a leak, a pulled cable, another version.\n",
        );
    }

    fn recovery(&self, text: &mut String) {
        text.push_str(
            "\n## Recovery\n\nFrom the loss of a node to the next start of each task that it held.\n",
        );
        let groups = [("Redis there", false), ("Redis away meanwhile: put off by a lease", true)];
        text.push_str("\n| | tasks | median | p99 | longest | limit of p99 |\n| --- | ---: | ---: | ---: | ---: | ---: |\n");
        for (name, in_outage) in groups {
            let times = times(self.recovered, in_outage);
            let at = |percent| percentile(&times, percent).map_or("-".to_owned(), seconds);
            let limit = if in_outage { "-".to_owned() } else { seconds(limit(self.lease)) };
            let (median, p99, longest) = (at(50), at(99), at(100));
            _ = writeln!(text, "| {name} | {} | {median} | {p99} | {longest} | {limit} |", times.len());
        }
        _ = writeln!(
            text,
            "\nBesides, {} tasks were ended by the node that held them, which was not lost for long enough.\n",
            self.came_back
        );
        text.push_str("Redis there:\n\n```\n");
        text.push_str(&histogram(&times(self.recovered, false), self.lease));
        text.push_str("```\n");
    }
}

fn tenths(number: f64) -> String {
    format!("{number:.1}")
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// Bars, of a tenth of the lease each.
fn histogram(sorted: &[Duration], lease: Duration) -> String {
    let width = lease.as_secs_f64() / 10.0;
    let mut counts = Vec::new();
    for time in sorted {
        let place = (time.as_secs_f64() / width) as usize;
        counts.resize(counts.len().max(place + 1), 0_usize);
        counts[place] += 1;
    }
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let bar = |(place, count): (usize, &usize)| {
        let (from, to) = (place as f64 * width, (place + 1) as f64 * width);
        let length = (count * 60).div_ceil(most);
        format!("{from:5.1} - {to:4.1} s {count:6} {}", "#".repeat(length)).trim_end().to_owned() + "\n"
    };
    counts.iter().enumerate().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let times: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 50), Some(Duration::from_millis(100)));
        assert_eq!(percentile(&times, 99), Some(Duration::from_millis(198)));
        assert_eq!(percentile(&times, 100), Some(Duration::from_millis(200)));
        assert_eq!(percentile(&times[..1], 99), Some(Duration::from_millis(1)));
        assert_eq!(percentile(&[], 99), None);
    }

    #[test]
    fn the_limits_are_those_that_are_promised() {
        assert_eq!(limit(Duration::from_secs(10)), Duration::from_secs(12));
        assert_eq!(limit(Duration::from_secs(3)), Duration::from_secs(4));
    }
}
