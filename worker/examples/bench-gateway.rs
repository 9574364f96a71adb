//! What the gateway adds to a call: `bench-gateway REDIS_URL BASE_URL CALLS`, JSON Lines on stdout.
//!
//! Each prompt is asked twice, one right after the other: straight from the provider's client, and through the gateway
//! with limits, breaker, budgets and the exact cache on. What the second took more is what the gateway added. `make
//! bench-gateway` runs it beside others; the server at BASE_URL is `windlass scripted`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use windlass_llm::{ApiKey, ChatRequest, HttpProvider, Preset, Provider as _, ProviderOptions};
use windlass_shared::config::{Config, Sources, Who};
use windlass_worker::bench::Bench;

/// Calls before anything is measured.
const WARM_UP: usize = 300;
const AT_ONCE: usize = 16;
const MAX_TOKENS: u32 = 64;
/// A function and what is wanted of it, as a developer's small task has them.
const PROMPT: &str = "Write unit tests for this function, with one test for each branch and a name that says what is \
    expected. Answer with code alone.\n\ndef pages(total, size):\n    if size <= 0:\n        raise \
    ValueError('size')\n    return (total + size - 1) // size\n";

type Done<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Limits that are checked and never reached.
fn configuration(redis: &str, base_url: &str, catalog: &str) -> String {
    let limits = "limits.requests_per_minute = 100000000\nlimits.input_tokens_per_minute = 100000000000\n\
                  limits.output_tokens_per_minute = 100000000000\nlimits.concurrent = 10000\n";
    format!(
        "[redis]\nurl = {redis:?}\n[llm]\ncatalog = {catalog:?}\n[providers.bench]\npreset = \"compatible\"\n\
         base_url = {base_url:?}\n{limits}[providers.bench.keys.main]\napi_key = \"bench\"\n{limits}\
         [budgets.tenants]\nscope = \"tenant:*\"\nlimit_usd = \"1000000\"\n\
         [budgets.fleet]\nscope = \"fleet\"\nlimit_usd = \"1000000\"\n\
         [types.bench]\nexecutor = \"llm\"\nllm.route = [\"bench/one\", \"bench/two\"]\n"
    )
}

fn models() -> String {
    let model = |name: &str| {
        format!(
            "[models.\"bench/{name}\"]\ncontext = 128000\nprice = {{ input = 0.1, output = 0.5 }}\n\
             capabilities = [\"json\", \"schema\", \"streaming\", \"tools\"]\n\
             limits = {{ requests_per_minute = 100000000, input_tokens_per_minute = 100000000000, \
             output_tokens_per_minute = 100000000000 }}\n"
        )
    };
    model("one") + &model("two")
}

/// The gateway and the client beneath it.
struct Sides {
    bench: Bench,
    raw: HttpProvider,
    asked: AtomicUsize,
}

impl Sides {
    async fn connect(redis: &str, base_url: &str) -> Done<Self> {
        let dir = tempfile::tempdir()?;
        let (file, catalog) = (dir.path().join("windlass.toml"), dir.path().join("models.toml"));
        std::fs::write(&catalog, models())?;
        std::fs::write(&file, configuration(redis, base_url, &catalog.display().to_string()))?;
        let sources = Sources { file: Some(file), ..Sources::default() }.read_by(Who::Worker);
        let raw = HttpProvider::new(ProviderOptions {
            base_url: Some(base_url.to_owned()),
            keys: vec![ApiKey::new("main", "bench")],
            ..ProviderOptions::new("bench", Preset::Compatible)
        })?;
        let bench = Bench::connect(Config::load(sources)?, "bench", MAX_TOKENS).await?;
        Ok(Self { bench, raw, asked: AtomicUsize::new(0) })
    }

    /// One that was not asked before.
    fn prompt(&self) -> String {
        format!("{PROMPT}# {}\n", self.asked.fetch_add(1, Ordering::Relaxed))
    }

    async fn straight(&self, prompt: &str) -> Done<Duration> {
        let request = ChatRequest { model: "one".into(), ..self.bench.request(prompt) };
        let start = Instant::now();
        self.raw.chat(0, &request).await.map_err(|error| error.message)?;
        Ok(start.elapsed())
    }
}

fn at(sorted: &[f64], share: f64) -> f64 {
    let place = ((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1));
    (sorted.get(place).copied().unwrap_or_default() * 10.0).round() / 10.0
}

