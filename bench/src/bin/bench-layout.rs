//! What a layout of a task's record costs: bytes in Redis and Redis CPU, queued and finished
//! (docs/decisions/0001-record-layout.md, 0014-spec-and-record.md). `make bench-layout`; JSON Lines on stdout.
//!
//! Three scripts a layout, each on 250 tasks a call, as the real ones are: submit, claim, settle. The figures are
//! those of the layout alone: no order, no events, no batches.

use anyhow::Result;
use redis::{Commands, Connection};
use serde_json::json;
use windlass_tests::redis::RedisServer;

const TASKS: usize = 50_000;
const PER_CALL: usize = 250;
/// Bytes of each task's payload.
const PAYLOAD: usize = 200;
/// Rounds; the median is told.
const ROUNDS: usize = 3;

struct Layout {
    name: &'static str,
    submit: &'static str,
    claim: &'static str,
    settle: &'static str,
}

const HEAD: &str =
    "local t = redis.call('TIME') local now = t[1] * 1000000 + t[2] local n = #ARGV - 1 local z = {} ";

const ONE_HASH_SUBMIT: &str = "for i = 1, n do local id = ARGV[1] .. i \
    redis.call('HSET', 'wl:{q}:task:' .. id, 'type', 'noop', 'state', 'pending', 'created_at', now, 'payload', ARGV[i + 1]) \
    z[#z + 1] = now + i z[#z + 1] = id end redis.call('ZADD', 'wl:{q}:pending', unpack(z))";
const ONE_HASH_CLAIM: &str = "local p = redis.call('ZPOPMIN', 'wl:{q}:pending', n) for i = 1, #p, 2 do \
    local k = 'wl:{q}:task:' .. p[i] redis.call('HGETALL', k) \
    redis.call('HSET', k, 'state', 'running', 'attempt', 1, 'node', 'n-4kq2x9d0tz', 'started_at', now, 'score', p[i + 1]) \
    z[#z + 1] = now z[#z + 1] = p[i] end redis.call('ZADD', 'wl:{q}:running', unpack(z))";
const SPLIT_SUBMIT: &str = "local m = {} for i = 1, n do local id = ARGV[1] .. i \
    redis.call('HSET', 'wl:{q}:task:' .. id, 'type', 'noop', 'state', 'pending', 'created_at', now) \
    m[#m + 1] = 'wl:{q}:payload:' .. id m[#m + 1] = ARGV[i + 1] z[#z + 1] = now + i z[#z + 1] = id end \
    redis.call('MSET', unpack(m)) redis.call('ZADD', 'wl:{q}:pending', unpack(z))";
const SPLIT_CLAIM: &str = "local p, g = redis.call('ZPOPMIN', 'wl:{q}:pending', n), {} for i = 1, #p, 2 do \
    local k = 'wl:{q}:task:' .. p[i] redis.call('HGETALL', k) g[#g + 1] = 'wl:{q}:payload:' .. p[i] \
    redis.call('HSET', k, 'state', 'running', 'attempt', 1, 'node', 'n-4kq2x9d0tz', 'started_at', now, 'score', p[i + 1]) \
    z[#z + 1] = now z[#z + 1] = p[i] end redis.call('MGET', unpack(g)) redis.call('ZADD', 'wl:{q}:running', unpack(z))";

const SPEC_SUBMIT: &str = "local m, head = {}, 'type=noop created_at=' .. string.format('%d', now) .. '\\n\\n\\n' \
    for i = 1, n do local id = ARGV[1] .. i m[#m + 1] = 'wl:{q}:spec:' .. id m[#m + 1] = head .. ARGV[i + 1] \
    z[#z + 1] = now + i z[#z + 1] = id end \
    redis.call('MSET', unpack(m)) redis.call('ZADD', 'wl:{q}:pending', unpack(z))";
const SPEC_CLAIM: &str = "local p, g = redis.call('ZPOPMIN', 'wl:{q}:pending', n), {} \
    local lease = '1 n-4kq2x9d0tz ' .. string.format('%d', now) .. ' ' for i = 1, #p, 2 do \
    redis.call('HSET', 'wl:{q}:task:' .. p[i], 'state', 'running', 'lease', lease .. p[i + 1]) \
    g[#g + 1] = 'wl:{q}:spec:' .. p[i] z[#z + 1] = now z[#z + 1] = p[i] end \
    redis.call('MGET', unpack(g)) redis.call('ZADD', 'wl:{q}:running', unpack(z))";
const SPEC_SETTLE: &str = "local p = redis.call('ZRANGE', 'wl:{q}:running', 0, n - 1) \
    redis.call('ZREM', 'wl:{q}:running', unpack(p)) for i = 1, #p do local k = 'wl:{q}:task:' .. p[i] \
    redis.call('HMGET', k, 'state', 'lease', 'concurrency_key', 'reason') \
    redis.call('HSET', k, 'state', 'completed', 'result', '{\"ok\":true,\"n\":12345}', 'finished_at', now) end \
    redis.call('XADD', 'wl:{q}:finished', '*', 'completed', table.concat(p, ' '))";

