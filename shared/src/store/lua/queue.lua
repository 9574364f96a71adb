-- What every script of a queue begins with: names for KEYS, Redis's clock, the queue's figures, and the helpers
-- that move tasks. A script calls helpers, then commit() once. All times are microseconds of Redis's clock.
-- Numbers that may exceed 14 digits are passed to Redis as numbers or through text(), never joined into words by Lua.

local K = {
  meta = KEYS[1], stats = KEYS[2], pending = KEYS[3], running = KEYS[4], scheduled = KEYS[5],
  parked = KEYS[6], expiring = KEYS[7], dead = KEYS[8], finished = KEYS[9], events = KEYS[10],
  bell = KEYS[11], fair = KEYS[12], key_counts = KEYS[13], batches = KEYS[14], blocked = KEYS[15],
}
local prefix = string.sub(KEYS[1], 1, -5)
local function task_key(id) return prefix .. 'task:' .. id end
local function spec_key(id) return prefix .. 'spec:' .. id end
local function parked_key(concurrency_key) return prefix .. 'parked:' .. concurrency_key end
local function batch_key(batch) return prefix .. 'batch:' .. batch end
local function batch_finished_key(batch) return prefix .. 'batch-finished:' .. batch end

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
-- As text once, for it is written often; Lua's own text of a number has 14 digits.
local function text(number) return string.format('%d', number) end
local now_text = text(now)

-- Every loop over tasks found inside a script is bounded by this many.
local STEP = 100
local HOUR = 3600 * 1000000
local DAY = 24 * HOUR

local stats = redis.call('HMGET', K.stats, 'seen_at', 'recover_after', 'upkeep_at', 'lease', 'v0', 'v1', 'v2', 'v3')
local meta = redis.call('HMGET', K.meta, 'paused', 'concurrency', 'key_concurrency', 'max_length', 'retention',
  'dead_retention', 'dead_max', 'events', 'partitions')
local seen_at = tonumber(stats[1]) or now
local recover_after = tonumber(stats[2]) or 0
local upkeep_at = tonumber(stats[3]) or 0
local stored_lease = tonumber(stats[4])
local longest_lease = stored_lease or 10 * 1000000
local V = { [0] = tonumber(stats[5]) or 0, tonumber(stats[6]) or 0, tonumber(stats[7]) or 0, tonumber(stats[8]) or 0 }
local paused = meta[1] == '1'
local concurrency = tonumber(meta[2])
local key_concurrency = tonumber(meta[3]) or 1

-- No script ran for half a lease: Redis was away (or its clock jumped). Owners could not extend, so recovery is put
-- off by one lease and they can extend first. The deferral is never further away than one lease.
if now - seen_at > longest_lease / 2 then recover_after = now + longest_lease end
if recover_after > now + longest_lease then recover_after = now + longest_lease end
-- A clock that was set back must not put the upkeep off.
if upkeep_at > now + 10 * 1000000 then upkeep_at = now end

-- A node says how long its leases are; the longest decides what counts as an outage.
local function lease_of_node(lease)
  if not stored_lease or lease > stored_lease then longest_lease = lease; stored_lease = lease end
end

local function upkeep_by(moment) if moment < upkeep_at then upkeep_at = moment end end

-- What the call did, written once by commit().
local moved, counted, finished_ids, finished_in_batch, dead_letters = {}, {}, {}, {}, {}
local batch_counts, ring = {}, false

local function list_of(lists, name)
  local list = lists[name]
  if not list then list = {}; lists[name] = list end
  return list
