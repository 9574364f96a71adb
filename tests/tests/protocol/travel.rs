//! Time travel: the clock is Redis's and cannot be set, so everything that Redis remembers is moved into the past.

use std::time::Duration;

use crate::scene::Scene;

/// Moves every moment of a queue back: scores, fields and the ids of stream entries.
const SHIFT: &str = r"
local prefix, by, outage = ARGV[1], tonumber(ARGV[2]), ARGV[3]
for _, name in ipairs({ 'running', 'scheduled', 'expiring', 'dead', 'batches', 'blocked' }) do
  local all = redis.call('ZRANGE', prefix .. name, 0, -1, 'WITHSCORES')
  for i = 1, #all, 2 do
    if tonumber(all[i + 1]) > 0 then redis.call('ZADD', prefix .. name, tonumber(all[i + 1]) - by, all[i]) end
  end
end
local function shift_fields(key, names)
  for i, value in ipairs(redis.call('HMGET', key, unpack(names))) do
    if value and tonumber(value) > by then redis.call('HSET', key, names[i], tonumber(value) - by) end
  end
end
for _, key in ipairs(redis.call('KEYS', prefix .. 'task:*')) do
  shift_fields(key, { 'started_at', 'finished_at', 'due_at', 'expires_at', 'unknown_since' })
  local lease = redis.call('HGET', key, 'lease')
  local attempt, node, started_at, rest = string.match(lease or '', '^(%d+) (%S+) (%d+) (.*)$')
  if attempt then
    local moved = string.format('%.0f', tonumber(started_at) - by)
    redis.call('HSET', key, 'lease', attempt .. ' ' .. node .. ' ' .. moved .. ' ' .. rest)
  end
end
for _, key in ipairs(redis.call('KEYS', prefix .. 'spec:*')) do
  local spec = redis.call('GET', key)
  local from, to, moment = string.find(spec, 'created_at=(%d+)')
  if from then
    local moved = 'created_at=' .. string.format('%.0f', tonumber(moment) - by)
    redis.call('SET', key, string.sub(spec, 1, from - 1) .. moved .. string.sub(spec, to + 1))
  end
end
for _, key in ipairs(redis.call('KEYS', prefix .. 'batch:*')) do shift_fields(key, { 'created_at' }) end
shift_fields(prefix .. 'stats', { 'upkeep_at', 'recover_after' })
for _, key in ipairs(redis.call('KEYS', prefix .. 'claimed:*')) do
  local left = redis.call('PTTL', key) - by / 1000
  if left > 0 then redis.call('PEXPIRE', key, left) else redis.call('DEL', key) end
end
local seen_at = ''
if outage == 'outage' then
  shift_fields(prefix .. 'stats', { 'seen_at' })
else
  local clock = redis.call('TIME')
  seen_at = string.format('%.0f', clock[1] * 1000000 + clock[2])
  redis.call('HSET', prefix .. 'stats', 'seen_at', seen_at)
end
local streams = redis.call('KEYS', prefix .. 'batch-finished:*')
streams[#streams + 1] = prefix .. 'finished'
streams[#streams + 1] = prefix .. 'events'
for _, key in ipairs(streams) do
  local entries = redis.call('XRANGE', key, '-', '+')
  redis.call('DEL', key)
  for _, entry in ipairs(entries) do
    local ms, seq = string.match(entry[1], '^(%d+)-(%d+)$')
    redis.call('XADD', key, string.format('%.0f', tonumber(ms) - by / 1000) .. '-' .. seq, unpack(entry[2]))
  end
end
return seen_at
";

/// Gives every lease of a queue a deadline that is over.
const LAPSE_ALL: &str = r"
for _, id in ipairs(redis.call('ZRANGE', ARGV[1], 0, -1)) do redis.call('ZADD', ARGV[1], 'XX', 1, id) end
";

impl Scene {
    /// Time passes while other nodes go on speaking to Redis (so that a slow test is not taken for an outage).
    pub(crate) async fn pass(&self, time: Duration) {
        self.shift(time, "").await;
    }

    pub(crate) async fn pass_seconds(&self, seconds: u64) {
        self.pass(Duration::from_secs(seconds)).await;
    }

    /// Time passes while Redis is away: no script runs.
    pub(crate) async fn outage(&self, seconds: u64) {
        self.shift(Duration::from_secs(seconds), "outage").await;
    }

    /// Tells when the others spoke last, by the clock of Redis; nothing after an outage.
    pub(crate) async fn shift(&self, time: Duration, how: &str) -> String {
        self.lua(SHIFT, &[&self.key(""), &time.as_micros().to_string(), how]).await
    }

    /// One task's lease runs out, and the next call looks.
    pub(crate) async fn lapse(&self, name: &str) {
        self.redis::<()>(&["ZADD", &self.key("running"), "XX", "1", name]).await;
        self.pass(Duration::ZERO).await;
        self.upkeep_now().await;
    }

    /// Every lease runs out, and the next call looks.
    pub(crate) async fn lapse_all(&self) {
        self.lua::<()>(LAPSE_ALL, &[&self.key("running")]).await;
        self.upkeep_now().await;
    }

    /// The next call of a node does the upkeep.
    pub(crate) async fn upkeep_now(&self) {
        self.redis::<()>(&["HSET", &self.key("stats"), "upkeep_at", "0"]).await;
    }
}
