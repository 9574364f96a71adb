-- Submits tasks. Submitting one again is one task; other content under its id is a conflict.
--   transition: none>pending submitted
--   transition: none>scheduled submitted
-- KEYS   the queue's fixed keys (lua/queue.lua)
-- ARGV   by, n, then for each task: id, digest (empty: id made new), type, payload, priority, tenant, weight,
--        start ('' now, '+us' after, '@us' at), expiry ('' never, '+us', '@us'), batch, concurrency key, options
-- reply  for each task: 'pending' | 'scheduled' | 'duplicate STATE' | 'conflict STATE' | 'full'
-- events one entry
-- cost   2 commands a task and about 12 a call
-- At maxmemory it is refused before it changed anything: its first write is no freeing command.

redis.call('HSET', K.stats, 'seen_at', now)
local n = tonumber(ARGV[2])
local FIELDS = 12

local function moment(text)
  local mark = string.sub(text, 1, 1)
  if mark == '' then return nil end
  local value = tonumber(string.sub(text, 2))
  return mark == '+' and now + value or value
end

local room = math.huge
local max_length = tonumber(meta[4])
if max_length then
  room = max_length - redis.call('ZCARD', K.pending) - redis.call('ZCARD', K.scheduled) - redis.call('ZCARD', K.parked)
end

local keys = {}
for i = 1, n do keys[i] = task_key(ARGV[3 + (i - 1) * FIELDS]) end
local all_new = n == 0 or redis.call('EXISTS', unpack(keys)) == 0
local seen, reply, payloads, scheduled, expiring, batches = {}, {}, {}, {}, {}, {}

local function known(key, digest)
  local t = redis.call('HMGET', key, 'state', 'digest')
  local same = digest == '' or (t[2] or '') == digest
  return (same and 'duplicate ' or 'conflict ') .. t[1]
end

local function store(key, a)
  local id, start, expires = ARGV[a], moment(ARGV[a + 7]), moment(ARGV[a + 8])
  local state = (start and start > now) and 'scheduled' or 'pending'
  local fields = { 'type', ARGV[a + 2], 'state', state, 'created_at', now }
  local function set(name, value, default)
    if value and value ~= '' and value ~= default then
      fields[#fields + 1] = name
      fields[#fields + 1] = value
    end
  end
  set('digest', ARGV[a + 1])
  set('priority', ARGV[a + 4], 'normal')
  set('tenant', ARGV[a + 5])
  set('weight', ARGV[a + 6], '1')
  set('batch', ARGV[a + 9])
  set('concurrency_key', ARGV[a + 10])
  set('options', ARGV[a + 11])
  set('expires_at', expires)
  if state == 'scheduled' then
    set('due_at', start)
    scheduled[#scheduled + 1] = start
    scheduled[#scheduled + 1] = id
    upkeep_by(start)
  else
    make_pending(id, fresh_score(ARGV[a + 4], ARGV[a + 5], ARGV[a + 6]))
  end
  if expires then
    expiring[#expiring + 1] = expires
    expiring[#expiring + 1] = id
    upkeep_by(expires)
  end
  redis.call('HSET', key, unpack(fields))
  payloads[#payloads + 1] = payload_key(id)
  payloads[#payloads + 1] = ARGV[a + 3]
  if ARGV[a + 9] ~= '' then count_in_batch(ARGV[a + 9], 'total', 1) end
  note('none', state, 'submitted', id, 0)
  count('submitted', 1)
  room = room - 1
  return state
end

for i = 1, n do
  local a, key = 3 + (i - 1) * FIELDS, keys[i]
  if seen[key] or not all_new and redis.call('EXISTS', key) == 1 then
    reply[i] = known(key, ARGV[a + 1])
  elseif room < 1 then
    reply[i] = 'full'
  else
    seen[key] = true
    reply[i] = store(key, a)
  end
end
if #payloads > 0 then redis.call('MSET', unpack(payloads)) end
if #scheduled > 0 then
  redis.call('ZADD', K.scheduled, unpack(scheduled))
  -- One waiting node must learn of the new moment; the others hear of it with their next beat.
  redis.call('ZADD', K.bell, 0, 'ring')
end
if #expiring > 0 then redis.call('ZADD', K.expiring, unpack(expiring)) end
commit(ARGV[1])
return reply
