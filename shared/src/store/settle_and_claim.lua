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
--        { for each claimed task { id, spec, attempt, { field, value, ... } if it has more to its record than this } },
--        next moment us or 0, now us
-- events one entry
-- cost   3 commands a task (1 to claim, 2 to settle), and about 17 a call
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
local function replay(last)
  local settled, claimed = {}, {}
  local words, list = string.match(last, '^[^\n]*\n([^\n]*)\n(.*)$')
  for word in string.gmatch(words, '%S+') do settled[#settled + 1] = word end
  for id, attempt in string.gmatch(list, '(%S+)#(%d+)') do
    local t = redis.call('HMGET', task_key(id), 'state', 'lease')
    if t[1] == 'running' and holds(t[2], attempt, node) then
      claimed[#claimed + 1] = { id, redis.call('GET', spec_key(id)) or '', attempt, redis.call('HGETALL', task_key(id)) }
    end
  end
  return settled, claimed
end

local put_off = false -- something was scheduled: the node is told when, even if it wants nothing now
-- A task that goes on later: its next state depends on what happened to it meanwhile.
local WAITS = { rate_limited = true, over_budget = true }
local function put_back(id, lease, to, reason, delay, err, result, batch)
  local key = task_key(id)
  local attempt, score = string.match(lease, '^(%d+) %S+ %d+ (%S+)')
  local r = redis.call('HMGET', key, 'cancel', 'retries', 'interruptions', 'priority', 'unknown_since', 'waits')
  if r[1] then return finish(id, 'running', 'cancelled', 'cancelled', attempt, batch) end
  local fields = { 'state', to, 'reason', reason }
  local function set(name, value) fields[#fields + 1] = name; fields[#fields + 1] = value end
  if err ~= '' then set('error', err) end
  if result ~= '' then set(to == 'blocked' and 'result' or 'ledger', result) end
  if reason == 'retrying' then set('retries', (tonumber(r[2]) or 0) + 1) end
  if reason == 'interrupted' then set('interruptions', (tonumber(r[3]) or 0) + 1) end
  if WAITS[reason] then set('waits', (tonumber(r[6]) or 0) + 1) end
  if reason == 'unknown_type' and not r[5] then set('unknown_since', now) end
  if to == 'scheduled' then
    set('due_at', now + delay)
    redis.call('ZADD', K.scheduled, now + delay, id)
    put_off = true
    upkeep_by(now + delay)
  elseif to == 'blocked' then
    redis.call('ZADD', K.blocked, now, id)
  else
    make_pending(id, kept_score(id, score, r[4]))
  end
  end_lease(id, lease, unpack(fields))
  note('running', to, reason, id, attempt)
end

-- What the node says of an attempt whose lease it holds.
local function apply(a, id, lease, batch, concurrency_key)
  local to, reason, err, result = ARGV[a + 2], ARGV[a + 3], ARGV[a + 5], ARGV[a + 6]
  local fields = {}
  if to == 'failed' and err ~= '' then fields[1], fields[2] = 'error', err end
  if result ~= '' then fields[#fields + 1] = to == 'completed' and 'result' or 'ledger'; fields[#fields + 1] = result end
  if to == 'completed' or to == 'failed' then
    finish(id, 'running', to, reason, attempt_of(lease), batch, unpack(fields))
  elseif to == 'cancelled' then
    finish(id, 'running', to, reason, attempt_of(lease), batch)
  else
    put_back(id, lease, to, reason, tonumber(ARGV[a + 4]), err, result, batch)
  end
  if concurrency_key then release_key(concurrency_key) end
end

-- There is a batch, or was one lately; without any, no lease is searched for one.
local batches = redis.call('EXISTS', K.batches) == 1
local function settle()
  -- The first write frees memory (even if it removes nothing), so that Redis lets this script pass at maxmemory.
  redis.call('ZREM', K.running, '')
  local replies, leaving, plain = {}, {}, 0
  for i = 1, n do
    local a = 7 + (i - 1) * 7
    local id = ARGV[a]
    local key = task_key(id)
    local t = redis.call('HMGET', key, 'state', 'lease', 'concurrency_key', 'reason')
    local lease = t[2]
    if t[1] == 'running' and holds(lease, ARGV[a + 1], node) then
      replies[i] = 'ok'
      leaving[#leaving + 1] = id
      local batch = batches and string.match(lease, '^%S+ %S+ %S+ %S+ (%S+)') or nil
      if ARGV[a + 2] == 'completed' and not t[3] and not t[4] and ARGV[a + 6] ~= '' then
        -- By far the most frequent, so it goes a straight way.
        redis.call('HSET', key, 'state', 'completed', 'finished_at', now_text, 'result', ARGV[a + 6])
        note_as('running>completed completed', id .. '#' .. ARGV[a + 1])
        plain = plain + 1
        finished('completed', id, batch)
      else
        apply(a, id, lease, batch, t[3])
      end
    elseif not t[1] then
      replies[i] = redis.call('EXISTS', spec_key(id)) == 1 and 'stale' or 'gone'
      if replies[i] == 'stale' then count('stale', 1) end
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
  redis.call('HDEL', task_key(id), 'lease')
  redis.call('HSET', task_key(id), 'state', 'parked', 'reason', 'parked')
  note('pending', 'parked', 'parked', id, attempt)
end

local now_and_after = ' ' .. node .. ' ' .. now_text .. ' '
-- A popped task that has a record: it was claimed before, or it has a concurrency key or an expiry. It may expire or be
-- parked instead; then nothing is returned. Its record says `running` already.
local function lease_again(id, spec, score, batch)
  local key = task_key(id)
  local t = redis.call('HMGET', key, 'attempt', 'expires_at', 'concurrency_key')
  local attempt, concurrency_key = tonumber(t[1]) or 0, t[3]
  -- An expiry says until when a task must have started; one that started once runs to its end.
  local expires_at = attempt == 0 and tonumber(t[2]) or nil
  if expires_at and expires_at <= now then
    redis.call('ZREM', K.expiring, id)
    redis.call('HDEL', key, 'lease')
    finish(id, 'pending', 'expired', 'expired', attempt, batch_of(id))
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
  if redis.call('HGET', key, 'batch') then batch = '' end
  redis.call('HSET', key, 'lease', attempt .. now_and_after .. score .. batch, 'reason', 'claimed')
  return { id, spec, attempt, redis.call('HGETALL', key) }, attempt
end

local function claim()
  local claimed, marks, leases = {}, {}, {}
  if paused then return claimed, marks end
  if concurrency then want = math.min(want, concurrency - redis.call('ZCARD', K.running)) end
  local until_text, first = text(now + lease), '1' .. now_and_after
  for _ = 1, 4 do
    if want <= #claimed then break end
    local asked, before = want - #claimed, #claimed
    local popped = redis.call('ZPOPMIN', K.pending, asked)
    if #popped == 0 then break end
    something_waits = false
    local keys = {}
    for i = 1, #popped, 2 do keys[#keys + 1] = spec_key(popped[i]) end
    local specs = redis.call('MGET', unpack(keys))
    for i = 1, #popped, 2 do
      -- The score stays the text that Redis gave: every digit of it.
      local id, score = popped[i], popped[i + 1]
      local number = tonumber(score)
      local band = math.floor(number / WIDTH)
      local start = number - band * WIDTH
      if start > V[band] then V[band] = start end
      bands_claimed[band] = true
      local spec, batch, new = specs[(i + 1) / 2], '', nil
      if spec and batches then
        batch = string.match(spec, '^batch=(%S+)')
        batch = batch and ' ' .. batch or ''
      end
      -- An id without any key is nobody's task; and a foreign value must not take the tasks popped with it along.
      if spec or redis.call('EXISTS', task_key(id)) == 1 then
        new = redis.pcall('HSET', task_key(id), 'state', 'running', 'lease', first .. score .. batch)
      end
      local told, attempt
      if new == 2 then
        told, attempt = { id, spec or '', '1' }, '1'
      elseif type(new) == 'number' then
        told, attempt = lease_again(id, spec or '', score, batch)
      end
      if told then
        local k, mark = #claimed + 1, id .. '#' .. attempt
        claimed[k], marks[k] = told, mark
        note_as('pending>running claimed', mark)
        leases[2 * k - 1], leases[2 * k] = until_text, id
      end
    end
    -- Fewer than asked for, and all of them good: nothing waits any more.
    if #popped < 2 * asked and 2 * (#claimed - before) == #popped then break end
  end
  if #leases > 0 then
    redis.call('ZADD', K.running, unpack(leases))
    upkeep_by(now + lease)
  end
  return claimed, marks
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
