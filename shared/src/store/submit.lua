-- Submits tasks. Submitting one again is one task; other content under its id is a conflict.
--   transition: none>pending submitted
--   transition: none>scheduled submitted
-- KEYS   the queue's fixed keys (lua/queue.lua)
-- ARGV   by, partitions of the queue, n, k, then for each of k kinds what its tasks have in common: type, priority, tenant, weight,
--        start ('' now, '+us' after, '@us' at), expiry ('' never, '+us', '@us'), batch, concurrency key, options;
--        then for each of n tasks: number of its kind, from 1, id, digest (empty: id made new), payload
-- reply  for each task: 'pending' | 'scheduled' | 'duplicate STATE' | 'conflict STATE' | 'full';
--        the error DIVIDED if the queue has another number of partitions: then tasks may belong to another one
-- events one entry
-- cost   about 12 commands a call, and 1 for each task that has a start, an expiry or a concurrency key
-- At maxmemory it is refused before it changed anything: its first write is no freeing command.

if meta[9] and meta[9] ~= ARGV[2] then return redis.error_reply('DIVIDED into ' .. meta[9] .. ' partitions') end

local n, k = tonumber(ARGV[3]), tonumber(ARGV[4])
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
  -- The batch comes first, where a claim looks for it.
  local words, fields = {}, {}
  local function say(name, value, default)
    if value ~= '' and value ~= default then words[#words + 1] = name .. '=' .. value end
  end
  say('batch', ARGV[a + 6])
  say('type', ARGV[a])
  say('created_at', now_text)
  say('priority', ARGV[a + 1], 'normal')
  say('tenant', ARGV[a + 2])
  say('weight', ARGV[a + 3], '1')
  say('concurrency_key', ARGV[a + 7])
  local function set(name, value)
    fields[#fields + 1] = name
    fields[#fields + 1] = value
  end
  -- What a claim must know before it reads the spec.
  if ARGV[a + 7] ~= '' then set('concurrency_key', ARGV[a + 7]) end
  if expires then set('expires_at', text(expires)); upkeep_by(expires) end
  if state == 'scheduled' then set('due_at', text(start)); upkeep_by(start) end
  if #fields > 0 then set('state', state) end
  return { head = table.concat(words, ' ') .. '\n', options = '\n' .. ARGV[a + 8] .. '\n', fields = fields, state = state,
    start = start and text(start), expires = expires and text(expires), batch = ARGV[a + 6], priority = ARGV[a + 1],
    tenant = ARGV[a + 2], weight = tonumber(ARGV[a + 3]) or 1, move = 'none>' .. state .. ' submitted' }
end
local kinds = {}
for i = 1, k do kinds[i] = kind(5 + (i - 1) * KIND) end
local tasks = 5 + k * KIND

local keys = {}
for i = 1, n do keys[i] = spec_key(ARGV[tasks + (i - 1) * TASK + 1]) end
local all_new = n == 0 or redis.call('EXISTS', unpack(keys)) == 0
local seen, reply, specs, scheduled, expiring = {}, {}, {}, {}, {}

local function known(id, key, digest)
  local before, state = seen[key], nil
  if before then -- earlier in this very call
    before, state = ARGV[before + 2], kinds[tonumber(ARGV[before])].state
  else
    before, state = string.match(redis.call('GETRANGE', key, 0, 4095), '^[^\n]*\n([^\n]*)'), (look(id))
  end
  local same = digest == '' or before == digest
  return (same and 'duplicate ' or 'conflict ') .. state
end

local submitted, ns = 0, 0
for i = 1, n do
  local a, key = tasks + (i - 1) * TASK, keys[i]
  local id, digest = ARGV[a + 1], ARGV[a + 2]
  if seen[key] or not all_new and redis.call('EXISTS', key) == 1 then
    reply[i] = known(id, key, digest)
  elseif room <= submitted then
    reply[i] = 'full'
  else
    seen[key] = a
    submitted = submitted + 1
    local of = kinds[tonumber(ARGV[a])]
    specs[ns + 1], specs[ns + 2] = key, of.head .. digest .. of.options .. ARGV[a + 3]
    ns = ns + 2
    if #of.fields > 0 then redis.call('HSET', task_key(id), unpack(of.fields)) end
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
if ns > 0 then redis.call('MSET', unpack(specs)) end
if #scheduled > 0 then
  redis.call('ZADD', K.scheduled, unpack(scheduled))
  -- One waiting node must learn of the new moment; the others hear of it with their next beat.
  redis.call('ZADD', K.bell, 0, 'ring')
end
if #expiring > 0 then redis.call('ZADD', K.expiring, unpack(expiring)) end
commit(ARGV[1])
return reply
