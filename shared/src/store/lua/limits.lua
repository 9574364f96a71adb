-- Token buckets, reservations and budgets of the gateway. A reservation is charged when it is made and corrected when
-- the call is settled; one that is never settled has cost what was reserved.
--
-- Why no minute holds more than a limit: the burst and what refills in a minute make up the limit. A level may rise
-- above the burst, up to the limit, but a call takes from the burst. What lies above it only tells for how long it was
-- quiet: it lets in a call larger than the burst, which leaves a debt, so that it is quiet after it as well.

-- After so much time without a call, no window holds another one.
local QUIET = 61 * SECOND

-- A bucket is one hash field: at; levels, then bursts, of requests, input and output tokens; calls in flight; for each
-- priority the moment until which tasks that gave their slot back are spread; when a large call last asked; when the
-- last call took, and the last that was told a moment will; and from when until when and from which priority on it is
-- hushed for a call that needs quiet.
local WORDS = '^' .. string.rep('(%S+) ', 17) .. '(%S+)$'
local FORMAT = '%d %.6f %.6f %.6f' .. string.rep(' %d', 14)
local N = tonumber
local function bucket_of(scope, at, l1, l2, l3, u1, u2, u3, inflight, s1, s2, s3, s4, widened, taken, planned, from, till, rank)
  if not at then
    return { scope = scope, at = now, level = { 0, 0, 0 }, burst = { 0, 0, 0 }, inflight = 0, spread = { 0, 0, 0, 0 },
      widened = 0, taken = 0, planned = 0, hush_from = 0, hush_till = 0, hush_rank = 0, new = true }
  end
  return { scope = scope, at = N(at), level = { N(l1), N(l2), N(l3) }, burst = { N(u1), N(u2), N(u3) }, inflight = N(inflight),
    spread = { N(s1), N(s2), N(s3), N(s4) }, widened = N(widened), taken = N(taken), planned = N(planned),
    hush_from = N(from), hush_till = N(till), hush_rank = N(rank) }
end
local function bucket(scope, packed) return bucket_of(scope, string.match(packed or '', WORDS)) end
local function keep_buckets(list)
  local fields = {}
  for _, b in ipairs(list) do
    if b.new then
      tidy(K.buckets, 2000, function(old) return old[1] < now - HOUR and (old[8] or 0) == 0 end)
    end
    local l, u, s, n = b.level, b.burst, b.spread, #fields
    fields[n + 1], fields[n + 2] = b.scope, string.format(FORMAT, b.at, l[1], l[2], l[3], u[1], u[2], u[3], b.inflight,
      s[1], s[2], s[3], s[4], b.widened, b.taken, b.planned, b.hush_from, b.hush_till, b.hush_rank)
  end
  if #fields > 0 then redis.call('HSET', K.buckets, unpack(fields)) end
end
local function keep_bucket(b) keep_buckets({ b }) end

local function usual_burst(dimension, limit)
  return math.max(1, math.floor(limit / (dimension == 1 and 100 or 10)))
end
-- Half a percent of the requests is kept back for the time between our yes and the provider's clock.
local function rate_of(dimension, limit, burst)
  local slack = dimension == 1 and limit / 200 or 0
  return math.max(limit - burst - slack, limit / (dimension == 1 and 2 or 10)) / MINUTE
end

-- The clock was set back: what was noted by the old one moves along.
local function set_back(b, by)
  b.at, b.widened, b.taken = b.at - by, b.widened - by, b.taken - by
  b.planned, b.hush_from, b.hush_till = b.planned - by, b.hush_from - by, b.hush_till - by
  for r = 1, 4 do b.spread[r] = b.spread[r] - by end
  b.changed = true
end
-- Brings a bucket up to date with the limits that hold now (0: none).
local function refill(b, limits)
  if b.at > now then set_back(b, b.at - now) end
  for d = 1, 3 do
    local limit = limits[d]
    if limit > 0 then
      local usual = usual_burst(d, limit)
      if b.burst[d] == 0 then
        -- Limited for the first time: what went before is not known.
        b.level[d], b.burst[d], b.taken, b.changed = usual, usual, now, true
      else
        b.level[d] = math.min(limit, b.level[d] + (now - b.at) * rate_of(d, limit, b.burst[d]))
        if b.burst[d] > math.max(usual, limit / 2) then
          b.burst[d] = usual -- the limit was lowered
        elseif b.burst[d] > usual and now - b.widened > MINUTE then
          -- It refills faster again, and the minute that began before must not hold more for it.
          b.level[d], b.burst[d] = b.level[d] - (b.burst[d] - usual), usual
        end
        b.burst[d] = math.max(b.burst[d], usual)
        if now - b.taken >= QUIET then b.level[d] = limit end
      end
    end
  end
  b.at = now
end

-- Calls larger than the burst widen it, up to half the limit, and it refills the slower, until none came for a minute.
local function widen(b, limits, need)
  for d = 2, 3 do
    if limits[d] > 0 and need[d] > usual_burst(d, limits[d]) and need[d] <= limits[d] / 2 then
      b.changed = b.changed or need[d] > b.burst[d] or now - b.widened > MINUTE / 2
      b.burst[d], b.widened = math.max(b.burst[d], need[d]), now
    end
  end