macro_rules! settle {
    ($each:literal, $after:literal) => {
        concat!(
            "local p = redis.call('ZRANGE', 'wl:{q}:running', 0, n - 1) redis.call('ZREM', 'wl:{q}:running', unpack(p)) ",
            "for i = 1, #p do local k = 'wl:{q}:task:' .. p[i] redis.call('HMGET', k, 'state', 'attempt', 'node', 'batch') ",
            "redis.call('HSET', k, 'state', 'completed', 'result', '{\"ok\":true,\"n\":12345}', 'finished_at', now) ",
            $each,
            " end ",
            $after
        )
    };
}

const LAYOUTS: [Layout; 4] = [
    Layout {
        name: "one hash, payload inside, EXPIRE",
        submit: ONE_HASH_SUBMIT,
        claim: ONE_HASH_CLAIM,
        settle: settle!("redis.call('PEXPIRE', k, 86400000)", ""),
    },
    Layout {
        name: "small hash and a payload string, EXPIRE on both",
        submit: SPLIT_SUBMIT,
        claim: SPLIT_CLAIM,
        settle: settle!(
            "redis.call('PEXPIRE', k, 86400000) redis.call('PEXPIRE', 'wl:{q}:payload:' .. p[i], 86400000)",
            ""
        ),
    },
    Layout {
        name: "small hash and a payload string, finished log",
        submit: SPLIT_SUBMIT,
        claim: SPLIT_CLAIM,
        settle: settle!("", "redis.call('XADD', 'wl:{q}:finished', '*', 'completed', table.concat(p, ' '))"),
    },
    Layout {
        name: "a string of what was submitted, a hash once something happens, finished log (chosen)",
        submit: SPEC_SUBMIT,
        claim: SPEC_CLAIM,
        settle: SPEC_SETTLE,
    },
];

fn info(connection: &mut Connection, name: &str) -> Result<f64> {
    let info: String = redis::cmd("INFO").query(connection)?;
    let value = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap_or("0");
    Ok(value.trim().parse()?)
}

fn cpu(connection: &mut Connection) -> Result<f64> {
    Ok(info(connection, "used_cpu_user")? + info(connection, "used_cpu_sys")?)
}

/// Runs a script over all tasks; gives microseconds of Redis CPU a task.
fn phase(connection: &mut Connection, script: &str, payload: &str) -> Result<f64> {
    let script = redis::Script::new(&format!("{HEAD}{script}"));
    let before = cpu(connection)?;
    for call in 0..TASKS / PER_CALL {
        let mut invocation = script.prepare_invoke();
        invocation.arg(format!("01jd3k7q2w9x5y8z4v6t1r{call:04}"));
        for _ in 0..PER_CALL {
            invocation.arg(payload);
        }
        invocation.invoke::<()>(connection)?;
    }
    Ok((cpu(connection)? - before) / TASKS as f64 * 1e6)
}

#[derive(Clone, Copy)]
struct Cost {
    submit: f64,
    claim: f64,
    settle: f64,
    queued: f64,
    finished: f64,
}

fn measure(connection: &mut Connection, layout: &Layout) -> Result<Cost> {
    let _: () = connection.flushall()?;
    let empty = info(connection, "used_memory")?;
    let bytes = |connection: &mut Connection| {
        Ok::<f64, anyhow::Error>((info(connection, "used_memory")? - empty) / TASKS as f64)
    };
    let submit = phase(connection, layout.submit, &"x".repeat(PAYLOAD))?;
    let queued = bytes(connection)?;
    let claim = phase(connection, layout.claim, "-")?;
    let settle = phase(connection, layout.settle, "-")?;
    Ok(Cost { submit, claim, settle, queued, finished: bytes(connection)? })
}

fn median(costs: &[Cost], of: impl Fn(&Cost) -> f64) -> f64 {
    let mut values: Vec<f64> = costs.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    (values[values.len() / 2] * 100.0).round() / 100.0
}

#[allow(clippy::print_stdout, reason = "the figures are the result")]
fn main() -> Result<()> {
    let server = RedisServer::start();
    let mut connection = redis::Client::open(server.url())?.get_connection()?;
    for listpack in ["64", "1024"] {
        redis::cmd("CONFIG")
            .arg(&["SET", "hash-max-listpack-value", listpack])
            .query::<()>(&mut connection)?;
        for layout in &LAYOUTS {
            let costs = (0..ROUNDS).map(|_| measure(&mut connection, layout)).collect::<Result<Vec<_>>>()?;
            let line = json!({
                "layout": layout.name,
                "hash_max_listpack_value": listpack,
                "submit_us": median(&costs, |c| c.submit),
                "claim_us": median(&costs, |c| c.claim),
                "settle_us": median(&costs, |c| c.settle),
                "queued_bytes": median(&costs, |c| c.queued),
                "finished_bytes": median(&costs, |c| c.finished),
            });
            println!("{line}");
        }
    }
    Ok(())
}