/// Microseconds at the middle and at the hundredth from the top.
fn percentiles(micros: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let mut sorted: Vec<f64> = micros.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    (at(&sorted, 0.5), at(&sorted, 0.99))
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

fn line(what: &str, pairs: &[(Duration, Duration)]) -> Value {
    let raw = percentiles(pairs.iter().map(|(raw, _)| micros(*raw)));
    let through = percentiles(pairs.iter().map(|(_, through)| micros(*through)));
    let added = percentiles(pairs.iter().map(|(raw, through)| micros(*through) - micros(*raw)));
    json!({
        "what": what, "calls": pairs.len(), "concurrency": 1,
        "raw_p50_us": raw.0, "raw_p99_us": raw.1,
        "through_p50_us": through.0, "through_p99_us": through.1,
        "added_p50_us": added.0, "added_p99_us": added.1,
    })
}

/// Calls one after the other, each prompt both ways.
async fn alone(sides: &Sides, calls: usize) -> Done<Vec<Value>> {
    let (mut answered, mut told, mut tasks) = (Vec::new(), Vec::new(), Vec::new());
    for call in 0..WARM_UP + calls {
        let prompt = sides.prompt();
        let raw = sides.straight(&prompt).await?;
        let took = sides.bench.call(&prompt).await?;
        if took.cached {
            return Err("a prompt that was never asked was answered from the cache".into());
        }
        if call >= WARM_UP {
            answered.push((raw, took.answer));
            told.push((raw, took.whole));
        }
    }
    for call in 0..WARM_UP + calls / 3 {
        let prompt = sides.prompt();
        let raw = sides.straight(&prompt).await?;
        let task = sides.bench.task(&prompt).await?;
        if call >= WARM_UP {
            tasks.push((raw, task));
        }
    }
    Ok(vec![
        line("windlass gateway", &answered),
        line("windlass gateway, report confirmed", &told),
        line("windlass llm task", &tasks),
    ])
}

/// The same prompt again and again.
async fn known(sides: &Sides, calls: usize) -> Done<Value> {
    let prompt = sides.prompt();
    sides.bench.call(&prompt).await?;
    let mut took = Vec::new();
    for _ in 0..calls {
        let hit = sides.bench.call(&prompt).await?;
        if !hit.cached {
            return Err("a prompt that was just asked was not answered from the cache".into());
        }
        took.push((Duration::ZERO, hit.answer));
    }
    Ok(line("windlass gateway, answer known", &took))
}

/// Many at once.
async fn together(sides: &Arc<Sides>, calls: usize, through: bool) -> Done<Value> {
    let left = Arc::new(AtomicUsize::new(calls));
    let start = Instant::now();
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..AT_ONCE {
        let (sides, left) = (Arc::clone(sides), Arc::clone(&left));
        callers.spawn(async move {
            let mut took = Vec::new();
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
            {
                let prompt = sides.prompt();
                took.push(if through {
                    sides.bench.call(&prompt).await?.whole
                } else {
                    sides.straight(&prompt).await?
                });
            }
            Done::Ok(took)
        });
    }
    let took = callers.join_all().await.into_iter().collect::<Done<Vec<_>>>()?.concat();
    let seconds = start.elapsed().as_secs_f64();
    let (p50, p99) = percentiles(took.iter().copied().map(micros));
    Ok(json!({
        "what": if through { "windlass gateway" } else { "windlass client, straight" },
        "calls": took.len(), "concurrency": AT_ONCE,
        "through_p50_us": p50, "through_p99_us": p99, "calls_per_second": (took.len() as f64 / seconds).round(),
    }))
}

#[allow(clippy::print_stdout, reason = "the figures are the result")]
async fn measure(redis: String, base_url: String, calls: usize) -> Done<()> {
    let sides = Arc::new(Sides::connect(&redis, &base_url).await?);
    for figures in alone(&sides, calls).await? {
        println!("{figures}");
    }
    println!("{}", known(&sides, calls).await?);
    for through in [false, true] {
        println!("{}", together(&sides, calls * 2, through).await?);
    }
    Ok(())
}

fn main() -> Done<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [redis, base_url, calls] = args.as_slice() else {
        return Err("usage: bench-gateway REDIS_URL BASE_URL CALLS".into());
    };
    let calls = calls.parse().map_err(|_| "CALLS is a number")?;
    let runtime = windlass_worker::runtime()?;
    // In a task, as a worker's calls are, and not in the thread that started the runtime.
    runtime.block_on(runtime.spawn(measure(redis.clone(), base_url.clone(), calls)))?
}
