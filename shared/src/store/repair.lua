-- Puts right what the audit finds, each task as it is at that moment: one that is in no place or in a wrong one, and the
-- counts kept beside them. Told to look, it changes nothing and says the same.
--   transition: running>pending lease_expired
--   transition: parked>pending unparked
--   transition: pending>none purged
--   transition: scheduled>none purged
--   transition: parked>none purged
--   transition: blocked>none purged
--   transition: completed>none purged
--   transition: failed>none purged
--   transition: cancelled>none purged
--   transition: expired>none purged
-- KEYS   the queue's fixed keys (lua/queue.lua)
-- ARGV   by, 'look' | 'do', then one of: 'tasks', id ... | 'keys' (the counts of all concurrency keys) | 'batch', batch,
--        its counters total, completed, failed, cancelled, expired as they were while its tasks were counted, then as
--        they must be
-- reply  for each repair: the task, concurrency key or batch, and words; a batch that moved meanwhile is left alone
-- events one entry if a task went on or was deleted
-- cost   about 12 commands a task; for the keys, one for each task that runs

local by, doing, what = ARGV[1], ARGV[2] == 'do', ARGV[3]
if doing then redis.call('ZREM', RUNNING, '') end -- frees nothing, but lets the script pass at maxmemory
local tasks = task_helpers()
local NAMES = { 'pending', 'running', 'scheduled', 'parked', 'failed', 'blocked' }
local PLACE = { pending = PENDING, running = RUNNING, scheduled = SCHEDULED, parked = PARKED, failed = DEAD,
  blocked = BLOCKED }
