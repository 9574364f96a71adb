-- What every script of a queue begins with: names for KEYS, Redis's clock, the queue's figures, and the helpers that
-- note what the call did. A script calls helpers, then commit() once. All times are microseconds of Redis's clock.
-- Numbers that may exceed 14 digits are passed to Redis through text(), never joined into words by Lua.
-- This part runs at every call, so it is kept small: what only some calls need is in lua/tasks.lua. A number costs
-- Redis more than its text: what is passed at every call is text, and only figures that changed are written.

local META, STATS, PENDING, RUNNING, SCHEDULED, PARKED, EXPIRING, DEAD, FINISHED, EVENTS, BELL, FAIR, KEY_COUNTS,
  BATCHES, BLOCKED = unpack(KEYS)
local prefix = string.sub(META, 1, -5)
-- What the keys of a task begin with; its id follows.
local TASK, SPEC = prefix .. 'task:', prefix .. 'spec:'
local function batch_key(batch) return prefix .. 'batch:' .. batch end
local function batch_finished_key(batch) return prefix .. 'batch-finished:' .. batch end

local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
-- Lua's own text of a number has 14 digits.
local function text(number) return string.format('%d', number) end
local now_text = text(now)

-- Every loop over tasks found inside a script is bounded by this many.
local STEP = 100
-- The longest time between two upkeeps, and the lease while no node said one.
local TEN_SECONDS = 10 * 1000000

local stats = redis.call('HMGET', STATS, 'seen_at', 'recover_after', 'upkeep_at', 'lease')
local meta = redis.call('HMGET', META, 'paused', 'concurrency', 'max_length', 'events', 'partitions')
local seen_at = tonumber(stats[1]) or now
-- As they are stored, for commit() to know what changed.
local old_recover_after, old_upkeep_at, old_lease = tonumber(stats[2]), tonumber(stats[3]), tonumber(stats[4])
local recover_after, upkeep_at, stored_lease = old_recover_after or 0, old_upkeep_at or 0, old_lease
local longest_lease = stored_lease or TEN_SECONDS
local paused = meta[1] == '1'
local concurrency = tonumber(meta[2])

-- No script ran for half a lease: Redis was away (or its clock jumped). Owners could not extend, so recovery is put
-- off by one lease and they can extend first. The deferral is never further away than one lease.
if now - seen_at > longest_lease / 2 then recover_after = now + longest_lease end
if recover_after > now + longest_lease then recover_after = now + longest_lease end
-- A clock that was set back must not put the upkeep off.
if upkeep_at > now + TEN_SECONDS then upkeep_at = now end

-- A node says how long its leases are; the longest decides what counts as an outage.
local function lease_of_node(lease)
  if not stored_lease or lease > stored_lease then longest_lease = lease; stored_lease = lease end
end

local function upkeep_by(moment) if moment < upkeep_at then upkeep_at = moment end end

-- What the call did, written once by commit().
local moved, counted, finished_ids, dead_letters = {}, {}, {}, {}
local batch_counts, finished_in_batch, ring = nil, nil, false

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
local function count(name, n) counted[name] = (counted[name] or 0) + n end
local function count_in_batch(batch, name, n)
  batch_counts = batch_counts or {}
  local counts = list_of(batch_counts, batch)
  counts[name] = (counts[name] or 0) + n
end
-- For the log of finished tasks: those of a batch stand in the batch's own log, too.
local function finished(to, id, batch)
  if not batch then return append(finished_ids, to, id) end
  count_in_batch(batch, to, 1)
  append(finished_ids, 'batched', id)
  finished_in_batch = finished_in_batch or {}
  append(list_of(finished_in_batch, batch), to, id)
end

-- Order: score = band * 2^51 + start tag (start-time fair queueing among the tenants of a band).
local WIDTH = 2251799813685248
local TURN = 2520
local BAND = { critical = 0, high = 1, normal = 2, low = 3 }
local V_FIELD = { [0] = 'v0', 'v1', 'v2', 'v3' }
-- V of a band, read when first asked for.
local V = {}
local function v_of(band)
  local v = V[band]
  if not v then
    v = tonumber(redis.call('HGET', STATS, V_FIELD[band])) or 0
    V[band] = v
  end
  return v
end
local turns = {}
-- When it is the turn of a tenant in a band.
local function turn_of(priority, tenant)
  local band = BAND[priority or 'normal'] or 2
  local member = band .. ':' .. (tenant or '')
  local turn = turns[member]
  if not turn then
    local base, score = band * WIDTH, redis.call('ZSCORE', FAIR, member)
    turn = { base = base, start = math.max(score and tonumber(score) - base or 0, v_of(band)) }
    turns[member] = turn
  end
  return turn
end
local function take_turn(turn, weight)
  local start = turn.start
  -- A band that was never empty for 2^51 turns keeps working; its order falls back to the order of ids.
  if start > WIDTH - 1 then start = WIDTH - 1 end
  turn.start = start + TURN / weight
  return turn.base + start
end

