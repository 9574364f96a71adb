//! The medians of all rounds as a Markdown table, and how they stand to the project's bars.

use std::fmt::Write as _;

use serde_json::Value;

/// What the gateway may add, microseconds.
const ADDED_P50: f64 = 300.0;
const ADDED_P99: f64 = 2000.0;
/// How many times as much LiteLLM adds at least.
const RATIO: f64 = 10.0;
/// Memory of a worker with 64 streams, kilobytes.
const PEAK: f64 = 60.0 * 1024.0;

/// The median over the rounds of a figure of `what`.
fn median(lines: &[Value], what: &str, concurrency: u64, figure: &str) -> Option<f64> {
    let of_it = |line: &&Value| line["what"] == what && line["concurrency"] == concurrency;
    let mut values: Vec<f64> = lines.iter().filter(of_it).filter_map(|line| line[figure].as_f64()).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn millis(micros: Option<f64>) -> String {
    micros.map_or_else(|| "–".into(), |micros| format!("{:.2}", micros / 1000.0))
}

fn verdict(holds: bool) -> &'static str {
    if holds { "met" } else { "MISSED" }
}

/// All that was measured, for people.
pub(crate) fn of(lines: &[Value]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for name in lines.iter().filter(|line| line["concurrency"] == 1).filter_map(|line| line["what"].as_str())
    {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut text = String::from(
        "| one call after the other, ms | straight p50 | p99 | through p50 | p99 | added p50 | p99 |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for name in names {
        let figures =
            ["raw_p50_us", "raw_p99_us", "through_p50_us", "through_p99_us", "added_p50_us", "added_p99_us"];
        let cells: Vec<String> =
            figures.iter().map(|figure| millis(median(lines, name, 1, figure))).collect();
        _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
    }
    text += "\n| 16 at once | calls a second | p50, ms | p99, ms |\n| --- | ---: | ---: | ---: |\n";
    for name in ["windlass client, straight", "windlass gateway", "litellm router", "litellm proxy"] {
        let Some(rate) = median(lines, name, 16, "calls_per_second") else { continue };
        let [p50, p99] =
            ["through_p50_us", "through_p99_us"].map(|figure| millis(median(lines, name, 16, figure)));
        _ = writeln!(text, "| {name} | {rate:.0} | {p50} | {p99} |");
    }
    text.push('\n');
    bars(lines, &mut text);
    text
}

fn bars(lines: &[Value], text: &mut String) {
    let added = |what: &str, figure: &str| median(lines, what, 1, figure);
    if let (Some(p50), Some(p99)) =
        (added("windlass gateway", "added_p50_us"), added("windlass gateway", "added_p99_us"))
    {
        let met = verdict(p50 < ADDED_P50 && p99 < ADDED_P99);
        _ = writeln!(
            text,
            "* The gateway adds {} ms (p50) and {} ms (p99) to a call; bars 0.30 and 2.00: {met}",
            millis(Some(p50)),
            millis(Some(p99))
        );
        for other in ["litellm router", "litellm proxy"] {
            let Some(theirs) = added(other, "added_p50_us") else { continue };
            let ratio = theirs / p50;
            let met = verdict(ratio >= RATIO);
            _ = writeln!(
                text,
                "* {other} adds {ratio:.1} times as much (p50, not streamed); bar {RATIO:.0}: {met}"
            );
        }
    }
    let of_memory = lines.iter().find(|line| line["peak_rss_kb"].is_number());
    let Some(memory) = of_memory else { return };
    let megabytes = |figure: &str| memory[figure].as_f64().unwrap_or_default() / 1024.0;
    let met = verdict(megabytes("peak_rss_kb") * 1024.0 < PEAK);
    _ = writeln!(
        text,
        "* A worker in which {} answers stream for {} s: {:.1} MB idle, {:.1} MB while all stream, {:.1} MB at its \
         peak; bar 60: {met}",
        memory["streams"],
        memory["seconds"],
        megabytes("idle_rss_kb"),
        megabytes("streaming_rss_kb"),
        megabytes("peak_rss_kb"),
    );
}
