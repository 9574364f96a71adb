-- Settles attempts and claims tasks for the freed slots, in one call.
--   transition: running>completed completed
--   transition: running>failed failed
--   transition: running>failed exhausted
--   transition: running>scheduled retrying
--   transition: running>scheduled unknown_type
--   transition: running>scheduled rate_limited
--   transition: running>scheduled over_budget
--   transition: running>blocked escalated
--   transition: running>pending interrupted
--   transition: running>cancelled cancelled
--   transition: pending>running claimed
--   transition: pending>parked parked
--   transition: pending>expired expired
--   transition: parked>pending unparked
-- KEYS   the queue's fixed keys (lua/queue.lua), then the node's last claim (a string with a TTL)
-- ARGV   node, nonce, lease us, want, most crashes, n, then for each attempt to settle: id, attempt,
--        state it goes to, reason, delay us, error JSON or '', result JSON or ''. The result of an attempt that did
--        not complete is its ledger (what it did so far), which the next attempt is given; when blocked, the draft
-- reply  { for each settled attempt 'ok' | 'stale' | 'gone' },
--        { for each claimed task { id, payload, attempt, { field, value, ... } as before the claim } },
--        next moment us or 0, now us
-- events one entry
-- cost   4 commands a task (2 to claim, 2 to settle) and about 15 a call
-- Only the attempt that holds the lease may settle: state, attempt number and node must match. The same nonce again
-- (the reply was lost) settles nothing twice and answers the same tasks.

local node, nonce, lease, want = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local max_crashes, n = tonumber(ARGV[5]), tonumber(ARGV[6])
local last_claim = KEYS[16]
lease_of_node(lease)

local function answer(settled, claimed, next_moment)
  -- Times leave as text: Lua's numbers become 64-bit integers in a reply, which is exact here, but text says so.
  return { settled, claimed, string.format('%.0f', next_moment), string.format('%.0f', now) }
end
local function with_payloads(claimed, ids)
  if #ids == 0 then return claimed end
  local keys = {}
  for i, id in ipairs(ids) do keys[i] = payload_key(id) end
  for i, payload in ipairs(redis.call('MGET', unpack(keys))) do claimed[i][2] = payload or '' end
  return claimed
end

