//! Ten workers with nothing to do: what they send to Redis in a minute, since waits are held for as long.

use std::{
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use windlass_bench::usage;
use windlass_shared::model::QueueName;
use windlass_tests::fleet::keys;

use super::Scene;
use crate::{bed::Bed, peer::Purpose};

const WORKERS: usize = 10;
const CONCURRENCY: u64 = 10;
/// They come up, and find nothing.
const SETTLE: Duration = Duration::from_secs(10);
const WINDOW: Duration = Duration::from_mins(1);

pub(super) fn measure(scene: &Scene) -> Result<Vec<Value>> {
    let bed = Bed::new(scene.peer)?;
    let mut workers: Vec<_> = (0..WORKERS).map(|n| bed.worker(n, CONCURRENCY, Purpose::Usual)).collect();
    thread::sleep(SETTLE);
    let cpu = || workers.iter().map(|worker| usage::cpu(worker.pid())).sum::<Result<f64>>();
    let monitor = Monitor::start(bed.server.port())?;
    let (workers_before, redis_before) = (cpu()?, bed.server.cpu()?);
    thread::sleep(WINDOW);
    let seconds = WINDOW.as_secs_f64();
    let (workers_cpu, redis_cpu) = (cpu()? - workers_before, bed.server.cpu()? - redis_before);
    let Seen { sent, beats, in_scripts } = monitor.seen();
    let resident = workers.iter().map(|worker| usage::resident(worker.pid())).sum::<Result<f64>>()?;
    for worker in &mut workers {
        ensure!(!worker.has_ended(), "a worker ended: {}", worker.wait(Duration::ZERO));
    }
    Ok(vec![json!({
        "workers": WORKERS, "sent_per_s": sent as f64 / seconds, "beats_per_s": beats as f64 / seconds,
        "besides_beats_per_s": (sent - beats) as f64 / seconds, "in_scripts_per_s": in_scripts as f64 / seconds,
        "workers_cpu_percent": workers_cpu / seconds * 100.0, "redis_cpu_percent": redis_cpu / seconds * 100.0,
        "rss_kb_each": resident / WORKERS as f64,
    })])
}

/// What `MONITOR` told.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    /// By clients, heartbeats included.
    sent: u64,
    beats: u64,
    in_scripts: u64,
}

struct Monitor(Arc<Mutex<Seen>>);

impl Monitor {
    /// Counts from now on; ends with the server.
    fn start(port: u16) -> Result<Self> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.write_all(b"MONITOR\r\n")?;
        let mut lines = BufReader::new(stream).split(b'\n');
        let first = lines.next().context("no answer")??;
        ensure!(first.starts_with(b"+OK"), "no MONITOR: {}", String::from_utf8_lossy(&first));
        let seen = Arc::new(Mutex::new(Seen::default()));
        let counts = Arc::clone(&seen);
        thread::spawn(move || {
            let extend = keys().queue(&QueueName::default_queue()).fixed.len().to_string();
            for line in lines.map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line);
                let mut seen = counts.lock().unwrap_or_else(PoisonError::into_inner);
                if line.contains(" lua] ") {
                    seen.in_scripts += 1;
                } else {
                    seen.sent += 1;
                    seen.beats += u64::from(is_beat(&line, &extend));
                }
            }
        });
        Ok(Self(seen))
    }

    fn seen(&self) -> Seen {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Windlass' heartbeat is two calls: `beat` has the node's own key first, `extend` has the queue's fixed keys and no more.
fn is_beat(line: &str, extend: &str) -> bool {
    let mut words = line.split_once("] ").map_or("", |(_, command)| command).split(' ');
    let mut word = || words.next().unwrap_or_default().trim_matches('"');
    let (verb, _, number, key) = (word(), word(), word(), word());
    verb.starts_with("EVAL") && (number == extend || key.contains("{nodes}:node:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heartbeats_are_told_from_claims() {
        let line = |keys: &str| format!("+1795158754.1 [0 127.0.0.1:1] \"EVALSHA\" \"ab\" {keys}");
        assert!(is_beat(&line(r#""4" "wl:{nodes}:node:n-1" "wl:{nodes}:index""#), "15"));
        assert!(is_beat(&line(r#""15" "wl:{default}:meta""#), "15"));
        assert!(!is_beat(&line(r#""16" "wl:{default}:meta""#), "15"));
        assert!(!is_beat(r#"+1.1 [0 127.0.0.1:1] "BZPOPMIN" "wl:{default}:bell" "60""#, "15"));
    }
}
