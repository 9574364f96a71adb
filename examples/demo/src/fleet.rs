//! The fleet of the demo: `windlass dev`, and the commands that it is asked with.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::report::{say, step};

/// Where the private Redis, the logs and the tasks live.
pub(crate) const DIR: &str = ".windlass";
const CONFIG: &str = "examples/demo/windlass.toml";
/// Weights of the small model.
const WEIGHTS: &str = ".windlass/models/SmolLM2-135M-Instruct.Q4_1.gguf";

/// A running fleet.
pub(crate) struct Fleet {
    windlass: PathBuf,
    url: String,
    dev: Child,
    provider: &'static str,
}

/// The provider of models that the environment configures, if any.
fn configured() -> Option<&'static str> {
    const VARIABLES: [(&str, &str); 6] = [
        ("WINDLASS_LLM_BASE_URL", "local"),
        ("OPENAI_API_KEY", "openai"),
        ("OPENROUTER_API_KEY", "openrouter"),
        ("ANTHROPIC_API_KEY", "anthropic"),
        ("COHERE_API_KEY", "cohere"),
        ("HF_TOKEN", "huggingface"),
    ];
    let set =
        |(variable, _): &&(&str, &str)| std::env::var_os(variable).is_some_and(|value| !value.is_empty());
    VARIABLES.iter().find(set).map(|(_, provider)| *provider)
}

/// Where rustup keeps compilers. Commands of the demo run `rustc`, and the sandbox hides what is in a home unless it is
/// listed.
fn compilers() -> Option<PathBuf> {
    let at_home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".rustup"));
    std::env::var_os("RUSTUP_HOME").map(PathBuf::from).or_else(at_home).filter(|folder| folder.is_dir())
}

impl Fleet {
    pub(crate) fn start() -> Result<Self> {
        let windlass = std::env::current_exe()?.parent().context("no folder")?.join("windlass");
        let args = ["dev", "--workers", "3", "--concurrency", "2", "--dir", DIR, "--config", CONFIG];
        step("Starting a private Redis and three workers");
        let provider = configured();
        match provider {
            Some(name) => {
                say(&format!("Language models: provider {name}, which your environment configures."));
            }
            None => {
                say(
                    "Language models: a small one within the workers (SmolLM2-135M), since your environment configures none",
                );
                say(
                    "(OPENAI_API_KEY, OPENROUTER_API_KEY, ANTHROPIC_API_KEY or WINDLASS_LLM_BASE_URL). Its answers are modest.",
                );
            }
        }
        say(&format!("$ windlass {}", args.join(" ")));
        let folder = std::env::current_dir()?;
        let mut command = Command::new(&windlass);
        if provider.is_none() {
            command.env("WINDLASS_EMBEDDED_MODEL", folder.join(WEIGHTS));
        }
        if let (Some(folder), None) = (compilers(), std::env::var_os("WINDLASS_SANDBOX_READ")) {
            command.env("WINDLASS_SANDBOX_READ", folder);
        }
        let mut dev = command
            .args(args)
            // Where `make demo` puts pytest.
            .env("PYTHONPATH", folder.join(DIR).join("pytest"))
            .stdout(Stdio::piped())
            .spawn()
            .context("is windlass built?")?;
        let stdout = dev.stdout.take().context("no stdout")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let url = line.trim().strip_prefix("export WINDLASS_REDIS_URL=").map(str::to_owned);
        let Some(url) = url else { bail!("`windlass dev` did not start") };
        Ok(Self { windlass, url, dev, provider: provider.unwrap_or("embedded") })
    }

    /// The provider of the models.
    pub(crate) fn provider(&self) -> &'static str {
        self.provider
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.windlass);
        command.args(args).args(["--config", CONFIG]).env("WINDLASS_REDIS_URL", &self.url);
        command
    }

    /// Runs a command and gives what it prints.
    pub(crate) fn run(&self, args: &[&str]) -> Result<Vec<u8>> {
        let output = self.command(args).stderr(Stdio::inherit()).output()?;
        if !output.status.success() {
            bail!("windlass {} ended with {}", args.join(" "), output.status);
        }
        Ok(output.stdout)
    }

    /// Runs a command before everybody's eyes.
    pub(crate) fn show(&self, args: &[&str]) -> Result<()> {
        say(&format!("\n$ windlass {}", args.join(" ")));
        let status = self.command(args).status()?;
        if !status.success() {
            bail!("windlass {} ended with {status}", args.join(" "));
        }
        Ok(())
    }

    /// Kills a worker that runs something, as a crashing machine would. Gives its node and what it ran, or nothing if
    /// none is busy just now.
    pub(crate) fn kill_a_busy_worker(&self) -> Result<Option<(String, Vec<String>)>> {
        let nodes: Vec<Value> = serde_json::from_slice(&self.run(&["nodes", "--output", "json"])?)?;
        let running = self.run(&["tasks", "--state", "running", "--output", "jsonl"])?;
        let running: Vec<Value> =
            String::from_utf8(running)?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        for node in nodes.iter().filter(|node| node["state"] == "active") {
            let held: Vec<&Value> = running.iter().filter(|task| task["node"] == node["id"]).collect();
            // Compiling and running tests takes long enough that the kill hits it.
            let busy = held.iter().any(|task| task["type"] == "unit_tests");
            let tasks: Vec<String> =
                held.iter().filter_map(|task| task["id"].as_str()).map(str::to_owned).collect();
            let pid = node["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
            if let (true, Some(pid)) = (busy, pid) {
                kill_process(pid, Signal::KILL)?;
                let id = node["id"].as_str().unwrap_or_default().to_owned();
                say(&format!(
                    "         SIGKILL to worker {id} while it runs {} tasks; its leases end within 10 s",
                    tasks.len()
                ));
                return Ok(Some((id, tasks)));
            }
        }
        Ok(None)
    }

    /// Stops everything, as Ctrl-C would.
    pub(crate) fn stop(mut self) -> Result<()> {
        step("Stopping");
        if let Some(pid) = i32::try_from(self.dev.id()).ok().and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM)?;
        }
        let status = self.dev.wait()?;
        if !status.success() {
            bail!("windlass dev ended with {status}");
        }
        Ok(())
    }
}

impl Drop for Fleet {
    /// When the demo fails half way. Killing `dev` takes its children along.
    fn drop(&mut self) {
        if let Ok(None) = self.dev.try_wait() {
            _ = self.dev.kill();
            _ = self.dev.wait();
        }
    }
}