local function replay(last)
  local settled, claimed, ids = {}, {}, {}
  local words, list = string.match(last, '^[^\n]*\n([^\n]*)\n(.*)$')
  for word in string.gmatch(words, '%S+') do settled[#settled + 1] = word end
  for id, attempt in string.gmatch(list, '(%S+)#(%d+)') do
    local t = redis.call('HMGET', task_key(id), 'state', 'attempt', 'node')
    if t[1] == 'running' and t[2] == attempt and t[3] == node then
      claimed[#claimed + 1] = { id, '', attempt, redis.call('HGETALL', task_key(id)) }
      ids[#ids + 1] = id
    end
  end
  return settled, with_payloads(claimed, ids)
end

local put_off = false -- something was scheduled: the node is told when, even if it wants nothing now
-- A task that goes on later: its next state depends on what happened to it meanwhile.
local WAITS = { rate_limited = true, over_budget = true }
local function put_back(id, to, reason, delay, err, result, t)
  local key = task_key(id)
  local r = redis.call('HMGET', key, 'cancel', 'retries', 'interruptions', 'score', 'priority', 'tenant', 'weight',
    'unknown_since', 'waits')
  if r[1] then return finish(id, 'running', 'cancelled', 'cancelled', t[2], t[4]) end
  local fields = { 'state', to, 'reason', reason }
  local function set(name, value) fields[#fields + 1] = name; fields[#fields + 1] = value end
  if err ~= '' then set('error', err) end
  if result ~= '' then set(to == 'blocked' and 'result' or 'ledger', result) end
  if reason == 'retrying' then set('retries', (tonumber(r[2]) or 0) + 1) end
  if reason == 'interrupted' then set('interruptions', (tonumber(r[3]) or 0) + 1) end
  if WAITS[reason] then set('waits', (tonumber(r[9]) or 0) + 1) end
  if reason == 'unknown_type' and not r[8] then set('unknown_since', now) end
  if to == 'scheduled' then
    set('due_at', now + delay)
    redis.call('ZADD', K.scheduled, now + delay, id)
    put_off = true
    upkeep_by(now + delay)
  elseif to == 'blocked' then
    redis.call('ZADD', K.blocked, now, id)
  else
    make_pending(id, kept_score(r[4], r[5], r[6], r[7]))
  end
  redis.call('HSET', key, unpack(fields))
  note('running', to, reason, id, t[2])
end

local function unless_empty(...)
  local fields, given = {}, { ... }
  for i = 1, #given, 2 do
    if given[i + 1] ~= '' then fields[#fields + 1] = given[i]; fields[#fields + 1] = given[i + 1] end
  end
  return unpack(fields)
end

-- What the node says of an attempt whose lease it holds.
local function apply(a, id, key, t)
  local to, reason, err, result = ARGV[a + 2], ARGV[a + 3], ARGV[a + 5], ARGV[a + 6]
  if to == 'completed' then
    finish(id, 'running', to, reason, t[2], t[4], unless_empty('result', result))
  elseif to == 'failed' then
    finish(id, 'running', to, reason, t[2], t[4], unless_empty('error', err, 'ledger', result))
  elseif to == 'cancelled' then
    finish(id, 'running', to, reason, t[2], t[4])
  else
    put_back(id, to, reason, tonumber(ARGV[a + 4]), err, result, t)
  end
  if t[5] then release_key(t[5]) end
end

local function settle()
  -- The first write frees memory (even if it removes nothing), so that Redis lets this script pass at maxmemory.
  redis.call('ZREM', K.running, '')
  local replies, leaving, plain, completed = {}, {}, 0, nil
  for i = 1, n do
    local a = 7 + (i - 1) * 7
    local id = ARGV[a]
    local key = task_key(id)
    local t = redis.call('HMGET', key, 'state', 'attempt', 'node', 'batch', 'concurrency_key')
    if t[1] == 'running' and t[2] == ARGV[a + 1] and t[3] == node then
      replies[i] = 'ok'
      leaving[#leaving + 1] = id
      if ARGV[a + 2] == 'completed' and not t[4] and not t[5] and ARGV[a + 6] ~= '' then
        -- By far the most frequent, so it goes a straight way.
        redis.call('HSET', key, 'state', 'completed', 'reason', 'completed', 'finished_at', now_text, 'result', ARGV[a + 6])
        note_as('running>completed completed', id .. '#' .. t[2])
        if not completed then completed = list_of(finished_ids, 'completed') end
        completed[#completed + 1] = id
        plain = plain + 1
      else
        apply(a, id, key, t)
      end
    elseif not t[1] then
      replies[i] = 'gone'
    else
      replies[i] = 'stale'
      count('stale', 1)
    end
  end
  if plain > 0 then count('completed', plain) end
  if #leaving > 0 then redis.call('ZREM', K.running, unpack(leaving)) end
  flush_pending()
  return replies
end

local function park(id, score, concurrency_key, attempt)
  redis.call('ZADD', K.parked, score, id)
  redis.call('ZADD', parked_key(concurrency_key), score, id)
  redis.call('HSET', task_key(id), 'state', 'parked', 'reason', 'parked')
  note('pending', 'parked', 'parked', id, attempt)
end

-- One popped task: expired, parked, or leased to the node. Returns what the node is told, if it got it.
local function lease_one(id, score)
  local key = task_key(id)
  -- A foreign value under the key must not take the tasks popped with it along.
  local task = redis.pcall('HGETALL', key)
  if task.err or #task == 0 then return nil end
  local attempt, expires_at, concurrency_key, batch = 0, nil, nil, nil
  for i = 1, #task, 2 do
    local name = task[i]
    if name == 'attempt' then attempt = tonumber(task[i + 1]) or 0
    elseif name == 'expires_at' then expires_at = tonumber(task[i + 1])
    elseif name == 'concurrency_key' then concurrency_key = task[i + 1]
    elseif name == 'batch' then batch = task[i + 1] end
  end
  -- An expiry says until when a task must have started; one that started once runs to its end.
  if expires_at and attempt > 0 then expires_at = nil end
  if expires_at and expires_at <= now then
    redis.call('ZREM', K.expiring, id)
    finish(id, 'pending', 'expired', 'expired', attempt, batch)
    pass_on(concurrency_key)
    return nil
  end
  if concurrency_key then
    if (tonumber(redis.call('HGET', K.key_counts, concurrency_key)) or 0) >= key_concurrency then
      park(id, score, concurrency_key, attempt)
      return nil
    end
    redis.call('HINCRBY', K.key_counts, concurrency_key, 1)
  end
  if expires_at then redis.call('ZREM', K.expiring, id) end
  attempt = text(attempt + 1)
  redis.call('HSET', key, 'state', 'running', 'reason', 'claimed', 'attempt', attempt, 'node', node, 'started_at', now_text,
    'score', score)
  return { id, '', attempt, task }, id .. '#' .. attempt
end

local function claim()
  local claimed, ids, marks, leases = {}, {}, {}, {}
  if paused then return claimed, marks end
  if concurrency then want = math.min(want, concurrency - redis.call('ZCARD', K.running)) end
  local until_text = text(now + lease)
  for _ = 1, 4 do
    if want <= #claimed then break end
    local popped = redis.call('ZPOPMIN', K.pending, want - #claimed)
    if #popped == 0 then break end
    for i = 1, #popped, 2 do
      -- The score stays the text that Redis gave: every digit of it.
      local id, score = popped[i], popped[i + 1]
      local number = tonumber(score)
      local band = math.floor(number / WIDTH)
      local start = number - band * WIDTH
      if start > V[band] then V[band] = start end
      bands_claimed[band] = true
      local told, mark = lease_one(id, score)
      if told then
        local k = #claimed + 1
        claimed[k], ids[k], marks[k] = told, id, mark
        note_as('pending>running claimed', mark)
        leases[2 * k - 1], leases[2 * k] = until_text, id
      end
    end
  end
  if #leases > 0 then
    redis.call('ZADD', K.running, unpack(leases))
    upkeep_by(now + lease)
  end
  return with_payloads(claimed, ids), marks
end

local last = redis.call('GET', last_claim)
if last and string.sub(last, 1, #nonce + 1) == nonce .. '\n' then
  redis.call('ZREM', K.running, '')
  local settled, claimed = replay(last)
  commit(node)
  return answer(settled, claimed, 0)
end
local settled = settle()
upkeep(max_crashes)
local claimed, marks = claim()
-- A node that takes only part of what waits rings for the next one.
ring = true
redis.call('SET', last_claim, nonce .. '\n' .. table.concat(settled, ' ') .. '\n' .. table.concat(marks, ' '),
  'PX', 60000)
commit(node)
return answer(settled, claimed, (put_off or #claimed < want) and next_due() or 0)
