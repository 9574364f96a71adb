//! Every key of Redis with its content, so that a test can say exactly what a call changed and that nothing else did.
//!
//! Lines read `+ KEY FIELD=VALUE` (new), `- KEY FIELD` (gone), `~ KEY FIELD=VALUE` (changed). Moments are told as seen
//! from the newest script call: `now`, `now+10s`, `past`, `later`; scores as `normal+2520`.

use std::collections::{BTreeMap, BTreeSet};

use redis::{FromRedisValue, aio::MultiplexedConnection};

/// Raw values by key and field.
type Content = BTreeMap<(String, String), String>;

/// What was in Redis at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    content: Content,
    /// When the newest script ran on the queue, microseconds.
    now: f64,
}

/// They change with every call; tests that care look at them by name.
const HOUSEKEEPING: [&str; 3] = ["seen_at", "upkeep_at", "recover_after"];
const WIDTH: f64 = 2_251_799_813_685_248.0;
const BANDS: [&str; 4] = ["critical", "high", "normal", "low"];
/// No score of a test reaches from a band's start to here: these are moments of the years 2020 to 2032.
const MOMENTS: std::ops::Range<f64> = 1.58e15..1.96e15;

async fn ask<T: FromRedisValue>(redis: &mut MultiplexedConnection, words: &[&str]) -> T {
    redis::cmd(words[0])
        .arg(&words[1..])
        .query_async(redis)
        .await
        .unwrap_or_else(|e| panic!("{words:?}: {e}"))
}

impl Snapshot {
    /// Reads everything. `prefix` is left out of the keys.
    pub(crate) async fn take(redis: &mut MultiplexedConnection, prefix: &str) -> Self {
        let mut content = Content::new();
        let keys: Vec<String> = ask(redis, &["KEYS", "*"]).await;
        for key in keys {
            let short = key.strip_prefix(prefix).unwrap_or(&key).to_owned();
            for (field, value) in read(redis, &key).await {
                content.insert((short.clone(), field), value);
            }
            if ask::<i64>(redis, &["PTTL", &key]).await >= 0 {
                content.insert((short, "ttl".into()), "set".into());
            }
        }
        let content = one_record(content);
        let seen = content.get(&("stats".to_owned(), "seen_at".to_owned()));
        let now = seen.and_then(|text| text.parse().ok()).unwrap_or(0.0);
        Self { content, now }
    }

    /// What is different in `after`, one line each, sorted.
    pub(crate) fn changes(&self, after: &Self) -> Vec<String> {
        let all: BTreeSet<_> = self.content.keys().chain(after.content.keys()).collect();
        let mut lines: Vec<String> = all
            .into_iter()
            .filter(|(key, field)| !(key == "stats" && HOUSEKEEPING.contains(&field.as_str())))
            .filter_map(|at| match (self.content.get(at), after.content.get(at)) {
                (old, new) if old == new => None,
                (None, Some(new)) => Some(format!("+ {}", after.show(at, new))),
                (Some(_), Some(new)) => Some(format!("~ {}", after.show(at, new))),
                (Some(old), None) => Some(format!("- {}", name(at, old))),
                (None, None) => unreachable!("the key is of one of the two"),
            })
            .collect();
        lines.sort();
        lines
    }

    fn show(&self, at: &(String, String), value: &str) -> String {
        let name = name(at, value);
        if is_stream(&at.0) { name } else { format!("{name}={}", self.value(at, value)) }
    }

    fn value(&self, (key, field): &(String, String), value: &str) -> String {
        let Ok(number) = value.parse::<f64>() else { return value.replace('\n', "|") };
        if MOMENTS.contains(&number) {
            return self.moment(number);
        }
        if field == "score" || ["pending", "fair"].contains(&key.as_str()) || key.starts_with("parked") {
            let band = (number / WIDTH).floor();
            return format!("{}+{}", BANDS[band as usize], number - band * WIDTH);
        }
        value.to_owned()
    }

    fn moment(&self, number: f64) -> String {
        let after = number - self.now;
        match () {
            () if after == 0.0 => "now".into(),
            () if after < 0.0 => "past".into(),
            () if after % 1e6 == 0.0 => format!("now+{}s", after / 1e6),
            () => "later".into(),
        }
    }
}

