-- Decides which of several models may be called now, and reserves what the call needs: one round trip before a call.
-- KEYS   the gateway's fixed keys (lua/llm.lua)
-- ARGV   one JSON object:
--        call       id of this call; new once it was let through, or once a reply was lost
--        hold       us after which the reservation lapses
--        once       the call is made now or not at all
--        slot_wait  longest wait, us, that the caller spends in its slot
--        rank       0 (critical) to 3 (low); asked: ms at which the call was first asked about, 0 the first time
--        returning  the task waited before and gave its slot back; waiting: scope at which the call stands in line
--        cache      hash of the request or ''; flight: whether the same request asked elsewhere is waited for
--        tenant, batch, queue: names or ''
--        budgets    configured budgets that apply: [pattern, limit nano, window us (0: for ever), on_limit]
--        models     in order of preference: [breaker name, lane, key, need [requests, input, output], cost nano or -1,
--                   [scope, [requests, input, output, concurrent (0: no limit)]] ...]
--        breaker    [threshold, recovery us, probes]
-- reply  {'hit', answer} | {'flight', call, us} | {'go', index, skipped} | {'wait' | 'park', us, scope, asked, skipped} |
--        {'refused', skipped}; skipped is words: index reason us detail
-- cost   about 14 commands, 1 for each model that is left alone, 3 and 1 a bucket for each whose limits are looked at,
--        and at most 400 when 20 reservations lapsed

