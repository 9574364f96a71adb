//! The scripted stand-in for hosted models, as its own process: `windlass scripted`.

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::{
    fleet::binary,
    process::{Process, until},
};

/// A running stand-in. It ends with the test.
#[derive(Debug)]
pub struct StandIn {
    /// What a provider of the preset `local` is configured with.
    pub base_url: String,
    _process: Process,
}

impl StandIn {
    /// Starts one that answers as the scenario (TOML) says; its files go to `dir`.
    pub fn start(dir: &Path, name: &str, scenario: &str) -> Self {
        let file = dir.join(format!("{name}.scenario.toml"));
        std::fs::write(&file, scenario).expect("a file can be written");
        let mut command = Command::new(binary("windlass"));
        command.env_clear().args(["scripted", "--listen", "127.0.0.1:0", "--scenario"]).arg(&file);
        command.stdin(Stdio::null()).current_dir(dir);
        let process = Process::start(command, dir, name);
        let base_url = until("the stand-in listens", Duration::from_secs(20), || {
            let stdout = process.stdout();
            let line = stdout.lines().next()?;
            stdout.contains('\n').then(|| line.trim().to_owned())
        });
        Self { base_url, _process: process }
    }

    /// What was asked of it: the answer of `GET /__calls`.
    pub fn calls(&self) -> Value {
        self.calls_with("")
    }

    /// The same with a query such as `?window=5s`.
    pub fn calls_with(&self, query: &str) -> Value {
        let address = self.base_url.trim_start_matches("http://").trim_end_matches("/v1");
        let mut stream = TcpStream::connect(address).expect("the stand-in takes connections");
        write!(stream, "GET /__calls{query} HTTP/1.0\r\nHost: {address}\r\n\r\n").expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
        serde_json::from_str(body).unwrap_or_else(|error| panic!("no JSON ({error}): {answer}"))
    }
}
