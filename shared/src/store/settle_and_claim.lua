-- Settles attempts and claims tasks for the freed slots, in one call.
--   transition: running>completed completed
--   transition: running>failed failed
--   transition: running>failed exhausted
--   transition: running>scheduled retrying
--   transition: running>scheduled unknown_type
--   transition: running>scheduled missing_key
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
-- ARGV   node, nonce, lease us, want, most crashes, c, then for each of c attempts that completed: id, attempt, result
--        JSON; then for each attempt that ended otherwise: id, attempt, state it goes to, reason, delay us, error JSON
--        or '', result JSON or ''. The result of an attempt that did not complete is its ledger (what it did so far),
--        which the next attempt is given; when blocked, the draft
-- reply  one list: for each settled attempt, in that order, 'ok' | 'stale' | 'gone', as words of one text; next moment
--        us or 0; now us; c, then for each of c claimed tasks: id, spec; then for each of them that has more to its
--        record than this first claim: its number among them, from 1, attempt, { field, value, ... }
-- events one entry
-- cost   3 commands a task (1 to claim, 2 to settle), and about 15 a call
-- Only the attempt that holds the lease may settle: state, attempt number and node must match. The same nonce again
-- (the reply was lost) settles nothing twice and answers the same tasks, whose leases begin anew.

local node, nonce, lease, want = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local max_crashes, n_completed = tonumber(ARGV[5]), tonumber(ARGV[6])
local last_claim = KEYS[16]
lease_of_node(lease)