local ask = cjson.decode(ARGV[1])
local call, rank = ask.call, ask.rank
local asked = ask.asked > 0 and ask.asked or math.floor(now / 1000)
-- Who gave a slot back goes before the newcomers of an hour.
local score = rank * 10000000000000 + asked - (ask.returning and HOUR / 1000 or 0)
local skipped = {}
local function skip(index, reason, us, detail)
  skipped[#skipped + 1] = index .. ' ' .. reason .. ' ' .. told(us or 0) .. ' ' .. (detail or '-')
end

local function leave_line()
  if ask.waiting == '' then return end
  local key = prefix .. 'waiting:' .. ask.waiting
  for _, member in ipairs(redis.call('ZRANGE', key, told(score), told(score), 'BYSCORE', 'LIMIT', 0, 50)) do
    if string.sub(member, 1, #call + 1) == call .. ' ' then redis.call('ZREM', key, member) end
  end
end

local cache_key, flight_key = prefix .. 'cache:' .. ask.cache, prefix .. 'flight:' .. ask.cache
local one_flight = ask.cache ~= '' and ask.flight
if ask.cache ~= '' then
  local cached = redis.pcall('GET', cache_key)
  if type(cached) == 'string' then
    leave_line()
    return { 'hit', cached }
  end
end
local FLIGHT = 30 * SECOND
if one_flight then
  local leader, is_awaited = leader_of(ask.cache)
  if leader and leader ~= call then
    leave_line()
    if not is_awaited then redis.call('SET', flight_key, leader .. ' awaited', 'KEEPTTL') end
    return { 'flight', leader, told(math.max(1000, redis.call('PTTL', flight_key) * 1000)) }
  end
end

-- It writes nothing, but needs memory all the same: at maxmemory the question is refused here, with nothing changed.
redis.call('SETRANGE', prefix .. 'room', 0, '')
lapse()
leave_line()

-- Budgets that apply, by kind: one set for exactly this name, else one for any name, else the worker's own.
local function budgets()
  local names = { { 'tenant', ask.tenant }, { 'queue', ask.queue }, { 'batch', ask.batch }, { 'fleet', '' } }
  local patterns = {}
  for _, name in ipairs(names) do
    patterns[#patterns + 1] = name[1] .. ':' .. name[2]
    patterns[#patterns + 1] = name[1] .. ':*'
  end
  local set = redis.call('HMGET', K.budgets, unpack(patterns))
  local own = {}
  for _, b in ipairs(ask.budgets) do own[b[1]] = b end
  local found = {}
  for i, name in ipairs(names) do
    if name[2] ~= '' or name[1] == 'fleet' then
      local exact, any = name[1] .. ':' .. name[2], name[1] .. ':*'
      local b = set[2 * i - 1] or set[2 * i]
      b = b and cjson.decode(b) or own[exact] or own[any]
      if b then
        local window = b[3] > 0 and told(math.floor(now / b[3])) or 'all'
        local key = spent_key(exact, window)
        local s = redis.call('HMGET', key, 'charged', 'settled', 'open', 'limit', 'day')
        found[#found + 1] = { scope = exact, key = key, limit = math.min(b[2], 1000 * MOST), every = b[3], on_limit = b[4], window = window,
          charged = tonumber(s[1]) or 0, settled = tonumber(s[2]) or 0, open = tonumber(s[3]) or 0,
          known_limit = tonumber(s[4]), day = s[5] }
      end
    end
  end
  return found
end
local budget = budgets()

-- What keeps `cost` out of the budgets: how long (0: nothing does; nil: waiting does not help), whose, how, and
-- whether a cheaper model may be asked for instead.
local function over_budget(cost)
  local longest, whose, how, cheaper = 0, nil, nil, true
  for _, b in ipairs(budget) do
    if cost < 0 then return nil, b.scope, 'unpriced', true end
    if b.charged + cost > b.limit then
      local wait, word
      -- What others have reserved may be given back in a moment.
      if b.open > 0 and b.settled + cost <= b.limit and redis.call('HLEN', K.calls) > 0 then
        wait, word = SECOND / 5, 'budget_held'
      elseif b.on_limit == 'wait' and b.every > 0 and cost <= b.limit then
        wait, word = b.every - now % b.every, 'budget_wait'
      else
        return nil, b.scope, b.on_limit == 'cheaper' and 'budget_cheaper' or 'budget', b.on_limit == 'cheaper'
      end
      cheaper = cheaper and b.on_limit == 'cheaper'
      if wait > longest then longest, whose, how = wait, b.scope, word end
    end
  end
  return longest, whose, how, cheaper
end

local function charge(b, cost)
  redis.call('HINCRBY', b.key, 'charged', told(cost))
  redis.call('HINCRBY', b.key, 'open', 1)
  local day = told(math.floor(now / DAY))
  if b.day == day and b.known_limit == b.limit then return end
  redis.call('HSET', b.key, 'limit', told(b.limit), 'day', day)
  redis.pcall('ZADD', K.budget_uses, told(now), b.scope .. ' ' .. b.window .. ' ' .. told(b.every))
  redis.pcall('ZREMRANGEBYSCORE', K.budget_uses, '-inf', told(now - 40 * DAY - b.every))
  redis.pcall('ZREMRANGEBYRANK', K.budget_uses, 0, -20001)
  -- What was spent once and for all is not forgotten; but a batch ends.
  if b.every > 0 or string.sub(b.scope, 1, 6) == 'batch:' then
    redis.call('PEXPIRE', b.key, told((100 * DAY + b.every) / 1000))
  end
end

local cooldowns
do
  local names = {}
  for _, m in ipairs(ask.models) do names[#names + 1] = m[2]; names[#names + 1] = m[3]; names[#names + 1] = m[1] end
  cooldowns = #names > 0 and redis.call('HMGET', K.cooldowns, unpack(names)) or {}
end
local function cooling(index)
  local longest, why = 0, nil
  for i = 3 * index - 2, 3 * index do
    local till, us, reason = string.match(cooldowns[i] or '', '^(%d+) (%d+) (%S+)')
    local left = till and tonumber(till) - now or 0
    -- More left than there was: the clock was set back since.
    if left > longest and left <= tonumber(us) then longest, why = left, reason end
  end
  return longest, why
end

-- The buckets of a model with their limits: what is configured, and what the provider's headers taught where nothing
-- is. What is needed is nil where it never fits; a limit that was only told cannot rule a call out for good.
local function limits_of(scopes, need)
  local names, list = {}, {}
  for i, s in ipairs(scopes) do names[i] = s[1] end
  if #names == 0 then return list end
  local packed = redis.call('HMGET', K.buckets, unpack(names))
  local learned = redis.pcall('HMGET', K.learned, unpack(names))
  for i, s in ipairs(scopes) do
    local l = learned_limits(learned[i])
    local limits, needs = { s[2][1], s[2][2], s[2][3], s[2][4] }, { need[1], need[2], need[3] }
    for d = 1, 3 do
      if limits[d] == 0 and l[d] > 0 then
        limits[d], needs[d] = l[d], math.min(needs[d], l[d])
      elseif limits[d] > 0 and needs[d] > limits[d] then
        needs = nil
        break
      end
    end
    if limits[1] > 0 or limits[2] > 0 or limits[3] > 0 or limits[4] > 0 then
      list[#list + 1] = { b = bucket(s[1], packed[i]), limits = limits, need = needs }
    end
  end
  return list
end

local best
local function may_wait(us, scope, item)
  if not best or us < best.us then best = { us = us, scope = scope, item = item } end
end

-- Whether tasks that gave their slot back are expected at this bucket before a call of this rank.
local function awaited(b)
  for r = 0, rank do
    if b.spread[r + 1] > now then return true end
  end
  return false
end
-- How long one bucket keeps the call back.
local function bucket_wait(item)
  local b, limits, need = item.b, item.limits, item.need
  refill(b, limits)
  widen(b, limits, need)
  local ahead = line_before(b.scope, score, call)
  -- Newcomers let those go first who gave their slots back, unless these leave the burst unused.
  local us = rate_wait(b, limits, need, ahead, not ask.returning and awaited(b))
  us = math.max(us, free_slot_wait(b, limits[4], #ahead))
  local hushed = b.hush_from <= now and rank >= b.hush_rank and not is_large(b, limits, need)
  if hushed then us = math.max(us, b.hush_till + SECOND - now) end
  if b.changed then keep_bucket(b) end
  return us
end
-- The longest wait of the buckets of a model, and at which; nil if the call never fits.
local function limited(list)
  local longest, where = 0, nil
  for _, item in ipairs(list) do
    if not item.need then return nil, item end
    local us = bucket_wait(item)
    if us > longest then longest, where = us, item end
  end
  return longest, where
end

local function reserve(index, m, list, guard)
  breaker_passed(m[1], guard, ask.breaker[2])
  local scopes, keys, taken = {}, {}, {}
  for i, item in ipairs(list) do
    take(item.b, item.limits, item.need)
    taken[i] = item.b
    scopes[i] = { item.b.scope, item.limits }
  end
  keep_buckets(taken)
  local cost = math.max(0, math.min(MOST, m[5]))
  for i, b in ipairs(budget) do
    keys[i] = b.key
    charge(b, cost)
  end
  redis.call('HSET', K.calls, call, cjson.encode({ scopes = scopes, budgets = keys, need = m[4], cost = cost,
    opens = guard.opens }))
  redis.call('ZADD', K.deadlines, told(now + ask.hold), call)
  -- The leader renews it; one that died is given up soon.
  if one_flight then redis.call('SET', flight_key, call, 'PX', told(math.max(1, math.ceil(math.min(ask.hold, FLIGHT) / 1000)))) end
  return { 'go', tostring(index), skipped }
end

for index, m in ipairs(ask.models) do
  local cool, why = cooling(index)
  if cool > 0 then
    skip(index, why, cool)
    may_wait(cool, 'cooling')
  else
    local guard = breaker(m[1])
    local shut = breaker_wait(guard, ask.breaker[2], ask.breaker[3])
    if shut > 0 then
      skip(index, 'breaker', shut, m[1])
      may_wait(shut, 'breaker')
    else
      local list = limits_of(m[6], m[4])
      local wait, item = limited(list)
      if not wait then
        skip(index, 'too_large', 0, item.b.scope)
      elseif wait > 0 then
        skip(index, 'limit', wait, item.b.scope)
        may_wait(wait, item.b.scope, item)
      else
        local money, whose, how, cheaper = over_budget(m[5])
        if money == 0 then return reserve(index, m, list, guard) end
        skip(index, how, money, whose)
        if money then may_wait(money, how) end
        if not cheaper then break end
      end
    end
  end
end

-- Nobody comes back for a call that is made now or never: it takes no place in line.
if not best or ask.once then return { 'refused', skipped } end
if best.us <= ask.slot_wait then
  if best.item then
    -- Stands in line, until a moment after it was told to come back. A line is no longer than anybody waits in it.
    local key, need = prefix .. 'waiting:' .. best.scope, best.item.need
    redis.call('ZADD', key, told(score), call .. ' ' .. pack(need[1], need[2], need[3], now + best.us + SECOND, now))
    redis.call('ZREMRANGEBYRANK', key, 1000, -1)
    redis.call('PEXPIRE', key, told(math.ceil((best.us + MINUTE) / 1000)))
  end
  return { 'wait', told(best.us), best.scope, tostring(asked), skipped }
end

-- Gives its slot back. Those who do are spread over time, each priority by itself behind the more urgent, so that each
-- finds room when it comes again. `spread` is when nothing is left of the last one's debt.
local function park(b, limits, need)
  local filled, debt = limits[4] > 0 and SECOND / 10 or SECOND / 1000, 0
  for d = 1, 3 do
    if limits[d] > 0 then
      local rate = rate_of(d, limits[d], b.burst[d])
      filled = math.max(filled, math.ceil(need[d] / rate))
      debt = math.max(debt, math.ceil((need[d] - b.burst[d]) / rate))
    end
  end
  local at = 0
  for r = 0, rank do at = math.max(at, b.spread[r + 1]) end
  at = math.max(now + best.us, math.min(at + filled, math.max(b.planned, b.taken) + QUIET))
  if debt > 0 and b.hush_till + SECOND < now then
    b.hush_from, b.hush_till, b.hush_rank = at - math.min(QUIET, filled), at, rank
  end
  b.spread[rank + 1] = at + debt
  b.planned = math.max(b.planned, at)
  keep_bucket(b)
  return at - now
end
local us = best.item and park(best.item.b, best.item.limits, best.item.need) or best.us
return { 'park', told(math.max(us, SECOND)), best.scope, tostring(asked), skipped }
