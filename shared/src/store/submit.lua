-- Submits tasks. Submitting one again is one task; other content under its id is a conflict.
--   transition: none>pending submitted
--   transition: none>scheduled submitted
-- KEYS   the queue's fixed keys (lua/queue.lua)
-- ARGV   by, n, k, then for each of k kinds what its tasks have in common: type, priority, tenant, weight,
--        start ('' now, '+us' after, '@us' at), expiry ('' never, '+us', '@us'), batch, concurrency key, options;
--        then for each of n tasks: number of its kind, from 1, id, digest (empty: id made new), payload
-- reply  for each task: 'pending' | 'scheduled' | 'duplicate STATE' | 'conflict STATE' | 'full'
-- events one entry
-- cost   2 commands a task and about 12 a call
-- At maxmemory it is refused before it changed anything: its first write is no freeing command.

redis.call('HSET', K.stats, 'seen_at', now)
local n, k = tonumber(ARGV[2]), tonumber(ARGV[3])
local KIND, TASK = 9, 4

local function moment(word)
  local mark = string.sub(word, 1, 1)
  if mark == '' then return nil end
  local value = tonumber(string.sub(word, 2))
  return mark == '+' and now + value or value
end

local room = math.huge
local max_length = tonumber(meta[4])
if max_length then
  room = max_length - redis.call('ZCARD', K.pending) - redis.call('ZCARD', K.scheduled) - redis.call('ZCARD', K.parked)
end

-- What tasks of a kind have in common: the fields of their records, and where they go.
local function kind(a)
  local start, expires = moment(ARGV[a + 4]), moment(ARGV[a + 5])
  local state = (start and start > now) and 'scheduled' or 'pending'
  local fields = { 'type', ARGV[a], 'state', state, 'created_at', now_text }
  local function set(name, value, default)
    if value and value ~= '' and value ~= default then
      fields[#fields + 1] = name
      fields[#fields + 1] = value
    end
  end
  set('priority', ARGV[a + 1], 'normal')
  set('tenant', ARGV[a + 2])
  set('weight', ARGV[a + 3], '1')
  set('batch', ARGV[a + 6])
  set('concurrency_key', ARGV[a + 7])
  set('options', ARGV[a + 8])
  set('expires_at', expires and text(expires))
  if state == 'scheduled' then
    set('due_at', text(start))
    upkeep_by(start)
  end
  if expires then upkeep_by(expires) end
  return { state = state, start = start and text(start), expires = expires and text(expires), fields = fields, n = #fields,
    batch = ARGV[a + 6], priority = ARGV[a + 1], tenant = ARGV[a + 2], weight = tonumber(ARGV[a + 3]) or 1,
    move = 'none>' .. state .. ' submitted' }
end
local kinds = {}
for i = 1, k do kinds[i] = kind(4 + (i - 1) * KIND) end
local tasks = 4 + k * KIND

local keys = {}
for i = 1, n do keys[i] = task_key(ARGV[tasks + (i - 1) * TASK + 1]) end
local all_new = n == 0 or redis.call('EXISTS', unpack(keys)) == 0
local seen, reply, payloads, scheduled, expiring = {}, {}, {}, {}, {}

local function known(key, digest)
  local t = redis.call('HMGET', key, 'state', 'digest')
  local same = digest == '' or (t[2] or '') == digest
  return (same and 'duplicate ' or 'conflict ') .. t[1]
end

local submitted, np = 0, 0
for i = 1, n do
  local a, key = tasks + (i - 1) * TASK, keys[i]
  local id, digest = ARGV[a + 1], ARGV[a + 2]
  if seen[key] or not all_new and redis.call('EXISTS', key) == 1 then
    reply[i] = known(key, digest)
  elseif room <= submitted then
    reply[i] = 'full'
  else
    seen[key] = true
    submitted = submitted + 1
    local of = kinds[tonumber(ARGV[a])]
    local fields, k = of.fields, of.n
    if digest == '' then
      redis.call('HSET', key, unpack(fields, 1, k))
    else
      fields[k + 1], fields[k + 2] = 'digest', digest
      redis.call('HSET', key, unpack(fields, 1, k + 2))
    end
    payloads[np + 1], payloads[np + 2] = payload_key(id), ARGV[a + 3]
    np = np + 2
    if of.start and of.state == 'scheduled' then
      scheduled[#scheduled + 1] = of.start
      scheduled[#scheduled + 1] = id
    else
      of.turn = of.turn or turn_of(of.priority, of.tenant)
      make_pending(id, take_turn(of.turn, of.weight))
    end
    if of.expires then
      expiring[#expiring + 1] = of.expires
      expiring[#expiring + 1] = id
    end
    if of.batch ~= '' then count_in_batch(of.batch, 'total', 1) end
    note_as(of.move, id .. '#0')
    reply[i] = of.state
  end
end
if submitted > 0 then count('submitted', submitted) end
if #payloads > 0 then redis.call('MSET', unpack(payloads)) end
if #scheduled > 0 then
  redis.call('ZADD', K.scheduled, unpack(scheduled))
  -- One waiting node must learn of the new moment; the others hear of it with their next beat.
  redis.call('ZADD', K.bell, 0, 'ring')
end
if #expiring > 0 then redis.call('ZADD', K.expiring, unpack(expiring)) end
commit(ARGV[1])
return reply
