-- Sets or clears settings of a queue (paused, limits, retention) and wakes a node if work may go on.
--   transition: parked>pending unparked
-- KEYS   the queue's fixed keys (lua/queue.lua)
-- ARGV   by, then pairs: setting, value ('' clears it)
--        The setting `partitions` divides the queue; only that of its first partition counts
-- reply  'ok', or why it cannot be divided: 'divided' (differently, already) | 'in use'
-- events one entry if parked tasks went on
-- cost   1 command a setting

redis.call('ZREM', RUNNING, '') -- frees nothing, but lets the script pass at maxmemory: pausing must work then
local tasks = task_helpers()
-- A task never changes its partition, so a queue is divided while it has none, and once.
local function why_not(count)
  local is = redis.call('HGET', META, 'partitions') or '1'
  if is == count then return nil end
  if is ~= '1' then return 'divided' end
  for _, place in ipairs({ PENDING, RUNNING, SCHEDULED, PARKED, BLOCKED, DEAD }) do
    if redis.call('ZCARD', place) > 0 then return 'in use' end
  end
  return redis.call('XLEN', FINISHED) > 0 and 'in use' or nil
end
for i = 2, #ARGV, 2 do
  local why = ARGV[i] == 'partitions' and why_not(ARGV[i + 1])
  if why then return why end
end
for i = 2, #ARGV, 2 do
  if ARGV[i + 1] == '' then
    redis.call('HDEL', META, ARGV[i])
  else
    redis.call('HSET', META, ARGV[i], ARGV[i + 1])
  end
end
local m = redis.call('HMGET', META, 'paused', 'concurrency')
paused, concurrency, ring = m[1] == '1', tonumber(m[2]), true
upkeep_at = 0
-- Parked tasks try again under the new limit; those that are still over it are parked again when claimed.
tasks.key_concurrency = tonumber(redis.call('HGET', META, 'key_concurrency')) or 1
for _, id in ipairs(redis.call('ZRANGE', PARKED, 0, STEP - 1)) do
  local concurrency_key = redis.call('HGET', TASK .. id, 'concurrency_key')
  if concurrency_key and redis.call('ZSCORE', PARKED, id) then
    local running = tonumber(redis.call('HGET', KEY_COUNTS, concurrency_key)) or 0
    if running < tasks.key_concurrency then tasks.unpark_first(concurrency_key, tasks.key_concurrency - running) end
  end
end
commit(ARGV[1])
return 'ok'
