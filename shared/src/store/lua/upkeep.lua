-- Upkeep: what no leader does and any node does on the way: promote due tasks, expire, recover lost leases, forget
-- what is past its retention. Each step is bounded by STEP; what is left is due at once again.

local function head(zset)
  local first = redis.call('ZRANGE', zset, '0', '0', 'WITHSCORES')
  return tonumber(first[2])
end
-- The next moment at which a task falls due or a lease runs out; 0 if nothing waits for a moment.
local function next_due()
  local due, lease = head(SCHEDULED), head(RUNNING)
  if lease and lease < recover_after then lease = recover_after end
  if due and lease then return math.min(due, lease) end
  return due or lease or 0
end

local function upkeep(max_crashes)
  if now < upkeep_at then return end
  local tasks = task_helpers()
  local DAY = 24 * 3600 * 1000000
  local meta = redis.call('HMGET', META, 'retention', 'dead_retention', 'dead_max')
  local retention, dead_retention = tonumber(meta[1]) or DAY, tonumber(meta[2]) or 30 * DAY
  local dead_max = tonumber(meta[3]) or 100000

  local function promote()
    local due = redis.call('ZRANGE', SCHEDULED, '-inf', now, 'BYSCORE', 'LIMIT', 0, STEP)
    if #due == 0 then return false end
    redis.call('ZREM', SCHEDULED, unpack(due))
    for _, id in ipairs(due) do
      local t = redis.call('HMGET', TASK .. id, 'state', 'score', 'priority', 'attempt')
      if t[1] == 'scheduled' then
        redis.call('HSET', TASK .. id, 'state', 'pending', 'reason', 'due')
        tasks.note('scheduled', 'pending', 'due', id, t[4])
        make_pending(id, tasks.kept_score(id, t[2], t[3]))
      end
    end
    flush_pending()
    return #due == STEP
  end

  local PLACE = { pending = PENDING, scheduled = SCHEDULED, parked = PARKED }
  local function expire()
    local old = redis.call('ZRANGE', EXPIRING, '-inf', now, 'BYSCORE', 'LIMIT', 0, STEP)
    if #old == 0 then return false end
    redis.call('ZREM', EXPIRING, unpack(old))
    for _, id in ipairs(old) do
      local t = redis.call('HMGET', TASK .. id, 'state', 'attempt', 'concurrency_key', 'expires_at')
      local place = PLACE[t[1] or '']
      -- The entry may be of an earlier life: a retry has no expiry, and a purged id may have been submitted anew.
      if place and t[4] and tonumber(t[4]) <= now then
        redis.call('ZREM', place, id)
        if t[1] == 'parked' then tasks.unpark(id, t[3]) end
        if t[1] == 'pending' then tasks.pass_on(t[3]) end
        tasks.finish(id, t[1], 'expired', 'expired', t[2], tasks.batch_of(id))
      end
    end
    return #old == STEP
  end

  -- A lease ran out: its node vanished or hung. Charged as a crash, never as a retry.
  local function recover(max_crashes)
    if now < recover_after then return false end
    local lost = redis.call('ZRANGE', RUNNING, '-inf', now, 'BYSCORE', 'LIMIT', 0, STEP)
    if #lost == 0 then return false end
    redis.call('ZREM', RUNNING, unpack(lost))
    for _, id in ipairs(lost) do
      local t = redis.call('HMGET', TASK .. id, 'state', 'lease', 'concurrency_key', 'cancel', 'crashes', 'priority')
      if t[1] == 'running' then
        local attempt, node, started_at, score = string.match(t[2] or '', LEASE)
        local crashes = (tonumber(t[5]) or 0) + 1
        count('recovered', 1)
        if t[3] then tasks.release_key(t[3]) end
        if t[4] then
          tasks.finish(id, 'running', 'cancelled', 'cancelled', attempt, tasks.batch_of(id), 'crashes', crashes)
        elseif crashes >= max_crashes then
          local message = 'its lease ran out ' .. crashes .. ' times, last on node ' .. (node or '?')
            .. '; it probably kills the nodes that run it'
          tasks.finish(id, 'running', 'failed', 'crashed', attempt, tasks.batch_of(id), 'crashes', crashes,
            'error', cjson.encode({ class = 'crashed', message = message }))
        else
          tasks.end_lease(id, t[2], 'state', 'pending', 'reason', 'lease_expired', 'crashes', crashes)
          tasks.note('running', 'pending', 'lease_expired', id, attempt)
          make_pending(id, tasks.kept_score(id, score, t[6]))
        end
      end
    end
    flush_pending() -- this very call may claim them
    return #lost == STEP
  end

  -- Deletes records. One that was retried, or purged and submitted anew, since the entry was written is left alone.
  local function forget(state, ids)
    local gone = {}
    for id in string.gmatch(ids, '%S+') do
      local t = redis.call('HMGET', TASK .. id, 'state', 'lease', 'attempt', 'finished_at')
      if t[1] == state and (tonumber(t[4]) or 0) <= now - retention then
        gone[#gone + 1] = TASK .. id
        gone[#gone + 1] = SPEC .. id
        tasks.note(state, 'none', 'forgotten', id, tasks.attempt_of(t[2], t[3]))
      end
    end
    if #gone > 0 then redis.call('UNLINK', unpack(gone)) end
  end
  -- A failed task outlives its batch and goes on alone: a later batch of the same name must not count it.
  local function leave_batch(batch, ids)
    for id in string.gmatch(ids, '%S+') do
      local state = redis.call('HGET', TASK .. id, 'state')
      if state == 'failed' and tasks.batch_of(id) == batch then redis.call('HSET', TASK .. id, 'batch', '') end
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
    local entries = redis.call('XRANGE', FINISHED, '-', '+', 'COUNT', 2)
    local limit = now - retention
    for _, entry in ipairs(entries) do
      -- An entry's id is in milliseconds, cut off: its tasks may have finished up to the next one.
      if (tonumber(string.match(entry[1], '^%d+')) + 1) * 1000 > limit then return false end
      forget_entry(FINISHED, entry)
    end
    return #entries == 2
  end
  local function sweep_batches()
    local limit = now - retention
    local batch = redis.call('ZRANGE', BATCHES, '(0', limit, 'BYSCORE', 'LIMIT', 0, 1)[1]
    if not batch then return false end
    local entries = redis.call('XRANGE', batch_finished_key(batch), '-', '+', 'COUNT', 2)
    for _, entry in ipairs(entries) do forget_entry(batch_finished_key(batch), entry, batch) end
    if #entries < 2 then
      redis.call('ZREM', BATCHES, batch)
      redis.call('UNLINK', batch_key(batch), batch_finished_key(batch))
    end
    return true
  end
  local function sweep_dead()
    local old = redis.call('ZRANGE', DEAD, '-inf', now - dead_retention, 'BYSCORE', 'LIMIT', 0, STEP)
    local over = redis.call('ZCARD', DEAD) - dead_max
    if #old == 0 and over > 0 then old = redis.call('ZRANGE', DEAD, 0, math.min(over, STEP) - 1) end
    if #old == 0 then return false end
    local gone = {}
    for _, id in ipairs(old) do
      gone[#gone + 1] = TASK .. id
      gone[#gone + 1] = SPEC .. id
      tasks.note('failed', 'none', 'forgotten', id)
    end
    redis.call('ZREM', DEAD, unpack(old))
    redis.call('UNLINK', unpack(gone))
    return #old == STEP
  end

  local more = promote()
  more = expire() or more
  more = recover(max_crashes) or more
  more = sweep_finished() or more
  more = sweep_batches() or more
  more = sweep_dead() or more
  upkeep_at = more and now or now + TEN_SECONDS
  if not more then
    local due, expiring = next_due(), head(EXPIRING)
    if due > 0 then upkeep_by(due) end
    if expiring then upkeep_by(expiring) end
  end
end