end
-- A call that needs more than the burst all the same must find it quiet.
local function is_large(b, limits, need)
  for d = 1, 3 do
    if limits[d] > 0 and need[d] > b.burst[d] then return true end
  end
  return false
end

local function take(b, limits, need)
  for d = 1, 3 do
    if limits[d] > 0 and need[d] > 0 then b.level[d] = math.min(b.level[d], b.burst[d]) - need[d] end
  end
  b.inflight, b.taken = b.inflight + 1, now
end

-- How long until `need` fits, after those `ahead` were served, each as soon as it fits. `full`: the burst must be full.
local function rate_wait(b, limits, need, ahead, full)
  if #ahead == 0 and not full then
    local fits = true
    for d = 1, 3 do fits = fits and (limits[d] == 0 or need[d] <= math.max(0, b.level[d])) end
    if fits then return 0 end
  end
  local level, rate = {}, {}
  for d = 1, 3 do
    level[d] = b.level[d]
    if limits[d] > 0 then rate[d] = rate_of(d, limits[d], b.burst[d]) end
  end
  local at, quiet_at = 0, b.taken + QUIET - now
  local function serve(wanted, whole)
    local ready = at
    for d, speed in pairs(rate) do
      local want = math.min(wanted[d], limits[d])
      if whole and want > 0 then want = math.max(want, b.burst[d]) end
      local missing = want > 0 and want - level[d] or 0
      if missing > 0.000001 then ready = math.max(ready, at + missing / speed) end
    end
    local quiet = ready > at and ready >= quiet_at
    if quiet then ready = math.max(at, quiet_at) end
    for d, speed in pairs(rate) do
      level[d] = quiet and limits[d] or math.min(limits[d], level[d] + (ready - at) * speed)
      if wanted[d] > 0 then level[d] = math.min(level[d], b.burst[d]) - math.min(wanted[d], limits[d]) end
    end
    at, quiet_at = ready, ready + QUIET
  end
  for _, other in ipairs(ahead) do serve(other) end
  serve(need, full)
  return math.ceil(at)
end

-- How long until one of the slots for calls at once may be free for a call with `ahead` others before it.
local function free_slot_wait(b, limit, ahead)
  if limit <= 0 or b.inflight + ahead < limit then return 0 end
  -- More calls than are open cannot be in flight here: their records were lost.
  b.inflight = math.min(b.inflight, redis.call('HLEN', K.calls))
  local over = b.inflight + ahead - limit
  return over < 0 and 0 or SECOND / 10 * (1 + math.floor(over / limit))
end

-- Needs of the calls that stand in line for this bucket before `score`. Whoever did not come back in time, or noted it
-- by a clock that was set back since, is dropped.
local function line_before(scope, score, mine)
  local key, ahead, gone = prefix .. 'waiting:' .. scope, {}, {}
  for _, member in ipairs(redis.call('ZRANGE', key, '-inf', '(' .. told(score), 'BYSCORE', 'LIMIT', 0, 100)) do
    local call, words = string.match(member, '^(%S+) (.*)$')
    local w = read(words)
    if not call or (w[4] or 0) < now or (w[5] or 0) > now then
      gone[#gone + 1] = member
    elseif call ~= mine then
      ahead[#ahead + 1] = w
    end
  end
  if #gone > 0 then redis.call('ZREM', key, unpack(gone)) end
  return ahead
end

-- Limits that a provider's headers told within the hour: requests, input tokens, output tokens, when.
local function learned_limits(packed)
  local l = read(type(packed) == 'string' and packed)
  if #l < 4 or l[4] > now or l[4] < now - HOUR then return { 0, 0, 0 } end
  return l
end

local function spent_key(scope, window) return prefix .. 'spent:' .. scope .. ':' .. window end

-- A call is over, and cost so much. Figures that were deleted meanwhile know of no reservation.
local function settle_budgets(record, cost, what)
  for _, key in ipairs(record.budgets) do
    local open = redis.pcall('HINCRBY', key, 'open', -1)
    local lost = type(open) == 'number' and open < 0
    if lost then redis.call('HSET', key, 'open', 0) end
    redis.pcall('HINCRBY', key, 'charged', told(lost and cost or cost - record.cost))
    redis.pcall('HINCRBY', key, 'settled', told(cost))
    redis.pcall('HINCRBY', key, what, 1)
  end
end
-- Reservations whose deadline passed: their calls in flight end, what they reserved stays spent.
local function lapse()
  local late = redis.call('ZRANGE', K.deadlines, '-inf', now, 'BYSCORE', 'LIMIT', 0, 20)
  if #late == 0 then return end
  local records = redis.call('HMGET', K.calls, unpack(late))
  redis.call('ZREM', K.deadlines, unpack(late))
  redis.call('HDEL', K.calls, unpack(late))
  for _, text in ipairs(records) do
    local readable, record = pcall(cjson.decode, text)
    if readable then
      for _, scope in ipairs(record.scopes) do
        local packed = redis.call('HGET', K.buckets, scope[1])
        if packed then
          local b = bucket(scope[1], packed)
          b.inflight = math.max(0, b.inflight - 1)
          keep_bucket(b)
        end
      end
      settle_budgets(record, record.cost, 'lapsed')
    end
  end
end