local FINAL = { completed = true, failed = true, cancelled = true, expired = true }
local told = {}
local function repair(subject, words, change)
  told[#told + 1] = { subject, words }
  if doing then change() end
end

local function leave(name, id, concurrency_key)
  redis.call('ZREM', PLACE[name], id)
  if name == 'parked' then tasks.unpark(id, concurrency_key) end
end

-- What its spec said is gone: nobody can run it, nor read what it was.
local function delete(id, state, concurrency_key)
  for _, name in ipairs(NAMES) do leave(name, id, concurrency_key) end
  redis.call('ZREM', EXPIRING, id)
  redis.call('UNLINK', TASK .. id, SPEC .. id)
  if state == 'running' and concurrency_key then tasks.release_key(concurrency_key) end
  if state == 'pending' then tasks.pass_on(concurrency_key) end
  if PLACE[state] and state ~= 'running' or FINAL[state] then tasks.note(state, 'none', 'purged', id) end
end

-- Whether it ever ended is not known: it does not run again unless a person says so.
local function bury(id)
  redis.call('HDEL', TASK .. id, 'lease')
  redis.call('HSET', TASK .. id, 'state', 'failed', 'reason', 'failed', 'finished_at', now_text, 'error',
    cjson.encode({ class = 'undecodable', message = 'its state could not be read, and `doctor --repair` put it here' }))
  dead_letters[#dead_letters + 1] = now
  dead_letters[#dead_letters + 1] = id
  count('failed', 1)
  finished('failed', id, tasks.batch_of(id))
end

-- No attempt that is under way may settle it any more: its number goes on from all that is known of.
local function end_lost_lease(id, concurrency_key)
  local t = redis.call('HMGET', TASK .. id, 'attempt', 'retries', 'crashes', 'interruptions', 'waits', 'score', 'priority')
  local known = (tonumber(t[2]) or 0) + (tonumber(t[3]) or 0) + (tonumber(t[4]) or 0) + (tonumber(t[5]) or 0)
  local attempt = math.max(tonumber(t[1]) or 0, known) + 1
  redis.call('ZREM', RUNNING, id)
  redis.call('HDEL', TASK .. id, 'lease')
  redis.call('HSET', TASK .. id, 'state', 'pending', 'reason', 'lease_expired', 'attempt', attempt,
    'crashes', (tonumber(t[3]) or 0) + 1)
  if concurrency_key then tasks.release_key(concurrency_key) end
  tasks.note('running', 'pending', 'lease_expired', id, attempt)
  make_pending(id, tasks.kept_score(id, t[6], t[7]))
end

local function park(id, concurrency_key, score, priority)
  if not concurrency_key then
    redis.call('ZREM', PARKED, id)
    redis.call('HSET', TASK .. id, 'state', 'pending', 'reason', 'unparked')
    tasks.note('parked', 'pending', 'unparked', id)
    return make_pending(id, tasks.kept_score(id, score, priority))
  end
  local at = redis.call('ZSCORE', PARKED, id) or score_text(tasks.kept_score(id, score, priority))
  redis.call('ZADD', PARKED, at, id)
  redis.call('ZADD', tasks.parked_key(concurrency_key), at, id)
  tasks.pass_on(concurrency_key)
end

-- Puts it where its state says.
local PUT = {
  pending = function(id, t) make_pending(id, tasks.kept_score(id, t.score, t.priority)) end,
  -- Its node, if it lives, has one lease to extend it; then it is recovered.
  running = function(id)
    redis.call('ZADD', RUNNING, text(now + longest_lease), id)
    upkeep_by(now + longest_lease)
  end,
  scheduled = function(id, t)
    local due = tonumber(t.due_at) or now
    redis.call('ZADD', SCHEDULED, text(due), id)
    upkeep_by(due)
  end,
  failed = function(id, t) redis.call('ZADD', DEAD, t.finished_at or now_text, id) end,
  blocked = function(id) redis.call('ZADD', BLOCKED, now_text, id) end,
}

local function look_at_state(id, state, t, there)
  if PUT[state] and not there[state] then
    repair(id, 'put it back into `' .. state .. '`', function() PUT[state](id, t) end)
  end
  if state == 'parked' and
    not (there.parked and t.key and redis.call('ZSCORE', tasks.parked_key(t.key), id)) then
    repair(id, 'park it again, or let it go on', function() park(id, t.key, t.score, t.priority) end)
  end
  if state == 'running' and not string.find(t.lease or '', '^%d+ %S+ %d+ ') then
    repair(id, 'end its attempt, whose lease is lost, and put it into `pending`', function() end_lost_lease(id, t.key) end)
  end
  if not PLACE[state] and not FINAL[state] then
    repair(id, 'put it into the dead letter, since its state `' .. state .. '` is unknown', function() bury(id) end)
  end
end

local function look_at_task(id)
  local h = redis.call('HMGET', TASK .. id, 'state', 'lease', 'concurrency_key', 'finished_at', 'due_at', 'score',
    'priority')
  local spec, has_spec = tasks.spec_of(id), redis.call('EXISTS', SPEC .. id) == 1
  local t = { lease = h[2], key = h[3] or spec.concurrency_key, finished_at = h[4], due_at = h[5], score = h[6],
    priority = h[7] }
  local state = h[1] or has_spec and 'pending' or nil
  if (has_spec or redis.call('EXISTS', TASK .. id) == 1) and not spec.type then
    return repair(id, 'delete it (`' .. (state or 'no state') .. '`): its payload is gone or cannot be read', function()
      delete(id, state, t.key)
    end)
  end
  local there = {}
  for _, name in ipairs(NAMES) do
    if redis.call('ZSCORE', PLACE[name], id) then
      there[name] = true
      if name ~= state then
        repair(id, 'remove it from `' .. name .. '`', function() leave(name, id, t.key) end)
      end
    end
  end
  if not state then return end
  if t.key and not h[3] then
    repair(id, 'note its concurrency key in its record', function()
      redis.call('HSET', TASK .. id, 'state', state, 'concurrency_key', t.key)
    end)
  end
  if FINAL[state] and not t.finished_at then
    repair(id, 'note that it finished now', function() redis.call('HSET', TASK .. id, 'finished_at', now_text) end)
  end
  look_at_state(id, state, t, there)
  flush_pending()
end

local function count_keys()
  local runs, keys = {}, {}
  for _, id in ipairs(redis.call('ZRANGE', RUNNING, 0, -1)) do
    local t = redis.call('HMGET', TASK .. id, 'state', 'concurrency_key')
    if t[1] == 'running' and t[2] then runs[t[2]] = (runs[t[2]] or 0) + 1 end
  end
  local counted, flat = {}, redis.call('HGETALL', KEY_COUNTS)
  for i = 1, #flat, 2 do counted[flat[i]] = tonumber(flat[i + 1]) or -1; keys[flat[i]] = true end
  for key in pairs(runs) do keys[key] = true end
  for key in pairs(keys) do
    local is, was = runs[key] or 0, counted[key] or 0
    if is ~= was or was == 0 and counted[key] then
      repair(key, 'count ' .. is .. ' running tasks of this concurrency key, not ' .. was, function()
        if is == 0 then redis.call('HDEL', KEY_COUNTS, key) else redis.call('HSET', KEY_COUNTS, key, is) end
        tasks.pass_on(key)
      end)
    end
  end
end

local function count_batch(batch)
  local NAMED = { 'total', 'completed', 'failed', 'cancelled', 'expired' }
  local is, set, open = redis.call('HMGET', batch_key(batch), unpack(NAMED)), {}, nil
  for i, name in ipairs(NAMED) do
    if (tonumber(is[i]) or 0) ~= tonumber(ARGV[4 + i]) then return end
    local n = tonumber(ARGV[9 + i])
    open = open and open - n or n
    set[#set + 1] = name
    set[#set + 1] = n
  end
  repair(batch, 'count its tasks anew: ' .. ARGV[10] .. ' in all, ' .. open .. ' open', function()
    redis.call('HSET', batch_key(batch), unpack(set))
    local ended = tonumber(redis.call('ZSCORE', BATCHES, batch) or '0')
    redis.call('ZADD', BATCHES, open > 0 and '0' or ended > 0 and text(ended) or now_text, batch)
  end)
end

if what == 'tasks' then
  for i = 4, #ARGV do look_at_task(ARGV[i]) end
elseif what == 'keys' then
  count_keys()
else
  count_batch(ARGV[4])
end
if doing and #told > 0 then commit(by) end
return told