-- The reply. Lists within it would cost more than what they hold.
local reply, more, n_claimed = { '', '0', now_text, '0' }, {}, 0
local function tell(id, spec, attempt, record)
  n_claimed = n_claimed + 1
  reply[2 * n_claimed + 3], reply[2 * n_claimed + 4] = id, spec or ''
  if record then more[#more + 1] = n_claimed; more[#more + 1] = attempt; more[#more + 1] = record end
end
local function answer(words)
  reply[1], reply[4] = words, tostring(n_claimed)
  for _, value in ipairs(more) do reply[#reply + 1] = value end
  return reply
end

local function replay(last)
  local tasks = task_helpers()
  local words, list = string.match(last, '^[^\n]*\n([^\n]*)\n(.*)$')
  local leases = {}
  for id, attempt in string.gmatch(list, '(%S+)#(%d+)') do
    local t = redis.call('HMGET', TASK .. id, 'state', 'lease')
    if t[1] == 'running' and tasks.holds(t[2], attempt, node) then
      tell(id, redis.call('GET', SPEC .. id), attempt, redis.call('HGETALL', TASK .. id))
      leases[#leases + 1], leases[#leases + 2] = now + lease, id
    end
  end
  -- The node hears of them only now, so its beats could not extend them.
  if #leases > 0 then redis.call('ZADD', RUNNING, 'XX', unpack(leases)) end
  return words
end

-- There is a batch, or was one lately; without any, no lease is searched for one.
local batches = #ARGV > 6 and redis.call('EXISTS', BATCHES) == 1
local function batch_in(lease) return batches and string.match(lease, '^%S+ %S+ %S+ %S+ (%S+)') or nil end

-- 'id#attempt' of each, in one text. Nearly always all are first attempts, which `attempts` leaves out.
local function marks_of(ids, attempts)
  if #ids == 0 then return '' end
  if not next(attempts) then return table.concat(ids, '#1 ') .. '#1' end
  local marks = {}
  for i, id in ipairs(ids) do marks[i] = id .. '#' .. (attempts[i] or '1') end
  return table.concat(marks, ' ')
end

local settled, done = {}, {}
-- What completed leaves `running` after the claim: a set that is emptied and filled again costs more than one that
-- keeps its size. Such a task cannot be claimed meanwhile.
local function remove_done()
  if #done > 0 then redis.call('ZREM', RUNNING, unpack(done)) end
  done = {}
end
-- Why an attempt may not settle; `state` is that of the task's record.
local function refuse(id, state)
  local there = state or redis.call('EXISTS', SPEC .. id) == 1
  if there then count('stale', 1) end
  settled[#settled + 1] = there and 'stale' or 'gone'
end

local function settle_completed()
  local attempts, freed = {}, {}
  local fence, fenced -- what the lease begins with, for attempts of the number `fenced`
  for i = 1, n_completed do
    local a = 4 + 3 * i
    local id, attempt, result = ARGV[a], ARGV[a + 1], ARGV[a + 2]
    local key = TASK .. id
    if attempt ~= fenced then fence, fenced = attempt .. ' ' .. node .. ' ', attempt end
    -- A first attempt that nothing befell has a record of two fields, and they tell all: by far the most frequent.
    local t = attempt == '1' and redis.call('HVALS', key) or {}
    if #t ~= 2 or t[1] ~= 'running' then t = redis.call('HMGET', key, 'state', 'lease', 'concurrency_key', 'reason') end
    local held = t[2]
    if t[1] == 'running' and held and string.find(held, fence, 1, true) == 1 then
      local k = #done + 1
      settled[i], done[k] = 'ok', id
      if attempt ~= '1' then attempts[k] = attempt end
      if not t[4] and result ~= '' then
        redis.call('HSET', key, 'state', 'completed', 'finished_at', now_text, 'result', result)
      else
        redis.call('HSET', key, 'state', 'completed', 'reason', 'completed', 'finished_at', now_text,
          unpack(result ~= '' and { 'result', result } or {}))
      end
      if batches then finished('completed', id, batch_in(held)) end
      if t[3] then freed[#freed + 1] = t[3] end
    else
      refuse(id, t[1])
    end
  end
  if #done == 0 then return end
  if not batches then append(finished_ids, 'completed', table.concat(done, ' ')) end
  note_as('running>completed completed', marks_of(done, attempts))
  count('completed', #done)
  for _, concurrency_key in ipairs(freed) do task_helpers().release_key(concurrency_key) end
end

local put_off = false -- something was scheduled: the node is told when, even if it wants nothing now
local function settle_others()
  local tasks = task_helpers()
  -- A task that goes on later: its next state depends on what happened to it meanwhile.
  local WAITS = { rate_limited = true, over_budget = true }
  -- The node cannot take it, and another may.
  local FOR_OTHERS = { unknown_type = true, missing_key = true }
  local function put_back(id, lease, to, reason, delay, err, result, batch)
    local key = TASK .. id
    local attempt, score = string.match(lease, '^(%d+) %S+ %d+ (%S+)')
    local r = redis.call('HMGET', key, 'cancel', 'retries', 'interruptions', 'priority', 'unknown_since', 'waits')
    if r[1] then return tasks.finish(id, 'running', 'cancelled', 'cancelled', attempt, batch) end
    local fields = { 'state', to, 'reason', reason }
    local function set(name, value) fields[#fields + 1] = name; fields[#fields + 1] = value end
    if err ~= '' then set('error', err) end
    if result ~= '' then set(to == 'blocked' and 'result' or 'ledger', result) end
    if reason == 'retrying' then set('retries', (tonumber(r[2]) or 0) + 1) end
    if reason == 'interrupted' then set('interruptions', (tonumber(r[3]) or 0) + 1) end
    if WAITS[reason] then set('waits', (tonumber(r[6]) or 0) + 1) end
    if FOR_OTHERS[reason] and not r[5] then set('unknown_since', now) end
    if to == 'scheduled' then
      set('due_at', now + delay)
      redis.call('ZADD', SCHEDULED, now + delay, id)
      put_off = true
      upkeep_by(now + delay)
    elseif to == 'blocked' then
      redis.call('ZADD', BLOCKED, now, id)
    else
      make_pending(id, tasks.kept_score(id, score, r[4]))
    end
    tasks.end_lease(id, lease, unpack(fields))
    tasks.note('running', to, reason, id, attempt)
  end

  -- What the node says of an attempt whose lease it holds.
  local function apply(a, id, lease, concurrency_key)
    local to, reason, err, result = ARGV[a + 2], ARGV[a + 3], ARGV[a + 5], ARGV[a + 6]
    local batch, fields = batch_in(lease), {}
    if to == 'failed' and err ~= '' then fields[1], fields[2] = 'error', err end
    if result ~= '' then
      fields[#fields + 1] = to == 'completed' and 'result' or 'ledger'
      fields[#fields + 1] = result
    end
    if to == 'completed' or to == 'failed' then
      tasks.finish(id, 'running', to, reason, tasks.attempt_of(lease), batch, unpack(fields))
    elseif to == 'cancelled' then
      tasks.finish(id, 'running', to, reason, tasks.attempt_of(lease), batch)
    else
      put_back(id, lease, to, reason, tonumber(ARGV[a + 4]), err, result, batch)
    end
    if concurrency_key then tasks.release_key(concurrency_key) end
  end

  local leaving = {}
  for a = 7 + 3 * n_completed, #ARGV, 7 do
    local id = ARGV[a]
    local t = redis.call('HMGET', TASK .. id, 'state', 'lease', 'concurrency_key')
    if t[1] == 'running' and tasks.holds(t[2], ARGV[a + 1], node) then
      settled[#settled + 1] = 'ok'
      leaving[#leaving + 1] = id
      apply(a, id, t[2], t[3])
    else
      refuse(id, t[1])
    end
  end
  if #leaving > 0 then redis.call('ZREM', RUNNING, unpack(leaving)) end
end

local function settle()
  -- The first write frees memory (even if it removes nothing), so that Redis lets this script pass at maxmemory.
  redis.call('ZREM', RUNNING, '')
  if n_completed > 0 then settle_completed() end
  if #ARGV > 6 + 3 * n_completed then settle_others() end
  flush_pending()
end

local now_and_after = ' ' .. node .. ' ' .. now_text .. ' '
-- A popped task that has a record: it was claimed before, or it has a concurrency key or an expiry. Gives its attempt
-- and its record. It may expire or be parked instead; then nothing is returned. Its record says `running` already.
local function lease_again(id, score, batch)
  local tasks = task_helpers()
  local key = TASK .. id
  local t = redis.call('HMGET', key, 'attempt', 'expires_at', 'concurrency_key')
  local attempt, concurrency_key = tonumber(t[1]) or 0, t[3]
  -- An expiry says until when a task must have started; one that started once runs to its end.
  local expires_at = attempt == 0 and tonumber(t[2]) or nil
  if expires_at and expires_at <= now then
    redis.call('ZREM', EXPIRING, id)
    redis.call('HDEL', key, 'lease')
    tasks.finish(id, 'pending', 'expired', 'expired', attempt, tasks.batch_of(id))
    tasks.pass_on(concurrency_key)
    return nil
  end
  if concurrency_key then
    if (tonumber(redis.call('HGET', KEY_COUNTS, concurrency_key)) or 0) >= tasks.key_concurrency then
      redis.call('ZADD', PARKED, score, id)
      redis.call('ZADD', tasks.parked_key(concurrency_key), score, id)
      redis.call('HDEL', key, 'lease')
      redis.call('HSET', key, 'state', 'parked', 'reason', 'parked')
      tasks.note('pending', 'parked', 'parked', id, attempt)
      return nil
    end
    redis.call('HINCRBY', KEY_COUNTS, concurrency_key, 1)
  end
  if expires_at then redis.call('ZREM', EXPIRING, id) end
  attempt = text(attempt + 1)
  if redis.call('HGET', key, 'batch') then batch = '' end
  redis.call('HSET', key, 'lease', attempt .. now_and_after .. score .. batch, 'reason', 'claimed')
  return attempt, redis.call('HGETALL', key)
end

-- A task of this score was claimed: V of its band is at least its tag.
local function raise_v(score)
  score = tonumber(score)
  local band = math.floor(score / WIDTH)
  local tag = score - band * WIDTH
  if tag > v_of(band) then V[band] = tag end
  bands_claimed[band] = true
  return band
end

local function claim()
  local ids, attempts, leases = {}, {}, {}
  if paused then return '' end
  local room = want
  if concurrency then room = math.min(want, concurrency - redis.call('ZCARD', RUNNING) + #done) end
  local until_text, first = text(now + lease), '1' .. now_and_after
  for _ = 1, 4 do
    if room <= #ids then break end
    local asked, before = room - #ids, #ids
    local popped = redis.call('ZPOPMIN', PENDING, text(asked))
    if #popped < 2 * asked then something_waits = false else something_waits = nil end
    if #popped == 0 then break end
    local keys = {}
    for i = 1, #popped, 2 do keys[#keys + 1] = SPEC .. popped[i] end
    local found = redis.call('MGET', unpack(keys))
    -- They come in order: where the first and the last are of one band, the last has the largest tag.
    local band = raise_v(popped[#popped])
    if #popped > 2 and raise_v(popped[2]) ~= band then
      for i = 4, #popped - 2, 2 do raise_v(popped[i]) end
    end
    for i = 1, #popped, 2 do
      -- The score stays the text that Redis gave: every digit of it.
      local id, score, spec = popped[i], popped[i + 1], found[(i + 1) / 2]
      local batch, new = spec and string.match(spec, '^batch=(%S+)'), nil
      batch = batch and ' ' .. batch or ''
      -- An id without any key is nobody's task; and a foreign value must not take the tasks popped with it along.
      if spec or redis.call('EXISTS', TASK .. id) == 1 then
        new = redis.pcall('HSET', TASK .. id, 'state', 'running', 'lease', first .. score .. batch)
      end
      local attempt, record
      if new == 2 then
        attempt = '1'
      elseif type(new) == 'number' then
        attempt, record = lease_again(id, score, batch)
      end
      if attempt then
        local k = #ids + 1
        ids[k] = id
        leases[2 * k - 1], leases[2 * k] = until_text, id
        if attempt ~= '1' then attempts[k] = attempt end
        tell(id, spec, attempt, record)
      end
    end
    -- Fewer than asked for, and all of them good: nothing waits any more.
    if #popped < 2 * asked and 2 * (#ids - before) == #popped then break end
  end
  if #ids == 0 then return '' end
  redis.call('ZADD', RUNNING, unpack(leases))
  upkeep_by(now + lease)
  local marks = marks_of(ids, attempts)
  note_as('pending>running claimed', marks)
  return marks
end

local last = redis.call('GET', last_claim)
if last and string.sub(last, 1, #nonce + 1) == nonce .. '\n' then
  redis.call('ZREM', RUNNING, '')
  local words = replay(last)
  commit(node)
  return answer(words)
end
settle()
if now >= upkeep_at then remove_done() end -- upkeep looks at what runs
upkeep(max_crashes)
local marks = claim()
remove_done()
local words = table.concat(settled, ' ')
-- A node that takes only part of what waits rings for the next one.
ring = true
redis.call('SET', last_claim, nonce .. '\n' .. words .. '\n' .. marks, 'PX', '60000')
commit(node)
if put_off or n_claimed < want then reply[2] = text(next_due()) end
return answer(words)
