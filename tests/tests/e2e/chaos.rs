//! Two minutes of chaos: `make chaos` does it for half an hour (docs/chaos.md).

use std::{env, fs, process::Command, time::Duration};

use windlass_tests::{fleet::binary, process::run};

/// Two minutes of faults, and what the last ones leave behind is still to be recovered.
const DEADLINE: Duration = Duration::from_mins(8);

#[test]
#[allow(clippy::print_stdout, reason = "a seed that fails is tried again by hand")]
fn two_minutes_of_chaos_lose_nothing_and_commit_nothing_twice() {
    let seed = env::var("WINDLASS_CHAOS_SEED").unwrap_or_else(|_| "1".to_owned());
    println!("WINDLASS_CHAOS_SEED={seed}");
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    let report = dir.path().join("report.md");
    let mut command = Command::new(binary("chaos"));
    command.args([
        "run",
        "--duration",
        "2m",
        "--lease",
        "3s",
        "--tasks",
        "20000",
        "--seed",
        &seed,
        "--report",
    ]);
    command.arg(&report);
    let output = run(command, dir.path(), "chaos", DEADLINE);
    let report = fs::read_to_string(report).unwrap_or_default();
    assert!(output.code == 0, "{report}\n{output}");
    for row in ["| **lost** | 0 |", "| **committed twice** | 0 |", "| **stuck** | 0 |"] {
        assert!(report.contains(row), "no row {row:?}:\n{report}");
    }
    let faults = report.lines().find_map(|line| line.strip_prefix("| faults | ")?.strip_suffix(" |"));
    assert!(faults.and_then(|faults| faults.parse().ok()) >= Some(25), "{report}");
}
