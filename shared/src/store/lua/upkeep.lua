-- Upkeep: what no leader does and any node does on the way: promote due tasks, expire, recover lost leases, forget
-- what is past its retention. Each step is bounded by STEP; what is left is due at once again.

local function promote()
  local due = redis.call('ZRANGE', K.scheduled, '-inf', now, 'BYSCORE', 'LIMIT', 0, STEP)
  if #due == 0 then return false end
  redis.call('ZREM', K.scheduled, unpack(due))
  for _, id in ipairs(due) do
    local t = redis.call('HMGET', task_key(id), 'state', 'score', 'priority', 'attempt')
    if t[1] == 'scheduled' then
      redis.call('HSET', task_key(id), 'state', 'pending', 'reason', 'due')
      note('scheduled', 'pending', 'due', id, t[4])
      make_pending(id, kept_score(id, t[2], t[3]))
    end
  end
  flush_pending()
  return #due == STEP
end

local PLACE = { pending = K.pending, scheduled = K.scheduled, parked = K.parked }
local function expire()
  local old = redis.call('ZRANGE', K.expiring, '-inf', now, 'BYSCORE', 'LIMIT', 0, STEP)
  if #old == 0 then return false end
  redis.call('ZREM', K.expiring, unpack(old))
  for _, id in ipairs(old) do
    local t = redis.call('HMGET', task_key(id), 'state', 'attempt', 'concurrency_key', 'expires_at')
    local place = PLACE[t[1] or '']
    -- The entry may be of an earlier life: a retry has no expiry, and a purged id may have been submitted anew.
    if place and t[4] and tonumber(t[4]) <= now then
      redis.call('ZREM', place, id)
      if t[1] == 'parked' then unpark(id, t[3]) end
      if t[1] == 'pending' then pass_on(t[3]) end
      finish(id, t[1], 'expired', 'expired', t[2], batch_of(id))
    end
  end
  return #old == STEP
end

-- A lease ran out: its node vanished or hung. Charged as a crash, never as a retry.
local function recover(max_crashes)
  if now < recover_after then return false end
  local lost = redis.call('ZRANGE', K.running, '-inf', now, 'BYSCORE', 'LIMIT', 0, STEP)
  if #lost == 0 then return false end
  redis.call('ZREM', K.running, unpack(lost))
  for _, id in ipairs(lost) do
    local t = redis.call('HMGET', task_key(id), 'state', 'lease', 'concurrency_key', 'cancel', 'crashes', 'priority')
    if t[1] == 'running' then
      local attempt, node, started_at, score = string.match(t[2] or '', LEASE)
      local crashes = (tonumber(t[5]) or 0) + 1
      count('recovered', 1)
      if t[3] then release_key(t[3]) end
      if t[4] then
        finish(id, 'running', 'cancelled', 'cancelled', attempt, batch_of(id), 'crashes', crashes)
      elseif crashes >= max_crashes then
        local message = 'its lease ran out ' .. crashes .. ' times, last on node ' .. (node or '?')
          .. '; it probably kills the nodes that run it'
        finish(id, 'running', 'failed', 'crashed', attempt, batch_of(id), 'crashes', crashes,
          'error', cjson.encode({ class = 'crashed', message = message }))
      else
        end_lease(id, t[2], 'state', 'pending', 'reason', 'lease_expired', 'crashes', crashes)
        note('running', 'pending', 'lease_expired', id, attempt)
        make_pending(id, kept_score(id, score, t[6]))
      end
    end
  end
  return #lost == STEP
end

