//! What Windlass adds to a call to a model, beside what LiteLLM adds; and the memory of a worker in which 64 answers
//! stream. `make bench-gateway`: figures in JSON Lines to the file named by the first argument, a table on stdout.
//!
//! All sides call the same stand-in (`windlass scripted`, without latency) and use the same Redis, one after the other,
//! in several rounds; the medians are told. `worker/examples/bench-gateway.rs` measures our side,
//! `bench/litellm/calls.py` the other one, if its virtual environment (second argument) is there.

mod memory;
mod table;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use windlass_tests::{fleet::binary, process::run, redis::RedisServer, stand_in::StandIn};

const ROUNDS: u64 = 3;
const CALLS: &str = "3000";
/// LiteLLM is slow; its hundredth from the top needs no more.
const CALLS_OF_LITELLM: &str = "500";
/// No side takes longer for a round, however busy the machine.
const PATIENCE: Duration = Duration::from_mins(10);
const CALLS_PY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/litellm/calls.py");

const SCENARIO: &str = r#"
[[rule]]
answer = { text = "def test_pages_rounds_up():\n    assert pages(11, 5) == 3\n\ndef test_no_pages():\n    assert pages(0, 5) == 0\n" }
"#;

/// The programs of one side: their lines, with the round.
fn measure(command: Command, dir: &Path, name: &str, round: u64) -> Result<Vec<Value>> {
    let output = run(command, dir, name, PATIENCE);
    if output.code != 0 {
        bail!("{output}");
    }
    let with_round = |mut line: Value| {
        line["round"] = round.into();
        line
    };
    Ok(output.jsonl().into_iter().map(with_round).collect())
}

fn round(dir: &Path, litellm: Option<&Path>, round: u64) -> Result<Vec<Value>> {
    let redis = RedisServer::start();
    let stand_in = StandIn::start(dir, &format!("stand-in-{round}"), SCENARIO);
    let mut ours = Command::new(binary("examples/bench-gateway"));
    ours.env_clear().args([&redis.url(), &stand_in.base_url, CALLS]);
    let mut lines = measure(ours, dir, "windlass", round)?;
    if let Some(python) = litellm {
        let mut theirs = Command::new(python);
        theirs.arg(CALLS_PY).args([&redis.port().to_string(), &stand_in.base_url, CALLS_OF_LITELLM]);
        lines.extend(measure(theirs, dir, "litellm", round)?);
    }
    Ok(lines)
}

fn load() -> Value {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|word| word.parse::<f64>().ok()).map_or(Value::Null, Value::from)
}

#[allow(clippy::print_stdout, clippy::print_stderr, reason = "the figures are the result")]
fn main() -> Result<()> {
    let args: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [file, venv] = args.as_slice() else { bail!("usage: bench-gateway FILE VENV") };
    // The virtual environment is found by this path, so links must stay.
    let python = std::path::absolute(venv.join("bin/python"))?;
    let litellm = Some(python.as_path()).filter(|python| python.is_file());
    let dir = tempfile::tempdir()?;
    let cores = std::thread::available_parallelism()?.get();
    let mut lines = vec![json!({ "what": "machine", "cores": cores, "load": load() })];
    for number in 1..=ROUNDS {
        eprintln!("round {number} of {ROUNDS}");
        lines.extend(round(dir.path(), litellm, number)?);
    }
    eprintln!("64 streams in one worker");
    lines.push(memory::measure()?);
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(file, text).with_context(|| format!("{} cannot be written", file.display()))?;
    println!("{}", table::of(&lines));
    Ok(())
}