-- A whole number is written faster, and as exactly, by us.
local function score_text(score) return score % 1 == 0 and text(score) or score end

local to_pending, to_pending_n = {}, 0
-- Whether something is in `pending`: true or false for certain, else nil.
local something_waits = nil
local function flush_pending()
  if to_pending_n > 0 then
    redis.call('ZADD', PENDING, unpack(to_pending, 1, to_pending_n))
    something_waits = nil -- this very call may take it away again
  end
  to_pending_n = 0
end
local function make_pending(id, score)
  local n = to_pending_n + 2
  to_pending[n - 1], to_pending[n] = score_text(score), id
  to_pending_n = n
  ring = true
  if n >= 1000 then flush_pending() end -- Lua unpacks some thousand values at the most
end

local function pairs_of(lists)
  local flat = {}
  for name, list in pairs(lists) do flat[#flat + 1] = name; flat[#flat + 1] = table.concat(list, ' ') end
  return flat
end

local function commit_batches()
  for batch, counts in pairs(batch_counts) do
    for name, n in pairs(counts) do redis.call('HINCRBY', batch_key(batch), name, text(n)) end
    local c = redis.call('HMGET', batch_key(batch), 'total', 'completed', 'failed', 'cancelled', 'expired',
      'created_at')
    local open = (tonumber(c[1]) or 0) - (tonumber(c[2]) or 0) - (tonumber(c[3]) or 0) - (tonumber(c[4]) or 0)
      - (tonumber(c[5]) or 0)
    if not c[6] then redis.call('HSET', batch_key(batch), 'created_at', now_text) end
    -- Score 0 while tasks are open, else the moment at which the last one finished: retention starts there.
    redis.call('ZADD', BATCHES, open > 0 and '0' or now_text, batch)
  end
  for batch, lists in pairs(finished_in_batch or {}) do
    redis.call('XADD', batch_finished_key(batch), '*', unpack(pairs_of(lists)))
  end
end

-- Entries of the fair set at or below V say nothing any more; a few go with each call.
local function drop_idle_tenants(band)
  local first, v = band * WIDTH, v_of(band)
  local idle = redis.call('ZRANGE', FAIR, text(first), score_text(first + v), 'BYSCORE', 'LIMIT', '0', '20')
  if #idle > 0 then redis.call('ZREM', FAIR, unpack(idle)) end
  -- Far from overflow, and only while the band is empty, its counter starts again.
  if v > WIDTH / 2 and redis.call('ZCOUNT', PENDING, first, first + WIDTH - 1) == 0 then
    local old = redis.call('ZRANGE', FAIR, first, first + WIDTH - 1, 'BYSCORE', 'LIMIT', 0, 500)
    if #old > 0 then redis.call('ZREM', FAIR, unpack(old)) end
    if #old < 500 then V[band] = 0 end
  end
end

local bands_claimed = {}
local function commit(by)
  local added = to_pending_n > 0
  flush_pending()
  if added then something_waits = true end
  local set = { 'seen_at', now_text }
  local function figure(name, value) set[#set + 1] = name; set[#set + 1] = value end
  if recover_after ~= old_recover_after then figure('recover_after', text(recover_after)) end
  if upkeep_at ~= old_upkeep_at then figure('upkeep_at', text(upkeep_at)) end
  if stored_lease ~= old_lease then figure('lease', text(stored_lease)) end
  -- Before a band starts again: the turns that this call gave in it are forgotten with the others.
  if next(turns) then
    local fair = {}
    for member, turn in pairs(turns) do
      fair[#fair + 1] = score_text(turn.base + turn.start)
      fair[#fair + 1] = member
    end
    redis.call('ZADD', FAIR, unpack(fair))
  end
  for band in pairs(bands_claimed) do
    drop_idle_tenants(band)
    figure(V_FIELD[band], score_text(V[band]))
  end
  redis.call('HSET', STATS, unpack(set))
  if #dead_letters > 0 then redis.call('ZADD', DEAD, unpack(dead_letters)) end
  if batch_counts then commit_batches() end
  if next(finished_ids) then redis.call('XADD', FINISHED, '*', unpack(pairs_of(finished_ids))) end
  for name, n in pairs(counted) do redis.call('HINCRBY', STATS, name, text(n)) end
  if #moves > 0 then
    local told = {}
    for _, name in ipairs(moves) do told[#told + 1] = name; told[#told + 1] = table.concat(moved[name], ' ') end
    redis.call('XADD', EVENTS, 'MAXLEN', '~', tonumber(meta[4]) and meta[4] or '2000', '*', 'by', by, unpack(told))
  end
  -- The doorbell holds one mark at most, and wakes one waiting node, which wakes the next if it leaves work behind.
  if something_waits == nil and ring and not paused then something_waits = redis.call('ZCARD', PENDING) > 0 end
  if ring and not paused and something_waits and not (concurrency and redis.call('ZCARD', RUNNING) >= concurrency) then
    redis.call('ZADD', BELL, '0', 'ring')
  end
end