end
local function append(lists, name, value)
  local list = list_of(lists, name)
  list[#list + 1] = value
end
-- In the order in which they first came: pairs() has none, and a task that fell due and was claimed must read so.
local moves = {}
local function note_as(name, mark)
  local list = moved[name]
  if not list then list = {}; moved[name] = list; moves[#moves + 1] = name end
  list[#list + 1] = mark
end
local function note(from, to, reason, id, attempt)
  note_as(from .. '>' .. to .. ' ' .. reason, id .. '#' .. (attempt or 0))
end
local function count(name, n) counted[name] = (counted[name] or 0) + n end
local function count_in_batch(batch, name, n)
  local counts = batch_counts[batch]
  if not counts then counts = {}; batch_counts[batch] = counts end
  counts[name] = (counts[name] or 0) + n
end

-- Order: score = band * 2^51 + start tag (start-time fair queueing among the tenants of a band).
local WIDTH = 2251799813685248
local TURN = 2520
local BAND = { critical = 0, high = 1, normal = 2, low = 3 }
local turns = {}
-- When it is the turn of a tenant in a band.
local function turn_of(priority, tenant)
  local band = BAND[priority or 'normal'] or 2
  local member = band .. ':' .. (tenant or '')
  local turn = turns[member]
  if not turn then
    local base, score = band * WIDTH, redis.call('ZSCORE', K.fair, member)
    turn = { band = band, base = base, start = score and tonumber(score) - base or 0 }
    turns[member] = turn
  end
  return turn
end
local function take_turn(turn, weight)
  local start, v = turn.start, V[turn.band]
  if start < v then start = v end
  -- A band that was never empty for 2^51 turns keeps working; its order falls back to the order of ids.
  if start > WIDTH - 1 then start = WIDTH - 1 end
  turn.start = start + TURN / weight
  return turn.base + start
end
-- A task is two keys. Its spec, written once, is what was submitted: a line of name=value, a line with the digest, a
-- line with the options, and the payload. Its record, a hash, is what became of it: a task that nothing befell since it
-- was submitted needs none, and is pending.
local function spec_of(id)
  local text, spec = redis.pcall('GETRANGE', spec_key(id), 0, 4095), {}
  if type(text) ~= 'string' then return spec end -- a foreign value
  for name, value in string.gmatch(string.match(text, '^[^\n]*'), '([%w_]+)=(%S+)') do spec[name] = value end
  return spec
end
-- While a task runs, and in its final state, `lease` tells its last attempt: number, node, start, score, batch. One that
-- goes on otherwise has these as fields of their own, but for the batch.
local LEASE = '^(%d+) (%S+) (%d+) (%S+) ?(%S*)'
local function attempt_of(lease, attempt) return lease and string.match(lease, '^%d+') or attempt or '0' end
-- Whether a lease is that of this attempt on this node.
local function holds(lease, attempt, node)
  return lease and string.find(lease, attempt .. ' ' .. node .. ' ', 1, true) == 1
end
-- A task's state, number of attempts, and further fields of its record. The state is nil if there is no such task.
local function look(id, ...)
  local t = redis.call('HMGET', task_key(id), 'state', 'lease', 'attempt', ...)
  local state = t[1] or redis.call('EXISTS', spec_key(id)) == 1 and 'pending' or nil
  return state, attempt_of(t[2], t[3]), unpack(t, 4, 3 + select('#', ...))
end
-- The batch that a task belongs to; one that left its batch says so in its record.
local function batch_of(id, spec)
  local left = redis.call('HGET', task_key(id), 'batch')
  if left then return nil end
  return (spec or spec_of(id)).batch
end

-- The score of a task that becomes pending for the first time, or anew.
local function fresh_score(id, priority)
  local spec = spec_of(id)
  return take_turn(turn_of(priority or spec.priority, spec.tenant), tonumber(spec.weight) or 1)
end
-- The score of a task that comes back (retry, hand-back, recovery): its own, so it keeps its place, unless it was given
-- another priority. It was claimed once, so its tag is at most V, unless V was set back to zero since.
local function kept_score(id, score, priority)
  score = tonumber(score)
  local band = score and math.floor(score / WIDTH)
  if not score or priority and BAND[priority] ~= band then return fresh_score(id, priority) end
  if score - band * WIDTH > V[band] then return band * WIDTH + V[band] end
  return score
end

local to_pending, to_pending_n = {}, 0
local something_waits = false -- for certain: a script that claims takes it back
local function flush_pending()
  if to_pending_n > 0 then
    redis.call('ZADD', K.pending, unpack(to_pending, 1, to_pending_n))
    something_waits = true
  end
  to_pending_n = 0
end
local function make_pending(id, score)
  local n = to_pending_n + 2
  -- A whole number is written faster, and as exactly, by us.
  to_pending[n - 1], to_pending[n] = score % 1 == 0 and text(score) or score, id
  to_pending_n = n
  ring = true
  if n >= 1000 then flush_pending() end -- Lua unpacks some thousand values at the most
end

-- Lets up to n parked tasks of a concurrency key go on, in order. What does not fit is parked again when claimed.
local function unpark_first(concurrency_key, n)
  local first = redis.call('ZPOPMIN', parked_key(concurrency_key), math.min(n, STEP))
  for i = 1, #first, 2 do
    local id = first[i]
    redis.call('ZREM', K.parked, id)
    redis.call('HSET', task_key(id), 'state', 'pending', 'reason', 'unparked')
    note('parked', 'pending', 'unparked', id, redis.call('HGET', task_key(id), 'attempt'))
    make_pending(id, tonumber(first[i + 1]))
  end
end
-- A task with a concurrency key left `running`: the key's count falls.
local function release_key(concurrency_key)
  local left = redis.call('HINCRBY', K.key_counts, concurrency_key, -1)
  if left <= 0 then redis.call('HDEL', K.key_counts, concurrency_key) end
  if left < key_concurrency then unpark_first(concurrency_key, key_concurrency - math.max(left, 0)) end
end
-- A pending task left without having run: the next of its key goes on in its place, for no release would wake it.
local function pass_on(concurrency_key)
  if not concurrency_key then return end
  local running = tonumber(redis.call('HGET', K.key_counts, concurrency_key)) or 0
  if running < key_concurrency then unpark_first(concurrency_key, key_concurrency - running) end
  flush_pending() -- the caller may come to the one that goes on, too
end
local function unpark(id, concurrency_key)
  redis.call('ZREM', K.parked, id)
  if concurrency_key then redis.call('ZREM', parked_key(concurrency_key), id) end
end

-- An attempt is over, and the task goes on: what the lease said stays as fields of its own, with `...`.
local function end_lease(id, lease, ...)
  local attempt, node, started_at, score = string.match(lease or '', LEASE)
  redis.call('HDEL', task_key(id), 'lease')
  redis.call('HSET', task_key(id), 'attempt', attempt or 0, 'node', node or '', 'started_at', started_at or 0, 'score', score or '',
    ...)
end

-- For the log of finished tasks: those of a batch stand in the batch's own log, too.
local function finished(to, id, batch)
  if not batch then return append(finished_ids, to, id) end
  count_in_batch(batch, to, 1)
  append(finished_ids, 'batched', id)
  append(list_of(finished_in_batch, batch), to, id)
end

-- A task reached a final state. `fields` are further pairs for its hash.
local function finish(id, from, to, reason, attempt, batch, ...)
  redis.call('HSET', task_key(id), 'state', to, 'reason', reason, 'finished_at', now, ...)
  note(from, to, reason, id, attempt)
  count(to, 1)
  if to == 'failed' then dead_letters[#dead_letters + 1] = now; dead_letters[#dead_letters + 1] = id end
  finished(to, id, batch)
end

local function pairs_of(lists)
  local flat = {}
  for name, list in pairs(lists) do flat[#flat + 1] = name; flat[#flat + 1] = table.concat(list, ' ') end
  return flat
end

local function commit_batches()
  for batch, counts in pairs(batch_counts) do
    for name, n in pairs(counts) do redis.call('HINCRBY', batch_key(batch), name, n) end
    local c = redis.call('HMGET', batch_key(batch), 'total', 'completed', 'failed', 'cancelled', 'expired', 'created_at')
    local open = (tonumber(c[1]) or 0) - (tonumber(c[2]) or 0) - (tonumber(c[3]) or 0) - (tonumber(c[4]) or 0)
      - (tonumber(c[5]) or 0)
    if not c[6] then redis.call('HSET', batch_key(batch), 'created_at', now) end
    -- Score 0 while tasks are open, else the moment at which the last one finished: retention starts there.
    redis.call('ZADD', K.batches, open > 0 and 0 or now, batch)
  end
  for batch, lists in pairs(finished_in_batch) do
    redis.call('XADD', batch_finished_key(batch), '*', unpack(pairs_of(lists)))
  end
end

-- Entries of the fair set at or below V say nothing any more; a few go with each call.
local function drop_idle_tenants(band)
  local idle = redis.call('ZRANGE', K.fair, band * WIDTH, band * WIDTH + V[band], 'BYSCORE', 'LIMIT', 0, 20)
  if #idle > 0 then redis.call('ZREM', K.fair, unpack(idle)) end
  -- Far from overflow, and only while the band is empty, its counter starts again.
  if V[band] > WIDTH / 2 and redis.call('ZCOUNT', K.pending, band * WIDTH, (band + 1) * WIDTH - 1) == 0 then
    local old = redis.call('ZRANGE', K.fair, band * WIDTH, (band + 1) * WIDTH - 1, 'BYSCORE', 'LIMIT', 0, 500)
    if #old > 0 then redis.call('ZREM', K.fair, unpack(old)) end
    if #old < 500 then V[band] = 0 end
  end
end

local bands_claimed = {}
local function commit(by)
  flush_pending()
  local set = { 'seen_at', now, 'recover_after', recover_after, 'upkeep_at', upkeep_at }
  if stored_lease then set[7], set[8] = 'lease', stored_lease end
  for band in pairs(bands_claimed) do
    drop_idle_tenants(band)
    set[#set + 1] = 'v' .. band
    set[#set + 1] = V[band]
  end
  redis.call('HSET', K.stats, unpack(set))
  local fair = {}
  for member, turn in pairs(turns) do fair[#fair + 1] = turn.base + turn.start; fair[#fair + 1] = member end
  if #fair > 0 then redis.call('ZADD', K.fair, unpack(fair)) end
  if #dead_letters > 0 then redis.call('ZADD', K.dead, unpack(dead_letters)) end
  commit_batches()
  if next(finished_ids) then redis.call('XADD', K.finished, '*', unpack(pairs_of(finished_ids))) end
  for name, n in pairs(counted) do redis.call('HINCRBY', K.stats, name, n) end
  if #moves > 0 then
    local told = {}
    for _, name in ipairs(moves) do told[#told + 1] = name; told[#told + 1] = table.concat(moved[name], ' ') end
    redis.call('XADD', K.events, 'MAXLEN', '~', tonumber(meta[8]) or 2000, '*', 'by', by, unpack(told))
  end
  -- The doorbell holds one mark at most, and wakes one waiting node, which wakes the next if it leaves work behind.
  if ring and not paused and (something_waits or redis.call('ZCARD', K.pending) > 0)
    and not (concurrency and redis.call('ZCARD', K.running) >= concurrency) then
    redis.call('ZADD', K.bell, 0, 'ring')
  end
end
