//! Time travel for the gateway's keys: moments are words of packed fields, scores, parts of names, and times to live.

use std::time::Duration;

use crate::scene::Scene;

/// Moves every moment that the gateway knows. Answers the server's time.
const SHIFT_GATE: &str = r#"
local prefix, by = ARGV[1], tonumber(ARGV[2])
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local function moved(text, places)
  local words = {}
  for word in string.gmatch(text, '%S+') do words[#words + 1] = word end
  for _, i in ipairs(places) do
    if tonumber(words[i]) and tonumber(words[i]) > 0 then words[i] = string.format('%.0f', tonumber(words[i]) - by) end
  end
  return table.concat(words, ' ')
end
for name, places in pairs({ buckets = { 1, 9, 10, 11, 12, 13, 14, 15, 16, 17 }, breakers = { 3, 7 }, cooldowns = { 1 },
  live = { 1 }, learned = { 4 } }) do
  local all = redis.call('HGETALL', prefix .. name)
  for i = 1, #all, 2 do redis.call('HSET', prefix .. name, all[i], moved(all[i + 1], places)) end
end
local open = redis.call('ZRANGE', prefix .. 'deadlines', 0, -1, 'WITHSCORES')
for i = 1, #open, 2 do redis.call('ZADD', prefix .. 'deadlines', string.format('%.0f', open[i + 1] - by), open[i]) end
for _, key in ipairs(redis.call('KEYS', prefix .. 'waiting:*')) do
  local line = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  local ttl = redis.call('PTTL', key)
  redis.call('DEL', key)
  for i = 1, #line, 2 do
    redis.call('ZADD', key, string.format('%.0f', line[i + 1] - by / 1000), moved(line[i], { 5, 6 }))
  end
  redis.call('PEXPIRE', key, string.format('%.0f', ttl))
end
for _, what in ipairs({ 'waiting', 'flight', 'cache', 'landed' }) do
  for _, key in ipairs(redis.call('KEYS', prefix .. what .. ':*')) do
    local ttl = redis.call('PTTL', key)
    if ttl >= 0 then redis.call('PEXPIRE', key, string.format('%.0f', math.max(0, ttl - math.floor(by / 1000)))) end
  end
end
for _, use in ipairs(redis.call('ZRANGE', prefix .. 'budget-uses', 0, -1)) do
  local scope, window, every = string.match(use, '^(.*) (%S+) (%d+)$')
  every = tonumber(every)
  if every > 0 then
    local windows = math.floor((now + by) / every) - math.floor(now / every)
    local old, new = tonumber(window), string.format('%.0f', tonumber(window) - windows)
    if windows ~= 0 then
      local from, to = prefix .. 'spent:' .. scope .. ':' .. window, prefix .. 'spent:' .. scope .. ':' .. new
      redis.call('RENAME', from, to)
      redis.call('ZADD', prefix .. 'budget-uses', redis.call('ZSCORE', prefix .. 'budget-uses', use),
        scope .. ' ' .. new .. ' ' .. string.format('%.0f', every))
      redis.call('ZREM', prefix .. 'budget-uses', use)
      local calls = redis.call('HGETALL', prefix .. 'calls')
      for i = 1, #calls, 2 do
        local at, past = string.find(calls[i + 1], '"' .. from .. '"', 1, true)
        if at then
          local text = string.sub(calls[i + 1], 1, at) .. to .. string.sub(calls[i + 1], past)
          redis.call('HSET', prefix .. 'calls', calls[i], text)
        end
      end
    end
  end
end
return string.format('%.0f', now)
"#;

impl Scene {
    /// Time passes for the gateway: everything that it remembers is that much older. Negative: the server's clock was
    /// set back. Answers the server's time, microseconds.
    pub(crate) async fn pass_gate(&self, micros: i64) -> i64 {
        let prefix = self.store.keys().gate_key("");
        self.lua::<String>(SHIFT_GATE, &[&prefix, &micros.to_string()]).await.parse().expect("a moment")
    }

    /// Time passes for the gateway.
    pub(crate) async fn pass_gate_for(&self, time: Duration) {
        self.pass_gate(i64::try_from(time.as_micros()).expect("some days at most")).await;
    }

    /// The server's time, microseconds.
    pub(crate) async fn server_time(&self) -> i64 {
        self.store.now().await.expect("time").0
    }
}