/// A task's two keys, and what their absence says, as one record `task:ID` and its `payload:ID`.
fn one_record(raw: Content) -> Content {
    let mut content = Content::new();
    let mut put = |id: &str, field: &str, value: &str| {
        content.insert((format!("task:{id}"), field.to_owned()), value.to_owned());
    };
    for ((key, _), spec) in raw.iter().filter(|((key, _), _)| key.starts_with("spec:")) {
        let id = &key["spec:".len()..];
        let lines: Vec<&str> = spec.splitn(4, '\n').collect();
        put(id, "state", "pending");
        for (name, value) in lines[0].split(' ').filter_map(|word| word.split_once('=')) {
            put(id, name, value);
        }
        for (name, line) in [("digest", 1), ("options", 2)] {
            if let Some(value) = lines.get(line).filter(|value| !value.is_empty()) {
                put(id, name, value);
            }
        }
    }
    for ((key, field), value) in raw.iter().filter(|((key, _), _)| key.starts_with("task:")) {
        if field != "lease" {
            put(&key["task:".len()..], field, value);
        }
    }
    for ((key, _), lease) in
        raw.iter().filter(|((key, field), _)| key.starts_with("task:") && field == "lease")
    {
        for (name, word) in ["attempt", "node", "started_at", "score"].into_iter().zip(lease.split(' ')) {
            put(&key["task:".len()..], name, word);
        }
    }
    for ((key, field), value) in raw {
        match key.strip_prefix("spec:") {
            Some(id) => {
                let payload = value.splitn(4, '\n').nth(3).unwrap_or_default().to_owned();
                content.insert((format!("payload:{id}"), String::new()), payload);
            }
            None if key.starts_with("task:") => {}
            None => _ = content.insert((key, field), value),
        }
    }
    let of =
        |content: &Content, key: &str, field: &str| content.get(&(key.to_owned(), field.to_owned())).cloned();
    let keys: BTreeSet<String> =
        content.keys().map(|(key, _)| key.clone()).filter(|key| key.starts_with("task:")).collect();
    for key in keys {
        if of(&content, &key, "batch").is_some_and(|batch| batch.is_empty()) {
            content.remove(&(key.clone(), "batch".to_owned()));
        }
        let state = of(&content, &key, "state").unwrap_or_default();
        let usual = [("running", "claimed"), ("completed", "completed")];
        if let Some((_, reason)) = usual.iter().find(|(usual, _)| *usual == state)
            && of(&content, &key, "reason").is_none()
        {
            content.insert((key, "reason".to_owned()), (*reason).to_owned());
        }
    }
    content
}

/// An entry of a stream is known by its content: its id is a moment.
fn name((key, field): &(String, String), value: &str) -> String {
    match field.as_str() {
        "" => key.clone(),
        _ if is_stream(key) => format!("{key} {}", value.replace('\n', " ")),
        field => format!("{key} {field}"),
    }
}

fn is_stream(key: &str) -> bool {
    key == "events" || key == "finished" || key.starts_with("batch-finished:")
}

/// Fields and values of a key of any type.
async fn read(redis: &mut MultiplexedConnection, key: &str) -> Vec<(String, String)> {
    let kind: String = ask(redis, &["TYPE", key]).await;
    match kind.as_str() {
        "string" => vec![(String::new(), ask(redis, &["GET", key]).await)],
        "hash" => ask(redis, &["HGETALL", key]).await,
        "zset" => ask(redis, &["ZRANGE", key, "0", "-1", "WITHSCORES"]).await,
        "list" => numbered(ask(redis, &["LRANGE", key, "0", "-1"]).await),
        "set" => ask::<Vec<String>>(redis, &["SMEMBERS", key])
            .await
            .into_iter()
            .map(|m| (m, String::new()))
            .collect(),
        "stream" => entries(ask(redis, &["XRANGE", key, "-", "+"]).await),
        other => panic!("{key} is a {other}"),
    }
}

fn numbered(values: Vec<String>) -> Vec<(String, String)> {
    values.into_iter().enumerate().map(|(i, value)| (i.to_string(), value)).collect()
}

/// The fields of a stream's entry come in no fixed order from Lua; `by` first, the others sorted.
fn entries(entries: Vec<(String, Vec<(String, String)>)>) -> Vec<(String, String)> {
    let show = |fields: Vec<(String, String)>| {
        let mut fields: Vec<String> =
            fields.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        fields.sort_by_key(|field| (!field.starts_with("by="), field.clone()));
        fields.join("\n")
    };
    entries.into_iter().map(|(id, fields)| (id, show(fields))).collect()
}

/// Compares lines in any order, and shows them one below the other.
pub(crate) fn assert_lines(mut found: Vec<String>, expected: &[&str]) {
    let mut expected: Vec<&str> = expected.to_vec();
    expected.sort_unstable();
    found.sort_unstable();
    let missing: Vec<_> = expected.iter().filter(|line| !found.iter().any(|f| f == *line)).collect();
    let surplus: Vec<_> = found.iter().filter(|line| !expected.contains(&line.as_str())).collect();
    assert!(
        missing.is_empty() && surplus.is_empty() && found.len() == expected.len(),
        "not as expected\nmissing: {missing:#?}\nsurplus: {surplus:#?}\nall: {found:#?}"
    );
}
