-- Submits tasks. Submitting one again is one task; other content under its id is a conflict.
--   transition: none>pending submitted
--   transition: none>scheduled submitted
-- KEYS   the queue's fixed keys (lua/queue.lua)
-- ARGV   by, partitions of the queue, n, k, then for each of k kinds what its tasks have in common: type, priority,
--        tenant, weight, start ('' now, '+us' after, '@us' at), expiry ('' never, '+us', '@us'), batch, concurrency
--        key, options; then for each of n tasks: number of its kind, from 1, id, digest (empty: id made new), payload
-- reply  for each task: 'pending' | 'scheduled' | 'duplicate STATE' | 'conflict STATE' | 'full';
--        the error DIVIDED if the queue has another number of partitions: then tasks may belong to another one
-- events one entry
-- cost   about 12 commands a call, and 1 for each task that has a start, an expiry or a concurrency key
-- At maxmemory it is refused before it changed anything: its first write is no freeing command.

if meta[5] and meta[5] ~= ARGV[2] then return redis.error_reply('DIVIDED into ' .. meta[5] .. ' partitions') end

local n, k = tonumber(ARGV[3]), tonumber(ARGV[4])
local PER_KIND, PER_TASK = 9, 4

local function moment(word)
  if word == '' then return nil end
  local value = tonumber(string.sub(word, 2))
  return string.sub(word, 1, 1) == '+' and now + value or value
end

local room = math.huge
local max_length = tonumber(meta[3])
if max_length then
  room = max_length - redis.call('ZCARD', PENDING) - redis.call('ZCARD', SCHEDULED) - redis.call('ZCARD', PARKED)
end

-- Ids of new tasks.
local ids = { pending = {}, scheduled = {} }
-- What tasks of a kind have in common: the first line of their specs, the fields of their records, and where they go.
local function kind(a)
  local task_type, priority, tenant, weight, start, expires, batch, concurrency_key, options =
    unpack(ARGV, a, a + PER_KIND - 1)
  start, expires = moment(start), moment(expires)
  local state = (start and start > now) and 'scheduled' or 'pending'
  -- The batch comes first, where a claim looks for it.
  local head = (batch ~= '' and 'batch=' .. batch .. ' ' or '') .. 'type=' .. task_type .. ' created_at=' .. now_text
  if priority ~= 'normal' and priority ~= '' then head = head .. ' priority=' .. priority end
  if tenant ~= '' then head = head .. ' tenant=' .. tenant end
  if weight ~= '1' and weight ~= '' then head = head .. ' weight=' .. weight end
  if concurrency_key ~= '' then head = head .. ' concurrency_key=' .. concurrency_key end
  -- What a claim must know before it reads the spec.
  local fields
  local function set(name, value)
    fields = fields or { 'state', state }
    fields[#fields + 1] = name
    fields[#fields + 1] = value
  end
  if concurrency_key ~= '' then set('concurrency_key', concurrency_key) end
  if expires then set('expires_at', text(expires)); upkeep_by(expires) end
  if state == 'scheduled' then set('due_at', text(start)); upkeep_by(start) end
  return { head = head .. '\n', options = '\n' .. options .. '\n', fields = fields, state = state,
    start = start and text(start), expires = expires and text(expires), batch = batch, priority = priority,
    tenant = tenant, weight = tonumber(weight) or 1,
    ids = ids[state], accepted = 0 }
end
-- By number, as the tasks say it.
local kinds = {}
for i = 1, k do kinds[text(i)] = kind(5 + (i - 1) * PER_KIND) end
local tasks = 5 + k * PER_KIND

-- Key and value of each task's spec, as if all were new.
local specs, seen, twice = {}, {}, false
for i = 1, n do
  local a = tasks + (i - 1) * PER_TASK
  local id, of = ARGV[a + 1], kinds[ARGV[a]]
  twice, seen[id] = twice or seen[id], a
  specs[2 * i - 1], specs[2 * i] = SPEC .. id, of.head .. ARGV[a + 2] .. of.options .. ARGV[a + 3]
end
-- Nearly always all are new, and one command finds that out and writes them.
local all_new = n > 0 and not twice and n <= room and redis.call('MSETNX', unpack(specs)) == 1

local reply, submitted, scheduled, expiring = {}, 0, {}, {}
local function accept(i, id, of)
  submitted = submitted + 1
  of.accepted = of.accepted + 1
  of.ids[#of.ids + 1] = id
  reply[i] = of.state
  if of.fields then redis.call('HSET', TASK .. id, unpack(of.fields)) end
  if of.state == 'scheduled' then
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
end

if all_new then
  for i = 1, n do
    local a = tasks + (i - 1) * PER_TASK
    accept(i, ARGV[a + 1], kinds[ARGV[a]])
  end
else -- some are known, or too many
  local fresh, accepted = {}, {}
  for i = 1, n do
    local a = tasks + (i - 1) * PER_TASK
    local id, digest, key = ARGV[a + 1], ARGV[a + 2], specs[2 * i - 1]
    local before, state = accepted[id], nil
    if before then -- earlier in this very call
      before, state = ARGV[before + 2], kinds[ARGV[before]].state
    elseif redis.call('EXISTS', key) == 1 then
      before = string.match(redis.call('GETRANGE', key, 0, 4095), '^[^\n]*\n([^\n]*)')
      state = redis.call('HGET', TASK .. id, 'state') or 'pending'
    end
    if state then
      reply[i] = ((digest == '' or before == digest) and 'duplicate ' or 'conflict ') .. state
    elseif room <= submitted then
      reply[i] = 'full'
    else
      accepted[id] = a
      fresh[#fresh + 1], fresh[#fresh + 2] = key, specs[2 * i]
      accept(i, id, kinds[ARGV[a]])
    end
  end
  if #fresh > 0 then redis.call('MSET', unpack(fresh)) end
end
if submitted > 0 then count('submitted', submitted) end
for _, of in pairs(kinds) do
  if of.batch ~= '' and of.accepted > 0 then count_in_batch(of.batch, 'total', of.accepted) end
end
local function note_new(state)
  if #ids[state] > 0 then note_as('none>' .. state .. ' submitted', table.concat(ids[state], '#0 ') .. '#0') end
end
note_new('pending')
note_new('scheduled')
if #scheduled > 0 then
  redis.call('ZADD', SCHEDULED, unpack(scheduled))
  -- One waiting node must learn of the new moment; the others hear of it with their next beat.
  redis.call('ZADD', BELL, 0, 'ring')
end
if #expiring > 0 then redis.call('ZADD', EXPIRING, unpack(expiring)) end
commit(ARGV[1])
return reply
