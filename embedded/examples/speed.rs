//! Measures a model: `cargo run --release -p windlass-embedded --example speed -- FILE.gguf`

use std::{fs, ops::ControlFlow, path::Path, time::Instant};

use anyhow::Context;
use windlass_embedded::{Model, Options, Role, Turn};

fn main() -> anyhow::Result<()> {
    let path = std::env::args().nth(1).context("give the path of a GGUF file")?;
    let started = Instant::now();
    let model = Model::load(Path::new(&path))?;
    println!("{}: loaded in {:.2?}, {}", model.name(), started.elapsed(), memory());
    println!("{:>14} {:>10} {:>14} {:>10}", "prompt tokens", "tokens/s", "answer tokens", "tokens/s");
    for repeats in [1, 45, 200, 390] {
        let text = "The cat sat on the mat and looked around. ".repeat(repeats);
        let options = Options { max_tokens: 100, ..Options::default() };
        let answer =
            model.chat(&[Turn { role: Role::User, text }], &options, &mut |_| ControlFlow::Continue(()))?;
        let (reading, writing) = (answer.first_token, answer.duration.saturating_sub(answer.first_token));
        println!(
            "{:>14} {:>10.0} {:>14} {:>10.0}",
            answer.prompt_tokens,
            answer.prompt_tokens as f64 / reading.as_secs_f64(),
            answer.output_tokens,
            answer.output_tokens.saturating_sub(1) as f64 / writing.as_secs_f64(),
        );
    }
    println!("{}", memory());
    Ok(())
}

/// Memory now and at most, where the system tells.
fn memory() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let figure = |name: &str| {
        let kilobytes =
            status.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB")?.parse().ok());
        kilobytes.map_or("?".to_owned(), |kilobytes: u64| (kilobytes / 1024).to_string())
    };
    format!("{} MB of memory, {} MB at most", figure("VmRSS:"), figure("VmHWM:"))
}
