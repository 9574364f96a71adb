-- Helpers for tasks that have a record, or get one. They are made when first asked for, in one table: making a function
-- costs as much as a small command, and the straight way of a task, from submitted to completed, needs none of them.

-- While a task runs, and in its final state, `lease` tells its last attempt: number, node, start, score, batch. One that
-- goes on otherwise has these as fields of their own, but for the batch.
local LEASE = '^(%d+) (%S+) (%d+) (%S+) ?(%S*)'

local tasks_made
local function task_helpers()
  if tasks_made then return tasks_made end
  local tasks = {}
  tasks_made = tasks

  function tasks.note(from, to, reason, id, attempt)
    note_as(from .. '>' .. to .. ' ' .. reason, id .. '#' .. (attempt or 0))
  end

  -- A task is two keys. Its spec, written once, is what was submitted: a line of name=value, a line with the digest, a
  -- line with the options, and the payload. Its record, a hash, is what became of it: a task that nothing befell since it
  -- was submitted needs none, and is pending.
  function tasks.spec_of(id)
    local text, spec = redis.pcall('GETRANGE', SPEC .. id, 0, 4095), {}
    if type(text) ~= 'string' then return spec end -- a foreign value
    for name, value in string.gmatch(string.match(text, '^[^\n]*'), '([%w_]+)=(%S+)') do spec[name] = value end
    return spec
  end
  function tasks.attempt_of(lease, attempt) return lease and string.match(lease, '^%d+') or attempt or '0' end
  -- Whether a lease is that of this attempt on this node.
  function tasks.holds(lease, attempt, node)
    return lease and string.find(lease, attempt .. ' ' .. node .. ' ', 1, true) == 1
  end
  -- A task's state, number of attempts, and further fields of its record. The state is nil if there is no such task.
  function tasks.look(id, ...)
    local t = redis.call('HMGET', TASK .. id, 'state', 'lease', 'attempt', ...)
    local state = t[1] or redis.call('EXISTS', SPEC .. id) == 1 and 'pending' or nil
    return state, tasks.attempt_of(t[2], t[3]), unpack(t, 4, 3 + select('#', ...))
  end
  -- The batch that a task belongs to; one that left its batch says so in its record.
  function tasks.batch_of(id, spec)
    local left = redis.call('HGET', TASK .. id, 'batch')
    if left then return nil end
    return (spec or tasks.spec_of(id)).batch
  end

  -- The score of a task that becomes pending for the first time, or anew.
  function tasks.fresh_score(id, priority)
    local spec = tasks.spec_of(id)
    return take_turn(turn_of(priority or spec.priority, spec.tenant), tonumber(spec.weight) or 1)
  end
  -- The score of a task that comes back (retry, hand-back, recovery): its own, so it keeps its place, unless it was given
  -- another priority. It was claimed once, so its tag is at most V, unless V was set back to zero since.
  function tasks.kept_score(id, score, priority)
    score = tonumber(score)
    local band = score and math.floor(score / WIDTH)
    if not score or priority and BAND[priority] ~= band then return tasks.fresh_score(id, priority) end
    if score - band * WIDTH > v_of(band) then return band * WIDTH + v_of(band) end
    return score
  end

  function tasks.parked_key(concurrency_key) return prefix .. 'parked:' .. concurrency_key end
  -- How many tasks of a concurrency key may run.
  tasks.key_concurrency = tonumber(redis.call('HGET', META, 'key_concurrency')) or 1
  -- Lets up to n parked tasks of a concurrency key go on, in order. What does not fit is parked again when claimed.
  function tasks.unpark_first(concurrency_key, n)
    local first = redis.call('ZPOPMIN', tasks.parked_key(concurrency_key), math.min(n, STEP))
    for i = 1, #first, 2 do
      local id = first[i]
      redis.call('ZREM', PARKED, id)
      redis.call('HSET', TASK .. id, 'state', 'pending', 'reason', 'unparked')
      tasks.note('parked', 'pending', 'unparked', id, redis.call('HGET', TASK .. id, 'attempt'))
      make_pending(id, tasks.kept_score(id, first[i + 1]))
    end
  end
  -- A task with a concurrency key left `running`: the key's count falls.
  function tasks.release_key(concurrency_key)
    local left = redis.call('HINCRBY', KEY_COUNTS, concurrency_key, -1)
    if left <= 0 then redis.call('HDEL', KEY_COUNTS, concurrency_key) end
    if left < tasks.key_concurrency then
      tasks.unpark_first(concurrency_key, tasks.key_concurrency - math.max(left, 0))
    end
  end
  -- A pending task left without having run: the next of its key goes on in its place, for no release would wake it.
  function tasks.pass_on(concurrency_key)
    if not concurrency_key then return end
    local running = tonumber(redis.call('HGET', KEY_COUNTS, concurrency_key)) or 0
    if running < tasks.key_concurrency then tasks.unpark_first(concurrency_key, tasks.key_concurrency - running) end
    flush_pending() -- the caller may come to the one that goes on, too
  end
  function tasks.unpark(id, concurrency_key)
    redis.call('ZREM', PARKED, id)
    if concurrency_key then redis.call('ZREM', tasks.parked_key(concurrency_key), id) end
  end

  -- An attempt is over, and the task goes on: what the lease said stays as fields of its own, with `...`.
  function tasks.end_lease(id, lease, ...)
    local attempt, node, started_at, score = string.match(lease or '', LEASE)
    redis.call('HDEL', TASK .. id, 'lease')
    redis.call('HSET', TASK .. id, 'attempt', attempt or 0, 'node', node or '', 'started_at', started_at or 0,
      'score', score or '', ...)
  end

  -- A task reached a final state. `fields` are further pairs for its hash.
  function tasks.finish(id, from, to, reason, attempt, batch, ...)
    redis.call('HSET', TASK .. id, 'state', to, 'reason', reason, 'finished_at', now_text, ...)
    tasks.note(from, to, reason, id, attempt)
    count(to, 1)
    if to == 'failed' then dead_letters[#dead_letters + 1] = now; dead_letters[#dead_letters + 1] = id end
    finished(to, id, batch)
  end
  return tasks
end
