//! What can be seen of a queue in Redis, read in one step and told in the words of the model.

use std::collections::BTreeMap;

use redis::Value;
use windlass_shared::model::Micros;
use windlass_tests::model::{Moment, View};

use crate::scene::Scene;

/// Every key of the queue, with type and content; of the event log, how long it is and its last entry.
const READ: &str = r"
local all = {}
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. '*')) do
  local kind = redis.call('TYPE', key).ok
  local name, content = string.sub(key, #ARGV[1] + 1), {}
  if name == 'events' then
    content = { tostring(redis.call('XLEN', key)), redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1) }
  elseif kind == 'hash' then content = redis.call('HGETALL', key)
  elseif kind == 'zset' then content = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  elseif kind == 'stream' then content = redis.call('XRANGE', key, '-', '+')
  elseif kind == 'string' then content = { redis.call('GET', key) } end
  all[#all + 1] = { name, content }
end
return all
";

const WIDTH: i64 = 1 << 51;
const MOMENTS: [&str; 9] = [
    "created_at",
    "started_at",
    "finished_at",
    "due_at",
    "expires_at",
    "unknown_since",
    "seen_at",
    "recover_after",
    "upkeep_at",
];
const JSON: [&str; 3] = ["error", "review", "progress"];

/// A queue as it is in Redis.
pub(super) struct Seen {
    pub(super) view: View,
}

type Pairs = Vec<(String, String)>;

impl Seen {
    /// `ahead`: how much later it is for the model, because time was moved.
    pub(super) async fn read(t: &Scene, ahead: i64) -> Self {
        let all: Vec<(String, Value)> = t.lua(READ, &[&t.key("")]).await;
        let mut reader = Reader { view: View::default(), ahead, v: [0; 4], tasks: BTreeMap::new() };
        let fair = all.iter().find(|(name, _)| name == "fair").map(|(_, value)| pairs(value));
        for (name, value) in &all {
            reader.key(name, value);
        }
        reader.tasks();
        reader.fair(fair.unwrap_or_default());
        Self { view: reader.view }
    }
}

struct Reader {
    view: View,
    ahead: i64,
    v: [i64; 4],
    /// Spec and record of each task, as fields.
    tasks: BTreeMap<String, BTreeMap<String, String>>,
}

impl Reader {
    fn moment(&self, text: &str) -> String {
        match text.parse::<f64>().map(|moment| moment as i64) {
            Ok(0) => String::new(),
            Ok(moment) => (moment + self.ahead).to_string(),
            Err(_) => text.to_owned(),
        }
    }

    fn value(&self, field: &str, text: &str) -> String {
        if MOMENTS.contains(&field) {
            self.moment(text)
        } else if JSON.contains(&field) {
            // Lua writes the members of an object in any order.
            serde_json::from_str::<serde_json::Value>(text)
                .map_or_else(|_| text.to_owned(), |json| json.to_string())
        } else {
            text.to_owned()
        }
    }

    fn key(&mut self, name: &str, value: &Value) {
        let (kind, rest) = name.split_once(':').unwrap_or((name, ""));
        match kind {
            "spec" => self.spec(rest, value),
            "task" => self.record(rest, value),
            "pending" | "parked" => self.place(name, value, false),
            "running" | "scheduled" | "blocked" | "dead" | "expiring" => self.place(name, value, true),
            "stats" => self.stats(value),
            "meta" => {
                for (field, text) in pairs(value) {
                    let text = if field == "paused" { text } else { format!("={text}") };
                    self.view.put(format!("meta {field}"), text);
                }
            }
            "keys" => pairs(value).into_iter().for_each(|(key, n)| self.view.put(format!("keys {key}"), n)),
            "batch" => {
                for (field, text) in pairs(value) {
                    let text = self.value(&field, &text);
                    self.view.put(format!("batch {rest} {field}"), text);
                }
            }
            "batches" => {
                for (batch, score) in pairs(value) {
                    let ended = if score == "0" { "open".to_owned() } else { self.moment(&score) };
                    self.view.put(format!("batch {batch} ended"), ended);
                }
            }
            "batch-finished" => self.view.put(format!("batch {rest} finished"), log(value)),
            "finished" => self.view.put("finished", log(value)),
            "events" => self.events(value),
            "bell" => {
                let mark: Vec<String> = pairs(value).into_iter().map(|(mark, _)| mark).collect();
                self.view.put("bell", mark.join(" "));
            }
            // Looked at when all is known; and a node's last call, which is compared by repeating it.
            "fair" | "claimed" => {}
            _ => self.view.put(format!("unknown key {name}"), "there"),
        }
    }

    fn place(&mut self, name: &str, value: &Value, moments: bool) {
        let ahead = if moments { self.ahead } else { 0 };
        let mut entries: Vec<(i64, String)> = pairs(value)
            .into_iter()
            .map(|(id, score)| (score.parse::<f64>().expect("scores are numbers") as i64 + ahead, id))
            .collect();
        entries.sort();
        let words: Vec<String> = entries.into_iter().map(|(score, id)| format!("{id}@{score}")).collect();
        self.view.put(name, words.join(" "));
    }

    fn stats(&mut self, value: &Value) {
        for (field, text) in pairs(value) {
            let band = field.strip_prefix('v').and_then(|band| band.parse::<usize>().ok());
            if let Some(v) = band.and_then(|band| self.v.get_mut(band)) {
                *v = text.parse::<f64>().expect("tags are numbers") as i64;
            }
            let text = self.value(&field, &text);
            self.view.put(format!("stats {field}"), text);
        }
    }

    /// Entries at or below V say nothing.
    fn fair(&mut self, entries: Pairs) {
        for (member, score) in entries {
            let band: usize = member[..1].parse().expect("a band");
            let tag = score.parse::<f64>().expect("scores are numbers") as i64 - band as i64 * WIDTH;
            if tag > self.v[band] {
                self.view.put(format!("fair {member}"), tag);
            }
        }
    }

    fn events(&mut self, value: &Value) {
        let (length, last): (String, Vec<(String, Pairs)>) =
            redis::from_redis_value_ref(value).expect("the event log");
        self.view.put("events", length);
        let Some((_, fields)) = last.into_iter().next() else { return };
        let by = fields.iter().find(|(name, _)| name == "by").map(|(_, by)| by.clone()).unwrap_or_default();
        for (name, marks) in fields.into_iter().filter(|(name, _)| name != "by") {
            let mut marks: Vec<&str> = marks.split(' ').collect();
            marks.sort_unstable();
            self.view.put(format!("event by {by}: {name}"), marks.join(" "));
        }
    }

    fn spec(&mut self, id: &str, value: &Value) {
        let text: Vec<String> = redis::from_redis_value_ref(value).expect("a spec");
        let mut lines = text[0].splitn(4, '\n');
        let (head, digest, _options, payload) = (lines.next(), lines.next(), lines.next(), lines.next());
        let task = self.tasks.entry(id.to_owned()).or_default();
        let mut put =
            |name: &str, value: &str| _ = task.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        put("digest", digest.unwrap_or_default());
        put("payload", payload.unwrap_or_default());
        for (name, value) in head.unwrap_or_default().split(' ').filter_map(|word| word.split_once('=')) {
            put(name, value);
        }
    }

    /// What the record says goes before what was submitted, and the lease before what is left of an earlier one.
    fn record(&mut self, id: &str, value: &Value) {
        let fields = pairs(value);
        let task = self.tasks.entry(id.to_owned()).or_default();
        for (name, value) in fields.iter().filter(|(name, _)| name != "lease") {
            task.insert(name.clone(), value.clone());
        }
        if let Some((_, lease)) = fields.iter().find(|(name, _)| name == "lease") {
            for (name, word) in ["attempt", "node", "started_at", "score"].into_iter().zip(lease.split(' ')) {
                task.insert(name.to_owned(), word.to_owned());
            }
        }
    }

    fn tasks(&mut self) {
        for (id, mut fields) in std::mem::take(&mut self.tasks) {
            // A place that is not taken now shows when the task returns to it.
            fields.remove("score");
            fields.remove("type");
            fields.retain(|name, value| name != "priority" || value != "normal");
            fields.entry("weight".to_owned()).or_insert_with(|| "1".to_owned());
            let state = fields.entry("state".to_owned()).or_insert_with(|| "pending".to_owned()).clone();
            let reason = match state.as_str() {
                "running" => "claimed",
                "completed" => "completed",
                _ => "submitted",
            };
            fields.entry("reason".to_owned()).or_insert_with(|| reason.to_owned());
            for (name, value) in fields {
                let value = self.value(&name, &value);
                self.view.put(format!("task {id} {name}"), value);
            }
        }
    }
}

fn pairs(value: &Value) -> Pairs {
    let words: Vec<String> = redis::from_redis_value_ref(value).expect("a list of words");
    words.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
}

/// Entries of a log of finished tasks; their fields come in any order.
fn log(value: &Value) -> String {
    let entries: Vec<(String, Pairs)> = redis::from_redis_value_ref(value).expect("a log");
    let lists = |mut fields: Pairs| {
        fields.sort();
        fields.into_iter().map(|(name, ids)| format!("{name}={ids}")).collect::<Vec<_>>().join(",")
    };
    entries.into_iter().map(|(_, fields)| lists(fields)).collect::<Vec<_>>().join("; ")
}

/// A moment of an answer, by the model's clock.
pub(super) fn moment(at: Option<Micros>, ahead: i64) -> Option<Moment> {
    at.map(|at| at.0 + ahead)
}