-- Deletes records. One that was retried, or purged and submitted anew, since the entry was written is left alone.
local function forget(state, ids)
  local gone = {}
  for id in string.gmatch(ids, '%S+') do
    local t = redis.call('HMGET', task_key(id), 'state', 'lease', 'attempt', 'finished_at')
    if t[1] == state and (tonumber(t[4]) or 0) <= now - (tonumber(meta[5]) or DAY) then
      gone[#gone + 1] = task_key(id)
      gone[#gone + 1] = spec_key(id)
      note(state, 'none', 'forgotten', id, attempt_of(t[2], t[3]))
    end
  end
  if #gone > 0 then redis.call('UNLINK', unpack(gone)) end
end
-- A failed task outlives its batch and goes on alone: a later batch of the same name must not count it.
local function leave_batch(batch, ids)
  for id in string.gmatch(ids, '%S+') do
    local state = redis.call('HGET', task_key(id), 'state')
    if state == 'failed' and batch_of(id) == batch then redis.call('HSET', task_key(id), 'batch', '') end
  end
end
local function forget_entry(stream, entry, batch)
  for i = 1, #entry[2], 2 do
    local state, ids = entry[2][i], entry[2][i + 1]
    -- Failed tasks stay in the dead letter, with their own retention; tasks of a batch stay as long as it does.
    if state ~= 'failed' and state ~= 'batched' then forget(state, ids) end
    if state == 'failed' and batch then leave_batch(batch, ids) end
  end
  redis.call('XDEL', stream, entry[1])
end
local function sweep_finished()
  local entries = redis.call('XRANGE', K.finished, '-', '+', 'COUNT', 2)
  local limit = now - (tonumber(meta[5]) or DAY)
  for _, entry in ipairs(entries) do
    -- An entry's id is in milliseconds, cut off: its tasks may have finished up to the next one.
    if (tonumber(string.match(entry[1], '^%d+')) + 1) * 1000 > limit then return false end
    forget_entry(K.finished, entry)
  end
  return #entries == 2
end
local function sweep_batches()
  local limit = now - (tonumber(meta[5]) or DAY)
  local batch = redis.call('ZRANGE', K.batches, '(0', limit, 'BYSCORE', 'LIMIT', 0, 1)[1]
  if not batch then return false end
  local entries = redis.call('XRANGE', batch_finished_key(batch), '-', '+', 'COUNT', 2)
  for _, entry in ipairs(entries) do forget_entry(batch_finished_key(batch), entry, batch) end
  if #entries < 2 then
    redis.call('ZREM', K.batches, batch)
    redis.call('UNLINK', batch_key(batch), batch_finished_key(batch))
  end
  return true
end
local function sweep_dead()
  local old = redis.call('ZRANGE', K.dead, '-inf', now - (tonumber(meta[6]) or 30 * DAY), 'BYSCORE', 'LIMIT', 0, STEP)
  local over = redis.call('ZCARD', K.dead) - (tonumber(meta[7]) or 100000)
  if #old == 0 and over > 0 then old = redis.call('ZRANGE', K.dead, 0, math.min(over, STEP) - 1) end
  if #old == 0 then return false end
  local gone = {}
  for _, id in ipairs(old) do
    gone[#gone + 1] = task_key(id)
    gone[#gone + 1] = spec_key(id)
    note('failed', 'none', 'forgotten', id)
  end
  redis.call('ZREM', K.dead, unpack(old))
  redis.call('UNLINK', unpack(gone))
  return #old == STEP
end

local function head(zset)
  local first = redis.call('ZRANGE', zset, 0, 0, 'WITHSCORES')
  return tonumber(first[2])
end
-- The next moment at which a task falls due or a lease runs out; 0 if nothing waits for a moment.
local function next_due()
  local due, lease = head(K.scheduled), head(K.running)
  if lease and lease < recover_after then lease = recover_after end
  if due and lease then return math.min(due, lease) end
  return due or lease or 0
end

local function upkeep(max_crashes)
  if now < upkeep_at then return end
  local more = promote()
  more = expire() or more
  more = recover(max_crashes) or more
  more = sweep_finished() or more
  more = sweep_batches() or more
  more = sweep_dead() or more
  upkeep_at = more and now or now + 10 * 1000000
  if not more then
    local due, expiring = next_due(), head(K.expiring)
    if due > 0 then upkeep_by(due) end
    if expiring then upkeep_by(expiring) end
  end
end
